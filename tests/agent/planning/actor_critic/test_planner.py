"""Planning with a policy: one look, a likely future, and no action that must not be taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gedanken.agent.planning.actor_critic import ActorCritic, ActorCriticConfig
from gedanken.agent.planning.build import planner_for
from gedanken.agent.planning.objective import Objective, Return
from gedanken.agent.planning.plan import Budget
from gedanken.errors import UserError
from gedanken.world.schema import Feature

from ..exact_worlds import Corridor, Lives, OneWay, Tuning, seeded

torch.set_num_threads(1)
SMALL = ActorCriticConfig(horizon=6, sequences=16, length=8, steps=120, width=32, bins=63, greedy=True,
                          lookahead=10)
RETURN = Objective([Return()], discount=0.9)


@pytest.fixture(scope="module")
def made() -> ActorCritic:
    learned = ActorCritic(SMALL)
    learned.improve(Corridor(), Lives(Corridor()), RETURN, seeded())
    return learned


def cells(*numbers: int) -> dict[str, torch.Tensor]:
    return {"cell": torch.tensor(numbers, dtype=torch.int32)}


def test_it_is_found_by_name() -> None:
    assert isinstance(planner_for("actor_critic", Corridor().schema), ActorCritic)


def test_a_plan_walks_to_the_end(made: ActorCritic) -> None:
    plan = made.plan(Corridor(), cells(5, 7), RETURN, None, seeded())
    assert plan.action.tolist() == [[2], [2]]
    assert plan.action.dtype == torch.int64
    assert plan.sequence.shape == (10, 2, 1)
    assert plan.imagined["cell"].shape == (11, 2)
    assert (plan.imagined["cell"] == 9).int().argmax(0).tolist() == [4, 2]
    assert plan.reached.tolist() == [True, True]
    assert plan.value[1] > plan.value[0] > 0.4
    assert plan.transitions == 20


@pytest.mark.parametrize(("budget", "steps"), [(Budget(transitions=3), 3), (Budget(transitions=0), 1),
                                               (Budget(seconds=0.0), 1), (Budget(), 10)])
def test_the_budget_is_kept(made: ActorCritic, budget: Budget, steps: int) -> None:
    if budget.transitions == 0:
        budget = Budget(transitions=1)
    assert made.plan(Corridor(), cells(1), RETURN, None, seeded(), budget).sequence.shape[0] == steps


def test_before_it_has_learned_it_acts_at_random() -> None:
    plan = ActorCritic(SMALL).plan(Corridor(), cells(*[4] * 300), RETURN, None, seeded())
    assert torch.bincount(plan.action[:, 0]).min() > 60
    assert plan.value.tolist() == [0.0] * 300
    wide = ActorCritic().plan(Tuning(mixed=True), {"x": torch.zeros(200)}, RETURN, None, seeded())
    assert wide.action[:, 1].min() < -0.5
    assert wide.action[:, 1].max() > 2.5


def test_what_must_not_be_taken_is_replaced_by_the_likeliest_that_may() -> None:
    plan = ActorCritic(replace(SMALL, lookahead=1)).plan(OneWay(), cells(*[4] * 100), RETURN, None, seeded())
    assert plan.action.min() >= 1
    assert plan.statistics["tried"] > 0


def test_plans_are_seeded_and_change_nothing(made: ActorCritic) -> None:
    before = {k: v.clone() for k, v in made.state_dict()["networks"].items()}
    a, b = (made.plan(Corridor(), cells(1, 2), RETURN, None, seeded(3)) for _ in range(2))
    assert torch.equal(a.sequence, b.sequence)
    assert all(torch.equal(v, made.state_dict()["networks"][k]) for k, v in before.items())


def test_a_world_with_an_endless_action_is_refused_in_words() -> None:
    model = Corridor()
    model.schema = replace(model.schema, actions=(Feature("n", "integer"),))
    with pytest.raises(UserError, match="integer without bounds"):
        ActorCritic().plan(model, cells(1), RETURN, None, seeded())
