"""Distributions over actions: discrete, continuous and mixed."""

from __future__ import annotations

import math

import pytest
import torch

from gedanken.agent.planning.actor_critic.policy import UNIMIX, Actions
from gedanken.world.schema import Feature, Schema

from ..exact_worlds import seeded

MOVE, GRIP = Feature("move", "category", values=("left", "stay", "right")), Feature("grip", "boolean")
TURN = Feature("turn", low=-2.0, high=6.0)


def actions(*features: Feature) -> Actions:
    return Actions(Schema("world", (Feature("x"),), features, lambda o, e: o, lambda a: a))


def test_discrete_probabilities_are_softmax_mixed_with_the_uniform() -> None:
    policy = actions(MOVE).policy(torch.tensor([[0.0, math.log(2.0), math.log(5.0)]]))
    wanted = (1 - UNIMIX) * torch.tensor([1.0, 2.0, 5.0]) / 8 + UNIMIX / 3
    assert torch.allclose(policy.joint().exp()[0], wanted)
    assert policy.mode().codes.tolist() == [[2]]
    assert policy.entropy().item() == pytest.approx(-(wanted * wanted.log()).sum().item(), rel=1e-5)


def test_draws_come_as_often_as_they_are_likely() -> None:
    policy = actions(MOVE, GRIP).policy(torch.tensor([0.0, 1.0, 2.0, 0.5, -0.5]).expand(40_000, 5))
    codes = policy.sample(seeded()).codes
    often = torch.bincount(codes[:, 0] * 2 + codes[:, 1], minlength=6) / len(codes)
    assert torch.allclose(often, policy.joint()[0].exp(), atol=0.01)


def test_joint_odds_are_listed_as_the_schema_lists_its_actions() -> None:
    a = actions(MOVE, GRIP)
    policy = a.policy(torch.randn(1, 5, generator=seeded()))
    every = a.schema.all_actions()
    from gedanken.agent.planning.actor_critic.policy import Choice

    wide = a.policy(torch.randn(1, 5, generator=seeded()).expand(6, 5))
    assert torch.allclose(policy.joint()[0], wide.log_prob(Choice(every, torch.zeros(6, 0))))


def test_mixed_actions_stand_in_the_order_of_the_schema_and_inside_their_bounds() -> None:
    a = actions(TURN, GRIP)
    policy = a.policy(torch.tensor([[-9.0, 9.0, 30.0, 9.0]]).expand(1_000, 4))
    rows = a.row(policy.sample(seeded()))
    assert rows.dtype == torch.float32
    assert rows[:, 0].min() >= -2.0
    assert rows[:, 0].max() == 6.0
    assert a.row(policy.mode())[0].tolist() == [6.0, 1.0]


def test_the_density_of_a_continuous_action_is_the_normal_one() -> None:
    a = actions(TURN)
    policy = a.policy(torch.tensor([[0.3, -1.0]]).expand(5, 2))
    choice = policy.sample(seeded())
    wanted = torch.distributions.Normal(policy.mean, policy.std)
    assert torch.allclose(policy.log_prob(choice), wanted.log_prob(choice.reals)[:, 0])
    assert torch.allclose(policy.entropy(), wanted.entropy()[:, 0])


def test_actions_without_bounds_are_drawn_around_zero_or_beside_their_one_bound() -> None:
    a = actions(Feature("u"), Feature("v", low=3.0))
    rows = a.row(a.policy(torch.zeros(1, 4)).mode())
    assert rows.tolist() == [[0.0, 4.0]]


def test_what_no_policy_can_choose_is_said() -> None:
    assert "integer without bounds" in str(Actions.unfit(actions(MOVE).schema.__class__(
        "world", (Feature("x"),), (Feature("n", "integer"),), lambda o, e: o, lambda a: a)))
    assert Actions.unfit(actions(MOVE, TURN).schema) is None
