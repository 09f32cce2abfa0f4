"""A curious agent is after what its model does not know while it learns, and only then."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import gedanken
from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.agent.planning.objective import Curiosity
from gedanken.world.training import TrainingConfig

pytest.importorskip("gymnasium.envs.classic_control")
BRIEF = TrainingConfig(steps=60, min_steps=60, batch=64, length=1, rate=1e-2, check_every=60)
PLANNER = CEMConfig(horizon=16, repeat=8, samples=12, iterations=1, spread=1.0)


def car(exploration: str, **options: float) -> gedanken.Agent:
    config = gedanken.AgentConfig(exploration=exploration, training=BRIEF, holdout=0.0, **options)  # type: ignore[arg-type]
    return gedanken.Agent(gym.make("MountainCarContinuous-v0"), llm=None, model="ensemble", planner=CEM(PLANNER),
                          config=config)


def test_curiosity_is_part_of_the_objective_only_where_it_explores() -> None:
    curious, random, careful = car("curious", curiosity=0.7), car("random"), car("curious", caution=0.2)

    def weights(agent: gedanken.Agent, exploring: bool) -> list[float]:
        return [t.weight for t in agent.objective(exploring).terms if isinstance(t, Curiosity)]

    assert weights(curious, exploring=True) == [0.7]
    assert weights(curious, exploring=False) == []
    assert weights(random, exploring=True) == []
    assert weights(careful, exploring=False) == [-0.2]


def test_before_there_is_a_model_it_acts_at_random_and_then_goes_farther() -> None:
    curious, random = car("curious", curiosity=1.0), car("random")
    curious.learn(60, random=False)
    random.learn(60, train=False)
    np.testing.assert_array_equal(*(a.mind.memory.transitions().action for a in (curious, random)))
    curious.learn(50, random=False, train=False)
    random.learn(50, train=False)
    reach = [np.ptp(a.mind.memory.transitions().next_features["position"][60:]) for a in (curious, random)]
    assert reach[0] > 2 * reach[1]


def test_a_margin_is_as_wide_as_the_share_of_violations_is_small() -> None:
    margins = []
    for violations in (0.01, 0.3):
        agent = car("random", violations=violations)
        agent.tell("avoid position > 0.2")
        agent.learn(60)
        margins.append(agent.mind.limits[0].margins[0])
    assert margins[0] > margins[1]


def test_a_model_that_never_learned_is_not_asked_what_lies_ahead() -> None:
    agent = car("random")
    agent.tell("avoid position > 0.2")
    assert agent.mind.shield.config.horizon == 1
    agent.learn(60)
    assert agent.mind.shield.config.horizon == agent.config.shield.horizon > 1
    alone = gedanken.Agent(gym.make("MountainCarContinuous-v0"), llm=None, model="none")
    alone.tell("avoid position > 0.2")
    assert alone.mind.shield.config.horizon > 1  # rules alone are what there is to know
