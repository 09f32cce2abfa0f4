"""An agent whose planner learns: improved after the model, shaped by what is told, saved and restored whole."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest
import torch

import gedanken
from gedanken.agent.packing import pack, unpack
from gedanken.agent.planning.actor_critic import ActorCritic, ActorCriticConfig
from gedanken.agent.planning.deep_dyna import DeepDyna, DeepDynaConfig
from gedanken.errors import UserError
from gedanken.world.training import Progress, TrainingConfig

torch.set_num_threads(1)
BRIEF = gedanken.AgentConfig(training=TrainingConfig(steps=4, min_steps=2, batch=8, length=4, check_every=2))
TINY = ActorCriticConfig(horizon=3, sequences=4, length=4, steps=4, width=16, bins=31)


def agent(**options: object) -> gedanken.Agent:
    chosen: dict = {"planner": ActorCritic(TINY), "config": BRIEF} | options
    return gedanken.Agent(gym.make("CartPole-v1"), llm=None, seed=0, **chosen)


def weights(a: gedanken.Agent) -> dict[str, torch.Tensor]:
    assert isinstance(a.planner, ActorCritic)
    return a.planner.state_dict()["networks"]


def test_training_improves_the_planner_and_shows_it() -> None:
    a, seen = agent(), list[set[str]]()

    def show(p: Progress) -> None:
        seen.append(set(p.losses))

    a.learn(40, training=show)
    assert isinstance(a.planner, ActorCritic)
    assert a.planner.learned is not None
    assert a.planner.learned.steps_done == 4
    assert {"actor", "critic"} in seen
    assert a.run(1, max_steps=5).episodes[0].steps > 0


def test_without_a_model_that_learns_the_planner_still_does() -> None:
    a = agent(model="none")
    a.learn(20)
    assert isinstance(a.planner, ActorCritic)
    assert a.planner.learned is not None


def test_told_limits_shape_what_is_learned() -> None:
    a = agent()
    a.learn(60)
    free = a.improve(steps=1)["return"]
    a.tell("avoid cart_position > -10")
    assert a.improve(steps=1)["return"] < free - 50


def test_learning_goes_on_after_a_restart_as_if_there_had_been_none(tmp_path: Path) -> None:
    a = agent()
    a.learn(40)
    a.save(tmp_path / "run")
    a.train()
    a.improve()
    b = gedanken.Agent.load(tmp_path / "run", gym.make("CartPole-v1"), config=BRIEF)
    assert isinstance(b.planner, ActorCritic)
    assert b.planner.config == TINY
    b.train()
    b.improve()
    assert all(torch.equal(v, weights(b)[k]) for k, v in weights(a).items())
    assert torch.equal(a.mind.rng.get_state(), b.mind.rng.get_state())


def test_deep_dyna_goes_on_after_a_restart_too(tmp_path: Path) -> None:
    a = agent(planner=DeepDyna(DeepDynaConfig(sequences=2, length=4, steps=3, width=16)))
    a.learn(40)
    a.save(tmp_path / "run")
    a.improve()
    b = gedanken.Agent.load(tmp_path / "run", gym.make("CartPole-v1"), config=BRIEF)
    b.improve()
    assert isinstance(a.planner, DeepDyna)
    assert isinstance(b.planner, DeepDyna)
    mine, theirs = a.planner.state_dict(), b.planner.state_dict()
    assert mine["steps_done"] == theirs["steps_done"] == 6
    assert all(torch.equal(v, theirs["network"][k]) for k, v in mine["network"].items())


def test_another_planner_may_be_asked_for_at_loading(tmp_path: Path) -> None:
    a = agent()
    a.learn(20)
    a.save(tmp_path / "run")
    b = gedanken.Agent.load(tmp_path / "run", gym.make("CartPole-v1"), planner="cem")
    assert type(b.planner).__name__ == "CEM"


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    a = agent()
    state = {"config": {"horizon": "far"}, "networks": {}}
    assert isinstance(a.planner, ActorCritic)
    with pytest.raises(UserError, match="no state of an actor-critic"):
        a.planner.load_state_dict(state, a.schema)


def test_what_is_packed_comes_back() -> None:
    state = {"a": torch.ones(2), "b": [1, {"c": torch.zeros(()), "d": None}], "e": {0: {"f": 0.1}, 1: torch.arange(3)}}
    tensors, plain = pack(state, "x")
    assert set(tensors) == {"x.a", "x.b.1.c", "x.e.1"}
    back = unpack(plain, tensors)
    assert torch.equal(back["a"], state["a"])
    assert back["e"][0] == {"f": 0.1}
    assert back["b"][0] == 1
