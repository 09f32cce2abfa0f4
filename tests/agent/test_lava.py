"""The same code serves a rule about lava in another MiniGrid level: nothing knows about keys or doors."""

from __future__ import annotations

import gymnasium as gym
import pytest

import gedanken
from gedanken.world.training import TrainingConfig

pytest.importorskip("minigrid")
CROSSES = """
expect agent_x' == front_x and agent_y' == front_y if action == forward and front_object == goal
reward +1 if action == forward and front_object == goal
end if action == forward and front_object == goal
"""


@pytest.fixture(scope="module")
def learned() -> gedanken.Agent:
    config = gedanken.AgentConfig(training=TrainingConfig(steps=400, min_steps=300, check_every=50))
    agent = gedanken.Agent(gym.make("MiniGrid-LavaGapS5-v0"), llm=None, config=config, seed=0)
    agent.tell("forbid forward if front_object == lava")
    agent.learn(steps=600)
    return agent


def test_lava_is_never_entered_where_it_is_forbidden(learned: gedanken.Agent) -> None:
    taken = learned.mind.memory.transitions()
    assert not (taken.terminated & (taken.reward == 0)).any()


def test_a_told_goal_is_reached_around_the_lava(learned: gedanken.Agent) -> None:
    learned.tell(CROSSES)
    result = learned.run(episodes=4, unseen=False, max_steps=40)
    assert result.solved >= 3  # of 4, at each of the training seeds 0 to 4
