"""The actor-critic learns what is best in small exact worlds, goes on after a restart, says what it cannot learn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gedanken.agent.goals import Goal
from gedanken.agent.planning.actor_critic import ActorCritic, ActorCriticConfig
from gedanken.agent.planning.learner import Learner
from gedanken.agent.planning.objective import Objective, Return
from gedanken.errors import UserError
from gedanken.world.refine import Refined, RefinedState
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Schema
from gedanken.world.training import Progress

from ..exact_worlds import Corridor, Exact, Lives, Nothing, OneWay, Secret, Tuning, seeded

torch.set_num_threads(1)
SMALL = ActorCriticConfig(horizon=6, sequences=16, length=8, steps=60, width=32, bins=63)
ONE = replace(SMALL, horizon=1, rate=1e-2)
RETURN = Objective([Return()], discount=0.9)


def trained(model: Exact, config: ActorCriticConfig = SMALL, objective: Objective = RETURN, seed: int = 0,
            steps: int | None = None) -> ActorCritic:
    made = ActorCritic(config)
    made.improve(model, Lives(model), objective, seeded(seed), steps)
    return made


def goal(schema: Schema, text: str) -> Goal:
    return Goal(schema, parse(text, schema).statement)  # type: ignore[arg-type]


def test_it_is_a_learner() -> None:
    assert isinstance(ActorCritic(), Learner)


def test_a_corridor_is_learned_and_its_values_are_the_discounted_ways() -> None:
    model = Corridor()
    made = trained(model, steps=150)
    state = {"cell": torch.arange(9, dtype=torch.int32)}
    right = made.policy(model, state, ()).joint().exp()[:, 2]
    assert right[3:].min() > 0.9
    wanted = 0.9 ** torch.arange(8, -1, -1)
    assert (made.values(model, state, ()) - wanted)[4:].abs().max() < 0.15


def test_a_continuous_action_is_learned_from_where_it_is_best() -> None:
    model = Tuning()
    made = trained(model, ONE, steps=150)
    state = {"x": torch.tensor([0.1, 0.5, 0.9])}
    plan = ActorCritic(replace(ONE, greedy=True))
    plan.learned = made.learned
    action = plan.plan(model, state, RETURN, None, seeded()).action[:, 0]
    assert (action - state["x"]).abs().max() < 0.3


def test_mixed_actions_are_learned_together() -> None:
    model = Tuning(mixed=True)
    made = trained(model, ONE, steps=200)
    policy = made.policy(model, {"x": torch.tensor([0.1, 0.9])}, ())
    assert policy.logs[0].exp()[:, 1].min() > 0.9
    row = made.learned.networks.actions.row(policy.mode())  # type: ignore[union-attr]
    assert (row[:, 1] - torch.tensor([0.1, 0.9])).abs().max() < 0.4


def test_what_only_the_latent_knows_is_read_through_refinement() -> None:
    model = Refined(Secret(), [])
    made = ActorCritic(ONE)
    made.improve(model, Lives(Tuning()), RETURN, seeded(), 150)
    assert made.learned is not None
    secret = torch.tensor([0.1, 0.9])
    state = RefinedState({"x": torch.zeros(2), "secret": secret}, {"x": torch.zeros(2)})
    action = made.learned.networks.actions.row(made.policy(model, state, ()).mode())[:, 0]
    assert action[1] - action[0] > 0.3


def test_a_goal_in_two_stages_is_pursued_by_what_the_policy_reads_of_it() -> None:
    """The best way in a cell depends on the stage: first back to 3, then on to 6."""
    model = Corridor()
    objective = Objective([goal(model.schema, "achieve cell == 3 then cell == 6")], discount=0.9)
    made = trained(model, replace(SMALL, horizon=8), objective, steps=120)
    cell = {"cell": torch.tensor([4, 4], dtype=torch.int32)}
    stages = torch.tensor([[0.0, 0.0], [1.0, 0.0]])  # which milestones are behind
    odds = made.policy(model, cell, (stages,)).joint().exp()
    assert odds[0, 0] > 0.6
    assert odds[1, 2] > 0.6


def test_what_must_not_be_done_is_unlearned() -> None:
    made = trained(OneWay(), steps=80)
    state = {"cell": torch.arange(9, dtype=torch.int32)}
    assert made.policy(OneWay(), state, ()).joint().exp()[:, 0].max() < 0.1


def test_where_everything_is_forbidden_learning_and_planning_still_end() -> None:
    model = OneWay(closed=True)
    made = ActorCritic(replace(SMALL, steps=3))
    figures = made.improve(model, Lives(Corridor()), RETURN, seeded())
    assert figures["infeasible"] == 1.0
    plan = made.plan(model, {"cell": torch.zeros(2, dtype=torch.int32)}, RETURN, None, seeded())
    assert plan.action.shape == (2, 1)
    assert plan.value.isfinite().all()


def test_broken_dreams_are_left_out() -> None:
    """Where some actions pay NaN, the rest is still learned, and no weight breaks."""
    made = trained(Tuning(broken=1.0), ONE, steps=60)
    assert all(w.isfinite().all() for w in made.learned.networks.parameters())  # type: ignore[union-attr]


def test_a_model_that_imagines_nothing_but_nan_is_named() -> None:
    model = Tuning(broken=-2.0)
    with pytest.raises(UserError, match="no finite numbers"):
        ActorCritic(SMALL).improve(model, Lives(Tuning()), RETURN, seeded())


def test_nothing_lived_is_nothing_learned_and_one_transition_is_enough() -> None:
    made = ActorCritic(replace(SMALL, steps=2))
    assert made.improve(Corridor(), Nothing(), RETURN, seeded()) == {}
    assert made.learned is None
    made.improve(Corridor(), Lives(Corridor(), count=1, length=1), RETURN, seeded())
    assert made.learned is not None


def test_every_step_is_reported() -> None:
    seen: list[int] = []

    def show(p: Progress) -> None:
        seen.append(p.step)
        assert set(p.losses) == {"actor", "critic"}

    ActorCritic(SMALL).improve(Corridor(), Lives(Corridor()), RETURN, seeded(), 3, show)
    assert seen == [1, 2, 3]


def test_an_interrupt_leaves_the_last_whole_step() -> None:
    def interrupt(p: Progress) -> None:
        if p.step == 4:
            raise KeyboardInterrupt

    made = ActorCritic(SMALL)
    with pytest.raises(KeyboardInterrupt):
        made.improve(Corridor(), Lives(Corridor()), RETURN, seeded(), 9, interrupt)
    whole = trained(Corridor(), steps=4)
    assert made.learned is not None
    assert made.learned.steps_done == 4
    for name, weight in whole.state_dict()["networks"].items():
        assert torch.equal(weight, made.state_dict()["networks"][name]), name


def test_learning_goes_on_after_a_restart_as_if_there_had_been_none() -> None:
    model, replay = Corridor(), Lives(Corridor())
    through, rng = ActorCritic(SMALL), seeded()
    through.improve(model, replay, RETURN, rng, 5)
    through.improve(model, replay, RETURN, rng, 5)
    first, rng = ActorCritic(SMALL), seeded()
    first.improve(model, replay, RETURN, rng, 5)
    second = ActorCritic()
    second.load_state_dict(first.state_dict(), model.schema)
    second.improve(model, replay, RETURN, rng, 5)
    assert second.config == SMALL
    assert second.learned is not None
    assert second.learned.steps_done == 10
    for name, weight in through.state_dict()["networks"].items():
        assert torch.equal(weight, second.state_dict()["networks"][name]), name


@pytest.mark.parametrize("state", [{}, {"config": {"horizn": 3}}, {"config": {}, "networks": {}}])
def test_a_state_that_is_none_is_refused(state: dict) -> None:
    with pytest.raises(UserError, match="no state of an actor-critic"):
        ActorCritic().load_state_dict(state, Corridor().schema)


def test_told_a_goal_of_another_shape_it_begins_anew_and_plans_meanwhile() -> None:
    model = Corridor()
    made = trained(model, steps=2)
    told = Objective([goal(model.schema, "achieve cell == 3 then cell == 6")])
    plan = made.plan(model, {"cell": torch.zeros(1, dtype=torch.int32)}, told, None, seeded())
    assert plan.action.shape == (1, 1)
    made.improve(model, Lives(model), told, seeded(), 1)
    assert made.learned is not None
    assert made.learned.steps_done == 1
    assert made.learned.networks.reader.carried == 2
