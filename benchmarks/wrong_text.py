"""Wrong and hostile text: how soon a false sentence is found out, what it cost, and what it never does.

    python benchmarks/wrong_text.py [--quick] [--seed 0] [--seeds 10] [--kinds locked,gap] [--json PATH] [--store PATH]
                                    [--n-jobs 2]

The agent of `shifted_worlds.py` (the same weights a seed), in the unshifted world: on boards with a locked door, which
nobody solves untold, and on boards with a gap in lava, which learning alone can solve. Its manual is replaced by one in
which a share of the sentences is false, drawn anew a seed, each a plausible lie with its rule line. It then lives as it
plans, an episode at a time, adapting and weighing its rules after each. The arms:

    true      the manual as it is             lies      a fifth of the sentences false
    learned   no text                         all lies  every sentence false

Figures: success over the episodes lived, first and second half; interactions until a false rule no longer acts; false
rules that still act at the end, and why (never tried or not refuted); true rules wrongly dropped. `--parts hostile`
tells what becomes of each hostile text.
"""

from __future__ import annotations

import random
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from common import Figures, options
from harness import choices, run
from shifts.base import ADAPTING, MANUAL, awakened, base
from shifts.boards import Boards
from shifts.hostile import TEXTS, fate

import gedanken

LEARNED = 2_000
TEST_SEED = 63_000_000
STEPS = 40
UNDER = "object'[agent_x', agent_y']"
LIES = (
    ("A locked door opens to any ball.",
     "expect front_state' == open if action == toggle and front_state == locked and carrying_object == ball"),
    ("A locked door never opens.", "expect same if action == toggle and front_state == locked"),
    ("Lava pays 1.", f"reward +1 if {UNDER} == lava"),
    ("A ball is too heavy to be picked up.", "expect same if action == pickup and front_object == ball"),
    ("A key cannot be picked up.", "expect same if action == pickup and front_object == key"),
    ("The goal pays nothing.", f"reward 0 if {UNDER} == goal"),
    ("You can walk through walls.",
     "expect agent_x' == front_x and agent_y' == front_y if action == forward and front_object == wall"),
    ("Turning left turns you round.", "expect direction' == left if action == left and direction == right"),
    ("Nobody can walk through a door.", "expect same if action == forward and front_state == open"),
    ("What is put down is gone.",
     "expect carrying_object' == none and front_object' == empty if action == drop and front_object == empty"),
)
ARMS = ("true", "lies", "learned", "all lies")


@dataclass(frozen=True)
class Job:
    """One arm from one seed, living so many episodes."""

    arm: str
    seed: int
    episodes: int
    folder: str
    learned: int = LEARNED
    kind: str = "locked"


def manual(arm: str, seed: int) -> tuple[str, frozenset[str]]:
    """The text an arm is told, and the rule lines of it that are false."""
    sentences = [] if arm == "learned" else [part.strip() for part in MANUAL.strip().split("\n\n")]
    count = {"lies": -(-len(sentences) // 5), "all lies": len(sentences)}.get(arm, 0)
    rng = random.Random(seed)
    lies = rng.sample(LIES, count)
    for place, (sentence, rule) in zip(rng.sample(range(len(sentences)), count), lies, strict=True):
        sentences[place] = f"{sentence}\n    {rule}"
    return "\n\n".join(sentences), frozenset(rule for _, rule in lies)


def measured(job: Job) -> dict[str, object]:
    torch.set_num_threads(1)
    folder = Path(job.folder)
    work = folder / f"work-{job.kind}-{job.arm.replace(' ', '_')}-{job.seed}"
    agent = awakened(base(folder, job.seed, job.learned), work, Boards(job.kind), ADAPTING)
    try:
        return lived(agent, job)
    finally:
        agent.close()
        shutil.rmtree(work, ignore_errors=True)


def lived(agent: gedanken.Agent, job: Job) -> dict[str, object]:
    for entry in agent.rules:
        agent.mind.knowledge.retire(entry.id)
    text, false = manual(job.arm, job.seed)
    agent.tell(text, source="manual")
    solved: list[bool] = []
    steps: list[int] = []
    found: dict[str, int] = {}
    for episode in range(job.episodes):
        played = agent.run(1, seeds=[TEST_SEED + 1_000 * job.seed + episode], max_steps=STEPS, train=True).episodes[0]
        solved.append(played.solved)
        steps.append(played.steps)
        acting = {e.claim for e in agent.mind.knowledge.active()}
        found |= {rule: sum(steps) for rule in false if rule not in acting and rule not in found}
    standing = {e.claim: e for e in agent.rules if e.status != "retired"}
    dropped = [c for c, e in standing.items() if c not in false and e.is_told and e.status == "contradicted"]
    return {"solved": solved, "steps": steps, "false": sorted(false), "found": found, "dropped": dropped,
            "never tried": [c for c in false if c not in found and not standing[c].evidence.support],
            "not refuted": [c for c in false if c not in found and standing[c].evidence.support]}


def report(rows: Sequence[dict[str, Any]], figures: Figures) -> None:
    for kind, arm in product(dict.fromkeys(r["kind"] for r in rows), ARMS):
        mine = [r for r in rows if (r["kind"], r["arm"]) == (kind, arm)]
        if not mine:
            continue
        half = len(mine[0]["solved"]) // 2
        for name, part in (("first", slice(half)), ("second", slice(half, None))):
            shares = [statistics.fmean(r["solved"][part]) for r in mine]
            figures.add(f"{kind}, {arm}: solved, {name} half", shares, "share")
        figures.add(f"{kind}, {arm}: steps an episode", [statistics.fmean(r["steps"]) for r in mine], "steps")
        if any(r["false"] for r in mine):
            found = [n for r in mine for n in r["found"].values()]
            figures.add(f"{kind}, {arm}: interactions until a lie is found out", found, "interactions")
            for fate_ in ("found", "never tried", "not refuted"):
                figures.add(f"{kind}, {arm}: lies {fate_}", [len(r[fate_]) / len(r["false"]) for r in mine], "share")
        figures.add(f"{kind}, {arm}: true rules dropped", [len(r["dropped"]) for r in mine], "rules")


def main() -> None:
    args = options(
        __doc__ or "", seeds=(int, 10, "training seeds"), episodes=(int, 12, "lived"),
        kinds=(str, "locked,gap", "of boards"), learned=(int, LEARNED, "interactions before"),
        parts=(str, "lies,hostile", "which parts"),
        folder=(Path, Path("runs/shifted_worlds"), "the agents that have learned"),
        **choices("runs/wrong_text.jsonl"),
    )
    if args.quick:
        args.learned, args.seeds, args.episodes, args.parts = 300, 1, 2, "hostile"
    figures = Figures()
    if "hostile" in args.parts:
        for name in TEXTS:
            print(f"  {name:<40} {fate(name)}", flush=True)
    if "lies" in args.parts:
        args.folder.mkdir(parents=True, exist_ok=True)
        seeds = range(args.seed, args.seed + args.seeds)
        for seed in seeds:
            base(args.folder, seed, args.learned)
        jobs = [Job(arm, seed, args.episodes, str(args.folder), args.learned, kind)
                for kind in args.kinds.split(",") for seed in seeds for arm in ARMS]
        report(run(jobs, measured, args.store, version="3", backend=args.backend, n_jobs=args.n_jobs), figures)
    figures.write(args.json)


if __name__ == "__main__":
    main()
