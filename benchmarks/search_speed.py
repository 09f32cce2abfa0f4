"""Graph search on a 25 x 25 grid with 4 actions: expansions a second, and CPU milliseconds of search a batch.

    python benchmarks/search_speed.py [--quick] [--seed 0] [--json PATH]

A wall with a locked door divides the grid; the key lies in a corner, the goal beyond the door. The model is exact and
cheap, so that the search itself shows: a batch's processor time less what the model and the objective take is its own.
Arms: 32 nodes a batch and 8; with and without subgoals chained backwards from three rules; A*; 16 states at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from common import Figures, options
from torch import Tensor

from gedanken.agent.goals import Goal
from gedanken.agent.planning.objective import Objective
from gedanken.agent.planning.search import Search, SearchConfig
from gedanken.agent.planning.subgoals import Subgoals
from gedanken.world.distributions import Categorical
from gedanken.world.model import Batch, Outcome
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Features, Schema

SIZE, WALL, DOOR, KEY, GOAL = 25, 12, 12, (0, 24), (24, 0)
SCHEMA = Schema(
    "keep", (Feature("x", "integer", low=0, high=SIZE - 1), Feature("y", "integer", low=0, high=SIZE - 1),
             Feature("key", "boolean"), Feature("open", "boolean")),
    (Feature("action", "category", values=("right", "down", "left", "up")),), lambda o, e: {}, lambda a: a)
RULES = (f"expect key' if action == down and x == {KEY[0]} and y == {KEY[1] - 1}",
         f"expect open' if action == right and key and x == {WALL - 1} and y == {DOOR}",
         f"expect x' == {WALL} if action == right and open and x == {WALL - 1} and y == {DOOR}")


class Keep:
    """The grid as an exact world model; its state is its features."""

    schema, provides = SCHEMA, frozenset({"reward", "end"})

    def initial(self, n: int) -> dict[str, Tensor]:
        return {f.name: torch.zeros(n, dtype=f.dtype) for f in SCHEMA.features}

    def observe(self, state: Any, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(features)

    def assimilate(self, state: Any, features: Features, rows: Tensor,
                   rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(features)

    def decode(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return state

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {}

    def step(self, state: dict[str, Tensor], action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        turn = action[:, 0]
        x = (state["x"] + (turn == 0).int() - (turn == 2).int()).clamp(0, SIZE - 1)
        y = (state["y"] + (turn == 1).int() - (turn == 3).int()).clamp(0, SIZE - 1)
        unlocks = state["key"] & (x == WALL) & (y == DOOR)
        blocked = (x == WALL) & ~((y == DOOR) & state["open"])
        x, y = torch.where(blocked, state["x"], x), torch.where(blocked, state["y"], y)
        after = {"x": x, "y": y, "key": state["key"] | ((x == KEY[0]) & (y == KEY[1])), "open": state["open"] | unlocks}
        told = {f.name: Known(f, torch.empty(0), after[f.name]) for f in SCHEMA.features}
        n = len(turn)
        return after, Outcome({**told}, torch.zeros(n), torch.ones(n), torch.ones(n, dtype=torch.bool), torch.zeros(n))


@dataclass(frozen=True)
class Known(Categorical):
    """A value that is certain, held as it is."""

    value: Tensor

    def mode(self) -> Tensor:
        return self.value


def steps_to_go(features: Features, carry: tuple[Tensor, ...]) -> Tensor:
    """At least so many steps: to the key, to the door, to the goal, as far as they are still to come."""
    x, y = features["x"].float(), features["y"].float()

    def walk(a: tuple[Tensor | float, Tensor | float], b: tuple[float, float]) -> Tensor:
        return (torch.as_tensor(a[0]) - b[0]).abs() + (torch.as_tensor(a[1]) - b[1]).abs()

    door, after = (WALL, DOOR), walk((WALL, DOOR), GOAL)
    with_key = torch.where(x >= WALL, walk((x, y), GOAL), walk((x, y), door) + after)
    return torch.where(features["key"], with_key, walk((x, y), KEY) + walk(KEY, door) + after)


class Watch:
    """Adds up the time spent in what it wraps."""

    def __init__(self) -> None:
        self.seconds, self.calls = 0.0, 0

    def wrap(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return fn(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - began
                self.calls += 1

        return timed


def measure(search: Search, objective: Objective, states: int, seed: int) -> dict[str, float]:
    """One plan for `states` starts: what it took, and how much of that was the search's own."""
    model, steps, judged = Keep(), Watch(), Watch()
    model.step = steps.wrap(model.step)  # type: ignore[method-assign]
    scored = replace(objective)
    for name in ("advance", "key", "progress", "start"):
        object.__setattr__(scored, name, judged.wrap(getattr(scored, name)))
    rng = torch.Generator().manual_seed(seed)
    x, y = torch.randint(0, WALL, (states,), generator=rng), torch.randint(0, SIZE, (states,), generator=rng)
    start = {"x": x.int(), "y": y.int(), "key": x < 0, "open": x < 0}
    began = time.process_time()
    plan = search.plan(model, start, scored, None, rng)
    seconds = time.process_time() - began
    assert bool(plan.reached.all())
    own = seconds - steps.seconds - judged.seconds
    return {"expansions a second": plan.transitions / 4 / seconds, "ms of search a batch": own / steps.calls * 1e3,
            "expansions": plan.transitions / 4, "plan length": len(plan.sequence), "ms a plan": seconds * 1e3}


def main() -> None:
    args = options(__doc__ or "", repeats=(int, 10, "starts"))
    torch.set_num_threads(1)
    statement = parse(f"achieve x == {GOAL[0]} and y == {GOAL[1]}", SCHEMA).statement
    objective = Objective([Goal(SCHEMA, statement)])  # type: ignore[arg-type]
    rules = [parse(line, SCHEMA) for line in RULES]
    chained = replace(objective, subgoals=Subgoals.of(SCHEMA, rules, statement.milestones))  # type: ignore[union-attr]
    figures = Figures()
    arms: dict[str, tuple[Search, Objective, int]] = {
        "without subgoals": (Search(), objective, 1),
        "with subgoals": (Search(), chained, 1),
        "in eights, without subgoals": (Search(SearchConfig(batch=8)), objective, 1),
        "in eights, with subgoals": (Search(SearchConfig(batch=8)), chained, 1),
        "in eights, A* with a bound": (Search(SearchConfig(batch=8, bound=steps_to_go)), objective, 1),
        "16 states, without subgoals": (Search(), objective, 16),
    }
    for name, (search, aim, states) in arms.items():
        measure(search, aim, states, args.seed)
        rows = [measure(search, aim, states, seed)
                for seed in range(args.seed, args.seed + (3 if args.quick else args.repeats))]
        for figure in rows[0]:
            goal = "<= 1" if "ms of search" in figure and states == 1 else ""
            figures.add(f"{name}: {figure}", [r[figure] for r in rows], figure.split()[0], goal)
    figures.write(args.json)


if __name__ == "__main__":
    main()
