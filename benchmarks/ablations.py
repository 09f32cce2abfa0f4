"""What each part is worth, and where the others catch up: one table over worlds with keys, doors and lava.

    python benchmarks/ablations.py [--quick] [--seed 0] [--seeds 3] [--episodes 20] [--worlds doorkey-6x6,...]
                                   [--arms hybrid,...] [--store PATH] [--n-jobs 2] [--json PATH]

    hybrid            1,000 random interactions and the manual
    no assimilation   rules correct what is imagined, not the latent state it is imagined from
    no subgoals       rules are not chained backwards
    no milestones     nor does a search go first where more of them have fired
    no memory         no past transitions beside the model, and what failed is tried again
    exact simulator   clones of the world instead of a learned model: the ceiling
    planner NAME      another planner
    english           the hybrid, told its sentences without rule lines: the embedded reader writes them
    proposed          the hybrid, told nothing: the embedded language model and the miner propose rules
    rules K           the first K sentences of a manual that ends in complete dynamics, nothing learned
    learned N         N random interactions, nothing told, in episodes of `LONG` steps: the hybrid's, of 25, see no goal
    shown N           the same, half of them as an able agent (the hybrid) acts; nothing told

`calls, tokens` are those to language models before and while acting. `rarest` is how many interactions the rule of the
manual applied in of which there were fewest: what data must show before they can replace the manual. Agents are kept
beside the store; a longer curve goes on from a shorter one. Settings were settled on seeds 9000 and up. Shares are
Wilson's over episodes.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from ablation_arms import CURVE, WORLDS, Job, arms, manual
from common import options, table
from harness import choices, run
from intervals import interval, share

from gedanken.prompts import Usage

TEST_SEED = 51_000_000
SHOWN = (1_000, 2_000, 5_000)
GIVEN_UP = 100
"""Steps after which an episode is lost; the hybrid takes a dozen or two."""


def ablation(job: Job) -> dict[str, Any]:
    """What the episodes of an arm came to, a list each, and what it knew and cost."""
    with tempfile.TemporaryDirectory() as aside:
        agent, facts = arms()[job.arm](job, Path(aside))
        first = TEST_SEED + 1_000 * job.seed
        played = agent.run(job.episodes, seed=first, max_steps=GIVEN_UP).episodes
        gateway = agent.mind.knowledge.gateway
        used = gateway.usage if gateway else Usage()
        agent.close()
    steps = sum(e.steps for e in played)
    return {
        "solved": [e.solved for e in played], "steps": [e.steps for e in played],
        "seconds_a_decision": round(sum(e.seconds for e in played) / steps, 4),
        "imagined_a_decision": round(sum(e.imagined_steps for e in played) / steps, 1),
        "calls": used.calls, "tokens": used.tokens, **facts,
    }


def summary(rows: list[dict[str, Any]]) -> list[dict[str, object]]:
    """A line a world and arm."""
    lines: list[dict[str, object]] = []
    for world, arm, amount in dict.fromkeys((r["world"], r["arm"], r["amount"]) for r in rows):
        some = [r for r in rows if (r["world"], r["arm"], r["amount"]) == (world, arm, amount)]
        solved = [x for r in some for x in r["solved"]]
        steps = [n for r in some for n, won in zip(r["steps"], r["solved"], strict=True) if won]
        lines.append({
            "world": world, "arm": f"{arm} {amount}" if amount else arm,
            "interactions": some[0]["interactions"], "sentences": some[0]["sentences"],
            "rarest": "/".join(str(r["rarest"]) for r in some if "rarest" in r),
            "solved": str(share(sum(solved), len(solved))),
            "a seed": "/".join(f"{sum(r['solved']) / len(r['solved']):.2f}" for r in some),
            "steps where solved": str(interval(steps, method="bootstrap")),
            "s/decision": _mean([r["seconds_a_decision"] for r in some]),
            "imagined/decision": f"{_mean([r['imagined_a_decision'] for r in some]):.0f}",
            "calls, tokens": f"{_mean([r['calls'] for r in some]):.0f}, {_mean([r['tokens'] for r in some]):.0f}",
        })
    return lines


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def amounts(arm: str, world: str, is_quick: bool) -> list[int]:
    """What an arm is measured with: numbers of interactions or sentences, 0 where it has but one."""
    if is_quick:
        return [{"rules": 8, "learned": 1_000, "shown": 1_000}.get(arm, 0)]
    sentences = manual(Job(world, arm, 0, 0, 0, "")).count("\n\n") + 1
    return {"rules": list(range(sentences + 1)), "learned": list(CURVE), "shown": list(SHOWN)}.get(arm, [0])


def main() -> None:
    args = options(
        __doc__ or "",
        worlds=(str, ",".join(WORLDS), "which ones, comma between them"),
        arms=(str, ",".join(arms()), "which ones"),
        seeds=(int, 3, "training seeds"),
        episodes=(int, 20, "episodes an arm and seed"),
        most=(int, CURVE[-1], "interactions at most"),
        **choices("runs/ablations.jsonl"),
    )
    worlds, seeds = args.worlds.split(","), range(args.seed, args.seed + args.seeds)
    names, episodes = args.arms.split(","), args.episodes
    if args.quick:
        worlds, seeds, episodes, names = ["doorkey-6x6"], seeds[:1], 3, ["hybrid", "rules", "no subgoals"]
    jobs = [
        Job(world, arm, amount, seed, episodes, str(args.store.with_suffix("")))
        for world in worlds for arm in names for amount in amounts(arm, world, args.quick) for seed in seeds
        if amount <= args.most
    ]
    rows = run(jobs, ablation, args.store, version="2", backend=args.backend, n_jobs=args.n_jobs)
    lines = summary(rows)
    print(table(lines))
    if args.json:
        args.json.write_text(json.dumps({"lines": lines, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
