"""Graph search over a small exact world: shortest paths, dead ends, goals that cannot be reached, budgets."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gedanken.agent.goals import Goal, Limit
from gedanken.agent.planning.objective import Objective, Return
from gedanken.agent.planning.plan import Budget, Plan
from gedanken.agent.planning.search import Search, SearchConfig
from gedanken.agent.planning.subgoals import Subgoals
from gedanken.world.model import begin
from gedanken.world.models.persistence import Persistence
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
SIZE = 7
MAZE = (".......",
        ".#####.",
        ".#...#.",
        ".#.#.#.",
        ".#.###.",
        ".#.....",
        "...####")
MOVES = {"right": (1, 0), "down": (0, 1), "left": (-1, 0), "up": (0, -1)}
WORLD = Schema(
    "maze",
    (Feature("cell", "category", (SIZE, SIZE), values=("free", "wall")), Feature("x", "integer", low=0, high=SIZE - 1),
     Feature("y", "integer", low=0, high=SIZE - 1), Feature("bell", "boolean")),
    (Feature("action", "category", values=(*MOVES, "ring")),), lambda o, e: {}, lambda a: a,
)
RULES = ("expect x' == x + 1 if action == right and x < 6 and cell[x + 1, y] == free",
         "expect x' == x - 1 if action == left and x > 0 and cell[x - 1, y] == free",
         "expect y' == y + 1 if action == down and y < 6 and cell[x, y + 1] == free",
         "expect y' == y - 1 if action == up and y > 0 and cell[x, y - 1] == free",
         "expect bell' if action == ring and x == 4 and y == 3")


def model(*rules: str) -> Refined:
    return Refined(Persistence(WORLD), [parse(line, WORLD) for line in (*RULES, *rules)])


def start(x: int = 0, y: int = 0, maze: tuple[str, ...] = MAZE) -> dict[str, Tensor]:
    cells = torch.tensor([[c == "#" for c in row] for row in maze]).T
    return {"cell": cells[None].to(torch.int16), "x": torch.tensor([x]).int(), "y": torch.tensor([y]).int(),
            "bell": torch.tensor([False])}


def goal(line: str) -> Objective:
    return Objective([Goal(WORLD, parse(line, WORLD).statement), Return(target=float("inf"))])  # type: ignore[arg-type]


def plan(objective: Objective, *rules: str, now: dict[str, Tensor] | None = None, seed: int = 0,
         budget: Budget | None = None, config: SearchConfig | None = None) -> Plan:
    world = model(*rules)
    state = begin(world, start() if now is None else now)
    return Search(config).plan(world, state, objective, None, torch.Generator().manual_seed(seed), budget)


def distance(x: int, y: int, to: tuple[int, int]) -> int:
    """Breadth-first, by hand."""
    queue, seen = deque([(x, y, 0)]), {(x, y)}
    while queue:
        x, y, d = queue.popleft()
        if (x, y) == to:
            return d
        for dx, dy in MOVES.values():
            i, j = x + dx, y + dy
            if 0 <= i < SIZE and 0 <= j < SIZE and MAZE[j][i] == "." and (i, j) not in seen:
                seen.add((i, j))
                queue.append((i, j, d + 1))
    raise AssertionError("unreachable")


def walked(found: Plan) -> tuple[int, int]:
    """Where the plan leads when its actions are taken one by one."""
    x, y = 0, 0
    for code in found.sequence[:, 0, 0].tolist():
        dx, dy = [*MOVES.values(), (0, 0)][code]
        if 0 <= x + dx < SIZE and 0 <= y + dy < SIZE and MAZE[y + dy][x + dx] == ".":
            x, y = x + dx, y + dy
    return x, y


@pytest.mark.parametrize("to", [(1, 0), (6, 6 - 1), (4, 3), (2, 2), (0, 6), (2, 6)])
def test_the_shortest_path_is_found(to: tuple[int, int]) -> None:
    found = plan(goal(f"achieve x == {to[0]} and y == {to[1]}"))
    assert found.reached.item()
    assert walked(found) == to
    assert len(found.sequence) == distance(0, 0, to)
    assert found.imagined["x"][-1].item() == to[0]
    assert len(found.imagined["x"]) == len(found.sequence) + 1
    assert torch.equal(found.action, found.sequence[0])


def test_a_goal_behind_walls_is_not_reached_and_the_search_ends_by_itself() -> None:
    closed = ("...#...",) * SIZE
    found = plan(goal("achieve x == 6"), now=start(maze=closed), budget=Budget(transitions=10_000))
    assert not found.reached.item()
    assert found.transitions <= (3 * SIZE) * 5  # every free state once, with every action
    assert found.sequence.shape[1:] == (1, 1)


def test_a_state_from_which_nothing_can_be_done_still_gets_an_action() -> None:
    found = plan(goal("achieve x == 6"), "forbid action in {right, left, up, down, ring}")
    assert not found.reached.item()
    assert found.sequence.shape == (1, 1, 1)


@pytest.mark.parametrize("limit", [5, 12, 37, 200])
@pytest.mark.parametrize("batch", [1, 7, 128])
def test_the_budget_is_kept(limit: int, batch: int) -> None:
    found = plan(goal("achieve bell and x == 0"), budget=Budget(transitions=limit), config=SearchConfig(batch=batch))
    assert 0 < found.transitions <= limit


def test_time_is_kept() -> None:
    found = plan(goal("achieve bell and x == 0"), budget=Budget(seconds=1e-9))
    assert not found.reached.item()
    assert found.transitions <= 128 * 5


def test_infeasible_steps_are_not_taken() -> None:
    free = plan(goal("achieve x == 2 and y == 6"))
    around = plan(goal("achieve x == 2 and y == 6"), "forbid down if x == 0 and y == 3")
    assert len(free.sequence) == 8
    assert around.reached.item()
    assert len(around.sequence) > 8
    xs, ys = around.imagined["x"][:, 0], around.imagined["y"][:, 0]
    assert not ((xs == 0) & (ys == 4)).any()


def test_paths_through_an_end_are_not_taken() -> None:
    found = plan(goal("achieve x == 2 and y == 6"), "end if x' == 0 and y' == 3")
    assert found.reached.item()
    assert not ((found.imagined["x"] == 0) & (found.imagined["y"] == 3)).any()


def test_a_goal_reached_by_the_step_that_ends_the_episode_counts() -> None:
    found = plan(goal("achieve x == 2 and y == 6"), "end if x' == 2 and y' == 6")
    assert found.reached.item()


def test_milestones_are_passed_in_their_order() -> None:
    found = plan(goal("achieve x == 6 and y == 5 then x == 0 and y == 6"))
    places = list(zip(found.imagined["x"][:, 0].tolist(), found.imagined["y"][:, 0].tolist(), strict=True))
    assert found.reached.item()
    assert places[-1] == (0, 6)
    assert (6, 5) in places
    assert len(found.sequence) == distance(0, 0, (6, 5)) + distance(6, 5, (0, 6))
    assert found.value.item() == pytest.approx(0.99 ** (distance(0, 0, (6, 5)) - 1) / 2
                                               + 0.99 ** (len(found.sequence) - 1) / 2, rel=1e-3)


def test_what_a_rule_changes_is_found_and_then_used() -> None:
    found = plan(goal("achieve bell and x == 0 and y == 0"))
    assert found.reached.item()
    assert len(found.sequence) == 2 * distance(0, 0, (4, 3)) + 1


def test_a_deadline_too_short_is_not_met() -> None:
    enough = distance(0, 0, (4, 3))
    assert plan(goal(f"achieve x == 4 and y == 3 within {enough} steps")).reached.item()
    assert not plan(goal(f"achieve x == 4 and y == 3 within {enough - 1} steps")).reached.item()


def test_a_reward_is_reached_without_a_goal() -> None:
    found = plan(Objective([Return(target=0.5)]), "reward 1 if x' == 2 and y' == 2", "reward 0.1 if x' == 1")
    assert found.reached.item()
    assert walked(found) == (2, 2)


def test_a_limit_is_kept_where_there_is_a_way_round() -> None:
    limit = Limit.of(WORLD, parse("avoid x == 0 and y == 3", WORLD).statement, "avoid")  # type: ignore[arg-type]
    objective = goal("achieve x == 2 and y == 6")
    found = plan(Objective([*objective.terms, limit]))
    assert found.reached.item()
    assert not ((found.imagined["x"] == 0) & (found.imagined["y"] == 3)).any()


def test_a_way_that_costs_less_is_found_though_it_is_longer() -> None:
    toll, pay = "reward -2 if x' == 6 and y' == 3", "reward +1 if x' == 6 and y' == 4"
    objective = Objective([Return()])
    dear, cheap = plan(objective, pay), plan(objective, pay, toll)
    assert len(dear.sequence) == distance(0, 0, (6, 4)) < len(cheap.sequence)
    assert walked(dear) == walked(cheap) == (6, 4)
    assert cheap.value.item() > 0


def test_what_every_step_costs_is_no_reason_to_look_further() -> None:
    objective = goal("achieve x == 6 and y == 4")
    assert plan(objective, "reward -0.1").transitions == plan(objective).transitions


def test_equal_seeds_give_equal_plans() -> None:
    def random(seed: int) -> list[int]:
        found = plan(goal("achieve x == 5 and y == 1"), seed=seed, budget=Budget(transitions=60))
        return found.sequence.flatten().tolist()

    assert random(3) == random(3)
    assert random(4) == random(4)


def test_several_states_are_planned_for_at_once() -> None:
    both = {k: torch.cat([a, b]) for (k, a), b in zip(start(0, 0).items(), start(2, 2).values(), strict=True)}
    found = plan(goal("achieve x == 2 and y == 6"), now=both)
    assert found.reached.tolist() == [True, True]
    assert found.sequence.shape == (8, 2, 1)
    assert found.imagined["y"][-1].tolist() == [6, 6]


def test_without_milestones_the_search_is_breadth_first_and_finds_the_same() -> None:
    objective = goal("achieve bell and x == 0 and y == 0")
    found = plan(objective, config=SearchConfig(milestones=False))
    assert found.reached.item()
    assert len(found.sequence) == 2 * distance(0, 0, (4, 3)) + 1


def test_numbers_without_bounds_are_searched_too() -> None:
    world = Schema("steps", (Feature("n", "integer"),), (Feature("a", "category", values=("more", "less", "double")),),
                   lambda o, e: {}, lambda a: a)
    counting = Refined(Persistence(world), [parse(line, world) for line in (
        "expect n' == n + 1 if a == more", "expect n' == n - 1 if a == less", "expect n' == n * 2 if a == double")])
    objective = Objective([Goal(world, parse("achieve n == 22", world).statement)])  # type: ignore[arg-type]
    found = Search(SearchConfig(milestones=False)).plan(counting, begin(counting, {"n": torch.tensor([-1]).int()}),
                                                        objective, None, torch.Generator().manual_seed(0))
    assert found.reached.item()
    assert found.imagined["n"][-1].item() == 22


def test_several_states_are_planned_for_as_each_by_itself() -> None:
    places = [(0, 0), (2, 2), (6, 5), (1, 6), (4, 0)]
    rows = [start(*place) for place in places]
    every = {k: torch.cat([r[k] for r in rows]) for k in rows[0]}
    objective, config, budget = goal("achieve bell and x == 0 and y == 0"), SearchConfig(batch=4), Budget(3_000)
    together = plan(objective, now=every, config=config, budget=budget)
    spent = 0
    for b, row in enumerate(rows):
        alone = plan(objective, now=row, config=config, budget=budget)
        assert together.reached[b] == alone.reached[0]
        assert together.sequence[: len(alone.sequence), b].tolist() == alone.sequence[:, 0].tolist()
        assert together.value[b].item() == pytest.approx(alone.value.item())
        spent += alone.transitions
    assert together.transitions == spent


def test_a_state_whose_budget_is_over_does_not_hold_up_the_others() -> None:
    now = {k: torch.cat([a, b]) for (k, a), b in zip(start(0, 0).items(), start(6, 4).values(), strict=True)}
    found = plan(goal("achieve x == 6 and y == 3"), now=now, budget=Budget(transitions=40))
    assert found.reached.tolist() == [False, True]
    assert found.transitions <= 80


def away(features: dict[str, Tensor], carry: tuple[Tensor, ...]) -> Tensor:
    """Steps to (2, 6) as if there were no walls."""
    return (features["x"] - 2).abs().float() + (features["y"] - 6).abs()


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_with_a_bound_that_never_exceeds_the_truth_the_plan_is_a_shortest_one(batch: int) -> None:
    for x, y in ((0, 0), (6, 3), (2, 2), (4, 0)):
        found = plan(goal("achieve x == 2 and y == 6"), now=start(x, y), config=SearchConfig(batch=batch, bound=away))
        assert found.reached.item()
        assert len(found.sequence) == distance(x, y, (2, 6))


def test_a_bound_saves_expansions_and_finds_shorter_ways_to_known_states() -> None:
    free = start(0, 3, ("." * SIZE,) * SIZE)
    objective = goal("achieve x == 2 and y == 6")
    blind = plan(objective, now=free, config=SearchConfig(batch=1, milestones=False))
    guided = plan(objective, now=free, config=SearchConfig(batch=1, bound=away))
    assert len(guided.sequence) == len(blind.sequence) == 5
    assert guided.transitions < blind.transitions / 2

    def crooked(features: dict[str, Tensor], carry: tuple[Tensor, ...]) -> Tensor:  # admissible, not consistent
        return away(features, carry) * ((features["x"] + features["y"]) % 3 == 0)

    for x, y in ((0, 0), (6, 3), (6, 0)):
        found = plan(objective, now=start(x, y, ("." * SIZE,) * SIZE), config=SearchConfig(batch=1, bound=crooked))
        assert len(found.sequence) == abs(x - 2) + abs(y - 6)


def test_subgoals_chained_from_the_rules_lead_the_search() -> None:
    wanted = parse("achieve bell and x == 0 and y == 0", WORLD).statement
    objective = goal("achieve bell and x == 0 and y == 0")
    subgoals = Subgoals.of(WORLD, [parse(RULES[-1], WORLD)], wanted.milestones)  # type: ignore[union-attr]
    assert subgoals is not None
    led = plan(replace(objective, subgoals=subgoals), config=SearchConfig(batch=1))
    blind = plan(objective, config=SearchConfig(batch=1))
    assert led.reached.item()
    assert len(led.sequence) == len(blind.sequence)
    assert led.transitions <= blind.transitions
