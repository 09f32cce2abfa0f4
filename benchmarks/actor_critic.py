"""Planners that learn in imagination: learning curves, what a decision costs, and what a told limit does to a policy.

    python benchmarks/actor_critic.py [--quick] [--seed 0] [--seeds 3] [--only curve] [--folder F] [--json PATH]

- curve: CartPole-v1, an actor-critic trained in the recurrent model: 500 random interactions, then 500 and 500 more as
  planned, trained after each; the likeliest actions are scored over 20 episodes that nothing learns from.
- grid: FrozenLake 4x4 (not slippery), 600 random interactions, told to achieve the goal cell; every planner that fits.
- planners: the world model that the curve ends with; CEM and the planners that learn, return and ms a decision.
- avoid: the same model, told `avoid abs(cart_position) > 0.3` or not: how often the bare policy, no shield, is beyond.
- speed: one gradient step of the actor-critic, 1,024 dreams of 15 steps, and where its time goes.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import torch
from common import Figures, options

import gedanken
from gedanken.agent.planning.actor_critic import ActorCritic, ActorCriticConfig
from gedanken.agent.planning.cem import CEM
from gedanken.agent.planning.deep_dyna import DeepDyna, DeepDynaConfig
from gedanken.agent.planning.dream import dream, starts
from gedanken.agent.planning.plan import Planner
from gedanken.agent.planning.search import Search
from gedanken.world.model import begin
from gedanken.world.models.recurrent import Recurrent
from gedanken.world.training import TrainingConfig

TEST_SEED = 70_000_000
LIMIT = 0.3
RULE = f"avoid abs(cart_position) > {LIMIT}"


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 3, "training seeds"), only=(str, "", "one part: curve, grid, ..."),
                   folder=(Path, None, "where the agents of the curve are kept, to go on with after an interrupt"))
    torch.set_num_threads(1)
    figures, seeds = Figures(), range(args.seed, args.seed + (1 if args.quick else args.seeds))
    parts = {"grid": grid, "planners": planners, "avoid": avoid, "speed": speed}
    with tempfile.TemporaryDirectory() as aside:
        if args.only in ("", "curve"):
            curve(figures, list(seeds), args.quick, args.folder or Path(aside))
        for name, part in parts.items():
            if args.only in ("", name):
                part(figures, list(seeds), args.quick, args.folder or Path(aside))
    figures.write(args.json)


def curve(figures: Figures, seeds: list[int], quick: bool, folder: Path) -> None:
    """Return after so many real interactions. A seed whose agent is in `folder` goes on from there."""
    stages = (100, 150, 200) if quick else (500, 1_000, 1_500)
    rows: dict[int, list[float]] = {}
    for seed in seeds:
        home = folder / f"curve-{seed}"
        home.mkdir(parents=True, exist_ok=True)
        known = home / "returns.json"
        returns: dict[str, float] = json.loads(known.read_text()) if known.exists() else {}
        agent = (gedanken.Agent.load(home, gym.make("CartPole-v1"), config=settings(quick)) if returns
                 else cartpole(seed, ActorCritic(ActorCriticConfig(steps=20 if quick else 250)), quick, home))
        for lived in stages:
            if str(lived) not in returns:
                agent.learn(lived - len(agent.mind.memory), random=lived == stages[0], train=False)
                agent.train()
                agent.save(home)
                known.write_text(json.dumps(returns := returns | {str(lived): score(agent)[0]}))
            rows.setdefault(lived, []).append(returns[str(lived)])
            print(f"    seed {seed}: {lived} interactions, return {returns[str(lived)]:.0f}", flush=True)
        agent.close()
    for lived, found in rows.items():
        figures.add(f"CartPole, actor-critic: return after {lived}", found, "steps",
                    ">= 475" if lived == stages[-1] else "")


def grid(figures: Figures, seeds: list[int], quick: bool, folder: Path) -> None:
    """A told goal on a small grid, by every planner that fits one model."""
    arms: dict[str, Callable[[], Planner]] = {
        "search": Search, "cem": CEM,
        "actor_critic": lambda: ActorCritic(ActorCriticConfig(steps=20 if quick else 300, greedy=True)),
        "deep_dyna": lambda: DeepDyna(DeepDynaConfig(steps=20 if quick else 400, epsilon=0.0))}
    reached: dict[str, list[float]] = {name: [] for name in arms}
    costs: dict[str, list[float]] = {name: [] for name in arms}
    for seed in seeds:
        agent = made(gym.make("FrozenLake-v1", is_slippery=False), seed, quick)
        agent.tell("achieve row == 3 and col == 3")
        agent.learn(100 if quick else 600)
        for name, planner in arms.items():
            agent.planner = planner()
            agent.improve()
            result = agent.variant().run(1, seeds=[TEST_SEED], max_steps=20)
            reached[name].append(result.solved)
            costs[name].append(1e3 * result.episodes[0].seconds / max(1, result.episodes[0].steps))
            print(f"    seed {seed}, {name}: {result.solved}, {costs[name][-1]:.1f} ms", flush=True)
    for name in arms:
        figures.add(f"FrozenLake, {name}: goal reached", reached[name], "share", "1")
        figures.add(f"FrozenLake, {name}: a step of the whole loop", costs[name], "ms")


def planners(figures: Figures, seeds: list[int], quick: bool, folder: Path) -> None:
    """One model, several planners: the return of 200 steps, and what a decision costs."""
    arms = {"cem": None, "actor_critic": ActorCriticConfig(steps=20 if quick else 300, greedy=True),
            "deep_dyna": DeepDynaConfig(steps=20 if quick else 600, epsilon=0.0)}
    returns: dict[str, list[float]] = {name: [] for name in arms}
    costs: dict[str, list[float]] = {name: [] for name in arms}
    for seed in seeds:
        agent = experienced(seed, quick, folder)
        for name, config in arms.items():
            if isinstance(config, ActorCriticConfig):
                agent.planner = ActorCritic(config)
            elif isinstance(config, DeepDynaConfig):
                agent.planner = DeepDyna(config)
            agent.improve()
            other = agent.variant()
            most = 20 if quick else 200
            result = other.run(2, seeds=[TEST_SEED, TEST_SEED + 1], max_steps=most)
            returns[name].append(result.mean_return)
            plan, start = other.planner, begin(other.mind.imagining, other.mind.features)
            began = time.perf_counter()
            for _ in range(10):
                plan.plan(other.mind.imagining, start, other.objective(), None, other.mind.rng, None)
            costs[name].append(1e2 * (time.perf_counter() - began))
            print(f"    seed {seed}, {name}: {returns[name][-1]:.0f}, {costs[name][-1]:.1f} ms", flush=True)
    for name in arms:
        figures.add(f"CartPole, {name}: return (of 200)", returns[name], "steps")
        figures.add(f"CartPole, {name}: a decision", costs[name], "ms")


def avoid(figures: Figures, seeds: list[int], quick: bool, folder: Path) -> None:
    """What a told limit does to the policy itself."""
    rows: dict[str, list[list[float]]] = {"not told": [], "told": []}
    for seed in seeds:
        agent = experienced(seed, quick, folder)
        for arm in rows:
            if arm == "told":
                agent.tell(RULE)
            agent.planner = ActorCritic(ActorCriticConfig(steps=20 if quick else 300))
            agent.improve()
            rows[arm].append(list(score(agent)))
            print(f"    seed {seed}, {arm}: return {rows[arm][-1][0]:.0f}, beyond {rows[arm][-1][1]:.1%}", flush=True)
    for arm, found in rows.items():
        figures.add(f"CartPole, {arm}: steps beyond {LIMIT}", [b for _, b in found], "share", "0" * (arm == "told"))
        figures.add(f"CartPole, {arm}: return", [r for r, _ in found], "steps")


def speed(figures: Figures, seeds: list[int], quick: bool, folder: Path) -> None:
    """A gradient step at the size of the issue's table, in the refined recurrent model."""
    agent = cartpole(seeds[0], ActorCritic(ActorCriticConfig(sequences=64, length=16)), quick)
    agent.tell(RULE)
    agent.learn(200, train=False)
    model, objective, rng = agent.mind.imagining, agent.objective(), agent.mind.rng
    agent.improve(steps=2)
    assert isinstance(agent.planner, ActorCritic)
    assert agent.planner.learned is not None
    networks, whole, dreams, rows = agent.planner.learned.networks, [], [], []
    for _ in range(2 if quick else 8):
        began = time.perf_counter()
        agent.improve(steps=1)
        whole.append(1e3 * (time.perf_counter() - began))
        start = starts(model, agent.experience.batch(64, 16, rng), objective, rng)  # type: ignore[arg-type]

        def choose(x: torch.Tensor) -> tuple:
            choice = networks.policy(x).sample(rng)
            return choice, networks.actions.row(choice)

        began = time.perf_counter()
        d = dream(model, start, objective, networks.reader, choose, 15, rng, 10.0)
        dreams.append(1e3 * (time.perf_counter() - began))
        rows.append(float(d.gain.numel()))
    figures.add("a gradient step, dreams of 15 steps", whole, "ms")
    figures.add("of it the dream", dreams, "ms")
    figures.add("imagined transitions a gradient step", rows, "")
    figures.add("imagined and learned from", [1e3 * n / t for n, t in zip(rows, whole, strict=True)], "transitions/s")


def settings(quick: bool) -> gedanken.AgentConfig:
    """Half of the recurrent model's usual training a time, since it is trained again and again."""
    if quick:
        return gedanken.AgentConfig(training=TrainingConfig(steps=40, min_steps=20, batch=16, length=8))
    return gedanken.AgentConfig(training=replace(Recurrent.recipe(), steps=300, min_steps=300))


def made(env: gym.Env, seed: int, quick: bool, home: Path | None = None) -> gedanken.Agent:
    """An agent whose planner is set later."""
    memory = None if home is None else home / "memory.db"
    return gedanken.Agent(env, llm=None, model="recurrent", config=settings(quick), seed=seed, memory=memory)


def cartpole(seed: int, planner: Planner, quick: bool, home: Path | None = None) -> gedanken.Agent:
    agent = made(gym.make("CartPole-v1"), seed, quick, home)
    agent.planner = planner
    return agent


def experienced(seed: int, quick: bool, folder: Path) -> gedanken.Agent:
    """What the curve ends with, without the planner it learned."""
    home = folder / f"curve-{seed}"
    if not home.exists():
        curve(Figures(), [seed], quick, folder)
    return gedanken.Agent.load(home, gym.make("CartPole-v1"), config=settings(quick), planner="cem")


@torch.no_grad()
def score(agent: gedanken.Agent, episodes: int = 20) -> tuple[float, float]:
    """The mean return of the policy's likeliest actions, and the share of steps beyond the limit."""
    model, planner = agent.mind.imagining, agent.planner
    assert isinstance(planner, ActorCritic)
    assert planner.learned is not None
    env = gym.make_vec("CartPole-v1", num_envs=episodes)
    seen, _ = env.reset(seed=TEST_SEED)
    total, beyond, runs = torch.zeros(episodes), 0.0, torch.ones(episodes, dtype=torch.bool)
    while runs.any():
        features = agent.schema.batch([agent.schema.observe(row, None) for row in seen])
        choice = planner.policy(model, begin(model, features), ()).mode()
        seen, _, ended, cut, _ = env.step(planner.learned.networks.actions.row(choice)[:, 0].numpy())
        total += runs
        beyond += float((runs & (torch.as_tensor(seen[:, 0]).abs() > LIMIT)).sum())
        runs &= ~torch.as_tensor(ended | cut)
    return total.mean().item(), beyond / total.sum().item()


if __name__ == "__main__":
    main()
