"""Planners by name, and which of them fits a world."""

from __future__ import annotations

import math
from importlib import import_module

from ...errors import UserError, nearest
from ...world.schema import Schema
from .plan import Planner

PLANNERS = {
    "search": ("search", "Search"),
    "waypoints": ("waypoints", "Waypoints"),
    "cem": ("cem", "CEM"),
    "mppi": ("mppi", "MPPI"),
    "random": ("random_shooting", "RandomShooting"),
    "mcts": ("mcts", "MCTS"),
    "dyna": ("dyna", "DynaQ"),
    "actor_critic": ("actor_critic", "ActorCritic"),
    "deep_dyna": ("deep_dyna", "DeepDyna"),
}
"""name -> (module beside this one, class)."""
LARGE = 100
"""Cells of a board beyond which "auto" plans over waypoints; on smaller ones search finds as much, sooner."""
NAMES = ("auto", *PLANNERS)


def planner_name(planner: Planner) -> str | None:
    """The name that a planner's kind goes by, or None for one of a user's own."""
    kind = (type(planner).__module__, type(planner).__name__)
    return next((name for name, (module, made) in PLANNERS.items()
                 if kind[0].startswith(f"{__package__}.{module}") and kind[1] == made), None)


def planner_for(planner: str | Planner, schema: Schema) -> Planner:
    """The planner called `planner`, or the given one itself: "auto" plans over waypoints on a large board, searches in
    other worlds of discrete features and actions, and shoots (CEM) elsewhere. Raises `UserError` for an unknown name or
    a world the planner cannot plan in."""
    if isinstance(planner, str):
        if planner not in NAMES:
            raise UserError(f"unknown planner '{planner}'{nearest(planner, NAMES)}; choose one of {', '.join(NAMES)}")
        made = _fitting(schema) if planner == "auto" else _made(planner)
    else:
        made = planner
    if reason := made.unfit(schema):
        raise UserError(reason)
    return made


def _fitting(schema: Schema) -> Planner:
    is_large = schema.grid is not None and math.prod(schema.base[schema.grid.arrays[0]].shape) > LARGE
    some = map(_made, ("waypoints", "search") if is_large else ("search",))
    return next((made for made in some if made.unfit(schema) is None), _made("cem"))


def _made(name: str) -> Planner:
    module, kind = PLANNERS[name]
    made: Planner = getattr(import_module(f".{module}", __package__), kind)()
    return made
