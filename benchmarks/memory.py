"""Each feed of memory on and off: the past beside the world model, replay by recency and surprise, examples in a prompt.

    python benchmarks/memory.py [--quick] [--seed 0] [--seeds 3] [--json PATH] [--worlds doorkey,cartpole]
                                [--parts error,use,speed]

After 50, 200 and 1,000 random transitions of a world, the error on transitions that nobody learned from, one step ahead
and ten open loop: DoorKey (6x6, test layouts of their own, share of states that are not exact) and CartPole (root mean
square, in standard deviations of the change over as many steps). `use` plays with and without the past; `speed` times
an imagined step. Settings were settled on seeds from 9000 on.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import gymnasium as gym
import minigrid  # noqa: F401 - registers the environments
import torch
from common import Figures, options
from torch import Tensor

import gedanken
from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.world import tree
from gedanken.world.model import Batch, WorldModel, begin, rollout
from gedanken.world.neighbours import Neighbours
from gedanken.world.training import TrainingConfig, exact

MANUAL = Path(__file__).parents[1] / "examples" / "doorkey" / "manual.txt"
TEST_SEED = 90_000_000
SIZES = (50, 200, 1_000)


@dataclass(frozen=True)
class World:
    """A world, its model, how that is trained, and how an agent plays in it."""

    name: str
    model: str
    training: TrainingConfig
    unit: str
    planner: Callable[[], object]
    manual: bool = False


WORLDS = {
    "doorkey": World("MiniGrid-DoorKey-6x6-v0", "slots",
                     TrainingConfig(steps=300, min_steps=200, check_every=50, patience=3), "share wrong",
                     lambda: "auto", True),
    "cartpole": World("CartPole-v1", "ensemble",
                      TrainingConfig(steps=400, min_steps=200, batch=128, length=1, check_every=50, patience=3),
                      "sd of change", lambda: CEM(CEMConfig(horizon=30, samples=48, iterations=1))),
}


def learner(world: World, seed: int, **config: object) -> gedanken.Agent:
    """An agent that has lived nothing yet."""
    settings = gedanken.AgentConfig(training=world.training, train_every=10**9, **config)  # type: ignore[arg-type]
    return gedanken.Agent(gym.make(world.name), llm=None, model=world.model, planner=world.planner(),  # type: ignore[arg-type]
                          seed=seed, config=settings)


def probe(world: World, steps: int, ahead: int) -> Batch:
    """Sequences of random actions that no agent learns from."""
    env = gym.make(world.name)
    agent = gedanken.Agent(env, llm=None, model="none", seed=TEST_SEED, config=gedanken.AgentConfig(holdout=0.0))
    agent.learn(steps, train=False)
    batch = agent.experience.batch(256, ahead, torch.Generator().manual_seed(1))
    assert batch is not None
    return tree.take(batch, batch.mask.all(1).nonzero()[:, 0])


def errors(model: WorldModel, unseen: Batch) -> tuple[float, float]:
    """The error one step ahead and at the end of the sequences, open loop."""
    future = rollout(model, begin(model, unseen.features_at(0)), unseen.action.transpose(0, 1))
    found = []
    for t in (1, unseen.mask.shape[1]):
        after, said = unseen.features_at(t), {k: v[t] for k, v in future.features.items()}
        if all(f.is_discrete for f in model.schema.features):
            found.append(1 - float(exact(said, after).float().mean()))
        else:
            start = unseen.features_at(0)
            ratios = [(said[k] - v).square().mean() / (v - start[k]).var() for k, v in after.items()]
            found.append(float(torch.stack(ratios).mean().sqrt()))
    return found[0], found[1]
