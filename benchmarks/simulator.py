"""What imagining with clones costs, and whether it leaks.

    python benchmarks/simulator.py [--quick] [--seed 0] [--json PATH]

*Cost*: one step of a `Simulator` (clone, reseed, step, perceive) against one bare step of the same environment, in the
same run, in processor time; random actions, 64 rows. *Memory*: clones alive after each of the decisions (3 steps of 4
futures, then a real step), at most; and how much the resident set grows from the first fifth of them to the last.
"""

from __future__ import annotations

import gc
import time
import weakref
from typing import ClassVar

import gymnasium as gym
import torch
from common import Figures, options
from memory_bounds import MB, resident

from gedanken.world import tree
from gedanken.world.model import begin, rollout
from gedanken.world.models.simulator import Copies, Simulator
from gedanken.world.trial import random_actions

WORLDS = ("CartPole-v1", "Pendulum-v1", "FrozenLake-v1", "MiniGrid-DoorKey-8x8-v0", "Hopper-v5")
ROWS = 64


class Counted(Copies):
    """Copies that are counted as long as they live."""

    alive: ClassVar[weakref.WeakSet[gym.Env]] = weakref.WeakSet()

    def save(self, env: gym.Env) -> gym.Env:
        self.alive.add(copy := super().save(env))
        return copy


def cost(id: str, steps: int, seed: int) -> tuple[float, float]:
    """Microseconds of a cloned step, and of a bare one."""
    env = gym.make(id)
    model = Simulator(env)
    observation, _ = env.reset(seed=seed)
    state = begin(model, model.schema.batch([model.schema.observe(observation, env)]))
    rng = torch.Generator().manual_seed(seed)
    actions = random_actions(model.schema, (steps, ROWS), rng)
    began = time.process_time()
    rollout(model, tree.repeat(state, ROWS), actions, rng=rng)
    cloned = (time.process_time() - began) / (steps * ROWS)
    natives = [model.schema.act(a.numpy()) for a in actions.flatten(0, 1)]
    began = time.process_time()
    for native in natives:
        _, _, terminated, truncated, _ = env.step(native)
        if terminated or truncated:
            env.reset()
    return cloned * 1e6, (time.process_time() - began) / len(natives) * 1e6


def memory(decisions: int, seed: int) -> tuple[float, float]:
    """The most clones alive after a decision, and the growth of the resident set in MB."""
    env = gym.make("CartPole-v1")
    model = Simulator(env, cloning=Counted())
    observation, _ = env.reset(seed=seed)
    state = begin(model, model.schema.batch([model.schema.observe(observation, env)]))
    rng, most, sizes = torch.Generator().manual_seed(seed), 0, []
    for k in range(decisions):
        actions = random_actions(model.schema, (3, 4), rng)
        rollout(model, tree.repeat(state, 4), actions, rng=rng)
        observation, _, terminated, truncated, _ = env.step(int(actions[0, 0]))
        if terminated or truncated:
            observation, _ = env.reset()
        state = model.observe(state, actions[0, :1], model.schema.batch([model.schema.observe(observation, env)]))
        most = max(most, len(Counted.alive))
        if k % max(1, decisions // 20) == 0:
            gc.collect()
            sizes.append(resident() / MB)
    fifth = len(sizes) // 5
    return float(most), sum(sizes[-fifth:]) / fifth - sum(sizes[:fifth]) / fifth


def main() -> None:
    given = options("what imagining with clones costs")
    torch.set_num_threads(1)
    figures = Figures()
    for id in WORLDS:
        try:
            if id.startswith("MiniGrid"):
                import minigrid  # noqa: F401 - registers its environments
            pairs = [cost(id, 5 if given.quick else 30, given.seed + k) for k in range(2 if given.quick else 5)]
        except (ImportError, gym.error.DependencyNotInstalled):
            continue
        figures.add(f"{id}: a cloned step", [cloned for cloned, _ in pairs], "us")
        figures.add(f"{id}: against a bare step", [cloned / bare for cloned, bare in pairs], "x")
    most, growth = memory(300 if given.quick else 10_000, given.seed)
    figures.add("clones alive after a decision, at most", [most], "clones")
    figures.add("growth over the decisions", [growth], "MB")
    figures.write(given.json)


if __name__ == "__main__":
    main()
