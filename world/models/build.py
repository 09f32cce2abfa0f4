"""World models by name, and at which size: "recurrent", "rssm-1m"."""

from __future__ import annotations

from importlib import import_module

from ...errors import UserError, nearest
from ..model import WorldModel
from ..schema import Schema

MODELS = {
    "slots": ("slots", "Slots"),
    "recurrent": ("recurrent", "Recurrent"),
    "rssm": ("rssm", "RSSM"),
    "none": ("persistence", "Persistence"),
}
"""name -> (module beside this one, class). A class is made from a schema, and by `sized(schema, size)` where it comes
in several sizes; it raises `UserError` for a schema it cannot serve."""
NAMES = ("auto", *MODELS)


def build(model: str | WorldModel, schema: Schema) -> WorldModel:
    """The world model called `model` for `schema`, or the given one itself.

    "auto" takes slots where every feature is discrete and bounded, the recurrent state space model where there are
    images, the recurrent model elsewhere; "none" knows nothing, so that rules alone decide. Raises
    `UserError` for an unknown name or a schema the model cannot serve.
    """
    if not isinstance(model, str):
        return model
    name, _, size = model.partition("-")
    if name not in NAMES:
        raise UserError(f"unknown world model '{model}'{nearest(name, NAMES)}; choose one of {', '.join(NAMES)}")
    module, kind = MODELS[_suited(schema) if name == "auto" else name]
    made = getattr(import_module(f".{module}", __package__), kind)
    if not size:
        return made(schema)
    if not hasattr(made, "sized"):
        raise UserError(f"the world model '{name}' comes in one size; write model='{name}'")
    return made.sized(schema, size)


def _suited(schema: Schema) -> str:
    if any(f.is_image for f in schema.features):
        return "rssm"
    in_grid = schema.grid.arrays if schema.grid else ()
    slots = all(f.cardinality and (not f.shape or f.name in in_grid) for f in (*schema.features, *schema.actions))
    return "slots" if slots else "recurrent"
