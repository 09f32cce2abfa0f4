"""Models of feature vectors on classic control: how far imagination is off, n steps ahead, after so many transitions.

    python benchmarks/vector_models.py [--quick] [--seed 0] [--seeds 2] [--worlds CartPole-v1,Pendulum-v1] [--json PATH]

Each model learns from the same random interactions (`Agent.learn`) and then imagines 500 held-out stretches of random
actions from episodes of its own. The error is the root mean square over the features, each over its standard deviation.
"""

from __future__ import annotations

import time

import gymnasium as gym
import torch
from common import Figures, options

import gedanken
from gedanken.world.model import Batch, begin, rollout

HORIZON = 20
TEST_SEED = 70_000_000
MODELS = ("recurrent", "ensemble")


def main() -> None:
    args = options(
        __doc__ or "",
        seeds=(int, 2, "training seeds"),
        worlds=(str, "CartPole-v1,Pendulum-v1", "which ones, comma between them"),
        sizes=(str, "500,2000", "transitions to learn from"),
    )
    torch.set_num_threads(1)
    figures = Figures()
    for world in args.worlds.split(",")[: 1 if args.quick else None]:
        test = held_out(world)
        for size in (300,) if args.quick else map(int, args.sizes.split(",")):
            found: dict[str, list[float]] = {}
            for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
                for model in MODELS:
                    agent = gedanken.Agent(gym.make(world), llm=None, model=model, seed=seed)
                    began = time.perf_counter()
                    agent.learn(size)
                    found.setdefault(f"{model}, learning", []).append(time.perf_counter() - began)
                    for k, error in errors(agent, test).items():
                        found.setdefault(f"{model}, {k}", []).append(error)
            for name, values in sorted(found.items(), key=lambda item: item[0].split(", ")[::-1]):
                figures.add(f"{world} after {size}, {name}", values, "s" if "learning" in name else "")
    figures.write(args.json)


def held_out(world: str) -> Batch:
    """500 stretches of `HORIZON` random steps, or fewer where the episode ends."""
    agent = gedanken.Agent(gym.make(world), llm=None, model="none", seed=TEST_SEED)
    agent.learn(5_000, train=False)
    found = agent.experience.batch(500, HORIZON, torch.Generator().manual_seed(TEST_SEED))
    assert found is not None
    return found


@torch.no_grad()
def errors(agent: gedanken.Agent, test: Batch) -> dict[str, float]:
    """Relative root mean square errors of the features 1, 5 and 20 steps ahead, and of the reward."""
    model = agent.mind.learned
    future = rollout(model, begin(model, test.features_at(0)), test.action.transpose(0, 1))
    found = {}
    for k in (1, 5, HORIZON):
        real = test.mask[:, k - 1]
        off = [(future.features[name][k] - value[:, k])[real] / value[:, :-1][test.mask].std()
               for name, value in test.features.items()]
        found[f"{k} ahead"] = float(torch.stack(off).square().mean().sqrt())
    paid = (future.reward.T - test.reward)[test.mask]
    return found | {"reward": float(paid.square().mean().sqrt())}


if __name__ == "__main__":
    main()
