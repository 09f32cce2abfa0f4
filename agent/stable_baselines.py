"""Imagined worlds as stable-baselines3 takes them, and the real world in the same spaces.

    policy = PPO("MlpPolicy", Imagination.of(agent, 64, horizon=100))
    policy.learn(150_000)                     # never touches the real environment
    score = returns(policy, real(env), episodes=20)

Needs stable-baselines3 (`pip install "gedanken[sb3]"`); nothing else in gedanken imports this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from .imagined import ImaginedEnv, Perceived

if TYPE_CHECKING:
    from .agent import Agent


class Imagination(VecEnv):
    """`worlds` with flat observations `[N, F]`, a new episode beginning within the step of an end, as the library
    wants it. `seed` is that of the first reset."""

    def __init__(self, worlds: ImaginedEnv, seed: int = 0) -> None:
        self.worlds, self.first, self.shape = worlds, seed, worlds.single_observation_space
        super().__init__(worlds.num_envs, spaces.flatten_space(self.shape), worlds.single_action_space)

    @staticmethod
    def of(agent: Agent, num_envs: int = 16, *, seed: int = 0, **options: Any) -> Imagination:
        """What `agent` imagines, `num_envs` worlds at once; `options` are those of `ImaginedEnv`. Raises `UserError`
        where the agent remembers nothing to start from."""
        worlds = ImaginedEnv.of(agent, num_envs, autoreset=AutoresetMode.SAME_STEP, **options)
        return Imagination(worlds, seed)

    def reset(self) -> np.ndarray:
        return self._flat(self.worlds.reset(seed=self.first)[0])

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        seen, reward, terminated, truncated, infos = self.worlds.step(self._actions)
        over = terminated | truncated
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in over.nonzero()[0]:
            told[i] = {"terminal_observation": spaces.flatten(self.shape, infos["final_obs"][i]),
                       "TimeLimit.truncated": bool(truncated[i])}
        return self._flat(seen), reward.astype(np.float32), over, told

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.worlds, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError("imagined worlds have no attributes of their own to set")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError("imagined worlds have no methods of their own to call")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    def _flat(self, seen: dict[str, np.ndarray]) -> np.ndarray:
        """Observations `[N, ...]` by name as rows `[N, F]`."""
        rows = ({name: value[i] for name, value in seen.items()} for i in range(self.num_envs))
        return np.stack([np.asarray(spaces.flatten(self.shape, row)) for row in rows])


def real(env: gymnasium.Env) -> gymnasium.Env:
    """The real environment, observed as `Imagination` is."""
    return gymnasium.wrappers.FlattenObservation(Perceived(env))


def returns(policy: BaseAlgorithm, env: gymnasium.Env, seeds: Sequence[int]) -> list[float]:
    """The undiscounted return of `policy`, without exploration, in the episodes of `env` that `seeds` begin."""
    out = []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            action, _ = policy.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        out.append(total)
    return out
