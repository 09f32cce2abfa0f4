"""CartPole with a told limit: `avoid abs(cart_position) > 0.5`. Violations and return, with and without the rule.

    python benchmarks/cartpole.py [--quick] [--seed 0] [--json PATH]

One recurrent model a seed, trained on 1,000 random interactions, plays the same episodes not told, then told, with the
margin taken from the model's own held-out error. Crossings are counted on what was observed, in both arms.
"""

from __future__ import annotations

import gymnasium as gym
import torch
from common import Figures, options

import gedanken
from gedanken.agent.planning.cem import CEM, CEMConfig

LIMIT = 0.5
TEST_SEED = 60_000_000


def main() -> None:
    args = options(
        __doc__ or "",
        episodes=(int, 4, "episodes an arm"),
        steps=(int, 200, "steps an episode at most"),
        seeds=(int, 2, "training seeds"),
    )
    torch.set_num_threads(1)
    episodes, steps = (2, 40) if args.quick else (args.episodes, args.steps)
    figures = Figures()
    rows: dict[str, dict[str, list[float]]] = {}
    margins: list[float] = []
    for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
        env = gym.make("CartPole-v1")
        planner = CEM(CEMConfig(horizon=44, samples=64, elites=16, iterations=3))
        agent = gedanken.Agent(env, llm=None, seed=seed, planner=planner)
        agent.learn(steps=300 if args.quick else 1_000)
        for arm in ("not told", "told"):
            if arm == "told":
                agent.tell(f"avoid abs(cart_position) > {LIMIT}")
                margins.append(agent.mind.limits[0].margins[-1])
            positions: list[list[float]] = []

            def look(a: gedanken.Agent, positions: list[list[float]] = positions) -> None:
                assert a.mind.features is not None
                positions[-1].append(float(a.mind.features["cart_position"].abs()[0]))

            returns = []
            for episode in range(episodes):
                positions.append([])
                returns.append(agent.run(1, seeds=[TEST_SEED + episode], max_steps=steps, frame=look).mean_return)
            row = rows.setdefault(arm, {"crossed": [], "beyond": [], "farthest": [], "return": []})
            row["crossed"].append(sum(max(p) > LIMIT for p in positions) / episodes)
            row["beyond"].append(sum(x > LIMIT for p in positions for x in p) / sum(map(len, positions)))
            row["farthest"].append(max(max(p) for p in positions))
            row["return"].append(sum(returns) / episodes)
            print(f"    seed {seed}, {arm}: " + ", ".join(f"{k} {v[-1]:.3f}" for k, v in row.items()), flush=True)
    for arm, row in rows.items():
        goal = "0" if arm == "told" else ""
        figures.add(f"{arm}: episodes that cross {LIMIT}", row["crossed"], "share", goal)
        figures.add(f"{arm}: steps beyond {LIMIT}", row["beyond"], "share", goal)
        figures.add(f"{arm}: farthest position", row["farthest"], "m")
        figures.add(f"{arm}: return (of {steps})", row["return"], "steps")
    figures.add("margin at the last step of the horizon", margins, "m")
    figures.write(args.json)


if __name__ == "__main__":
    main()
