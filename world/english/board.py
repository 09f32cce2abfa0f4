"""Boards: which features of a schema are the cell ahead, what is held and where one stands, found by what they do.

The derived feature that is the cell ahead is the one that points, in every pose, one step of the heading further; its
coordinates are those derived features that are the agent's plus that step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...prompts.reader.items import spoken
from ..rules import syntax as s
from ..rules.syntax import Expression
from ..schema import Derived, Grid, Pointed, Schema
from .lexicon import Entry, verb_entries
from .morphology import forms, numbers_of, verb_of
from .predicates import joined
from .tokens import said

_HOLDING = re.compile(r"carr|hold|held|hand|inventor|bag|pocket")
_WALKING = frozenset({"walk", "move", "step", "go", "forward", "ahead", "advance", "drive", "run"})
_OTHER = frozenset({"turn", "pick", "take", "put", "drop", "open", "close", "back", "backward", "backwards"})
_NOTHING = ("empty", "none", "nothing", "free", "floor")
_SAME_DEED = {"pick up": ("grab", "take", "collect", "lift"), "drop": ("put down", "lay down"), "open": ("unlock",)}


@dataclass(frozen=True)
class Board:
    """The roles of one schema's features. `ahead` and `held` are features by array; `front` the coordinates ahead."""

    schema: Schema
    grid: Grid
    ahead: dict[str, str]
    held: dict[str, str]
    front: tuple[str, str] | None

    @staticmethod
    def of(schema: Schema) -> Board | None:
        """The board of a schema, or None where it has none with a heading."""
        grid = schema.grid
        if grid is None or grid.heading is None:
            return None
        poses, steps = _poses(schema, grid)
        x, y = poses[grid.x].int() + steps[:, 0], poses[grid.y].int() + steps[:, 1]
        height = schema.base[grid.arrays[0]].shape[1]
        pointed = [d for d in schema.derived if isinstance(d, Pointed) and d.of in grid.arrays]
        ahead = {d.of: d.feature.name for d in pointed if torch.equal(d.at(poses).long(), (x * height + y).long())}
        plain = [d for d in schema.derived if isinstance(d, Derived) and d.feature.kind == "integer"]
        front = [next((d.feature.name for d in plain if _equal(d, poses, one)), "") for one in (x, y)]
        held: dict[str, str] = {}
        for f in schema.features:
            if f.kind == "category" and not f.shape and f.name != grid.heading \
                    and _HOLDING.search(f"{f.name} {f.description}"):
                shares = [a for a in grid.arrays if set(f.values) <= set(schema.base[a].values) | set(_NOTHING)]
                whole = [a for a in shares if f.values == schema.base[a].values]
                held |= {a: f.name for a in (whole or shares)[:1]}
        return Board(schema, grid, ahead, held, (front[0], front[1]) if all(front) else None) if ahead else None

    @property
    def kind(self) -> str:
        """The array of what things are."""
        return self.grid.arrays[0]

    @property
    def action(self) -> str:
        return next((a.name for a in self.schema.actions if a.kind == "category"), "")

    @cached_property
    def walking(self) -> str:
        """The value of the action that moves one ahead, "" where there is none."""
        for value, gloss in self._deeds():
            words = {*spoken(value), *said(gloss).words}
            if words & _WALKING and not words & _OTHER:
                return value
        return ""

    def nothing(self, name: str) -> str | None:
        """The value of a feature that says that nothing is there."""
        return next((v for v in _NOTHING if v in self.schema.named[name].values), None)

    def _deeds(self) -> list[tuple[str, str]]:
        action = self.schema.named[self.action] if self.action else None
        return list(zip(action.values, action.glosses or ("",) * len(action.values), strict=True)) if action else []

    # --- words ----------------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        for value in self.schema.base[str(self.grid.heading)].values:
            yield tuple(spoken(value)), "HEADING", value, 0.0
        for array in self.grid.arrays:
            for value in self.schema.base[array].values:
                if value in ("none", "unseen"):
                    continue
                for last in numbers_of(spoken(value)[-1]) if array == self.kind else spoken(value)[-1:]:
                    kind = "KIND" if array == self.kind else "ATTRIBUTE"
                    yield (*spoken(value)[:-1], last), kind, (array, value), 0.0
                if array != self.kind and verb_of(value):
                    for form, which in forms(verb_of(value)).items():
                        kind = {"base": "TURN", "s": "TURNS", "ing": "TURNING", "ed": "TURNED"}[which]
                        yield (form,), kind, (array, value), 0.0
            if array != self.kind:
                for word in numbers_of(array):
                    yield (word,), "ATTRIBUTE_NAME", array, 0.0
                if array == "color":
                    yield from (((word,), "ATTRIBUTE_NAME", array, 0.0) for word in ("colour", "colours"))
        for value, gloss in self._deeds():
            meaning = (self.action, value, bool(_HOLDING.search(gloss) or _HOLDING.search(value)))
            verbs = {" ".join(spoken(value)).replace("pickup", "pick up")} | set(_verbs(gloss))
            for verb in verbs | {other for v in verbs for other in _SAME_DEED.get(v, ())}:
                if value != self.walking:
                    yield from verb_entries(tuple(verb.split()), "HANDL", meaning)
            yield tuple(spoken(value)), "ACTION", (self.action, value), 0.0
            if value == self.walking:
                for verb in ("walk", "move", "step", "go", "run", *spoken(value)):
                    yield from verb_entries((verb,), "MOV", (self.action, value))

    # --- conditions -----------------------------------------------------------------------------------------------

    def is_ahead(self, wanted: tuple[tuple[str, str], ...]) -> Expression | None:
        if not wanted or any(array not in self.ahead for array, _ in wanted):
            return None
        return joined("and", *(_is(self.ahead[array], value) for array, value in wanted))

    def is_held(self, wanted: tuple[tuple[str, str], ...]) -> Expression | None:
        if not wanted or any(array not in self.held or value not in self.schema.named[self.held[array]].values
                             for array, value in wanted):
            return None
        return joined("and", *(_is(self.held[array], value) for array, value in wanted))

    def is_under(self, wanted: tuple[tuple[str, str], ...]) -> Expression:
        at = (s.Name(name=self.grid.x), s.Name(name=self.grid.y))
        return joined("and", *(s.Compare(operands=(s.Index(array=s.Name(name=array), at=at), s.Symbol(name=value)),
                                         operators=("==",)) for array, value in wanted))


def _is(name: str, value: str) -> Expression:
    return s.Compare(operands=(s.Name(name=name), s.Symbol(name=value)), operators=("==",))


def _verbs(gloss: str) -> Iterator[str]:
    """The verbs of a gloss: `open, close or unlock the door ahead` names three."""
    for part in re.split(r"[,;]|\bor\b|\band\b", gloss):
        words = said(part).words
        if words:
            yield " ".join(words[:2] if len(words) > 1 and words[1] in {"up", "down", "on", "off"} else words[:1])


def _poses(schema: Schema, grid: Grid) -> tuple[dict[str, Tensor], Tensor]:
    """Features of one row a heading, amid the board, and the step of each: `[K, 2]`."""
    assert grid.heading is not None
    k = len(grid.steps)
    rows = {f.name: torch.full((k, *f.shape), f.offset if f.kind == "integer" else 0, dtype=f.dtype)
            for f in schema.features}
    rows[grid.x] = torch.full((k,), 1, dtype=rows[grid.x].dtype)
    rows[grid.y] = torch.full((k,), 2, dtype=rows[grid.y].dtype)
    rows[grid.heading] = torch.arange(k).to(rows[grid.heading].dtype)
    return rows, torch.tensor(grid.steps)


def _equal(derived: Derived, rows: dict[str, Tensor], wanted: Tensor) -> bool:
    return torch.equal(derived.get(rows).long(), wanted.long())
