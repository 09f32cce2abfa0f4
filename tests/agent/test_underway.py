"""An agent that is saved in the middle of an episode goes on there: the belief, the goals, the working context."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import torch

import gedanken
from gedanken.agent.checkpoint import MEMORY
from gedanken.agent.planning.plan import Budget
from gedanken.memory import LongTerm
from gedanken.world import tree
from gedanken.world.training import TrainingConfig

BRIEF = gedanken.AgentConfig(training=TrainingConfig(steps=8, min_steps=4, batch=8, check_every=4, check_rows=8),
                             budget=Budget(transitions=300))
GOAL = "achieve position == 2 then position == 15 within 50 steps"


def living(tmp_path: Path, model: str = "auto") -> tuple[gedanken.Agent, gym.Env, tuple[object, ...]]:
    """An agent in the middle of an episode, its world, and what the last action brought there."""
    env = gym.make("FrozenLake-v1", is_slippery=False)
    agent = gedanken.Agent(env, llm=None, model=model, config=BRIEF)
    name = agent.schema.features[0].name
    agent.tell(GOAL.replace("position", name))
    agent.learn(steps=30)
    agent.mind.recent.say("the ice is thin", kind="lesson", lasting=True)
    observation, _ = env.reset(seed=1)
    agent.reset(observation)
    native = agent.step(observation, 0.0, False, False)
    for action in (native, None):
        lived = env.step(native if action is None else action)[:4]
        if lived[2] or lived[3]:
            break
        native = agent.step(*lived)
    agent.save(tmp_path)
    return agent, env, env.step(native)[:4]


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    agent, env, lived = living(tmp_path)
    other = gedanken.Agent.load(tmp_path, env, config=BRIEF)
    one, two = agent.mind, other.mind
    assert two.pursuit is not None
    assert one.pursuit is not None
    assert one.recent.t == two.recent.t > 0
    assert all(map(torch.equal, tree.leaves(one.belief), tree.leaves(two.belief)))
    assert all(map(torch.equal, tree.leaves(one.pursuit.carry), tree.leaves(two.pursuit.carry)))
    assert two.recent.context() == one.recent.context()
    assert two.recent.state_dict() == one.recent.state_dict()
    steps = len(two.memory)
    other.act(*lived)
    assert len(two.memory) == steps + 1
    assert not two.memory.episodes()[-2].ended    # another process may go on with it
    assert two.memory.episodes()[-1].length == 1
    again = tmp_path / "again"
    other.save(again)
    third = gedanken.Agent.load(again, env, config=BRIEF)
    assert third.mind.recent.state_dict() == two.recent.state_dict()
    assert third.mind.recent.t == two.recent.t == one.recent.t + 1
    third.close()
    other.close()
    agent.close()


def test_an_episode_that_went_on_elsewhere_is_not_taken_up(tmp_path: Path) -> None:
    agent, env, _ = living(tmp_path)
    with LongTerm(tmp_path / MEMORY, agent.mind.memory.layout) as elsewhere:
        elsewhere.append(elsewhere.episodes()[-1].id, agent.mind.recent.steps[-1])
    other = gedanken.Agent.load(tmp_path, env, config=BRIEF)
    assert other.mind.pursuit is None
    assert "the ice is thin" in other.mind.recent.context().text    # the context is there all the same
    other.close()
    agent.close()


def test_clones_of_an_environment_are_not_saved(tmp_path: Path) -> None:
    agent, env, _ = living(tmp_path, model="simulator")
    other = gedanken.Agent.load(tmp_path, env, config=BRIEF)
    assert other.mind.pursuit is None
    assert "the ice is thin" in other.mind.recent.context().text
    other.close()
    agent.close()
