"""An agent that recalls what it lived beside what it learned, and trains on parts of it more often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

import gedanken
from gedanken.agent.replaying import Parts, Prioritised
from gedanken.errors import UserError
from gedanken.world.model import begin, rollout
from gedanken.world.neighbours import Neighbours, NeighboursConfig
from gedanken.world.training import TrainingConfig

BRIEF = TrainingConfig(steps=20, min_steps=5, batch=16, length=1, check_every=10)
CONFIG = gedanken.AgentConfig(training=BRIEF, holdout=0.3)


def agent(**changes: object) -> gedanken.Agent:
    return gedanken.Agent(gym.make("CartPole-v1"), llm=None, model="ensemble", planner="random", seed=1,
                          config=replace(CONFIG, **changes))  # type: ignore[arg-type]


def recalled(a: gedanken.Agent) -> Neighbours | None:
    inner = a.mind.imagining.inner.inner  # type: ignore[attr-defined]
    return inner if isinstance(inner, Neighbours) else None


@pytest.fixture(scope="module")
def trained() -> gedanken.Agent:
    a = agent()
    a.learn(steps=80)
    return a


def test_a_barely_trained_agent_imagines_with_its_past(trained: gedanken.Agent) -> None:
    assert recalled(trained) is not None
    trained.tell("expect cart_velocity' == 0 if action == left")
    assert recalled(trained) is not None, "rules are put around it anew"


def test_a_loaded_agent_recalls_the_same(trained: gedanken.Agent, tmp_path: Path) -> None:
    trained.save(tmp_path / "saved")
    loaded = gedanken.Agent.load(tmp_path / "saved", gym.make("CartPole-v1"), config=CONFIG)
    features = trained.experience.first(10).features_at(0)  # type: ignore[union-attr]
    actions = torch.randint(2, (4, 10, 1), generator=torch.Generator().manual_seed(0))
    one, other = (rollout(a.mind.imagining, begin(a.mind.imagining, features), actions) for a in (trained, loaded))
    assert recalled(loaded) is not None
    assert all(torch.equal(one.features[k], other.features[k]) for k in one.features)
    assert torch.equal(one.reward, other.reward)
    loaded.close()


def test_what_is_lived_after_training_is_taken_in_where_the_agent_goes_on_learning() -> None:
    a = agent()
    a.learn(steps=60)
    before = sum(a.recalling.seen)
    a.learn(steps=40, train=False)
    assert sum(a.recalling.seen) == before
    a.keep_learning()
    assert sum(a.recalling.seen) == 100


@pytest.mark.parametrize("changes", [{"neighbours": None}, {"adapting": gedanken.agent.adapting.AdaptingConfig()}])
def test_it_is_off_where_it_is_turned_off_and_where_the_world_may_change(changes: dict[str, object]) -> None:
    a = agent(**changes)
    a.learn(steps=60)
    assert recalled(a) is None


def test_a_model_beside_which_nothing_was_measured_recalls_only_if_told_to() -> None:
    for config, expected in (("auto", None), (NeighboursConfig(), NeighboursConfig())):
        a = gedanken.Agent(gym.make("CartPole-v1"), llm=None, model="none", planner="random",
                           config=replace(CONFIG, neighbours=config))
        assert a.recalling.config == expected


def test_parts_of_a_batch_are_drawn_by_their_weights(trained: gedanken.Agent) -> None:
    count = trained.mind.replay.count()
    only = np.zeros(count)
    only[3] = 1
    wanted = trained.experience.first(4).features["cart_position"][3, 0]  # type: ignore[union-attr]
    batch = Parts(trained.experience, [(0.5, None), (0.5, only)]).batch(20, 1, torch.Generator().manual_seed(0))
    assert batch is not None
    assert (batch.features["cart_position"][10:, 0] == wanted).all()
    assert (batch.features["cart_position"][:10, 0] != wanted).any()


def test_what_surprises_and_what_is_new_is_drawn_more_often() -> None:
    a = agent(training=replace(BRIEF, recent=0.3, surprising=0.3))
    a.learn(steps=60)
    source = a.lessons()
    assert isinstance(source, Prioritised)
    source.batch(8, 1, torch.Generator().manual_seed(0))
    shares = [share for share, _ in source.parts]
    _, (_, by_age), (_, by_surprise) = source.parts
    assert shares == pytest.approx([0.4, 0.3, 0.3])
    assert by_age is not None
    assert (np.diff(by_age) > 0).all()
    assert by_surprise is not None
    assert by_surprise.max() > 2 * np.median(by_surprise)


def test_shares_that_do_not_fit_are_refused() -> None:
    for wrong in ({"recent": -0.1}, {"recent": 0.5, "surprising": 0.5}, {"refresh": 0}):
        with pytest.raises(UserError, match="less than 1"):
            TrainingConfig(**wrong)  # type: ignore[arg-type]
