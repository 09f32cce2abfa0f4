"""The planner: best-first over deeds, each reached by the shortest walk; a plan counts when it was imagined as a whole.

Every action at every pose that can be walked to is scored by the objective in one batch, with the carry of the node:
steps that are unacceptable are not walked, and a pose that is itself a milestone is a waypoint as a deed is. What opens
a way or reaches what is wanted goes first; the other deeds are put off, not dropped. A plan with a step that costs more
than a step must is bettered, a while.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch

from ....world import tree
from ....world.model import State, WorldModel
from ....world.schema import Schema
from ..objective import Objective
from ..plan import Budget, Plan, joined
from ..search import TOLL, Search, SearchConfig
from .asked import Asked
from .places import Places
from .task import Task

BETTERING = 4
"""To better a plan that pays a toll, at most so many times the deeds are looked at that it took to find."""



@dataclass(frozen=True)
class WaypointsConfig:
    """`transitions` is the default budget a plan; `deeds` the most nodes looked at; `depth` the longest plan. Where
    nothing was found, `Search` plans with what is left of the budget, unless the model is known to keep to what is near
    (it provides "local")."""

    transitions: int = 40_000
    deeds: int = 400
    depth: int = 1_000


class Waypoints:
    """The planner; see the module's text."""

    commits = True

    def __init__(self, config: WaypointsConfig | None = None) -> None:
        self.config = config or WaypointsConfig()

    def unfit(self, schema: Schema) -> str | None:
        grid = schema.grid
        if grid is None or len(grid.poses) != 1:
            return "waypoints need a grid with one pointer (`Schema.grid`); choose planner='search'"
        pose = {grid.x, grid.y, grid.heading}
        if not schema.discrete_actions or not all(f.is_discrete for f in schema.features):
            return "waypoints need discrete features and actions; choose planner='cem'"
        if odd := [f.name for f in schema.features if (f.shape and f.name not in grid.arrays) or
                   (f.name in pose and not f.cardinality)]:
            return f"waypoints know no place for {odd}; name them in the schema's grid, or choose planner='search'"
        if any(schema.base[name].offset for name in pose if name):
            return "waypoints need positions that count from 0; choose planner='search'"
        return None

    def initial(self, n: int) -> Any:
        return None

    @torch.no_grad()
    def plan(self, model: WorldModel, state: State, objective: Objective, carry: Any, rng: torch.Generator,
             budget: Budget | None = None) -> Plan:
        """Plan for each of the B states; the budget's transitions are for each, its seconds for all."""
        began, budget, b = time.perf_counter(), budget or Budget(), tree.size(state)
        plans = []
        for k in range(b):
            own = objective.rows(slice(k, k + 1))
            left = None
            if budget.seconds:
                left = max(1e-3, (budget.seconds - (time.perf_counter() - began)) / (b - k))
            plans.append(self._one(model, tree.take(state, torch.tensor([k])), own, rng,
                                   budget.transitions or self.config.transitions, left))
        return replace(joined(plans), seconds=time.perf_counter() - began)

    def _one(self, model: WorldModel, state: State, objective: Objective, rng: torch.Generator, limit: int,
             seconds: float | None) -> Plan:
        began = time.perf_counter()
        until = began + seconds if seconds else float("inf")
        asked, config = Asked(model, Places(model.schema), state, limit), self.config
        task = Task(model, state, objective, asked, config.deeds, config.depth)
        goal = task.search(until)
        if goal is not None and goal.worst <= (least := task.usual - TOLL):  # a way that costs less, if there is one
            cheaper = Task(model, state, objective, asked, BETTERING * task.deeds, config.depth, least)
            better = cheaper.search(until)
            if better is not None and better.value > goal.value:
                task, goal = cheaper, better
        is_local = task.is_trusted and "local" in model.provides
        if goal is None and not is_local and asked.left >= len(asked.actions):
            left = None if seconds is None else max(1e-3, until - time.perf_counter())
            plan = Search(SearchConfig(transitions=asked.left)).plan(
                model, state, objective, None, rng, Budget(asked.left, left))
            if bool(plan.reached) or task.best.parent is None:
                names = ("nodes", "deeds", "places", "fallback")
                numbers = (plan.statistics["nodes"], task.deeds, len(asked.row), 1.0)
                return replace(plan, transitions=plan.transitions + asked.spent, carry=None,
                               seconds=time.perf_counter() - began,
                               statistics=dict(zip(names, map(float, numbers), strict=True)))
        return task.told(goal or task.best, goal is not None, rng, began)
