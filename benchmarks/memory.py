"""Memory feeding the world model, on and off: the past beside it, and replay by recency and by surprise.

    python benchmarks/memory.py [--quick] [--seed 0] [--seeds 3] [--json PATH] [--worlds doorkey,cartpole]
                                [--parts error,use,speed]

After 50, 200 and 1,000 random transitions of a world, the error on transitions that nobody learned from, one step ahead
and ten open loop: DoorKey (6x6, test layouts of their own, share of states that are not exact) and CartPole (root mean
square, in standard deviations of the change over as many steps). `use` plays with and without the past; `speed` times
an imagined step. Settings were settled on seeds from 9000 on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import gymnasium as gym
import minigrid  # noqa: F401 - registers the environments
import torch
from common import Figures, options

import gedanken
from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.agent.planning.plan import Budget
from gedanken.world import tree
from gedanken.world.model import Batch, WorldModel, begin, rollout
from gedanken.world.models.persistence import Persistence
from gedanken.world.neighbours import Neighbours, NeighboursConfig
from gedanken.world.neighbours.weighing import Weights
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


ARMS: dict[str, dict[str, float]] = {"uniform": {}, "recent": {"recent": 0.25}, "surprising": {"surprising": 0.25}}
"""How a training draws its batches."""


def error(figures: Figures, name: str, seeds: range, sizes: tuple[int, ...], arms: list[str]) -> None:
    """The model alone, trained on each kind of replay, and the first of them with the past beside it."""
    world, rows = WORLDS[name], dict[str, list[float]]()
    unseen = probe(world, 600, 10)
    for seed in seeds:
        for arm in arms:
            agent = learner(replace(world, training=replace(world.training, **ARMS[arm])), seed)
            for size in sizes:
                agent.learn(size - len(agent.mind.memory), train=False)
                agent.train()
                models = {f"replay {arm}": agent.mind.learned}
                if arm == "uniform":
                    models["the past beside it"] = beside(agent, agent.mind.learned)
                    models["the past alone"] = beside(agent, Persistence(agent.schema))
                for kind, model in models.items():
                    for ahead, value in zip(("1 step", "10 steps"), errors(model, unseen), strict=True):
                        rows.setdefault(f"{name} after {size}, {ahead}: {kind}", []).append(value)
                print(f"    {name}, seed {seed}, {arm}, after {size}: "
                      + "; ".join(f"{k} {rows[f'{name} after {size}, 1 step: {k}'][-1]:.3f} "
                                  f"{rows[f'{name} after {size}, 10 steps: {k}'][-1]:.3f}" for k in models), flush=True)
    for label, values in sorted(rows.items(), key=lambda row: (int(row[0].split()[2][:-1]), row[0])):
        figures.add(label, values, world.unit)


def beside(agent: gedanken.Agent, model: WorldModel) -> WorldModel:
    """The agent's past beside a model."""
    lived = agent.experience.everything()
    assert lived is not None
    return Neighbours.of(model, lived, agent.experience.first(2_048, held_out=True))


def use(figures: Figures, name: str, seeds: range, sizes: tuple[int, ...], episodes: int) -> None:
    """What an agent comes to: DoorKey told its rules, solved by search; CartPole's return, of 200, by CEM."""
    world = WORLDS[name]
    for size in sizes:
        for arm, config in (("without the past", None), ("with the past", NeighboursConfig())):
            found = []
            for seed in seeds:
                agent = learner(world, seed, neighbours=config, budget=Budget(transitions=8_000, seconds=3.0))
                if world.manual:
                    agent.tell(MANUAL.read_text(), source="manual")
                agent.learn(size)
                played = agent.run(episodes, seeds=[TEST_SEED + 1 + k for k in range(episodes)], max_steps=200)
                found.append(played.solved / episodes if world.manual else played.mean_return)
                print(f"    {name}, seed {seed}, after {size}, {arm}: {found[-1]:.3g}", flush=True)
            unit = "share solved" if world.manual else "return"
            figures.add(f"{name} after {size}, {arm}", found, unit)


def speed(figures: Figures, name: str, seed: int, sizes: tuple[int, ...], rows: int = 1_024, steps: int = 10) -> None:
    """Imagined steps a second, and what the past takes of them where it has a weight: of a model that knows nothing."""
    world, rng = WORLDS[name], torch.Generator().manual_seed(0)
    agent = learner(replace(world, training=replace(world.training, steps=20, min_steps=1)), seed)
    for size in sizes:
        agent.learn(size - len(agent.mind.memory), train=False)
        if not agent.trained_on:
            agent.train()
        lived = agent.experience.everything()
        assert lived is not None
        plain = agent.mind.learned
        recalling = Neighbours.of(plain, lived, None)
        recalling.weights = Weights(recalling.weights.edges, torch.full_like(recalling.weights.share, 0.5))
        index = torch.randint(len(lived.mask), (rows,), generator=rng)
        start = {k: v[index] for k, v in lived.features_at(0).items()}
        actions = lived.action[:, 0][torch.randint(len(lived.mask), (steps, rows), generator=rng)]
        rate = {}
        for kind, model in (("alone", plain), ("with the past", recalling)) * 2:  # the first round warms up
            began = time.perf_counter()
            rollout(model, begin(model, start), actions)
            rate[kind] = rows * steps / (time.perf_counter() - began)
        label = f"{name}, {len(recalling.memory)} rows of {size}"
        for kind, value in rate.items():
            figures.add(f"{label}: {kind}", [value], "steps/s")
        figures.add(f"{label}: ratio", [rate["with the past"] / rate["alone"]], "ratio")


def main() -> None:
    args = options(
        __doc__ or "",
        worlds=(str, ",".join(WORLDS), "which worlds"),
        parts=(str, "error,use,speed", "which parts to run"),
        arms=(str, ",".join(ARMS), "which kinds of replay, the first of them uniform"),
        sizes=(str, ",".join(map(str, SIZES)), "transitions lived"),
        seeds=(int, 3, "training seeds"),
        episodes=(int, 10, "episodes played"),
    )
    torch.set_num_threads(1)
    figures, seeds = Figures(), range(args.seed, args.seed + (1 if args.quick else args.seeds))
    sizes = (50,) if args.quick else tuple(int(s) for s in args.sizes.split(","))
    for name in ("cartpole",) if args.quick else args.worlds.split(","):
        if "error" in args.parts:
            error(figures, name, seeds, sizes, ["uniform"] if args.quick else args.arms.split(","))
        if "use" in args.parts:
            use(figures, name, seeds, tuple(s for s in sizes if s <= 200), 2 if args.quick else args.episodes)
        if "speed" in args.parts:
            speed(figures, name, args.seed, sizes)
    figures.write(args.json)


if __name__ == "__main__":
    main()
