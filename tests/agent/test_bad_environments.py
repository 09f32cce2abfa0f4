"""What an environment may do wrong: each is said with the step and the way out, or handled as documented; what was
lived before is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

import gedanken
from gedanken.agent.environment import EnvironmentFailed, Perceived
from gedanken.errors import GedankenError, UserError
from gedanken.world.schema import Schema
from gedanken.world.training import TrainingConfig

torch.set_num_threads(1)
BRIEF = gedanken.AgentConfig(
    training=TrainingConfig(steps=4, min_steps=2, batch=4, length=3, check_every=2), episode_steps=30)


class World(gym.Env):
    """Two numbers in a box that wander; `fault(t, world)` may return another (observation, reward, terminated)."""

    def __init__(self, fault: Callable[[int, World], Any] | None = None, **options: Any) -> None:
        self.observation_space = options.get("observations", spaces.Box(-5, 5, (2,)))
        self.action_space = options.get("actions", spaces.Discrete(2))
        self.fault, self.t, self.taken = fault, 0, []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.t = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.t += 1
        self.taken.append(action)
        found = self.fault(self.t, self) if self.fault else None
        seen, reward, terminated = found if found is not None else (self._seen(), 0.5, False)
        return seen, reward, terminated, False, {}

    def _seen(self) -> Any:
        space = self.observation_space
        if isinstance(space, spaces.Box):
            return self.np_random.normal(size=space.shape).astype(space.dtype)
        return space.sample()


def agent(env: gym.Env, **options: Any) -> gedanken.Agent:
    return gedanken.Agent(env, llm=None, **{"config": BRIEF, "model": "recurrent", **options})


def at_step(step: int, result: Any) -> Callable[[int, World], Any]:
    return lambda t, world: (result(world) if callable(result) else result) if t == step else None


def fails(world: World) -> Any:
    raise ZeroDivisionError("the motor jammed")


FINE = np.zeros(2, np.float32)


@pytest.mark.parametrize(("result", "kind", "words"), [
    ((np.zeros(3, np.float32), 0.0, False), UserError, "2 numbers.*got 3"),
    ((np.zeros((2, 2), np.float32), 0.0, False), UserError, "2 numbers.*got 4"),
    ((np.array([0.0, np.nan]), 0.0, False), UserError, "not finite"),
    ((np.array([np.inf, 0.0]), 0.0, False), UserError, "not finite"),
    ((np.array(["a", "b"]), 0.0, False), UserError, "not numeric"),
    ((None, 0.0, False), UserError, ""),
    ((FINE, float("nan"), False), UserError, "reward of nan"),
    ((FINE, float("-inf"), False), UserError, "reward of -inf"),
    ((FINE, None, False), UserError, "reward of None"),
    ((FINE, np.zeros(2), False), UserError, r"reward of array"),
    (fails, EnvironmentFailed, "ZeroDivisionError: the motor jammed"),
    (lambda world: world.gone, EnvironmentFailed, "AttributeError"),
])
@pytest.mark.parametrize("envs", [1, 2])
def test_a_bad_step_is_named_and_what_came_before_it_kept(result: Any, kind: type, words: str, envs: int) -> None:
    a = agent(World(at_step(4, result)))
    with pytest.raises(kind, match=rf"(?s){words}.*step 4 of the episode with seed \d+, on action \[[01]\]"):
        a.learn(40, envs=envs, train=False)
    lived = a.mind.memory.transitions()
    assert len(lived) == 3 * envs
    assert all(e.ended for e in a.mind.memory.episodes())
    assert lived.truncated[lived.t == 2].all()  # broken off, not over
    a.train()


@pytest.mark.parametrize("result", [fails, (np.array([0.0, np.nan]), 0.0, False)])
def test_a_bad_step_while_acting_is_named_too(result: Any) -> None:
    a = agent(World(at_step(3, result)), model="none", planner="cem")
    with pytest.raises(GedankenError, match="step 3 of the episode"):
        a.run(1, max_steps=9)
    assert len(a.mind.memory) == 2
    assert a.mind.memory.episodes()[0].ended


def test_a_reset_that_fails_is_named() -> None:
    class Dead(World):
        def reset(self, **options: Any) -> Any:
            raise OSError("no simulator")

    with pytest.raises(EnvironmentFailed, match=r"OSError: no simulator at reset\(seed=0\)"):
        agent(Dead()).learn(4)
    with pytest.raises(EnvironmentFailed, match=r"OSError: no simulator at reset\(seed=1\)"):
        agent(Dead()).run(1, seed=1)


def test_an_episode_that_never_ends_is_broken_off() -> None:
    a = agent(World())
    a.learn(70, train=False)
    assert [e.length for e in a.mind.memory.episodes()] == [30, 30, 10]
    assert agent(World(), model="none", planner="cem").run(1).episodes[0].steps == 30


def test_episodes_that_end_at_once_are_learned_from() -> None:
    a = agent(World(lambda t, world: (world._seen(), 1.0, True)))
    report = a.learn(40, envs=4)
    assert len(a.mind.memory.episodes()) == 40
    assert a.mind.memory.transitions().terminated.all()
    assert report
    assert a.run(1).episodes[0].steps == 1


@pytest.mark.parametrize("what", ["observation", "action"])
def test_spaces_that_change_are_refused(what: str) -> None:
    class Growing(World):
        def reset(self, **options: Any) -> Any:
            seen = super().reset(**options)
            if len(self.taken) > 10:
                setattr(self, f"{what}_space", spaces.Discrete(7))
            return seen

    a = agent(Growing(lambda t, world: (world._seen(), 0.0, True) if t == 5 else None))
    with pytest.raises(UserError, match=rf"changed its {what} space from .* to Discrete\(7\)"):
        a.learn(40, train=False)
    assert len(a.mind.memory) == 15


def test_unbounded_observations_are_learned() -> None:
    a = agent(World(observations=spaces.Box(-np.inf, np.inf, (2,))))
    assert a.learn(60, envs=2)


@pytest.mark.parametrize(("options", "words"), [
    ({"observations": spaces.Box(-1, 1, (0,))}, "nothing to see"),
    ({"observations": spaces.Dict({})}, "nothing to see"),
    ({"observations": spaces.Text(5)}, "no features of a fixed size"),
    ({"actions": spaces.Box(-1, 1, (0,))}, "nothing to do"),
    ({"actions": spaces.Tuple(())}, "cannot be planned in"),
    ({"actions": spaces.Box(-np.inf, np.inf, (1,))}, "no bounds"),
    ({"actions": spaces.Box(0, 3, (1,), np.int32)}, "whole numbers"),
])
def test_spaces_that_are_empty_or_unbounded_are_refused_before_anything_starts(options: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        agent(World(**options))


def test_actions_out_of_bounds_are_clamped_before_they_are_executed() -> None:
    env = World(actions=spaces.Box(-1, 1, (1,)))
    a = agent(env, model="none", planner="cem")
    a.schema = replace(a.schema)
    observation, _ = env.reset(seed=0)
    a.reset(observation)
    from gedanken.agent.act import act

    action, native = act(a.mind, a.schema, torch.tensor([[7.0]]))
    assert float(action) == float(native[0]) == 1.0
    with pytest.raises(GedankenError, match="not a number"):
        act(a.mind, a.schema, torch.tensor([[float("nan")]]))


def test_a_planners_broken_action_is_never_executed() -> None:
    env = World(actions=spaces.Box(-1, 1, (1,)))
    a = agent(env, model="none", planner="cem")
    plan = a.planner.plan
    a.planner = type("Broken", (), {
        "commits": False, "initial": lambda self, n: None,
        "plan": lambda self, *args: replace(plan(*args), action=torch.full((1, 1), torch.nan))})()
    with pytest.raises(GedankenError, match="not a number"):
        a.learn(5, random=False, train=False)
    assert not env.taken


def test_the_watcher_passes_on_what_is_fine() -> None:
    env = Perceived(World(), Schema.from_env(World()))
    seen, _ = env.reset(seed=3)
    assert set(seen) == {"observation_0", "observation_1"}
    seen, reward, terminated, truncated, _ = env.step(np.array([1.0]))
    assert (reward, terminated, truncated) == (0.5, False, False)
    assert env.unwrapped.taken == [1]
