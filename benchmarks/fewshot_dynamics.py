"""Few examples of a world never trained in: how often the goal is reached after 0, 5, 10 and 20 of them.

    python benchmarks/fewshot_dynamics.py [--quick] [--seed N] [--json PATH]

The examples are random transitions, their choice is what the seed changes. The same agent plans on rules alone (model
"none"), on those read from the examples or on those the miner finds in as many.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from common import Figures, options
from gymnasium import spaces

from gedanken import Agent, Feature, Schema
from gedanken.agent.config import AgentConfig
from gedanken.agent.fewshot import FewShotDynamics
from gedanken.agent.planning.plan import Budget

State = dict[str, Any]


class Small(gymnasium.Env):
    """A world of named features: `begin` gives the first state, `change` the next."""

    schema: ClassVar[Schema]
    goal: ClassVar[str]
    observation_space = spaces.Dict()

    def begin(self) -> State:
        raise NotImplementedError

    def change(self, s: State, action: Any) -> State:
        raise NotImplementedError

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[State, dict]:
        super().reset(seed=seed)
        self.state = self.begin()
        return dict(self.state), {}

    def step(self, action: Any) -> tuple[State, float, bool, bool, dict]:
        self.state = self.change(dict(self.state), action)
        return dict(self.state), 0.0, False, False, {}


def codes(features: tuple[Feature, ...]) -> Any:
    """Perception of a state by value names."""
    def perceive(observation: Mapping[str, Any], env: gymnasium.Env | None) -> dict[str, Any]:
        return {f.name: f.values.index(observation[f.name]) if f.values else observation[f.name] for f in features}
    return perceive


def small(name: str, features: tuple[Feature, ...], action: Feature) -> Schema:
    act = (lambda row: int(row[0])) if action.is_discrete else (lambda row: np.asarray(row, np.float32))
    return Schema(name, features, (action,), codes(features), act)


class Workshop(Small):
    """A lamp shows which chest holds the key; the key opens the door."""

    verbs = ("flip", "take", "open", "wait")
    schema = small("workshop", (Feature("lamp", "boolean"), Feature("hand", "category", values=("empty", "key")),
                                Feature("door", "category", values=("locked", "open")),
                                Feature("weather", "category", values=("dry", "wet"))),
                   Feature("action", "category", values=verbs))
    action_space = spaces.Discrete(4)
    goal = "achieve door == open"

    def begin(self) -> State:
        return {"lamp": bool(self.np_random.integers(2)), "hand": "empty", "door": "locked",
                "weather": str(self.np_random.choice(["dry", "wet"]))}

    def change(self, s: State, action: Any) -> State:
        verb = self.verbs[int(action)]
        if verb == "flip":
            s["lamp"] = not s["lamp"]
        elif verb == "take" and s["lamp"]:
            s["hand"] = "key"
        elif verb == "open" and s["hand"] == "key":
            s["door"] = "open"
        return s


class Corridor(Small):
    """Walking goes two cells to the east and one back; the far end is a place to ring the bell."""

    verbs = ("east", "west", "ring")
    schema = small("corridor", (Feature("x", "integer", low=0, high=12), Feature("bell", "boolean")),
                   Feature("action", "category", values=verbs))
    action_space = spaces.Discrete(3)
    goal = "achieve bell"

    def begin(self) -> State:
        return {"x": int(self.np_random.integers(0, 10)), "bell": False}

    def change(self, s: State, action: Any) -> State:
        verb = self.verbs[int(action)]
        if verb == "ring":
            s["bell"] = s["bell"] or s["x"] >= 9
        elif verb == "east" and s["x"] + 2 <= 12:
            s["x"] += 2
        elif verb == "west" and s["x"] >= 1:
            s["x"] -= 1
        return s


class Tank(Small):
    """A valve fills and empties a tank that leaks a tenth of its level."""

    schema = small("tank", (Feature("level", low=0, high=10), Feature("rain", low=0, high=1)),
                   Feature("valve", low=-1, high=1))
    action_space = spaces.Box(np.float32(-1), np.float32(1), (1,))
    goal = "achieve 6 < level < 6.5"

    def begin(self) -> State:
        return {"level": float(self.np_random.uniform(1, 4)), "rain": float(self.np_random.uniform(0, 1))}

    def change(self, s: State, action: Any) -> State:
        s["level"] = float(np.clip(0.9 * s["level"] + 1.5 * float(np.asarray(action).reshape(-1)[0]), 0, 10))
        return s


def reached(world: type[Small], examples: int, way: str, seed: int, episodes: int) -> float:
    """The share of episodes that reach the goal, after so many random transitions."""
    config = AgentConfig(budget=Budget(transitions=300, seconds=0.05))
    agent = Agent(world(), llm=None, model="none", config=config, seed=seed)
    try:
        if examples:
            agent.config = AgentConfig(budget=config.budget, layout_steps=5, episode_steps=8)
            agent.learn(steps=examples, train=False)
            seen = agent.mind.memory.transitions().take(slice(0, examples))
            if way == "examples":
                FewShotDynamics.of(seen, agent.schema).teach(agent)
            else:
                agent.propose()
        agent.tell(world.goal)
        result = agent.run(episodes=episodes, max_steps=8, seed=1_000 + 100 * seed, unseen=False)
        return result.solved / episodes
    finally:
        agent.close()


def main() -> None:
    """Print a row for each world, way and number of examples."""
    warnings.filterwarnings("ignore")
    chosen = options(__doc__ or "")
    figures, seeds, episodes = Figures(), 2 if chosen.quick else 3, 1 if chosen.quick else 3
    for world in (Workshop, Corridor, Tank):
        for way in ("examples", "miner"):
            for count in (0, 5, 10, 20):
                if count or way == "examples":
                    shares = [reached(world, count, way, chosen.seed + k, episodes) for k in range(seeds)]
                    figures.add(f"{world.schema.name}: reached, {count} transitions, {way if count else 'none'}",
                                shares, "share")
    figures.write(chosen.json)


if __name__ == "__main__":
    main()
