"""World models by name."""

from __future__ import annotations

from ...errors import UserError, nearest
from ..model import WorldModel
from ..schema import Schema
from .persistence import Persistence

NAMES = ("auto", "slots", "recurrent", "none")


def build(model: str | WorldModel, schema: Schema) -> WorldModel:
    """The world model called `model` for `schema`, or the given one itself.

    "auto" takes slots where every feature is discrete and bounded, the recurrent model elsewhere; "none" knows
    nothing, so that rules alone decide. Raises `UserError` for an unknown name or a schema the model cannot serve.
    """
    if not isinstance(model, str):
        return model
    if model not in NAMES:
        raise UserError(f"unknown world model '{model}'{nearest(model, NAMES)}; choose one of {', '.join(NAMES)}")
    if model == "none":
        return Persistence(schema)
    if model == "auto":
        in_grid = schema.grid.arrays if schema.grid else ()
        slots = all(f.cardinality and (not f.shape or f.name in in_grid) for f in (*schema.features, *schema.actions))
        model = "slots" if slots else "recurrent"
    if model == "slots":
        from .slots import Slots

        return Slots(schema)
    from .recurrent import Recurrent

    return Recurrent(schema)
