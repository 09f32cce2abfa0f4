"""Shifted worlds: an agent that learned one world is put into another, and told in one sentence what is different.

    python benchmarks/shifted_worlds.py [--quick] [--seed 0] [--seeds 3] [--json PATH] [--store PATH] [--shifts a,b]
                                        [--interactions 0,50,200,1000] [--episodes 20] [--n-jobs 2]

The agent has learned the unshifted boards from 2,000 random interactions and was told their manual. Each shift is a
wrapper around the simulator (`shifts/`), its sentence proved true there by the tests. The arms, after k random
interactions there:

    unshifted the same agent on the same boards with nothing changed (k = 0): what it can do at all
    before    nothing is told or learned (k = 0)
    english   told the sentence alone, no language model, nothing learned (k = 0); some are not understood
    told      told the sentence with its rule lines, nothing learned (k = 0)
    mined     adapts, then rules are proposed by the miner (no language model)
    learned   adapts, without any rules
    adapting  told, and adapts

Success is the share of layouts never seen that the environment itself pays for reaching the goal (with a told goal:
that reach it) within 40 steps; intervals are Wilson's, over episodes. Settings were chosen on seeds from 9,000,000.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from common import Figures, options, table
from harness import choices, run
from intervals import share
from shifts import SHIFTS, Shift
from shifts.base import ADAPTING, FROZEN, awakened, base
from shifts.play import Anywhere

import gedanken
from gedanken.agent.adapting import Deployment

LEARNED = 2_000
TEST_SEED = 61_000_000
STEPS, PARTS = 40, 8
ALONE = ("unshifted", "before", "english", "told")
GROWING = ("mined", "learned", "adapting")


@dataclass(frozen=True)
class Job:
    """One arm in one shifted world, from one seed, after so many interactions there."""

    shift: str
    arm: str
    interactions: int
    seed: int
    episodes: int
    folder: str
    learned: int = LEARNED


def jobs(shifts: list[str], interactions: list[int], seeds: range, episodes: int, folder: Path, learned: int
         ) -> list[Job]:
    arms = [(arm, k) for k in interactions for arm in (ALONE if k == 0 else GROWING)]
    return [Job(shift, arm, k, seed, episodes, str(folder), learned)
            for seed in seeds for shift in shifts for arm, k in arms]


def measured(job: Job) -> dict[str, object]:
    """How many layouts the arm solves, in how many steps; which told rules fell; what was mined."""
    torch.set_num_threads(1)
    shift, folder = SHIFTS[job.shift], Path(job.folder)
    work = folder / f"work-{job.shift}-{job.arm}-{job.interactions}-{job.seed}".replace(" ", "_")
    env = Anywhere(world(shift, job.arm), job.seed)
    agent = awakened(base(folder, job.seed, job.learned), work, env, FROZEN if job.arm in ALONE else ADAPTING)
    try:
        return _lived(agent, shift, job)
    finally:
        agent.close()
        shutil.rmtree(work, ignore_errors=True)


def world(shift: Shift, arm: str) -> gym.Env:
    return shift.env(shifted=arm != "unshifted")


def _lived(agent: gedanken.Agent, shift: Shift, job: Job) -> dict[str, object]:
    if job.arm == "learned":
        for entry in agent.rules:
            agent.mind.knowledge.retire(entry.id)
    if shift.goal:
        agent.tell(shift.goal)
    said = {"told": shift.told, "adapting": shift.told, "english": shift.sentence}.get(job.arm, "")
    fates = [one.fate for one in agent.tell(said)] if said else []
    agent.refresh()
    adapted(agent, job.interactions)
    mined = [entry.text for entry in agent.propose()] if job.arm == "mined" else []
    agent.env = world(shift, job.arm)
    first = TEST_SEED + 1_000 * job.seed
    played = agent.run(job.episodes, seeds=range(first, first + job.episodes), max_steps=STEPS)
    told = {e.text: e.status for e in agent.rules if e.turn > 1}
    return {"solved": played.solved, "of": len(played.episodes), "steps": played.summary()["mean_steps"],
            "seconds": played.summary()["seconds_per_episode"], "mined": mined, "fates": fates,
            "fallen": [e.text for e in agent.rules if e.is_told and e.turn <= 1 and e.status == "contradicted"],
            "doubted": [text for text, status in told.items() if status == "contradicted"]}


def adapted(agent: gedanken.Agent, interactions: int) -> None:
    """Live so many random interactions, in eight parts, after each some gradient steps and a check of the rules."""
    if not interactions:
        return
    assert agent.config.adapting is not None
    agent.deployment = Deployment.begin(agent.mind, agent.experience, agent.config.adapting)
    part = -(-interactions // PARTS)
    for lived in range(0, interactions, part):
        agent.learn(min(part, interactions - lived), train=False)
        agent.keep_learning()


def report(rows: Sequence[dict[str, Any]], figures: Figures) -> str:
    """The table, a line a shift and one of all; the figures an arm."""
    columns = sorted({(r["interactions"], (*ALONE, *GROWING).index(r["arm"]), r["arm"]) for r in rows})
    lines = []
    for shift in [*dict.fromkeys(r["shift"] for r in rows), "all"]:
        line: dict[str, object] = {"shift": shift}
        for k, _, arm in columns:
            mine = [r for r in rows if (r["interactions"], r["arm"]) == (k, arm) and shift in (r["shift"], "all")]
            line[f"{arm} {k}"] = share(sum(r["solved"] for r in mine), sum(r["of"] for r in mine))
        lines.append(line)
    for k, _, arm in columns:
        mine = [r for r in rows if (r["interactions"], r["arm"]) == (k, arm)]
        figures.add(f"{arm}, after {k} interactions", [r["solved"] / r["of"] for r in mine], "share")
    return table(lines)


def main() -> None:
    args = options(
        __doc__ or "", seeds=(int, 3, "training seeds"), episodes=(int, 20, "an arm"), shifts=(str, "", "which (all)"),
        interactions=(str, "0,50,200,1000", "in the shifted world"), learned=(int, LEARNED, "interactions before"),
        folder=(Path, Path("runs/shifted_worlds"), "the agents that have learned"),
        **choices("runs/shifted_worlds.jsonl"),
    )
    shifts = args.shifts.split(",") if args.shifts else list(SHIFTS)
    if args.quick:
        args.learned, args.seeds, args.episodes, args.interactions = 600, 1, 3, "0"
        shifts = ["turning reversed", "safe lava", "ghostly walls"]
    args.folder.mkdir(parents=True, exist_ok=True)
    seeds = range(args.seed, args.seed + args.seeds)
    for seed in seeds:
        base(args.folder, seed, args.learned)
    rows = run(jobs(shifts, [int(k) for k in args.interactions.split(",")], seeds, args.episodes, args.folder,
                    args.learned), measured, args.store, version="2", backend=args.backend, n_jobs=args.n_jobs)
    figures = Figures()
    print(report(rows, figures))
    figures.write(args.json)


if __name__ == "__main__":
    main()
