"""Who believes a false rule never tests it: stuck, the agent tries what it would hope for without one."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium as gym
import numpy as np
import pytest

import gedanken
from gedanken.agent.config import AgentConfig
from gedanken.world.schema import Feature, Schema

TRUE = """\
expect door' == open if action == push and door == closed
expect same if action == wait
reward +1 if action == go and door == open
end if action == go and door == open
"""
LIE = "expect same if action == push"
SCHEMA = Schema(
    "house",
    (Feature("door", "category", values=("open", "closed")),),
    (Feature("action", "category", values=("wait", "push", "go")),),
    lambda observation, env: {"door": int(observation)},
    lambda row: int(row[0]),
)


class House(gym.Env):
    """A push opens the door, and who goes through it is paid."""

    observation_space, action_space = gym.spaces.Discrete(2), gym.spaces.Discrete(3)
    door = 1

    def reset(self, **options):  # type: ignore[no-untyped-def]
        self.door = 1
        return np.int64(1), {}

    def step(self, action):  # type: ignore[no-untyped-def]
        over = action == 2 and self.door == 0
        self.door = 0 if action == 1 else self.door
        return np.int64(self.door), float(over), over, False, {}


@pytest.fixture
def agent() -> Iterator[gedanken.Agent]:
    made = gedanken.Agent(House(), llm=None, model="none", planner="search", schema=SCHEMA, config=AgentConfig())
    made.tell(TRUE)
    yield made
    made.close()


def test_it_finds_the_way_though_told_that_there_is_none(agent: gedanken.Agent) -> None:
    agent.tell(LIE)
    assert agent.run(1, unseen=False, max_steps=10).solved


def test_what_it_did_refutes_the_lie(agent: gedanken.Agent) -> None:
    agent.tell(LIE)
    agent.run(6, unseen=False, max_steps=10)
    agent.check()
    standing = {e.text: e.status for e in agent.rules}
    assert standing.pop(LIE) == "contradicted"
    assert "contradicted" not in standing.values()


def test_what_is_forbidden_is_never_put_to_the_test(agent: gedanken.Agent) -> None:
    agent.tell("forbid push")
    agent.tell(LIE)
    assert not agent.run(2, unseen=False, max_steps=10).solved
    assert not (agent.mind.memory.transitions().action == 1).any()


def test_several_lies_at_once_do_not_keep_it_from_what_it_could_do_untold(agent: gedanken.Agent) -> None:
    agent.mind.knowledge.retire(next(e.id for e in agent.rules if e.text.startswith("reward")))
    agent.tell("reward +1 if action == go and door == open")
    agent.tell(LIE)
    agent.tell("expect same if action == push and door == closed")
    agent.tell("reward 0 if action == go")
    assert agent.run(3, unseen=False, max_steps=12).solved
