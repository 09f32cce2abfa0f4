"""Safety in text: limits that a person tells, and how they are kept; with the shield, by planning alone, and not told.

    python benchmarks/safety.py [--quick] [--seed 0] [--seeds 3] [--worlds cartpole,pendulum,car,lander,room]
                                [--noises none,small,large] [--episodes 6] [--store PATH] [--n-jobs 2] [--json PATH]

One agent a world, noise and seed (`model="ensemble"`, CEM) lives its interactions untold and is kept beside the store.
Then it plays the same episodes in every arm with the same weights:

    both      told: the planner avoids what the limits exclude, and the shield guards what is executed
    planning  told, without the shield
    shield    the shield is told; the planner is not
    none      not told

Sensors misread (`safety_worlds.py`) while learning and while acting. A violation is a state, or an executed action,
that a limit excludes in truth, whatever was seen. Settings were settled on seeds 9000 and up.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from common import options, table
from filelock import FileLock
from harness import choices, run
from intervals import interval, share
from safety_worlds import NOISES, WORLDS, World
from torch import Tensor

import gedanken
from gedanken.agent.goals import Limit
from gedanken.agent.planning.cem import CEM
from gedanken.agent.planning.objective import Objective
from gedanken.world import tree
from gedanken.world.model import begin
from gedanken.world.rules.compile import Compiled
from gedanken.world.rules.parse import parse
from gedanken.world.training import TrainingConfig

ARMS = ("both", "planning", "shield", "none")
TEST_SEED = 70_000_000
SIDE_BY_SIDE = 5  # worlds that are lived in at once as planned, while learning
TRAINING = TrainingConfig(steps=600, min_steps=300, batch=128, length=1, rate=3e-3, patience=4)


@dataclass(frozen=True)
class Trial:
    """`episodes` of one arm by the agent of one world, noise and training seed, whose weights are in `folder`."""

    world: str
    noise: str
    seed: int
    arm: str
    episodes: int
    folder: str
    random: int
    planned: int
    steps: int


@dataclass(frozen=True)
class Judge:
    """What the limits say of the true world: of states, and of the actions taken in them."""

    limits: tuple[Limit, ...]
    forbids: Compiled

    @staticmethod
    def of(schema: gedanken.Schema, text: str) -> Judge:
        rules = [parse(line.strip(), schema) for line in text.splitlines() if line.startswith(" ")]
        bounds = [Limit.of(schema, r.statement, "") for r in rules if r.statement.kind in ("avoid", "maintain")]
        return Judge(tuple(bounds), Compiled(schema, [r for r in rules if r.statement.kind == "forbid"]))

    def broken(self, now: dict[str, Tensor], action: Tensor, after: dict[str, Tensor]) -> Tensor:
        """Whether each of N steps breaks a limit, `[N]`."""
        bad = ~self.forbids.allowed(now, action) if self.forbids.forbids else torch.zeros(len(action), dtype=torch.bool)
        for limit in self.limits:
            bad = bad | ~limit.holds(after)
        return bad


def trial(job: Trial) -> dict[str, Any]:
    """Play one arm; each figure is a list, an episode each, but for the costs."""
    world = replace(WORLDS[job.world], random=job.random, planned=job.planned, steps=job.steps)
    folder, learning = trained(job, world)
    with tempfile.TemporaryDirectory() as aside:  # what is lived here is not of the agent that every arm begins as
        copy = shutil.copytree(folder, Path(aside) / "agent")
        agent = gedanken.Agent.load(copy, world.env(job.noise), **given(world))
        interactions = len(agent.mind.memory)
        if job.arm != "none":
            agent.tell(world.limits)
        seeds = range(TEST_SEED + 1_000 * job.seed, TEST_SEED + 1_000 * job.seed + job.episodes)
        played = play(agent, world, job.noise, job.arm, list(seeds))
        alone = agent.run(1, seeds=[seeds[0]], max_steps=10).episodes[0]  # as a user would: one world, and the shield
        margins = {limit.text: [limit.margins[0], limit.margins[-1]] for limit in agent.mind.limits}
        agent.close()
    return {**played, "seconds_a_decision": round(alone.seconds / alone.steps, 4), "margins": margins,
            "learning_seconds": learning, "interactions": interactions}


def given(world: World) -> dict[str, Any]:
    config = gedanken.AgentConfig(training=TRAINING, train_every=world.every,
                                  **{"episode_steps": world.steps, **world.agent})
    return {"llm": None, "planner": CEM(world.planner), "config": config}


def trained(job: Trial, world: World) -> tuple[Path, float | None]:
    """The folder of the agent of a world, noise and seed, which learns but once; and how long that took here."""
    folder = Path(job.folder) / f"{job.world}-{job.noise}-{job.seed}-{world.random}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if folder.exists():
            return folder, None
        began, part = time.perf_counter(), Path(f"{folder}.part")  # what a killed run goes on from
        if part.exists():
            agent = gedanken.Agent.load(part, world.env(job.noise), **given(world))
        else:
            agent = gedanken.Agent(world.env(job.noise), model="ensemble", seed=job.seed, **given(world))
            if world.task:
                agent.tell(world.task)
        if not len(agent.mind.memory):
            agent.learn(world.random, save_to=part)
        if (left := world.random + world.planned - len(agent.mind.memory)) > 0:
            agent.learn(left, envs=[world.env(job.noise) for _ in range(SIDE_BY_SIDE)], random=False, save_to=part)
        agent.close()
        part.rename(folder)
        return folder, round(time.perf_counter() - began, 1)


@torch.no_grad()
def play(agent: gedanken.Agent, world: World, noise: str, arm: str, seeds: list[int]) -> dict[str, Any]:
    """Episodes from `seeds`, planned for side by side as `Agent.run` plans for one."""
    schema, model, n = agent.schema, agent.mind.imagining, len(seeds)
    judge = Judge.of(schema, world.limits)
    worlds = [world.env(noise) for _ in seeds]
    seen = [schema.observe(w.reset(seed=s)[0], w) for w, s in zip(worlds, seeds, strict=True)]
    true = [schema.observe(w.true, w) for w in worlds]
    objective = unaware(agent.objective()) if arm == "shield" else agent.objective()
    state, carry, over = begin(model, schema.batch(seen)), agent.planner.initial(n), torch.zeros(n, dtype=torch.bool)
    rng = torch.Generator().manual_seed(agent.seed)
    rngs = [torch.Generator().manual_seed(s) for s in seeds]
    steps, broken, stopped, total = (torch.zeros(n) for _ in range(4))
    while not bool(over.all()) and int(steps.max()) < world.steps:
        alive = (~over).nonzero()[:, 0]
        plan = agent.planner.plan(model, state, objective, carry, rng, agent.config.budget)
        action, carry, now = schema.clamp(plan.action), plan.carry, schema.batch(true)
        if arm in ("both", "shield"):
            guarded, _ = agent.mind.shield.guard_rows(
                action[alive], tree.take(schema.batch(seen), alive), model, tree.take(state, alive),
                [rngs[i] for i in alive], schema.clamp(plan.sequence[1:, alive]))
            stopped[alive] += (guarded != action[alive]).any(1).float()
            action = action.index_copy(0, alive, guarded)
        for i in alive.tolist():
            observation, reward, terminated, truncated, _ = worlds[i].step(schema.act(action[i].numpy()))
            seen[i], true[i] = schema.observe(observation, worlds[i]), schema.observe(worlds[i].true, worlds[i])
            over[i], total[i], steps[i] = terminated or truncated, total[i] + float(reward), steps[i] + 1
        bad = judge.broken(now, action, schema.batch(true))
        broken[alive] += bad[alive].float()
        state = model.observe(state, action, schema.batch(seen))
    return {"steps": steps.tolist(), "broken": broken.tolist(), "stopped": stopped.tolist(),
            "return": [round(x, 4) for x in total.tolist()]}


def unaware(objective: Objective) -> Objective:
    """The objective of a planner that knows of no limit."""
    return replace(objective, terms=[t for t in objective.terms if not isinstance(t, Limit)], infeasible=0.0)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, object]]:
    """A line a world, noise and arm. Intervals of episodes with a violation are over episodes, the others over training
    seeds; the return is also given as the mean difference to the agent that was not told."""
    lines: list[dict[str, object]] = []
    untold = {(r["world"], r["noise"], r["seed"]): mean(r["return"]) for r in rows if r["arm"] == "none"}
    for world, noise, arm in dict.fromkeys((r["world"], r["noise"], r["arm"]) for r in rows):
        some = [r for r in rows if (r["world"], r["noise"], r["arm"]) == (world, noise, arm)]
        broken = [b for r in some for b in r["broken"]]
        lost = [mean(r["return"]) - base for r in some if (base := untold.get((world, noise, r["seed"]))) is not None]
        lines.append({
            "world": world, "noise": noise, "arm": arm,
            "episodes with a violation": str(share(sum(b > 0 for b in broken), len(broken))),
            "steps in violation": str(interval(sum(r["broken"]) / sum(r["steps"]) for r in some)),
            "return": str(interval(mean(r["return"]) for r in some)),
            "against not told": "" if arm == "none" else str(interval(lost)),
            "steps": f"{mean([s for r in some for s in r['steps']]):.0f}",
            "stopped": f"{sum(sum(r['stopped']) for r in some) / sum(sum(r['steps']) for r in some):.3f}",
            "s/decision": f"{mean([r['seconds_a_decision'] for r in some]):.3f}",
            "interactions": f"{mean([r['interactions'] for r in some]):.0f}",
        })
    return lines


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def main() -> None:
    args = options(
        __doc__ or "",
        worlds=(str, ",".join(WORLDS), "which ones, comma between them"),
        noises=(str, ",".join(NOISES), "how much the sensors misread"),
        arms=(str, ",".join(ARMS), "which ones"),
        seeds=(int, 3, "training seeds"),
        episodes=(int, 6, "episodes an arm and seed"),
        **choices("runs/safety.jsonl"),
    )
    worlds, noises = (["cartpole"], ["none"]) if args.quick else (args.worlds.split(","), args.noises.split(","))
    seeds = range(args.seed, args.seed + (1 if args.quick else args.seeds))
    jobs = [
        Trial(world, noise, seed, arm, 2 if args.quick else args.episodes, str(args.store.with_suffix("")),
              *((300, 0, 60) if args.quick else (WORLDS[world].random, WORLDS[world].planned, WORLDS[world].steps)))
        for arm in args.arms.split(",") for world in worlds for noise in noises for seed in seeds
    ]  # no two workers wait for one agent to learn
    rows = run(jobs, trial, args.store, version="2", backend=args.backend, n_jobs=args.n_jobs)
    lines = summary(sorted(rows, key=lambda r: (worlds.index(r["world"]), noises.index(r["noise"]))))
    print(table(lines))
    if args.json:
        args.json.write_text(json.dumps({"lines": lines, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
