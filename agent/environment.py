"""The environment as the agent meets it: features in, rows of actions out, and every failure of it named.

`Perceived` is one such environment, `copies` makes several of one. What an environment may do wrong, and what becomes
of it, is a table in `docs/architecture.md`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces

from ..errors import GedankenError, UserError
from .imagined import observation_space
from .perceive import check_reward, perceive

if TYPE_CHECKING:
    from ..world.schema import Schema


class EnvironmentFailed(GedankenError):
    """The environment raised an exception; what was lived before it is in memory."""


class Perceived(gymnasium.Wrapper):
    """An environment whose observations are the schema's features, name -> `[*shape]`, and whose actions are rows
    `[A]`. Raises `UserError` for observations, rewards and spaces that cannot be used, `EnvironmentFailed` for
    whatever else goes wrong inside; both name the step, the action and the seed."""

    def __init__(self, env: gymnasium.Env, schema: Schema) -> None:
        super().__init__(env)
        self.schema, self.t = schema, 0
        self.seed: int | None = None
        self._seen: dict[str, np.ndarray] = {}
        self.spaces = env.observation_space, env.action_space
        self.observation_space = observation_space(schema)
        self.action_space = spaces.Box(-np.inf, np.inf, (len(schema.actions),), np.float64)
        self._dtype = "int64" if schema.discrete_actions else "float32"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.seed, self.t = seed, 0
        with blamed(f"at reset(seed={seed})"):
            observation, _ = self.env.reset(seed=seed)
            self._check_spaces()
            self._seen = perceive(self.schema, observation, self.env)
            return self._seen, {}

    def step(self, row: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.t += 1
        action = np.asarray(row).astype(self._dtype)
        with blamed(f"at step {self.t} of the episode with seed {self.seed}, on action {action.tolist()}"):
            observation, reward, terminated, truncated, _ = self.env.step(self.schema.act(action))
            if terminated or truncated:
                self._check_spaces()
            seen = self._seen = perceive(self.schema, observation, self.env, (self._seen, action))
            return seen, check_reward(reward), bool(terminated), bool(truncated), {}

    def _check_spaces(self) -> None:
        for before, now, what in zip(self.spaces, (self.env.observation_space, self.env.action_space),
                                     ("observation", "action"), strict=True):
            if now is not before and now != before:
                raise UserError(f"the environment changed its {what} space from {before} to {now}; a world's spaces "
                                "are fixed: pad to the largest, or make one agent a world")


@contextmanager
def blamed(where: str) -> Iterator[None]:
    """Whatever the environment does wrong inside is said with `where` it did."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error} ({where})") from error
    except GedankenError:
        raise
    except Exception as error:
        raise EnvironmentFailed(f"the environment raised {type(error).__name__}: {error} {where}; what was lived "
                                "before is kept. Mend the environment, then go on") from error


def copies(env: gymnasium.Env, n: int) -> list[gymnasium.Env]:
    """The environment itself and `n - 1` copies of it as it is now: deep ones, else made anew from its `spec`.

    Raises `UserError` where it can be had neither way.
    """
    return [env, *(_copy(env) for _ in range(n - 1))]


def several(env: gymnasium.Env, envs: int | Sequence[gymnasium.Env]) -> list[gymnasium.Env]:
    """The environments meant by `envs`: how many, or the given ones. Raises `UserError` for none, and where
    the given ones have other spaces than `env`."""
    if isinstance(envs, int):
        if envs < 1:
            raise UserError(f"envs is {envs}; give at least 1")
        return copies(env, envs)
    if not envs:
        raise UserError("envs is empty; give a number, or at least one environment")
    for i, other in enumerate(envs):
        if (other.observation_space, other.action_space) != (env.observation_space, env.action_space):
            raise UserError(f"environment {i} of `envs` has other spaces than the agent's own; make them alike")
    return list(envs)


def _copy(env: gymnasium.Env) -> gymnasium.Env:
    try:
        return copy.deepcopy(env)
    except Exception as failure:
        if env.spec is None:
            raise UserError(
                f"the environment cannot be copied ({type(failure).__name__}: {failure}) and has no spec to make "
                "another from; register it with Gymnasium, or give the environments: agent.learn(steps, envs=[...])"
            ) from failure
        try:
            return gymnasium.make(env.spec)
        except Exception as error:
            raise UserError(
                f"'{env.spec.id}' can be neither copied ({failure}) nor made anew from its spec ({error}); "
                "give the environments: agent.learn(steps, envs=[...])"
            ) from error
