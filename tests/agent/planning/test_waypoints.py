"""Walks and deeds over a small told world: shortest ways, doors and keys, limits on the way, honest budgets."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gedanken.agent.goals import Goal, Limit
from gedanken.agent.planning.build import planner_for
from gedanken.agent.planning.objective import Objective, Return
from gedanken.agent.planning.plan import Budget, Plan
from gedanken.agent.planning.search import Search
from gedanken.agent.planning.waypoints import Waypoints, WaypointsConfig
from gedanken.agent.planning.waypoints.wishes import READY, Wishes
from gedanken.errors import UserError
from gedanken.world.model import begin, rollout
from gedanken.world.models.persistence import Persistence
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Grid, Schema

torch.set_num_threads(1)
SIZE = 7
THINGS = ("free", "wall", "door", "key", "stone")
MOVES = {"east": (1, 0), "south": (0, 1), "west": (-1, 0), "north": (0, -1)}
WORLD = Schema(
    "rooms",
    (Feature("cell", "category", (SIZE, SIZE), values=THINGS), Feature("x", "integer", low=0, high=SIZE - 1),
     Feature("y", "integer", low=0, high=SIZE - 1), Feature("keys", "integer", low=0, high=2),
     Feature("bell", "boolean")),
    (Feature("action", "category", values=(*MOVES, "take", "unlock", "put", "ring")),), lambda o, e: {}, lambda a: a,
    grid=Grid(("cell",), "x", "y"),
)


def _rules() -> list[str]:
    lines = []
    for name, (dx, dy) in MOVES.items():
        axis, by = ("x", dx) if dx else ("y", dy)
        inside = f"{axis} < {SIZE - 1}" if by > 0 else f"{axis} > 0"
        ahead = f"cell[x + {dx}, y + {dy}]"
        lines.append(f"expect {axis}' == {axis} + {by} if action == {name} and {inside} and "
                     f"({ahead} == free or {ahead} == key)")
    return [*lines,
            "expect keys' == keys + 1 and cell'[x, y] == free if action == take and cell[x, y] == key and keys < 2",
            "expect keys' == keys - 1 and cell'[x + 1, y] == free if action == unlock and x < 6 and "
            "cell[x + 1, y] == door and keys > 0",
            "expect keys' == keys - 1 and cell'[x, y] == key if action == put and cell[x, y] == free and keys > 0",
            "expect bell' if action == ring"]


def model(*rules: str) -> Refined:
    return Refined(Persistence(WORLD), [parse(line, WORLD) for line in (*_rules(), *rules)])


def start(maze: tuple[str, ...], x: int = 0, y: int = 0, keys: int = 0) -> dict[str, Tensor]:
    cells = torch.tensor([[".#Dko".index(c) for c in row] for row in maze]).T
    return {"cell": cells[None].to(torch.int16), "x": torch.tensor([x]).int(), "y": torch.tensor([y]).int(),
            "keys": torch.tensor([keys]).int(), "bell": torch.tensor([False])}


LOCKED = ("...#...",
          ".k.#...",
          "...#...",
          "...D...",
          "...#.k.",
          "...#...",
          "...#...")


def goal(line: str, *limits: str) -> Objective:
    told: Any = [parse(text, WORLD).statement for text in (line, *limits)]
    kept = [Limit.of(WORLD, statement, text) for statement, text in zip(told[1:], limits, strict=True)]
    return Objective([Goal(WORLD, told[0]), Return(float("inf")), *kept])


def plan(line: str, *limits: str, now: dict[str, Tensor] | None = None, rules: tuple[str, ...] = (),
         budget: Budget | None = None, planner: Waypoints | Search | None = None) -> Plan:
    world, chosen = model(*rules), planner or Waypoints(WaypointsConfig(deeds=40))
    state = begin(world, start(LOCKED) if now is None else now)
    return chosen.plan(world, state, goal(line, *limits), None, torch.Generator().manual_seed(0), budget)


def end_of(found: Plan, now: dict[str, Tensor] | None = None, rules: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The features after the whole plan, imagined action by action."""
    world = model(*rules)
    future = rollout(world, begin(world, start(LOCKED) if now is None else now), found.sequence)
    return {k: v[-1] for k, v in future.features.items()}


def test_a_pose_alone_is_a_goal_and_the_way_is_shortest() -> None:
    found = plan("achieve x == 2 and y == 6")
    assert found.reached.item()
    assert len(found.sequence) == 8
    after = end_of(found)
    assert (after["x"].item(), after["y"].item()) == (2, 6)


@pytest.mark.parametrize("line", ["achieve x == 6 and y == 0", "achieve keys == 1 and x == 5",
                                  "achieve x == 4 then x == 0", "achieve cell[2, 5] == key", "achieve bell and x == 6"])
def test_doors_are_opened_for_what_lies_behind_and_plans_are_as_short_as_those_of_search(line: str) -> None:
    found = plan(line)
    assert found.reached.item()
    for name, value in end_of(found).items():
        assert torch.equal(found.imagined[name][-1], value)
    assert len(found.sequence) <= 1.2 * len(plan(line, planner=Search()).sequence)
    assert len(found.imagined["x"]) == len(found.sequence) + 1


def test_deeds_are_few_and_so_are_imagined_steps() -> None:
    found = plan("achieve x == 6 and y == 0")
    assert found.statistics["deeds"] <= 6
    assert found.transitions < 1_500


def test_a_limit_on_the_way_is_walked_around() -> None:
    now, line = start((".......",) * SIZE), "achieve x == 6 and y == 0"
    free, around = plan(line, now=now), plan(line, "avoid x == 3 and y < 3", now=now)
    assert len(free.sequence) == 6
    assert around.reached.item()
    assert len(around.sequence) == 12
    imagined = around.imagined
    assert not ((imagined["x"] == 3) & (imagined["y"] < 3)).any()


def test_what_costs_is_walked_around_where_there_is_a_way_and_paid_where_there_is_none() -> None:
    now, line = start((".......",) * SIZE), "achieve x == 6 and y == 0"
    around, through = (plan(line, now=now, rules=(f"reward -2 if x' == 3 and y' < {y}",)) for y in (3, SIZE))
    assert around.reached.item()
    assert through.reached.item()
    assert (len(around.sequence), len(through.sequence)) == (12, 6)
    assert around.value.item() > 0 > through.value.item()


def test_what_is_forbidden_is_not_done() -> None:
    found = plan("achieve x == 6 and y == 0", rules=("forbid action == unlock",))
    assert not found.reached.item()
    assert not (found.sequence == 5).any()


def test_a_deadline_that_cannot_be_met_is_not_claimed_to_be() -> None:
    assert plan("achieve x == 2 and y == 6 within 8 steps").reached.item()
    assert not plan("achieve x == 2 and y == 6 within 7 steps").reached.item()


def test_what_hangs_on_the_far_side_of_the_board_is_imagined_as_it_is() -> None:
    rules = ("forbid action == unlock and any(cell == key)",)
    alone = tuple(row.replace("#.k", "#..") for row in LOCKED)
    assert not plan("achieve x == 6 and y == 0", rules=rules).reached.item()
    assert plan("achieve x == 6 and y == 0", now=start(alone), rules=rules).reached.item()


def test_the_budget_is_kept_and_what_was_imagined_is_counted() -> None:
    for limit in (8, 60, 200):
        found = plan("achieve x == 6 and y == 0", budget=Budget(transitions=limit))
        assert found.transitions <= limit
        assert len(found.sequence)


def test_plans_for_several_states_stand_side_by_side() -> None:
    world, one, two = model(), start(LOCKED), start(LOCKED, x=2, y=5)
    both = {k: torch.cat([one[k], two[k]]) for k in one}
    found = Waypoints().plan(world, begin(world, both), goal("achieve x == 6 and y == 0"), None,
                             torch.Generator().manual_seed(0))
    assert found.reached.all()
    assert found.sequence.shape[1:] == (2, 1)


def test_a_world_without_a_board_is_refused() -> None:
    schema = Schema("flat", (Feature("x", "integer", low=0, high=3),),
                    (Feature("action", "category", values=("go", "stay")),), lambda o, e: {}, lambda a: a)
    with pytest.raises(UserError, match="grid"):
        planner_for("waypoints", schema)


def test_the_means_of_an_event_count_where_it_is_wanted_and_not_before() -> None:
    goal = Goal(WORLD, parse("achieve bell then keys == 2 and keys' == 1", WORLD).statement)
    now = {"keys": torch.tensor([0, 2])}
    features = {k: v.expand(2, *v.shape[1:]) for k, v in start((".......",) * 7).items()} | {
        k: v.int() for k, v in now.items()}
    wishes = Wishes(WORLD, Objective([goal]), {"keys", "bell"})
    root = goal.start({k: v[:1] for k, v in features.items()})
    assert wishes.progress((root,), features).tolist() == [0, 0]
    rung = root.clone()
    rung[:, 0] = 1
    assert wishes.progress((rung,), features).tolist() == [1, 1 + READY]
    assert "keys" in wishes.of((rung,)).words
