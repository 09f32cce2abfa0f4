"""Planners by name."""

from __future__ import annotations

from ...errors import UserError, nearest
from ...world.schema import Schema
from .plan import Planner

NAMES = ("auto", "search", "cem")


def planner_for(planner: str | Planner, schema: Schema) -> Planner:
    """The planner called `planner`, or the given one itself: "auto" searches where features and actions are all
    discrete, and shoots (CEM) elsewhere. Raises `UserError` for an unknown name or a search over real features."""
    if not isinstance(planner, str):
        return planner
    if planner not in NAMES:
        raise UserError(f"unknown planner '{planner}'{nearest(planner, NAMES)}; choose one of {', '.join(NAMES)}")
    discrete = schema.discrete_actions and all(f.is_discrete for f in schema.features)
    if planner == "search" and not discrete:
        raise UserError("search needs discrete features and actions; choose planner='cem'")
    if planner == "search" or (planner == "auto" and discrete):
        from .search import Search

        return Search()
    from .cem import CEM

    return CEM()
