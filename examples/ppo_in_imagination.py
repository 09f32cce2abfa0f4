"""A policy of another library, trained in imagination and scored in the real world.

    python examples/ppo_in_imagination.py [--quick]

An agent takes a few random steps in CartPole, learns a world model from them, and is told when the pole counts as
fallen. Then stable-baselines3's PPO trains in what the agent imagines. (On seed 0 the untrained policy balances by
luck.) Needs `pip install "gedanken[classic,sb3]"`.
"""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
from stable_baselines3 import PPO

from gedanken import Agent
from gedanken.agent.stable_baselines import Imagination, real, returns

RULES = "end if abs(pole_angle') > 0.2095 or abs(cart_position') > 2.4"


def main(quick: bool = False, seed: int = 1) -> float:
    """The mean return in the real environment of a policy that was trained in imagination."""
    interactions, imagined, episodes = (1_500, 40_960, 5) if quick else (1_500, 150_000, 20)
    env = gymnasium.make("CartPole-v1")
    agent = Agent(env, llm=None, seed=seed)
    agent.tell(RULES)
    agent.learn(steps=interactions)
    policy = PPO("MlpPolicy", Imagination.of(agent, 64, seed=seed, horizon=100), n_steps=64, batch_size=512, n_epochs=8,
                 learning_rate=1e-3, gae_lambda=0.9, gamma=0.98, seed=seed, device="cpu")
    seeds = range(1_000_000, 1_000_000 + episodes)
    before = returns(policy, real(env), seeds)
    policy.learn(imagined)
    after = returns(policy, real(env), seeds)
    print(f"{interactions} real interactions, {imagined} imagined ones; {episodes} episodes of the real CartPole: "
          f"{np.mean(before):.1f} untrained, {np.mean(after):.1f} trained in imagination")
    agent.close()
    return float(np.mean(after))


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
