"""Dyna-Q: updates worked out by hand, a line learned with and without planning, rules that shape what is not tried."""

from __future__ import annotations

import gymnasium as gym
import pytest
import torch
from torch import Tensor

import gedanken
from gedanken.agent.planning.dyna import DynaConfig, DynaQ
from gedanken.agent.planning.objective import Objective, Return, Transition
from gedanken.agent.planning.plan import Plan
from gedanken.agent.planning.q_table import QConfig, QTable
from gedanken.errors import UserError
from gedanken.world.model import Batch, begin
from gedanken.world.models.persistence import Persistence
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
WORLD = Schema("line", (Feature("x", "integer", low=0, high=6),),
               (Feature("move", "category", values=("left", "right")),), lambda o, e: {}, lambda a: a)
RULES = ("expect x' == x + 1 if move == right and x < 6", "expect x' == x - 1 if move == left and x > 0",
         "reward 1 if x' == 6", "end if x' == 6")
GOAL = Objective([Return()], discount=0.9)


def model(*rules: str) -> Refined:
    return Refined(Persistence(WORLD), [parse(line, WORLD) for line in rules])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def at(*x: int) -> dict[str, Tensor]:
    return {"x": torch.tensor(x, dtype=torch.int32)}


def lived(x: int, move: int) -> Transition:
    after = min(x + 1, 6) if move else max(x - 1, 0)
    one = torch.ones(1)
    return Transition(at(x), torch.tensor([[move]]), at(after), one * (after == 6), one * (after != 6), one > 0,
                      one * 0, one, 0)


def look(dyna: DynaQ, world: Refined, *x: int) -> Plan:
    return dyna.plan(world, begin(world, at(*x)), GOAL, None, seeded())


class Lives:
    def __init__(self, *steps: Transition) -> None:
        self.all = Batch({"x": torch.stack([torch.cat([s.now["x"], s.next["x"]]) for s in steps])},
                         torch.stack([s.action for s in steps]), torch.stack([s.reward for s in steps]),
                         torch.stack([s.cont < 0.5 for s in steps]), torch.ones(len(steps), 1, dtype=torch.bool))

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        return self.all

    def everything(self) -> Batch | None:
        return self.all


def test_updates_by_hand() -> None:
    table = QTable(2, QConfig(alpha=0.5))
    a, b = table.row(11), table.row(22)
    table.know(b, 0, 4.0, 0.0, a)
    assert table.update(b, 0) == pytest.approx(4)  # 0 -> 2
    table.know(a, 1, 1.0, 0.9, b)
    assert table.update(a, 1) == pytest.approx(1 + 0.9 * 2)  # 0 -> 1.4
    assert table.update(a, 1) == pytest.approx(1.4)  # 1.4 -> 2.1
    assert table.q == [[0.0, pytest.approx(2.1)], [pytest.approx(2.0), 0.0]]
    assert table.best(a, 0.99) == 1
    assert {table.best(a, c, [0]) for c in (0.0, 0.9)} == {0}


def test_sweeping_carries_a_discovery_back_at_once() -> None:
    table = QTable(1, QConfig(alpha=1.0, sweep=True))
    for x in range(5):
        table.know(table.row(x), 0, 0.0, 0.9, table.row(x + 1))
    assert table.plan(100, seeded()) == 0  # nothing to gain yet
    table.know(table.row(5), 0, 1.0, 0.0, table.row(5))
    assert table.plan(100, seeded()) == 6
    assert [q[0] for q in table.q] == pytest.approx([0.9**5, 0.9**4, 0.9**3, 0.9**2, 0.9, 1.0])


def test_a_step_that_changed_is_known_as_it_came_last() -> None:
    table = QTable(1, QConfig(sweep=True))
    table.know(table.row(1), 0, 0.0, 0.9, table.row(2))
    table.know(table.row(1), 0, 0.0, 0.9, table.row(3))
    assert table.before[table.row(2)] == set()
    assert table.before[table.row(3)] == {(0, 0)}


@pytest.mark.parametrize(("updates", "right"), [(0, 1), (60, 6)])
def test_planning_spreads_one_success_over_the_way_to_it(updates: int, right: int) -> None:
    dyna = DynaQ(DynaConfig(updates=updates, epsilon=0.0))
    for x in range(6):
        dyna.observe(WORLD, lived(x, 1), GOAL, GOAL.start(at(x)), seeded(x))
    plan = look(dyna, model(*RULES), *range(6))
    assert int((plan.value > 0).sum()) == right
    assert torch.equal(plan.action[-right:], torch.ones(right, 1, dtype=torch.int64))


def test_what_was_never_tried_is_imagined_and_experience_counts_where_they_differ() -> None:
    dyna = DynaQ(DynaConfig(epsilon=0.0, alpha=0.5))
    figures = dyna.improve(model(*RULES), Lives(lived(0, 0)), GOAL, seeded(), steps=3_000)
    assert figures == {"states": 7.0, "imagined": 13.0}
    plan = look(dyna, model(*RULES), *range(6))
    assert (plan.action == 1).all()
    assert plan.value.tolist() == pytest.approx([0.9 ** (5 - x) for x in range(6)], rel=1e-2)
    assert plan.reached.tolist() == [False] * 5 + [True]
    wrong = DynaQ(DynaConfig(epsilon=0.0, alpha=0.5))  # told that left pays, and it does not
    wrong.improve(model(*RULES, "reward 5 if move == left"), Lives(lived(3, 0)), GOAL, seeded(), steps=500)
    assert wrong.learned is not None
    assert wrong.learned.table.q[0][0] < 5 * 0.9 / (1 - 0.9) * 0.95
    assert wrong.learned.table.steps[0][0][0] == 0


def test_infeasible_actions_are_neither_imagined_nor_taken() -> None:
    told = model(*RULES, "forbid right if x == 2")
    dyna = DynaQ(DynaConfig(epsilon=1.0))
    dyna.improve(told, Lives(lived(0, 0)), GOAL, seeded(), steps=100)
    assert dyna.learned is not None
    assert len(dyna.learned.table) == 3
    plan = look(dyna, told, *[2] * 50)
    assert (plan.action == 0).all()


def test_unknown_states_get_random_actions() -> None:
    plan = look(DynaQ(), model(*RULES), *[3] * 50)
    assert set(plan.action.flatten().tolist()) == {0, 1}
    assert (plan.value == 0).all()


@pytest.mark.parametrize("sweep", [False, True])
def test_half_the_learning_saved_and_loaded_and_the_other_half_is_the_whole_bit_for_bit(sweep: bool) -> None:
    def learn(dyna: DynaQ, steps: range, rng: torch.Generator) -> None:
        for i in steps:
            dyna.observe(WORLD, lived(i % 6, i % 3 != 0), GOAL, GOAL.start(at(i % 6)), rng)

    config = DynaConfig(updates=5, sweep=sweep)
    whole, first, second = DynaQ(config), DynaQ(config), DynaQ()
    learn(whole, range(40), seeded())
    rng = seeded()
    learn(first, range(20), rng)
    second.load_state_dict(first.state_dict(), WORLD)
    learn(second, range(20, 40), rng)
    assert whole.learned is not None
    assert second.learned is not None
    assert whole.learned.table.q == second.learned.table.q
    assert whole.learned.table.steps == second.learned.table.steps


def test_worlds_and_states_that_do_not_fit_are_refused() -> None:
    real = Schema("real", (Feature("x"),), WORLD.actions, lambda o, e: {}, lambda a: a)
    assert "real numbers" in (DynaQ().unfit(real) or "")
    dyna = DynaQ()
    dyna.observe(WORLD, lived(0, 1), GOAL, GOAL.start(at(0)), seeded())
    with pytest.raises(UserError, match="no state of Dyna-Q"):
        DynaQ().load_state_dict(dyna.state_dict(), Schema(
            "other", (Feature("y", "boolean"),), WORLD.actions, lambda o, e: {}, lambda a: a))


def test_an_agent_learns_from_every_step() -> None:
    class Line(gym.Env):
        observation_space, action_space = gym.spaces.Discrete(7), gym.spaces.Discrete(2)

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[int, dict]:
            super().reset(seed=seed)
            self.x = 0
            return self.x, {}

        def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
            self.x = min(self.x + 1, 6) if action else max(self.x - 1, 0)
            return self.x, float(self.x == 6), self.x == 6, False, {}

    schema = Schema("line", WORLD.features, WORLD.actions, lambda o, e: {"x": o}, lambda a: int(a[0]))
    agent = gedanken.Agent(Line(), llm=None, model="none", schema=schema, seed=1,
                           planner=DynaQ(DynaConfig(updates=20)))
    agent.tell("\n".join(RULES[:2]))
    agent.run(4, seeds=[0, 1, 2, 3], unseen=False, max_steps=300)
    assert agent.planner.learned is not None
    assert len(agent.planner.learned.table) == 7
    agent.planner.config = DynaConfig(epsilon=0.0)
    played = agent.run(1, seeds=[4], unseen=False, max_steps=50)
    assert played.summary()["mean_steps"] == 6
