"""Advice from an actor-critic: a world model that says what its states are worth, refined or not."""

from __future__ import annotations

import pytest
import torch

from gedanken.agent.goals import Goal
from gedanken.agent.planning.actor_critic import ActorCritic, ActorCriticConfig, Advised, Guided
from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.agent.planning.learner import Learner
from gedanken.agent.planning.mcts import MCTS
from gedanken.agent.planning.mppi import MPPI
from gedanken.agent.planning.objective import Objective, Return
from gedanken.agent.planning.plan import Budget, Planner
from gedanken.world import tree
from gedanken.world.model import WorldModel, begin, rollout
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse

from ..exact_worlds import Corridor, Lives, Tuning, seeded

torch.set_num_threads(1)
SMALL = ActorCriticConfig(horizon=6, sequences=8, length=8, steps=80, width=32, bins=63)
MODEL = Corridor()
OBJECTIVE = Objective([Goal(MODEL.schema, parse("achieve cell == 9", MODEL.schema).statement)],  # type: ignore[arg-type]
                      discount=0.9)


@pytest.fixture(scope="module")
def advisor() -> ActorCritic:
    made = ActorCritic(SMALL)
    made.improve(MODEL, Lives(MODEL), OBJECTIVE, seeded())
    return made


def cells(*numbers: int) -> dict[str, torch.Tensor]:
    return {"cell": torch.tensor(numbers, dtype=torch.int32)}


def test_every_step_brings_a_value_and_logits(advisor: ActorCritic) -> None:
    advised = Advised(MODEL, advisor, OBJECTIVE)
    assert isinstance(advised, WorldModel)
    assert {"value", "policy"} <= advised.provides
    state = advised.enter(cells(5, 7))
    state, out = advised.step(state, torch.tensor([[2], [2]]))
    assert out.value is not None
    assert out.action_logits is not None
    assert out.action_logits.shape == (2, 3)
    assert out.action_logits.argmax(1).tolist() == [2, 2]
    assert out.value[1] > out.value[0] > 0.3
    value, logits = advised.advice(state)
    assert torch.equal(value, out.value)
    assert logits is not None
    assert torch.equal(logits, out.action_logits)


def test_the_progress_of_the_goal_is_carried_along(advisor: ActorCritic) -> None:
    advised = Advised(MODEL, advisor, OBJECTIVE)
    state, _ = advised.step(advised.enter(cells(8)), torch.tensor([[2]]))
    assert state.carry[0][0, 0] == 1.0
    state, _ = advised.step(state, torch.tensor([[0]]))
    assert state.carry[0].tolist() == [[1.0]]
    state = advised.observe(state, torch.tensor([[0]]), cells(7), torch.tensor([True]))
    assert state.carry[0].tolist() == [[0.0]]


def test_states_repeat_and_roll_out_like_any_others(advisor: ActorCritic) -> None:
    advised = Advised(Refined(MODEL, []), advisor, OBJECTIVE)
    state = tree.repeat(begin(advised, cells(1, 2)), 3)
    future = rollout(advised, state, torch.full((4, 6, 1), 2))
    assert future.features["cell"][-1].tolist() == [5, 5, 5, 6, 6, 6]


def test_continuous_worlds_are_advised_on_values_alone() -> None:
    advised = Advised(Tuning(), ActorCritic(SMALL), Objective([Return()]))
    _, out = advised.step(advised.enter({"x": torch.zeros(2)}), torch.zeros(2, 1))
    assert out.action_logits is None
    assert out.value is not None
    assert "policy" not in advised.provides


@pytest.mark.parametrize("planner", [MCTS(), MPPI()])
def test_tree_search_and_shooting_take_the_advice(advisor: ActorCritic, planner: Planner) -> None:
    """The goal is beyond what a few imagined steps reach: only the advice knows the way."""
    guided = Guided(planner, advisor)
    plan = guided.plan(MODEL, cells(4, 6), OBJECTIVE, guided.initial(2), seeded(), Budget(transitions=400))
    assert plan.action.tolist() == [[2], [2]]


def test_a_guided_planner_plans_and_learns() -> None:
    guided = Guided(CEM(CEMConfig(horizon=5, samples=32, elites=8)), ActorCritic(SMALL))
    assert isinstance(guided, Learner)
    before = guided.plan(MODEL, cells(4), OBJECTIVE, guided.initial(1), seeded())
    guided.improve(MODEL, Lives(MODEL), OBJECTIVE, seeded(), 2)
    after = guided.plan(MODEL, cells(4), OBJECTIVE, guided.initial(1), seeded())
    assert before.action.shape == after.action.shape == (1, 1)
    other = Guided(CEM())
    other.load_state_dict(guided.state_dict(), MODEL.schema)
    assert other.advisor.learned is not None
    assert other.advisor.learned.steps_done == 2
