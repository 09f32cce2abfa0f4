"""World models by name, and at which size: "recurrent", "rssm-1m"."""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import UserError, nearest
from ..model import WorldModel
from ..schema import Schema

if TYPE_CHECKING:
    import gymnasium

MODELS = {
    "slots": ("slots", "Slots"),
    "factors": ("factors", "Factors"),
    "recurrent": ("recurrent", "Recurrent"),
    "ensemble": ("ensemble", "Ensemble"),
    "rssm": ("rssm", "RSSM"),
    "none": ("persistence", "Persistence"),
    "simulator": ("simulator", "Simulator"),
}
"""name -> (module beside this one, class). A class is made from a schema, and by `sized(schema, size)` where it comes
in several sizes; it raises `UserError` for a schema it cannot serve. One with `needs_env` is made from an environment
and its schema."""
NAMES = ("auto", *MODELS)
FEW = 32
"""Numbers in an observation, up to which an ensemble predicts better than a recurrent model."""


def build(model: str | WorldModel, schema: Schema, env: gymnasium.Env | None = None) -> WorldModel:
    """The world model called `model` for `schema`, or the given one itself; `env` is for those that imagine with clones
    of it (a class with `needs_env`).

    "auto" takes slots where every feature is discrete and bounded, the ensemble for at most `FEW` numbers, which it
    takes for the whole state, the recurrent state space model where there are images, and the recurrent model
    elsewhere; "none" knows nothing, so that rules alone decide. Raises `UserError` for an unknown name or a schema the
    model cannot serve.
    """
    if not isinstance(model, str):
        return model
    name, _, size = model.partition("-")
    if name not in NAMES:
        raise UserError(f"unknown world model '{model}'{nearest(name, NAMES)}; choose one of {', '.join(NAMES)}")
    module, kind = MODELS[_suited(schema) if name == "auto" else name]
    made = getattr(import_module(f".{module}", __package__), kind)
    if getattr(made, "needs_env", False):
        if env is None:
            raise UserError(f"the world model '{name}' imagines with clones of an environment: give it one")
        return made(env, schema)
    if not size:
        return made(schema)
    if not hasattr(made, "sized"):
        raise UserError(f"the world model '{name}' comes in one size; write model='{name}'")
    return made.sized(schema, size)


def name_of(model: WorldModel) -> str:
    """The name that `build` makes such a model by, with its size if it is another than usual. A model of one's own is
    called by its class."""
    kind = type(model).__name__
    name = next((name for name, (_, made) in MODELS.items() if made == kind), kind.lower())
    return f"{name}-{size}" if (size := getattr(model, "size", None)) else name


def _suited(schema: Schema) -> str:
    if any(f.is_image for f in schema.features):
        return "rssm"
    in_grid = schema.grid.arrays if schema.grid else ()
    if all(f.cardinality and (not f.shape or f.name in in_grid) for f in (*schema.features, *schema.actions)):
        return "slots"
    return "ensemble" if sum(math.prod(f.shape) for f in schema.features) <= FEW else "recurrent"
