"""DoorKey: a thousand random interactions, five sentences, layouts never seen; learned only, rules only, hybrid.

    python benchmarks/doorkey.py [--quick] [--seed 0] [--json PATH] [--parts solve,large,few,model]

Parts: `solve` plays 6x6 and 8x8 in three arms; `large` plays 16x16 with the weights trained on 8x8; `few` learns
8x8 within 200 interactions as it acts; `model` measures the world model itself. Training layouts and test layouts are
disjoint (by their first state), and the test seeds were used for nothing else; settings were chosen on seeds 9,000,000
and up, which are not used here.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import gymnasium as gym
import minigrid  # noqa: F401 - registers the environments
import torch
from common import Figures, options

import gedanken
from gedanken.world import tree
from gedanken.world.model import begin, rollout
from gedanken.world.refine import Refined
from gedanken.world.training import exact

MANUAL = Path(__file__).parents[1] / "examples" / "doorkey" / "manual.txt"
TEST_SEED = 50_000_000
OPEN = 1  # the code of the state "open"


def learner(size: str, seed: int, steps: int, config: gedanken.AgentConfig | None = None) -> gedanken.Agent:
    """An agent told the manual, after `steps` random interactions on layouts of `size`."""
    agent = gedanken.Agent(gym.make(f"MiniGrid-DoorKey-{size}-v0"), llm=None, seed=seed, config=config)
    agent.tell(MANUAL.read_text(), source="manual")
    agent.learn(steps=steps)
    return agent


def solve(figures: Figures, seeds: range, episodes: int) -> dict[int, gedanken.Agent]:
    agents = {}
    for size in ("6x6", "8x8"):
        shares: dict[str, list[float]] = {"hybrid": [], "learned": [], "rules": []}
        steps, cost = [], []
        for seed in seeds:
            agent = learner(size, seed, 1_000)
            layouts = unseen(agent, episodes)
            for name, arm in (
                ("hybrid", agent),
                ("learned", agent.variant(rules=False)),
                ("rules", agent.variant(model=False)),
            ):
                played = arm.run(len(layouts), seeds=layouts if name == "hybrid" else layouts[: max(5, episodes // 10)])
                shares[name].append(played.solved / len(played.episodes))
                if name == "hybrid":
                    steps.append(played.summary()["mean_steps"])
                    cost.append(played.summary()["seconds_per_episode"])
                    print(
                        f"    {size} seed {seed}: {played.solved} of {len(layouts)}; unsolved seeds "
                        f"{[e.seed for e in played.episodes if not e.solved]}",
                        flush=True,
                    )
            if size == "8x8":
                agents[seed] = agent
        figures.add(f"hybrid solves {size}", shares["hybrid"], "share", ">= 0.99")
        figures.add(f"learned only solves {size}", shares["learned"], "share")
        figures.add(f"rules only solves {size}", shares["rules"], "share")
        figures.add(f"hybrid steps an episode {size}", steps, "steps")
        figures.add(f"hybrid seconds an episode {size}", cost, "s")
    return agents


def unseen(agent: gedanken.Agent, count: int) -> list[int]:
    """Test seeds whose layouts are not among those in the agent's memory."""
    from gedanken.agent.learn import known_layouts, layout_of

    known, seeds, number = known_layouts(agent.mind.memory), [], TEST_SEED
    while len(seeds) < count:
        observation, _ = agent.env.reset(seed=number)
        if layout_of(agent.schema.observe(observation, agent.env), agent.schema) not in known:
            seeds.append(number)
        number += 1
    return seeds


def large(figures: Figures, agents: dict[int, gedanken.Agent], episodes: int, folder: Path) -> None:
    """16x16 with the weights trained on 8x8, through a checkpoint."""
    shares, medians, worst = [], [], []
    for seed, agent in agents.items():
        agent.save(folder / str(seed))
        big = gedanken.Agent.load(folder / str(seed), gym.make("MiniGrid-DoorKey-16x16-v0"))
        seconds: list[float] = []
        plan = big.planner.plan

        def timed(*args, plan=plan, seconds=seconds, **kwargs):
            result = plan(*args, **kwargs)
            seconds.append(result.seconds)
            return result

        big.planner.plan = timed
        played = big.run(episodes, seed=TEST_SEED)
        shares.append(played.solved / len(played.episodes))
        medians.append(statistics.median(seconds))
        worst.append(max(seconds))
        print(f"    16x16 seed {seed}: {played.solved} of {episodes}", flush=True)
    figures.add("hybrid solves 16x16, weights of 8x8", shares, "share", ">= 0.95")
    figures.add("median plan 16x16", medians, "s", "<= 2")
    figures.add("slowest plan 16x16", worst, "s")


def few(figures: Figures, seeds: range, episodes: int, interactions: int = 200) -> None:
    """8x8 within 200 interactions: half at random, then as planned, trained every 50; then frozen and tested."""
    shares = []
    for seed in seeds:
        agent = learner("8x8", seed, interactions // 2, gedanken.AgentConfig(train_every=50))
        agent.learn(steps=interactions - interactions // 2, random=False)
        layouts = unseen(agent, episodes)
        played = agent.run(episodes, seeds=layouts)
        shares.append(played.solved / episodes)
        print(f"    8x8 after {interactions} interactions, seed {seed}: {played.solved} of {episodes}", flush=True)
    figures.add(f"hybrid solves 8x8 after {interactions} interactions", shares, "share", ">= 0.95")


def model(figures: Figures, agents: dict[int, gedanken.Agent], sequences: int) -> None:
    """The world model on unseen layouts: one step and open loop, and after a step that only a rule knows."""
    rows: dict[str, list[float]] = {}
    for agent in agents.values():
        learned, rules = agent.mind.learned, agent.mind.knowledge.compiled()
        for name, value in open_loop(agent, learned, sequences, "random").items():
            rows.setdefault(f"learned, {name}", []).append(value)
        for mode in ("always", "fired", "never"):
            refined = Refined(learned, rules, assimilate=mode)
            for name, value in open_loop(agent, refined, sequences, "solving").items():
                if name != "one step":
                    rows.setdefault(f"after a step only a rule knows, assimilate={mode}, {name}", []).append(value)
        for name, imagined in (("learned", learned), ("refined", Refined(learned, rules))):
            rows.setdefault(f"imagined steps a second, {name}", []).append(speed(agent, imagined))
    for name, values in rows.items():
        figures.add(name, values, "steps/s" if "second" in name else "share exact")
    ratio = [
        b / a
        for a, b in zip(rows["imagined steps a second, learned"], rows["imagined steps a second, refined"], strict=True)
    ]
    figures.add("refined speed over unrefined", ratio, "ratio")


def open_loop(agent: gedanken.Agent, world, sequences: int, kind: str) -> dict[str, float]:
    """Share of rows predicted exactly 1, 10, 20, 40 steps ahead, from unseen layouts.

    "random" rolls random actions; "solving" follows a plan until it has opened the door, which hardly any data show and
    a rule tells, and rolls random actions from there.
    """
    env, schema = agent.env, agent.schema
    rng = torch.Generator().manual_seed(1)
    starts, actions, truth = [], [], []
    for number in range(sequences):
        observation, _ = env.reset(seed=TEST_SEED + 500_000 + number)
        agent.reset(observation)
        seen = [schema.observe(observation, env)]
        prefix: list[int] = []
        if kind == "solving":
            plan = agent.planner.plan(agent.mind.imagining, agent.mind.belief, agent.objective(), None, rng)
            opened = (plan.imagined["state"][:, 0] == OPEN).flatten(1).any(1)
            prefix = plan.sequence[: int(opened.long().argmax()), 0, 0].tolist() if bool(opened.any()) else []
        taken = prefix + torch.randint(7, (40,), generator=rng).tolist()
        for a in taken:
            observation, _, terminated, truncated, _ = env.step(a)
            seen.append(schema.observe(observation, env))
            if terminated or truncated:
                break
        if len(seen) == len(taken) + 1 and (kind == "random" or prefix):
            starts.append(len(prefix))
            actions.append(taken)
            truth.append(seen)
    right: dict[str, list[float]] = {}
    for first, taken, seen in zip(starts, actions, truth, strict=True):
        future = rollout(world, begin(world, schema.batch([seen[0]])), torch.tensor(taken)[:, None, None])
        for ahead in (1, 10, 20, 40):
            imagined = {k: v[first + ahead] for k, v in future.features.items()}
            name = "one step" if ahead == 1 else f"{ahead} steps"
            right.setdefault(name, []).append(float(exact(imagined, schema.batch([seen[first + ahead]]))[0]))
    return {k: statistics.fmean(v) for k, v in right.items()}


def speed(agent: gedanken.Agent, world, rows: int = 1_024, steps: int = 20) -> float:
    observation, _ = agent.env.reset(seed=TEST_SEED)
    state = tree.repeat(begin(world, agent.schema.batch([agent.schema.observe(observation, agent.env)])), rows)
    actions = torch.randint(7, (steps, rows, 1), generator=torch.Generator().manual_seed(0))
    began = time.perf_counter()
    for action in actions:
        state, _ = world.step(state, action)
    return rows * steps / (time.perf_counter() - began)


def main() -> None:
    import tempfile

    args = options(
        __doc__ or "",
        parts=(str, "solve,large,few,model", "which parts to run"),
        episodes=(int, 100, "test layouts"),
        seeds=(int, 3, "training seeds"),
    )
    torch.set_num_threads(1)
    parts = set(args.parts.split(","))
    seeds = range(args.seed, args.seed + (1 if args.quick else args.seeds))
    episodes = 5 if args.quick else args.episodes
    figures = Figures()
    agents: dict[int, gedanken.Agent] = {}
    if "solve" in parts and not args.quick:
        agents = solve(figures, seeds, episodes)
    if not agents and parts & {"large", "model", "solve"}:
        agents = {seed: learner("8x8", seed, 1_000) for seed in seeds}
    if args.quick and "solve" in parts:
        for agent in agents.values():
            played = agent.run(episodes, seeds=unseen(agent, episodes))
            figures.add("hybrid solves 8x8", [played.solved / episodes], "share", ">= 0.99")
    with tempfile.TemporaryDirectory() as folder:
        if "large" in parts and not args.quick:
            large(figures, agents, episodes, Path(folder))
    if "few" in parts and not args.quick:
        few(figures, seeds, episodes)
    if "model" in parts:
        model(figures, agents, 5 if args.quick else 100)
    figures.write(args.json)


if __name__ == "__main__":
    main()
