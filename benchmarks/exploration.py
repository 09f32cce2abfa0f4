"""Rare events reached by curiosity and at random: interactions until MountainCarContinuous's flag is reached first.

    python benchmarks/exploration.py [--quick] [--seed 0] [--seeds 3] [--most 2000] [--json PATH]

The curious agent (`AgentConfig(exploration="curious")`) starts with 200 random steps and then plans, with an ensemble
trained again every 200 steps, for return and for what the members disagree on; the other acts at random. Episodes of
200 steps each, in both arms. Who never gets there counts with `--most`.
"""

from __future__ import annotations

import gymnasium as gym
import torch
from common import Figures, options

import gedanken
from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.world.training import TrainingConfig

EPISODE = 200
PLANNER = CEMConfig(horizon=48, repeat=8, samples=48, iterations=1, spread=1.0)
TRAINING = TrainingConfig(steps=400, min_steps=300, batch=128, length=1, rate=3e-3, patience=3)


def main() -> None:
    args = options(__doc__ or "", seeds=(int, 3, "training seeds"), most=(int, 2_000, "interactions at most"))
    torch.set_num_threads(1)
    most = 400 if args.quick else args.most
    figures, found = Figures(), dict[tuple[str, str], list[float]]()
    for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
        for arm in ("random", "curious"):
            flag, reached = explore(arm, seed, most)
            found.setdefault((f"{arm}: interactions until the flag", "steps"), []).append(flag)
            found.setdefault((f"{arm}: share that got there", "share"), []).append(float(flag < most))
            found.setdefault((f"{arm}: range of positions seen", ""), []).append(reached)
            print(f"    seed {seed}, {arm}: {flag} steps, range {reached:.2f}", flush=True)
    for (name, unit), values in sorted(found.items()):
        figures.add(name, values, unit)
    figures.write(args.json)


def explore(arm: str, seed: int, most: int) -> tuple[int, float]:
    """Interactions until the flag, and how much of the track was seen by then."""
    config = gedanken.AgentConfig(exploration="curious", curiosity=0.3, holdout=0.0, training=TRAINING)
    agent = gedanken.Agent(gym.make("MountainCarContinuous-v0"), llm=None, model="ensemble", planner=CEM(PLANNER),
                           config=config, seed=seed)
    while len(agent.mind.memory) < most:
        agent.learn(EPISODE, random=arm == "random" or not agent.trained_on, train=arm == "curious")
        lived = agent.mind.memory.transitions()
        if (lived.reward > 50).any():
            break
    flags, positions = (lived.reward > 50).nonzero()[0], lived.next_features["position"]
    return int(flags[0]) if len(flags) else most, float(positions.max() - positions.min())


if __name__ == "__main__":
    main()
