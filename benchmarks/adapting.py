"""Test-time training against a frozen model, in a world that changed and in one that did not.

    python benchmarks/adapting.py [--quick] [--seed 0] [--json PATH] [--parts grid,cart]

Three agents a seed start from the same weights: frozen, adapting (a few gradient steps an episode), and trained whole
after every episode that brought enough. They live the same number of episodes where turning is reversed (MiniGrid) or
the pole is four times as long and the push half (CartPole), and where nothing changed. What is compared is the world
model's one-step error on transitions of that world which nobody learned from, and what the agent is paid.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import minigrid  # noqa: F401
import numpy as np
import torch
from common import Figures, options

import gedanken
from gedanken.agent.adapting import AdaptingConfig
from gedanken.agent.config import AgentConfig
from gedanken.agent.planning.plan import Budget
from gedanken.memory import Transitions
from gedanken.world.model import begin
from gedanken.world.training import exact

TEST_SEED = 70_000_000
UNITS = {"grid": "share wrong", "cart": "sd of change"}
BUDGET = Budget(transitions=8_000, seconds=5.0)


class TurningReversed(gym.ActionWrapper):
    """MiniGrid's left and right change places while `changed`."""

    changed = False

    def action(self, action: int) -> int:
        return 1 - int(action) if self.changed and int(action) < 2 else int(action)


class AnotherPole(gym.Wrapper):
    """CartPole whose pole is four times as long and whose push is half as strong while `changed`."""

    changed = False

    def step(self, action):  # type: ignore[no-untyped-def]
        cart = self.unwrapped
        cart.length, cart.force_mag = (2.0, 5.0) if self.changed else (0.5, 10.0)
        cart.polemass_length = cart.masspole * cart.length
        return super().step(action)


def grid() -> gym.Env:
    return TurningReversed(gym.make("MiniGrid-Empty-Random-6x6-v0"))


def cart() -> gym.Env:
    return AnotherPole(gym.make("CartPole-v1"))


WORLDS: dict[str, tuple[Callable[[], gym.Env], int, int, int]] = {
    # environment, interactions at first, episodes deployed, steps an episode
    "grid": (grid, 600, 12, 40),
    "cart": (cart, 1_000, 12, 100),
}
CONFIGS = {
    "frozen": AgentConfig(budget=BUDGET, train_every=10**9),
    "adapting": AgentConfig(budget=BUDGET, adapting=AdaptingConfig()),
    "whole trainings": AgentConfig(budget=BUDGET, train_every=200),
}


def probe(make: Callable[[], gym.Env], changed: bool, seed: int, steps: int) -> Transitions:
    """Transitions of the world under random actions that no agent learns from."""
    env = make()
    env.changed = changed
    agent = gedanken.Agent(env, llm=None, model="none", seed=TEST_SEED + seed)
    agent.learn(steps, train=False)
    return agent.mind.memory.transitions()


@torch.no_grad()
def error(agent: gedanken.Agent, t: Transitions) -> float:
    """One-step error: the share of states not predicted exactly, or the root mean square in standard deviations of the
    change."""
    now, after = agent.schema.batch(t.features), agent.schema.batch(t.next_features)
    model = agent.mind.learned
    mode = model.step(begin(model, now), agent.experience.actions(t.action))[1].mode
    if all(f.is_discrete for f in agent.schema.features):
        return 1 - float(exact(mode, after).float().mean())
    ratios = [(mode[k] - after[k]).square().mean() / (after[k] - now[k]).var() for k in after]
    return float(torch.stack(ratios).mean().sqrt())


def live(agent: gedanken.Agent, episodes: int, steps: int, seed: int, unseen: Transitions) -> list[tuple[float, float]]:
    """Error and pay after every episode, the error before the first one included with no pay."""
    found = [(error(agent, unseen), float("nan"))]
    for episode in range(episodes):
        result = agent.run(1, seeds=[TEST_SEED + 1_000 * seed + episode], max_steps=steps, train=True)
        found.append((error(agent, unseen), result.mean_return))
    return found


def main() -> None:
    args = options(__doc__ or "", parts=(str, "grid,cart", "which worlds"), seeds=(int, 3, "training seeds"))
    torch.set_num_threads(1)
    figures = Figures()
    for name in args.parts.split(","):
        make, interactions, episodes, steps = WORLDS[name]
        if args.quick:
            interactions, episodes, steps = interactions // 2, 2, 20
        found: dict[tuple[str, str], list[list[tuple[float, float]]]] = {}
        for seed in range(args.seed, args.seed + (1 if args.quick else args.seeds)):
            with tempfile.TemporaryDirectory() as folder:
                first = gedanken.Agent(make(), llm=None, seed=seed, config=CONFIGS["frozen"])
                first.learn(interactions)
                first.save(Path(folder) / "first")
                first.close()
                for world in ("changed", "unchanged"):
                    unseen = probe(make, world == "changed", seed, 400)
                    for arm, config in CONFIGS.items():
                        home = Path(folder) / f"{arm} {world}"
                        shutil.copytree(Path(folder) / "first", home)
                        env = make()
                        env.changed = world == "changed"
                        agent = gedanken.Agent.load(home, env, config=config)
                        lived = live(agent, episodes, steps, seed, unseen)
                        found.setdefault((world, arm), []).append(lived)
                        agent.close()
                        print(f"    {name}, seed {seed}, {world}, {arm}: error "
                              + " ".join(f"{e:.2f}" for e, _ in lived), flush=True)
        for (world, arm), runs in found.items():
            where = f"{name} {world}, {arm}"
            figures.add(f"{where}: error before", [run[0][0] for run in runs], UNITS[name])
            figures.add(f"{where}: error after {episodes} episodes", [run[-1][0] for run in runs], UNITS[name])
            pay = [float(np.mean([p for _, p in run[1 + episodes // 2:]])) for run in runs]
            figures.add(f"{where}: pay, second half", pay, "return")
    figures.write(args.json)


if __name__ == "__main__":
    main()
