"""Collecting with several environments: each row its own episodes, layouts and plans; one seed, one result."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import gedanken
from gedanken.agent.collecting import Collector
from gedanken.agent.environment import copies
from gedanken.errors import GedankenError, UserError
from gedanken.memory import Transitions
from gedanken.world.training import TrainingConfig

BRIEF = gedanken.AgentConfig(training=TrainingConfig(steps=20, min_steps=10, batch=16, length=4, check_every=10))


class Corridor(gym.Env):
    """Seven places; a walk from a place drawn at reset to either end."""

    def __init__(self) -> None:
        self.observation_space, self.action_space = spaces.Discrete(7), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = int(self.np_random.integers(1, 6))
        return self.at, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.at += 1 if action else -1
        return self.at, float(self.at == 6), self.at in (0, 6), False, {}


def corridor(**options: Any) -> gedanken.Agent:
    return gedanken.Agent(Corridor(), llm=None, config=BRIEF, **{"model": "recurrent", **options})


def lived(agent: gedanken.Agent) -> Transitions:
    return agent.mind.memory.transitions()


def same(a: Transitions, b: Transitions) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(
        (a.action, a.reward, a.terminated, a.t, *a.features.values(), *a.next_features.values()),
        (b.action, b.reward, b.terminated, b.t, *b.features.values(), *b.next_features.values()), strict=True))


def test_every_row_keeps_its_own_episodes_and_final_observations() -> None:
    agent = corridor()
    agent.learn(96, envs=8, train=False)
    seen = lived(agent)
    assert len(seen) == 96
    place, after = seen.features["observation"], seen.next_features["observation"]
    assert np.array_equal(after - place, 2 * seen.action[:, 0] - 1)  # no step leads into another episode
    assert np.array_equal(seen.terminated, (after == 0) | (after == 6))
    follows = (np.diff(seen.episode) == 0).nonzero()[0]
    assert np.array_equal(after[follows], place[follows + 1])
    assert not seen.terminated[follows].any()
    assert len({e.seed for e in agent.mind.memory.episodes()}) == len(agent.mind.memory.episodes()) > 8
    assert all(e.ended for e in agent.mind.memory.episodes())


def test_one_seed_gives_one_result_whatever_was_planned_or_drawn() -> None:
    for random in (True, False):
        runs = []
        for _ in range(2):
            agent = gedanken.Agent(gym.make("FrozenLake-v1"), llm=None, config=BRIEF, seed=5)
            agent.learn(24, envs=3, random=random)
            runs.append(lived(agent))
        assert same(*runs)


def test_an_episode_at_random_is_the_same_whatever_is_lived_beside_it() -> None:
    alone, beside = corridor(), corridor()
    alone.learn(60, train=False)
    beside.learn(60, envs=4, train=False)
    for ours, theirs in zip(alone.mind.memory.episodes()[:4], beside.mind.memory.episodes()[:4], strict=True):
        assert ours.seed == theirs.seed
        n = min(ours.length, theirs.length)
        one, other = (a.mind.memory.transitions([e.id]) for a, e in ((alone, ours), (beside, theirs)))
        assert np.array_equal(one.action[:n], other.action[:n])


def test_several_boards_are_planned_for_at_once_each_in_a_layout_of_its_own() -> None:
    pytest.importorskip("minigrid")
    agent = gedanken.Agent(gym.make("MiniGrid-DoorKey-5x5-v0"), llm=None, config=BRIEF, model="none")
    agent.learn(80, envs=4, random=False)
    assert len({e.group for e in agent.mind.memory.episodes()}) >= 4
    assert all(e.length <= BRIEF.layout_steps for e in agent.mind.memory.episodes())


def test_the_shield_guards_every_row() -> None:
    agent = corridor()
    agent.tell("forbid action_1 if observation == observation_3")
    agent.learn(64, envs=4, train=False)
    seen = lived(agent)
    here = seen.features["observation"] == 3
    assert here.sum() > 3
    assert (seen.action[here, 0] == 0).all()
    assert agent.mind.decisions
    free = seen.action[~here, 0]
    assert 0.3 < free.mean() < 0.7


def test_continuous_rows_plan_together_and_stay_in_bounds() -> None:
    agent = gedanken.Agent(gym.make("Pendulum-v1"), llm=None, config=BRIEF)
    agent.learn(12, envs=3)
    agent.config = gedanken.AgentConfig(budget=gedanken.agent.planning.plan.Budget(transitions=400))
    agent.learn(12, envs=3, random=False, train=False)
    assert (np.abs(lived(agent).action) <= 2).all()


def test_what_is_random_has_no_pattern() -> None:
    agent = corridor()
    with Collector(agent, 2) as collector:
        collector.collect(2)
        draws = []
        for life in collector.lives:
            life.seed = 77
        for t in range(200):
            for life in collector.lives:
                life.t = t
            draws.append(float(collector._random()[0]))
    flips = np.abs(np.diff(draws)).mean()
    assert 0.4 < np.mean(draws) < 0.6
    assert 0.4 < flips < 0.6


def test_a_killed_episode_is_lived_again_and_gone_on_with(tmp_path: Any) -> None:
    whole = corridor(memory=tmp_path / "whole.db")
    whole.learn(50, envs=2, train=False)
    broken = corridor(memory=tmp_path / "broken.db")
    collector = Collector(broken, 2)
    collector.collect(16)  # and the process dies: nothing is closed
    broken.mind.memory.close()
    again = corridor(memory=tmp_path / "broken.db")
    again.learn(50 - 16, envs=2, train=False, resume=True)
    assert same(lived(whole), lived(again))
    assert [e.seed for e in again.mind.memory.episodes()] == [e.seed for e in whole.mind.memory.episodes()]


def test_a_killed_episode_of_a_world_that_does_not_repeat_itself_is_closed(tmp_path: Any) -> None:
    class Moody(Corridor):
        def reset(self, **options: Any) -> tuple[int, dict[str, Any]]:
            seen, info = super().reset(**options)
            self.at = seen % 5 + 1
            return self.at, info

    agent = corridor(memory=tmp_path / "m.db", seed=2)
    Collector(agent).collect(1)
    assert not lived(agent).terminated[0]
    agent.mind.memory.close()
    again = gedanken.Agent(Moody(), llm=None, config=BRIEF, model="recurrent", memory=tmp_path / "m.db", seed=2)
    again.learn(5, train=False, resume=True)
    first = again.mind.memory.episodes()[0]
    assert (first.length, first.ended) == (1, True)
    assert lived(again).truncated[0]


def test_an_environment_that_cannot_be_copied_says_so_and_may_be_given() -> None:
    class Stubborn(Corridor):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("a handle to hardware")

    agent = gedanken.Agent(Stubborn(), llm=None, config=BRIEF, model="recurrent")
    with pytest.raises(UserError, match=r"handle to hardware.*envs=\["):
        agent.learn(4, envs=2)
    agent.learn(4, envs=[Corridor(), Corridor()], train=False)
    assert len(agent.mind.memory) == 4
    with pytest.raises(UserError, match="other spaces"):
        agent.learn(4, envs=[gym.make("FrozenLake-v1")])
    with pytest.raises(UserError, match="at least"):
        agent.learn(4, envs=0)


def test_what_cannot_be_copied_is_made_anew_from_its_spec() -> None:
    env = gym.make("FrozenLake-v1", is_slippery=False)
    env.unwrapped.handle = (i for i in ())  # generators cannot be copied
    other = copies(env, 2)[1]
    assert other is not env
    assert other.spec is not None
    assert other.spec.kwargs["is_slippery"] is False


def test_where_every_action_is_forbidden_the_rules_are_named_and_the_data_kept() -> None:
    agent = corridor()
    agent.tell("forbid action_0 if observation == observation_3\nforbid action_1 if observation == observation_3")
    with pytest.raises(GedankenError, match="every action is forbidden"):
        agent.learn(500, envs=4, train=False)
    assert all(e.ended for e in agent.mind.memory.episodes())


torch.set_num_threads(1)
