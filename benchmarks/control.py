"""Classic control learned while acting: the return of 20 episodes after a fixed number of interactions.

    python benchmarks/control.py [--quick] [--parts pendulum,cartpole,car,acrobot] [--seed 0] [--seeds 5]
                                 [--folder DIR] [--json PATH]

One agent a seed (`model="ensemble"`, CEM) lives `interactions` steps of the environment, the first few at random, the
rest as planned, with its model trained again every so often. Reward and end are learned; nothing is told. Then it plays
20 episodes from seeds of their own, planned for side by side, without learning. With `--folder`, the agent is saved
after every training and the result at the end: a run that was broken off goes on, what is done is not done again.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from common import Figures, options

import gedanken
from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.world.model import begin
from gedanken.world.training import TrainingConfig

TEST_SEED = 80_000_000


@dataclass(frozen=True)
class Part:
    """A world, what is to be reached in it, and the settings (settled on seeds from 9000 on)."""

    world: str
    goal: float
    interactions: int
    first: int  # steps at random before there is a model
    every: int  # steps from one training to the next
    planner: CEMConfig
    agent: dict[str, Any] = field(default_factory=dict)


TRAINING = TrainingConfig(steps=500, min_steps=300, batch=128, length=1, rate=3e-3, patience=3)
PARTS = {
    "pendulum": Part("Pendulum-v1", -200, 2_000, 200, 200,
                     CEMConfig(horizon=20, samples=96, iterations=1, colour=1.0)),
    "cartpole": Part("CartPole-v1", 475, 1_500, 250, 250, CEMConfig(horizon=30, samples=48, iterations=1),
                     {"caution": 0.05}),
    "car": Part("MountainCarContinuous-v0", 90, 5_000, 250, 250,
                CEMConfig(horizon=80, repeat=8, samples=48, iterations=2, spread=1.0),
                {"exploration": "curious", "curiosity": 0.3, "holdout": 0.0}),
    "acrobot": Part("Acrobot-v1", -100, 5_000, 500, 500, CEMConfig(horizon=64, repeat=4, samples=64, iterations=2),
                    {"exploration": "curious", "curiosity": 0.1}),
}


def main() -> None:
    args = options(
        __doc__ or "",
        parts=(str, ",".join(PARTS), "which ones, comma between them"),
        seeds=(int, 5, "training seeds"),
        folder=(Path, None, "where agents and results are kept"),
    )
    torch.set_num_threads(1)
    figures = Figures()
    for name in ("cartpole",) if args.quick else args.parts.split(","):
        part, found = PARTS[name], []
        for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
            found.append(result(name, seed, args.folder, args.quick))
        goal = f">= {part.goal:g}"
        figures.add(f"{part.world}: return after {part.interactions}", [r["return"] for r in found], "", goal)
        figures.add(f"{part.world}: seeds that reach it", [float(r["return"] >= part.goal) for r in found], "share")
        figures.add(f"{part.world}: learning", [r["learning"] for r in found], "s")
        figures.add(f"{part.world}: 20 episodes", [r["playing"] for r in found], "s")
    figures.write(args.json)


def result(name: str, seed: int, folder: Path | None, quick: bool) -> dict[str, Any]:
    """What a part comes to with a seed: the mean return, the returns, and the seconds it took; kept in `folder`."""
    if folder is None or quick:
        return run(PARTS[name], seed, None, quick)
    kept = folder / f"{name}-{seed}.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(run(PARTS[name], seed, folder / f"{name}-{seed}", quick)) + "\n")
    return json.loads(kept.read_text())


def run(part: Part, seed: int, folder: Path | None, quick: bool) -> dict[str, Any]:
    """Learn, then play."""
    config = gedanken.AgentConfig(train_every=part.every, training=TRAINING, **part.agent)
    shared: dict[str, Any] = {"llm": None, "planner": CEM(part.planner), "config": config}
    if folder is not None and folder.exists():
        agent = gedanken.Agent.load(folder, gym.make(part.world), **shared)
    else:
        agent = gedanken.Agent(gym.make(part.world), model="ensemble", seed=seed, **shared)
    began = time.perf_counter()
    while (lived := len(agent.mind.memory)) < (part.first if quick else part.interactions):
        more = min(part.every if lived else part.first, part.interactions - lived)
        agent.learn(more, random=not lived)
        if folder is not None:
            agent.save(folder)
        paid = agent.mind.memory.transitions().reward[-more:]
        print(f"    seed {seed}: {lived + more} steps, {time.perf_counter() - began:.0f} s, paid {paid.sum():.1f}, "
              f"most {paid.max():.1f}", flush=True)
    learning, began = time.perf_counter() - began, time.perf_counter()
    returns = play(agent, part.world, 4 if quick else 20)
    print(f"    seed {seed}: {[round(r) for r in returns]}", flush=True)
    return {"return": sum(returns) / len(returns), "returns": returns, "learning": round(learning, 1),
            "playing": round(time.perf_counter() - began, 1)}


@torch.no_grad()
def play(agent: gedanken.Agent, world: str, episodes: int) -> list[float]:
    """The returns of `episodes` episodes, planned for side by side as `Agent.run` plans for one."""
    worlds, schema, model = [gym.make(world) for _ in range(episodes)], agent.schema, agent.mind.imagining
    seen = [schema.observe(w.reset(seed=TEST_SEED + k)[0], w) for k, w in enumerate(worlds)]
    returns, over = [0.0] * episodes, [False] * episodes
    state, objective, carry = begin(model, schema.batch(seen)), agent.objective(), agent.planner.initial(episodes)
    rng = torch.Generator().manual_seed(agent.seed)
    while not all(over):
        plan = agent.planner.plan(model, state, objective, carry, rng, agent.config.budget)
        action, carry = schema.clamp(plan.action), plan.carry
        for k, w in enumerate(worlds):
            if not over[k]:
                observation, reward, terminated, truncated, _ = w.step(schema.act(action[k].numpy()))
                seen[k], over[k] = schema.observe(observation, w), terminated or truncated
                returns[k] += float(reward)
        state = model.observe(state, action, schema.batch(seen))
    return returns


if __name__ == "__main__":
    main()
