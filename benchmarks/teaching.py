"""Rules teach the model, measured: what stays of the told behaviour when the rules are dropped, what else got worse,
and whether what the data contradict is unlearned.

    python benchmarks/teaching.py [--quick] [--seed N] [--json PATH]

A corridor of ten places with a lamp and a key that is never held in the data. Told, and never seen: who presses with
the key lights the lamp; the corridor is a ring. Every state and action is scored (the world is small enough), by the
learned model alone. Then the key is held and the end reached, and neither is so: both rules are contradicted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from common import Figures, options

import gedanken
from gedanken.world.model import begin
from gedanken.world.schema import Feature, Schema
from gedanken.world.teaching import TeachingConfig
from gedanken.world.training import TrainingConfig

LIGHTS = "expect lamp' == true if action == press and key == true"
RING = "expect x' == 0 if action == right and x == 9"


class Corridor(gym.Env):
    """Left and right move; press turns the lamp off. The data never hold the key unless `key`, nor reach the end."""

    def __init__(self, key: bool = False) -> None:
        self.observation_space, self.action_space = gym.spaces.MultiDiscrete([10, 2, 2]), gym.spaces.Discrete(3)
        self.key = key
        self.schema = Schema(
            "corridor", (Feature("x", "integer", low=0, high=9), Feature("lamp", "boolean"), Feature("key", "boolean")),
            (Feature("action", "category", values=("left", "right", "press")),),
            lambda seen, env: {"x": seen[0], "lamp": bool(seen[1]), "key": bool(seen[2])}, lambda row: int(row[0]))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        lamp, key = self.np_random.integers(2), self.key and self.np_random.integers(2)
        self.state = np.array([self.np_random.integers(9), lamp, key])
        self.t = 0
        return self.state.copy(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.t += 1
        if action == 2:
            self.state[1] = 0
        else:
            self.state[0] = np.clip(self.state[0] + (1 if action else -1), 0, 9)
        return self.state.copy(), 0.0, False, self.t >= 10 or (not self.key and self.state[0] == 8), {}


def everything(schema: Schema) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """All states and actions there are."""
    grid = torch.cartesian_prod(torch.arange(10), torch.arange(2), torch.arange(2), torch.arange(3))
    now = {"x": grid[:, 0].int(), "lamp": grid[:, 1].bool(), "key": grid[:, 2].bool()}
    return now, grid[:, 3:]


def scores(agent: gedanken.Agent) -> dict[str, float]:
    """How much the model alone gets right: of what it was told, of what the data show, and of the rest (the key held,
    of which nothing was told: it should not matter)."""
    now, action = everything(agent.schema)
    x, lamp, key, a = now["x"].long(), now["lamp"], now["key"], action[:, 0]
    _, out = agent.mind.learned.step(begin(agent.mind.learned, now), action)
    moved = torch.where((a == 1) & (x == 9), 0, (x + (a == 1).long() - (a == 0).long()).clamp_min(0))
    lit = torch.where(a == 2, key, lamp)
    at, on, held = out.mode["x"].long() == moved, out.mode["lamp"] == lit, out.mode["key"] == key
    right = at & on & held
    pressed, end, seen = (a == 2) & key, (a == 1) & (x == 9), ~key & (x < 8)
    return {"told: lamp": float(on[pressed].float().mean()), "told: ring": float(at[end].float().mean()),
            "seen": float(right[seen].float().mean()),
            "rest": float(right[~pressed & ~end & ~seen & (x < 8)].float().mean()),
            "not so: lamp": float((~out.mode["lamp"])[pressed].float().mean()),
            "not so: ring": float((out.mode["x"] == 9)[end].float().mean())}


def run(
    model: str, seed: int, steps: int, teaching: TeachingConfig | None
) -> tuple[dict[str, float], dict[str, float]]:
    """The scores after learning from the data without the key, and after the data that contradict the rule."""
    config = gedanken.AgentConfig(teaching=teaching, training=replace(
        TrainingConfig(), steps=steps, min_steps=steps, batch=16, length=3, check_every=steps))
    agent = gedanken.Agent(Corridor(), llm=None, model=model, seed=seed, config=config)
    agent.tell(f"{LIGHTS}\n{RING}")
    agent.learn(600, envs=4)
    first = scores(agent)
    agent.learn(600, envs=[Corridor(key=True) for _ in range(4)])
    return first, scores(agent)


def main() -> None:
    args = options(str(__doc__), model=(str, "recurrent", "which world model is taught"))
    torch.set_num_threads(1)
    seeds, steps = (1, 120) if args.quick else (3, 150)
    figures = Figures()
    for name, teaching in (("data alone", None), ("taught", TeachingConfig())):
        found = [run(args.model, args.seed + k, steps, teaching) for k in range(seeds)]
        for when, part in (("told", 0), ("contradicted", 1)):
            for score in found[0][part]:
                figures.add(f"{name}, {when}: {score}", [f[part][score] for f in found], "of 1")
    figures.write(args.json)


if __name__ == "__main__":
    main()
