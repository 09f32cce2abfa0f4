"""A schema as a JSON file: for trying rules on a world that is not at hand, and for worlds made by other programs.

    {"name": "lift", "about": "a lift in an office tower",
     "features": [{"name": "door", "kind": "category", "values": {"open": "people may enter", "shut": ""},
                   "description": "the cabin's door"},
                  {"name": "load", "kind": "real", "low": 0, "high": 900, "unit": "kg"}],
     "actions": [{"name": "action", "kind": "category", "values": ["up", "down", "wait"]}]}

Such a schema types and checks rules; it has no environment, so it perceives nothing and acts on nothing. A "grid" says,
as in `Grid`, which arrays share cells, so that a stored world can be drawn. `schema_data` is the way back.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import UserError
from .schema import Feature, Grid, Schema

__all__ = ["read_schema", "schema_data", "schema_from"]


class _Feature(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Literal["real", "integer", "boolean", "category"] = "real"
    shape: tuple[int, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    values: dict[str, str] | list[str] = Field(default_factory=dict)
    unit: str = ""
    description: str = ""

    def feature(self) -> Feature:
        glosses = tuple(self.values.values()) if isinstance(self.values, dict) else ()
        return Feature(self.name, self.kind, self.shape, self.low, self.high, tuple(self.values), self.unit,
                       self.description, glosses if any(glosses) else ())


class _Grid(BaseModel):
    model_config = ConfigDict(extra="forbid")

    arrays: tuple[str, ...] = Field(min_length=1)
    x: str
    y: str
    heading: str | None = None
    steps: tuple[tuple[int, int], ...] = Grid.steps

    def grid(self) -> Grid:
        return Grid(self.arrays, self.x, self.y, self.heading, self.steps)


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    about: str = ""
    features: list[_Feature] = Field(min_length=1)
    actions: list[_Feature] = Field(min_length=1)
    grid: _Grid | None = None

    @model_validator(mode="after")
    def _points_into_features(self) -> _Schema:
        g, names = self.grid, {f.name for f in self.features}
        if g and (unknown := [n for n in (*g.arrays, g.x, g.y, g.heading) if n is not None and n not in names]):
            raise ValueError(f"the grid names {', '.join(unknown)}, which is no feature")
        return self


def read_schema(path: str | Path) -> Schema:
    """Read a schema from a JSON file.

    Raises:
        UserError: the file is not there, is not JSON, or is not a schema; says where and how to mend it.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is not a JSON file: {error}") from error
    return schema_from(data, str(path))


def schema_from(data: Any, source: str = "schema") -> Schema:
    """The schema that JSON data describe; see the module for their form. Raises `UserError` with every mistake."""
    try:
        read = _Schema.model_validate(data)
    except ValidationError as error:
        found = error.errors()[:8]
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the whole'}: {e['msg'].lower()}" for e in found)
        raise UserError(f"{source} is not a schema: {wrong}") from None
    return Schema(read.name, tuple(f.feature() for f in read.features), tuple(f.feature() for f in read.actions),
                  _sees_nothing, _does_nothing, grid=read.grid.grid() if read.grid else None)


def schema_data(schema: Schema) -> dict[str, Any]:
    """A schema as JSON data that `schema_from` reads: without perception, derived features and pictures."""
    def plain(f: Feature) -> dict[str, Any]:
        bounds = {name: value for name, value in (("low", f.low), ("high", f.high)) if math.isfinite(value)}
        values = dict(zip(f.values, f.glosses, strict=True)) if f.glosses else list(f.values)
        return {"name": f.name, "kind": f.kind, "shape": list(f.shape), **bounds, "values": values, "unit": f.unit,
                "description": f.description}

    data: dict[str, Any] = {"name": schema.name, "features": [plain(f) for f in schema.features if not f.is_image],
                            "actions": [plain(a) for a in schema.actions]}
    if (g := schema.grid) is not None:
        data["grid"] = {"arrays": list(g.arrays), "x": g.x, "y": g.y, "heading": g.heading,
                        "steps": [list(step) for step in g.steps]}
    return data


def _sees_nothing(observation: Any, env: Any) -> dict[str, Any]:
    raise UserError("a schema from a file has no environment to perceive")


def _does_nothing(action: np.ndarray) -> Any:
    raise UserError("a schema from a file has no environment to act on")
