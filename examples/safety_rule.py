"""A limit in words: how far a cart may go, kept by an agent that was never punished for going further.

    python examples/safety_rule.py [--quick]

The same agent plays twice, told and not told. Needs `pip install "gedanken[classic]"`.
"""

from __future__ import annotations

import sys

import gymnasium

from gedanken import Agent
from gedanken.agent.planning.cem import CEM, CEMConfig

LIMIT = "avoid abs(cart_position) > 0.5"


def main(quick: bool = False, seed: int = 0) -> dict[str, dict[str, float]]:
    """What was measured in either arm: the return, and the steps on which the cart was beyond the limit."""
    env = gymnasium.make("CartPole-v1", max_episode_steps=60 if quick else 200)
    planner = CEM(CEMConfig(horizon=30, samples=48, iterations=1))
    agent = Agent(env, llm=None, planner=planner, seed=seed)
    agent.tell("end if abs(pole_angle') > 0.2095 or abs(cart_position') > 2.4")
    agent.learn(steps=600 if quick else 1_000)
    found = {}
    for arm in ("untold", "told"):
        if arm == "told":
            agent.tell(LIMIT)
        beyond = []
        played = agent.run(episodes=1 if quick else 3, seed=1_000_000, unseen=False,
                           frame=lambda agent, beyond=beyond: beyond.append(abs(env.unwrapped.state[0]) > 0.5))
        found[arm] = {"return": played.mean_return, "steps beyond the limit": float(sum(beyond)), "steps": len(beyond)}
        print(arm, found[arm])
    agent.close()
    return found


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
