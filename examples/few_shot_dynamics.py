"""A world by example: three transitions, and the agent opens a chest it has never seen.

    python examples/few_shot_dynamics.py [--quick]
"""

from __future__ import annotations

import sys
from typing import Any

import gymnasium
from gymnasium import spaces

from gedanken import Agent, Feature, Schema
from gedanken.agent.fewshot import FewShotDynamics, Report

HAND, CHEST, VERBS = ("empty", "key"), ("locked", "open"), ("wait", "take", "open")
EXAMPLES: list[dict[str, Any]] = [
    {"before": {"hand": "empty", "chest": "locked"}, "action": "take", "after": {"hand": "key"}},
    {"before": {"hand": "empty", "chest": "locked"}, "action": "open"},
    {"before": {"hand": "key", "chest": "locked"}, "action": "open", "after": {"chest": "open"}},
]


class Chest(gymnasium.Env[dict, int]):
    """A chest that only a key opens."""

    observation_space, action_space = spaces.Dict(), spaces.Discrete(len(VERBS))
    schema = Schema(
        "chest",
        (Feature("hand", "category", values=HAND), Feature("chest", "category", values=CHEST)),
        (Feature("action", "category", values=VERBS),),
        perceive=lambda observation, env: dict(observation),
        act=lambda row: int(row[0]),
    )

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        super().reset(seed=seed)
        self.state = {"hand": 0, "chest": 0}
        return dict(self.state), {}

    def step(self, action: int) -> tuple[dict, float, bool, bool, dict]:
        self.state["hand"] |= VERBS[action] == "take"
        self.state["chest"] |= VERBS[action] == "open" and self.state["hand"]
        return dict(self.state), 0.0, False, False, {}


def main(quick: bool = False) -> Report:
    """Teach the examples, tell the goal, and act; it is quick as it is."""
    agent = Agent(Chest(), llm=None, model="none")
    report = FewShotDynamics(environment="chest", examples=EXAMPLES).teach(agent)
    agent.tell("achieve chest == open")
    print(report, agent.run(episodes=1, max_steps=5, unseen=False), sep="\n")
    agent.close()
    return report


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
