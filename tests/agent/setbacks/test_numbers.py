"""Setbacks in worlds of numbers: beyond the model's own spread, by a changed world or a false rule, not by noise."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from gedanken import Agent, AgentConfig
from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.agent.shield import ShieldConfig
from gedanken.world.schema import Feature, Schema
from gedanken.world.training import TrainingConfig

torch.set_num_threads(1)
NOISE = 0.02
TRAINING = TrainingConfig(steps=250, min_steps=250, batch=64, length=1, rate=3e-3)
PLANNER = CEM(CEMConfig(horizon=8, samples=24, iterations=1, elites=6))


class Sledge(gym.Env[Any, Any]):
    """Glides where it is pushed, 40 steps; its sensors misread, and `mud` holds it back."""

    action_space = gym.spaces.Box(-1, 1, (1,))
    observation_space = gym.spaces.Box(-10, 10, (2,))
    mud = False
    schema = Schema("sledge", (Feature("place", low=-10, high=10, unit="m"), Feature("speed", low=-3, high=3)),
                    (Feature("push", low=-1, high=1),),
                    lambda seen, env: {"place": seen[0], "speed": seen[1]},
                    lambda row: np.asarray(row, np.float32).reshape(1))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.t, self.place, self.speed = 0, *self.np_random.uniform(-1, 1, 2)
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        self.t += 1
        self.place += 0.2 * self.speed
        self.speed = float(np.clip((0.3 if self.mud else 0.95) * self.speed + 0.5 * float(action[0]), -3, 3))
        return self.seen(), -abs(self.place - 2.0), False, self.t >= 40, {}

    def seen(self) -> Any:
        return np.array([self.place, self.speed]) + self.np_random.normal(0, NOISE, 2)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sledge") / "agent"
    agent = Agent(Sledge(), llm=None, model="ensemble", planner=PLANNER, seed=0,
                  config=AgentConfig(training=TRAINING, train_every=10_000, shield=ShieldConfig(horizon=6)))
    agent.learn(450, envs=3)
    agent.save(folder)
    agent.close()
    return folder


@pytest.fixture
def agent(learned: Any, tmp_path: Any) -> Iterator[Agent]:
    """A copy, with a memory of its own."""
    agent = Agent.load(shutil.copytree(learned, tmp_path / "agent"), Sledge(), llm=None, planner=PLANNER,
                      config=AgentConfig(training=TRAINING, train_every=10_000, shield=ShieldConfig(horizon=6)))
    yield agent
    agent.close()


def test_sensors_that_misread_are_hardly_ever_a_setback(agent: Agent) -> None:
    result = agent.run(episodes=3, unseen=False, seeds=range(100, 103), train=False)
    assert sum(e.steps for e in result.episodes) == 120
    assert sum(e.departures for e in result.episodes) <= 2


def test_a_changed_world_is_one(agent: Agent) -> None:
    agent.env.mud = True  # type: ignore[attr-defined]
    result = agent.run(episodes=1, unseen=False, seeds=[100], train=False)
    assert result.episodes[0].departures >= 3
    first = agent.setbacks[0]
    assert first.rule == ""
    assert first.expected[0].startswith("speed: ")
    assert " ± " in first.expected[0]
    assert first.observed[0].startswith("speed: ")
    assert "the learned model imagined it" in first.why
    assert agent.mind.memory.notes("setback")


def test_a_false_rule_is_named_and_doubted(agent: Agent) -> None:
    agent.tell("stuck: expect speed' == speed - 0.5 if push > -2")
    agent.run(episodes=1, unseen=False, seeds=[100], train=False)
    first, second = agent.setbacks[:2]
    assert first.rule == second.rule == "r1"
    assert "the learned model alone had it right" in first.why
    assert "r1 is doubted" in second.repaired_by
    assert len(agent.setbacks) <= 3


def test_episodes_side_by_side_note_theirs(agent: Agent) -> None:
    worlds = [Sledge() for _ in range(2)]
    for world in worlds:
        world.mud = True
    agent.learn(40, envs=worlds, random=False, train=False)
    notes = agent.mind.memory.notes("setback")
    assert len({n.episode for n in notes}) == 2
    assert "speed" in notes[0].text


def test_a_variant_keeps_its_limits_as_the_agent_does(agent: Agent) -> None:
    agent.tell("avoid place > 1")
    other = agent.variant()
    assert other.mind.limits[0].margins == agent.mind.limits[0].margins
    assert len(other.mind.limits[0].margins) > 1
    assert other.mind.shield.config == agent.mind.shield.config
    assert other.mind.band == agent.mind.band
    assert agent.variant(model=False).mind.limits[0].margins[-1] > agent.mind.limits[0].margins[-1]


def begin(agent: Agent, told: str) -> Agent:
    agent.tell(told)
    observation, _ = agent.env.reset(seed=100)
    agent.reset(observation)
    return agent


def test_a_goal_of_numbers_that_can_be_reached_is_possible(agent: Agent) -> None:
    found = begin(agent, "achieve place > 1.5").why_not(budget=4_000)
    assert found.kind == "possible"
    assert found.needs is not None
    assert 4 <= found.needs <= 40


def test_the_limit_that_stands_in_the_way_is_named_alone(agent: Agent) -> None:
    found = begin(agent, "achieve place > 1.5\navoid place > 1\nforbid push > 0.95").why_not(budget=4_000)
    assert found.kind == "forbidden"
    assert found.rules == ("avoid place > 1",)
    assert "away from it" in found.reasons[-1]


def test_a_deadline_of_numbers_is_said_to_be_too_short(agent: Agent) -> None:
    found = begin(agent, "achieve place > 2 within 3 steps").why_not(budget=4_000)
    assert found.kind == "deadline"
    assert found.needs is not None
    assert found.needs > 3


def test_what_cannot_be_reached_is_unknown_and_not_impossible(agent: Agent) -> None:
    found = begin(agent, "achieve speed > 2.9 and place < -9").why_not(budget=4_000)
    assert found.kind == "unknown"
    assert "not every way can be imagined" in str(found)
