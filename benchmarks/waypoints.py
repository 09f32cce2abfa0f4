"""Waypoints beside single-action search: solved, seconds a plan, steps, imagined transitions, in one learned model.

    python benchmarks/waypoints.py [--quick] [--seed 0] [--json PATH] [--agent FOLDER] [--layouts 20]

A model learned from random play on DoorKey 8x8, refined by the manual, plans on layouts of other seeds.
With `--agent` a saved agent plans in BabyAI's BossLevel (22 x 22 cells, 9 rooms) instead: to face a thing, to take it,
to open a door, each anywhere on the board. Every plan is played in the world: solved is what came true there.
"""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path

import gymnasium as gym
import minigrid  # noqa: F401 - registers the environments
import numpy as np
import torch
from common import Figures, options

import gedanken
from gedanken.agent.goals import Goal
from gedanken.agent.planning.build import planner_for
from gedanken.agent.planning.objective import Objective, Return
from gedanken.agent.planning.plan import Budget
from gedanken.world.model import begin
from gedanken.world.rules.evaluate import Rows, truth
from gedanken.world.rules.parse import parse

MANUAL = Path(__file__).parents[1] / "examples" / "doorkey" / "manual.txt"
TEST_SEED = 60_000_000
PLANNERS = ("waypoints", "search")
OURS = 20.0  # seconds a plan may take


def goals(agent: gedanken.Agent, features: dict[str, torch.Tensor], rng: np.random.Generator) -> list[str]:
    """Goals that name a thing or a door of this layout; none: what the rules reward."""
    base = agent.schema.base
    objects, colors = base["object"].values, base["color"].values
    kinds = np.array(objects)[features["object"][0].numpy()]

    def one(*names: str) -> tuple[int, int]:
        places = np.argwhere(np.isin(kinds, names))
        x, y = places[rng.integers(len(places))]
        return int(x), int(y)

    (x, y), (i, j) = one("key", "ball", "box"), one("door")
    thing, color = kinds[x, y], colors[int(features["color"][0, x, y])]
    return [f"achieve front_object == {thing} and front_color == {color}",
            f"achieve carrying_object == {thing} and carrying_color == {color}",
            f"achieve state[{i}, {j}] == open"]


def came_true(agent: gedanken.Agent, seed: int, actions: list[int], line: str) -> bool:
    """Whether the plan does in the world what was asked for (without a line: it is rewarded)."""
    with contextlib.redirect_stdout(io.StringIO()):
        observation, _ = agent.env.reset(seed=seed)
    statement = parse(line, agent.schema).statement if line else None
    for action in actions:
        observation, reward, over, *_ = agent.env.step(action)
        if statement is None:
            if float(reward) > 0:
                return True
            continue
        rows = Rows(agent.schema, agent.schema.batch([agent.schema.observe(observation, agent.env)]))
        if bool(truth(statement.milestones[-1], rows)):
            return True
        if over:
            break
    return False


def compare(figures: Figures, name: str, agent: gedanken.Agent, layouts: int, seed: int, with_goals: bool) -> None:
    rows: dict[str, list[tuple[bool, int, float, int]]] = {p: [] for p in PLANNERS}
    rng, standing = np.random.default_rng(seed), agent.objective()
    for number in range(layouts):
        at = TEST_SEED + seed * 10_000 + number
        with contextlib.redirect_stdout(io.StringIO()):
            observation, _ = agent.env.reset(seed=at)
        features = agent.schema.batch([agent.schema.observe(observation, agent.env)])
        for line in goals(agent, features, rng) if with_goals else [""]:
            objective = standing
            if line:
                objective = Objective([Goal(agent.schema, parse(line, agent.schema).statement), Return(float("inf"))])
            for planner in PLANNERS:
                model, began = agent.mind.imagining, time.perf_counter()
                plan = planner_for(planner, agent.schema).plan(model, begin(model, features), objective, None,
                                                               torch.Generator().manual_seed(0), Budget(seconds=OURS))
                seconds, actions = time.perf_counter() - began, plan.sequence[:, 0, 0].tolist()
                rows[planner].append((came_true(agent, at, actions, line), len(actions), seconds, plan.transitions))
    for planner, found in rows.items():
        solved, _, seconds, imagined = (np.array(column, float) for column in zip(*found, strict=True))
        figures.add(f"{name}, {planner}: solved", [float(solved.mean())], "share")
        figures.add(f"{name}, {planner}: median plan", [float(np.median(seconds))], "s")
        figures.add(f"{name}, {planner}: slowest plan", [float(seconds.max())], "s")
        figures.add(f"{name}, {planner}: imagined", [float(np.median(imagined))], "steps")
    both = [(a[1], b[1]) for a, b in zip(*rows.values(), strict=True) if a[0] and b[0]]
    if both:
        ratio = sum(a for a, _ in both) / sum(b for _, b in both)
        figures.add(f"{name}, steps of waypoints over search, both solved", [ratio], "ratio")


def main() -> None:
    args = options(__doc__ or "", agent=(str, "", "a saved agent that knows BabyAI"), layouts=(int, 20, "layouts"))
    torch.set_num_threads(1)
    figures, layouts = Figures(), 3 if args.quick else args.layouts
    if args.agent:
        with contextlib.redirect_stdout(io.StringIO()):
            env = gym.make("BabyAI-BossLevel-v0")
            env.reset(seed=0)
        compare(figures, "BossLevel", gedanken.Agent.load(args.agent, env), layouts, args.seed, True)
    else:
        agent = gedanken.Agent(gym.make("MiniGrid-DoorKey-8x8-v0"), llm=None, seed=args.seed)
        agent.tell(MANUAL.read_text(), source="manual")
        agent.learn(steps=300 if args.quick else 1_000)
        compare(figures, "DoorKey 8x8", agent, layouts, args.seed, False)
    figures.write(args.json)


if __name__ == "__main__":
    main()
