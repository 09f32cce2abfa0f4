"""A policy of another library, trained in imagination and scored in the real world.

    python examples/ppo_in_imagination.py [--quick] [--seed 0] [--interactions 1500]

An agent takes a few random steps in CartPole, learns a world model from them, and is told when the pole counts as
fallen. Then stable-baselines3's PPO trains inside what the agent imagines, never touching the real environment, and is
scored there. Needs `pip install "gedanken[classic,sb3]"`.
"""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

import gedanken
from gedanken.agent.imagined import ImaginedEnv, Perceived

RULES = "end if abs(pole_angle') > 0.2095 or abs(cart_position') > 2.4"


class Imagination(VecEnv):
    """Imagined worlds as stable-baselines3 takes them: flat observations, a new episode within the step of an end."""

    def __init__(self, worlds: ImaginedEnv, seed: int) -> None:
        self.worlds, self.first, self.shape = worlds, seed, worlds.single_observation_space
        super().__init__(worlds.num_envs, spaces.flatten_space(self.shape), worlds.single_action_space)

    def flat(self, seen: dict[str, Any]) -> np.ndarray:
        """Observations `[N, ...]` by name as rows `[N, F]`."""
        rows = [{name: value[i] for name, value in seen.items()} for i in range(self.num_envs)]
        return np.stack([spaces.flatten(self.shape, row) for row in rows])

    def reset(self) -> np.ndarray:
        return self.flat(self.worlds.reset(seed=self.first)[0])

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        seen, reward, terminated, truncated, infos = self.worlds.step(self.actions)
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in (terminated | truncated).nonzero()[0]:
            told[i] = {"terminal_observation": spaces.flatten(self.shape, infos["final_obs"][i]),
                       "TimeLimit.truncated": bool(truncated[i])}
        return self.flat(seen), reward.astype(np.float32), terminated | truncated, told

    def close(self) -> None:
        pass

    def get_attr(self, name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.worlds, name, None)] * self.num_envs

    def set_attr(self, name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError

    def env_method(self, name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError

    def env_is_wrapped(self, wrapper: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


def score(policy: PPO, env: gym.Env, episodes: int, seed: int) -> list[float]:
    """The returns of a policy in the real environment."""
    real = gym.wrappers.FlattenObservation(Perceived(env))
    returns = []
    for k in range(episodes):
        observation, _ = real.reset(seed=seed + k)
        total, over = 0.0, False
        while not over:
            action, _ = policy.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = real.step(action)
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    return returns


def main(seed: int = 0, interactions: int = 1_500, imagined: int = 150_000, episodes: int = 20) -> float:
    """The mean return in the real environment of a policy that was trained in imagination."""
    torch.set_num_threads(1)
    env = gym.make("CartPole-v1")
    agent = gedanken.Agent(env, llm=None, seed=seed)
    agent.tell(RULES)
    agent.learn(steps=interactions)
    worlds = ImaginedEnv.of(agent, 64, horizon=100, autoreset=AutoresetMode.SAME_STEP)
    policy = PPO("MlpPolicy", Imagination(worlds, seed), n_steps=64, batch_size=512, n_epochs=8, learning_rate=1e-3,
                 gae_lambda=0.9, gamma=0.98, seed=seed, device="cpu")
    before = score(policy, env, episodes, 1_000_000)
    policy.learn(imagined)
    after = score(policy, env, episodes, 1_000_000)
    print(f"real interactions: {interactions}, imagined ones: {imagined}")
    print(f"return in the real CartPole over {episodes} episodes: {np.mean(before):.1f} untrained, "
          f"{np.mean(after):.1f} trained in imagination (from {min(after):.0f} to {max(after):.0f})")
    agent.close()
    return float(np.mean(after))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--interactions", type=int, default=1_500)
    parser.add_argument("--quick", action="store_true", help="a quarter of the imagined steps, 5 episodes")
    given = parser.parse_args()
    if given.quick:
        main(given.seed, given.interactions, 40_000, 5)
    else:
        main(given.seed, given.interactions)
