"""Deep Dyna in small exact worlds: what it learns from what happened, and from what is imagined from there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gedanken.agent.goals import Goal
from gedanken.agent.planning.build import planner_for
from gedanken.agent.planning.deep_dyna import DeepDyna, DeepDynaConfig, Lesson, QNetwork, loss
from gedanken.agent.planning.learner import Learner
from gedanken.agent.planning.objective import Objective, Return
from gedanken.errors import UserError
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature

from .exact_worlds import Corridor, Lives, Nothing, OneWay, Tuning, seeded

torch.set_num_threads(1)
SMALL = DeepDynaConfig(width=32, steps=150, rate=3e-3, slow_rate=0.1, epsilon=0.0)
RETURN = Objective([Return()], discount=0.9)
CELLS = {"cell": torch.arange(9, dtype=torch.int32)}


def trained(model: Corridor, config: DeepDynaConfig = SMALL, steps: int | None = None) -> DeepDyna:
    made = DeepDyna(config)
    made.improve(model, Lives(model), RETURN, seeded(), steps)
    return made


def test_it_is_a_planner_by_name_and_a_learner() -> None:
    assert isinstance(planner_for("deep_dyna", Corridor().schema), Learner)


@pytest.mark.parametrize("branch", [0, 3])
def test_a_corridor_is_learned_with_and_without_imagination(branch: int) -> None:
    made = trained(Corridor(), replace(SMALL, branch=branch))
    values = made.values(Corridor(), CELLS, ())
    assert values[2:].argmax(1).tolist() == [2] * 7
    assert (values[4:, 2] - 0.9 ** torch.arange(4, -1, -1)).abs().max() < 0.15


def test_the_ratio_counts_imagined_transitions() -> None:
    figures = DeepDyna(replace(SMALL, ratio=2.0, branch=4)).improve(Corridor(), Lives(Corridor()), RETURN, seeded(), 1)
    assert figures["imagined"] == 2 * SMALL.sequences * SMALL.length


def test_imagination_teaches_what_memory_does_not_hold() -> None:
    """Memory is of a corridor where nobody is paid; the (refined) model says that its end pays."""
    poor = Lives(Corridor())
    poor.all = replace(poor.all, reward=torch.zeros_like(poor.all.reward), terminated=torch.zeros_like(poor.all.mask))
    told = DeepDyna(replace(SMALL, ratio=8.0, epsilon=0.5))
    told.improve(Corridor(), poor, RETURN, seeded(), 100)
    untold = DeepDyna(replace(SMALL, ratio=0.0))
    untold.improve(Corridor(), poor, RETURN, seeded(), 100)
    assert told.values(Corridor(), CELLS, ())[8, 2] > 0.3
    assert untold.values(Corridor(), CELLS, ())[8, 2].abs() < 0.1


def test_double_q_learning_by_hand() -> None:
    """The fast network chooses, the slow one judges: values are symlogs."""
    network = QNetwork(Corridor().schema, replace(SMALL, layers=0), 0, 0, seeded())
    with torch.no_grad():
        network.fast[0].bias.copy_(torch.tensor([0.0, 2.0, 1.0]))
        network.slow[0].bias.copy_(torch.tensor([5.0, 1.0, 3.0]))
    inputs = torch.zeros(1, network.reader.width)
    lesson = Lesson(inputs, torch.tensor([2]), torch.tensor([0.5]), torch.tensor([0.9]), inputs)
    target = torch.log1p(torch.tensor(0.5 + 0.9 * (torch.e - 1)))
    wanted = torch.nn.functional.smooth_l1_loss(torch.tensor(1.0), target, beta=0.1)
    assert loss(network, lesson).item() == pytest.approx(wanted.item(), abs=1e-5)


def test_joint_actions_are_numbered_as_the_schema_lists_them() -> None:
    schema = replace(Corridor().schema, actions=(*Corridor().schema.actions, Feature("run", "boolean")))
    network = QNetwork(schema, SMALL, 0, 0, seeded())
    assert network.index(schema.all_actions()).tolist() == list(range(6))


def test_plans_walk_to_the_end_and_before_learning_at_random() -> None:
    made = trained(Corridor(), replace(SMALL, lookahead=4))
    plan = made.plan(Corridor(), {"cell": torch.tensor([6])}, RETURN, None, seeded())
    assert plan.action.tolist() == [[2]]
    assert plan.reached.tolist() == [True]
    fresh = DeepDyna().plan(Corridor(), {"cell": torch.full((300,), 4)}, RETURN, None, seeded())
    assert torch.bincount(fresh.action[:, 0]).min() > 60


def test_what_must_not_be_taken_is_replaced() -> None:
    made = DeepDyna()
    plan = made.plan(OneWay(), {"cell": torch.full((90,), 4)}, RETURN, None, seeded())
    assert plan.action.min() >= 1
    closed = made.plan(OneWay(closed=True), {"cell": torch.full((9,), 4)}, RETURN, None, seeded())
    assert closed.action.shape == (9, 1)


def test_what_must_not_be_done_is_unlearned() -> None:
    made = trained(OneWay(), replace(SMALL, epsilon=0.3), 100)
    assert (made.values(OneWay(), CELLS, ()).argmax(1) == 2).all()


def test_goals_are_read_and_begin_anew_when_told() -> None:
    made, model = trained(Corridor(), steps=2), Corridor()
    goal = Objective([Goal(model.schema, parse("achieve cell == 9", model.schema).statement)])  # type: ignore[arg-type]
    made.improve(model, Lives(model), goal, seeded(), 1)
    assert made.learned is not None
    assert made.learned.steps_done == 1


def test_broken_rewards_in_memory_are_left_out_and_nothing_else_is_an_error() -> None:
    lives = Lives(Corridor())
    lives.all = replace(lives.all, reward=torch.where(torch.rand(lives.all.reward.shape, generator=seeded()) < 0.3,
                                                      torch.nan, lives.all.reward))
    made = DeepDyna(replace(SMALL, ratio=0.0))
    made.improve(Corridor(), lives, RETURN, seeded(), 20)
    assert made.values(Corridor(), CELLS, ()).isfinite().all()
    lives.all = replace(lives.all, reward=torch.full_like(lives.all.reward, torch.nan))
    with pytest.raises(UserError, match="finite rewards"):
        made.improve(Corridor(), lives, RETURN, seeded(), 1)


def test_nothing_lived_is_nothing_learned_and_one_transition_is_enough() -> None:
    made = DeepDyna(replace(SMALL, steps=2))
    assert made.improve(Corridor(), Nothing(), RETURN, seeded()) == {}
    made.improve(Corridor(), Lives(Corridor(), count=1, length=1), RETURN, seeded())
    assert made.learned is not None


def test_learning_goes_on_after_a_restart_as_if_there_had_been_none() -> None:
    model, replay = Corridor(), Lives(Corridor())
    through, rng = DeepDyna(SMALL), seeded()
    through.improve(model, replay, RETURN, rng, 4)
    through.improve(model, replay, RETURN, rng, 4)
    first, rng = DeepDyna(SMALL), seeded()
    first.improve(model, replay, RETURN, rng, 4)
    second = DeepDyna()
    second.load_state_dict(first.state_dict(), model.schema)
    second.improve(model, replay, RETURN, rng, 4)
    for name, weight in through.state_dict()["network"].items():
        assert torch.equal(weight, second.state_dict()["network"][name]), name


def test_worlds_and_states_that_do_not_fit_are_refused() -> None:
    assert "actor_critic" in str(DeepDyna().unfit(Tuning().schema))
    many = replace(Corridor().schema, actions=tuple(Feature(f"a{i}", "boolean") for i in range(11)))
    assert "too many" in str(DeepDyna().unfit(many))
    with pytest.raises(UserError, match="no state of deep Dyna"):
        DeepDyna().load_state_dict({"config": {}, "network": {}}, Corridor().schema)
