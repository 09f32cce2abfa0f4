"""Whether stated shares hold: intervals of the next features, and limits kept with a margin.

    python benchmarks/calibration.py [--quick] [--seed 0] [--seeds 3] [--json PATH]

An ensemble learns CartPole from 1,000 random interactions. Intervals and margins come from what was held out from
training; they are judged on fresh episodes. For each share of violations stated (`AgentConfig.violations`): of the
predictions, 1 to 15 steps ahead, that keep `avoid abs(cart_position) > 0.1` by the margin, how many truly break it.
"""

from __future__ import annotations

import statistics

import gymnasium as gym
import torch
from common import Figures, options

import gedanken
from gedanken.agent.goals import Limit, margins
from gedanken.world.calibration import Calibration, calibrate, coverage
from gedanken.world.model import Batch, begin, rollout

HORIZON = 15
TEST_SEED = 70_000_000
LIMIT = "avoid abs(cart_position) > 0.1"


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 3, "training seeds"))
    torch.set_num_threads(1)
    figures, found = Figures(), dict[tuple[str, str, str], list[float]]()
    fresh = lived(gedanken.Agent(gym.make("CartPole-v1"), llm=None, model="none", seed=TEST_SEED), 4_000, 2_000)
    for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
        agent = gedanken.Agent(gym.make("CartPole-v1"), llm=None, model="ensemble", seed=seed,
                               config=gedanken.AgentConfig(holdout=0.3))
        agent.tell(LIMIT)
        agent.learn(300 if args.quick else 1_000)
        unseen = agent.experience.batch(1_000, HORIZON, torch.Generator().manual_seed(seed), held_out=True)
        assert unseen is not None
        model, limit = agent.mind.imagining, agent.mind.limits[0]
        for share, normal in ((0.9, 1.645), (0.99, 2.576)):
            fitted = calibrate(model, unseen, share)
            for name, intervals in (("as predicted", Calibration(share, dict.fromkeys(fitted.scale, normal))),
                                    ("calibrated", fitted)):
                inside = coverage(model, intervals, fresh)
                found.setdefault((f"inside intervals, {name}", "share", f"{share}"), []).append(
                    statistics.fmean(inside.values()))
        for stated in (0.01, 0.05, 0.2):
            kept = margins(model, limit, unseen, stated)
            found.setdefault((f"violations of the limit, {stated} stated", "share", f"<= {stated}"), []).append(
                violations(agent, limit, kept, fresh))
            found.setdefault((f"margin {HORIZON} steps ahead, {stated} stated", "m", ""), []).append(kept[-1])
        found.setdefault(("rank correlation of uncertainty and error", "", ""), []).append(correlation(agent, fresh))
    for (name, unit, goal), values in found.items():
        figures.add(name, values, unit, goal)
    figures.write(args.json)


def lived(agent: gedanken.Agent, steps: int, sequences: int) -> Batch:
    """Sequences of random interactions."""
    agent.learn(steps, train=False)
    found = agent.experience.batch(sequences, HORIZON, torch.Generator().manual_seed(TEST_SEED))
    assert found is not None
    return found


@torch.no_grad()
def violations(agent: gedanken.Agent, limit: Limit, kept: tuple[float, ...], fresh: Batch) -> float:
    """The share of open-loop predictions that keep the limit by its margin, and where the truth breaks it."""
    model = agent.mind.imagining
    future = rollout(model, begin(model, fresh.features_at(0)), fresh.action.transpose(0, 1))
    broken = count = 0
    for t in range(min(HORIZON, len(kept))):
        real = fresh.mask[:, t]
        safe = (limit.slack({k: v[t + 1] for k, v in future.features.items()}) >= kept[t]) & real
        broken += int((safe & ~limit.holds(fresh.features_at(t + 1))).sum())
        count += int(safe.sum())
    return broken / max(1, count)


@torch.no_grad()
def correlation(agent: gedanken.Agent, fresh: Batch) -> float:
    """Spearman's, between what the members disagree and how far off their mean is, 10 steps into imagination."""
    model = agent.mind.imagining
    future = rollout(model, begin(model, fresh.features_at(0)), fresh.action.transpose(0, 1))
    real = fresh.mask[:, 9]
    off = torch.stack([((future.features[k][10] - v[:, 10]) / v.std())[real].square()
                       for k, v in fresh.features.items()]).sum(0)
    ranks = torch.stack([x.argsort().argsort().float() for x in (future.uncertainty[:10].sum(0)[real], off)])
    return float(torch.corrcoef(ranks)[0, 1])


if __name__ == "__main__":
    main()
