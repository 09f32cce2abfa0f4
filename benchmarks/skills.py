"""What remembered skills save: imagined transitions and seconds of the first plan, in layouts never seen.

    python benchmarks/skills.py [--quick] [--seed 0] [--json PATH] [--layouts 30] [--only TEXT]

Skills are lifted while an agent solves three layouts of each world (DoorKey 6x6; UnlockPickup), then lead the search in
others, of 6x6 and 8x8 for DoorKey. Arms, paired by layout: with and without skills, where the manual says how the
world works ("told"), and where nothing was told ("learned only": rules are not there to be chained backwards). The
model is exact (a clone of the environment), so that only the search differs.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import minigrid  # noqa: F401 - registers the environments
import torch
from common import Figures, options
from intervals import interval

import gedanken
from gedanken.agent.planning.plan import Budget
from gedanken.world.model import begin

MANUAL = Path(__file__).parents[1] / "examples" / "doorkey" / "manual.txt"
LEARN_SEED, TEST_SEED = 9_000_000, 71_000_000
WORLDS = {"DoorKey-6x6": ("DoorKey-6x6", "DoorKey-8x8"), "UnlockPickup": ("UnlockPickup",)}
BUDGET = Budget(transitions=60_000)


def agent(world: str, told: str, memory: Path) -> gedanken.Agent:
    config = gedanken.AgentConfig(budget=BUDGET)
    made = gedanken.Agent(gym.make(f"MiniGrid-{world}-v0"), llm=None, model="simulator", planner="search",
                          memory=memory, config=config)
    if told:
        made.tell(told)
    return made


def planned(made: gedanken.Agent, seed: int, skills: bool) -> tuple[int, float, bool]:
    """The first plan in one layout: imagined transitions, seconds, whether it reaches the end."""
    made.config = replace(made.config, skills=skills)
    made.reset(made.env.reset(seed=seed)[0])
    mind = made.mind
    assert mind.features is not None
    plan = made.planner.plan(mind.imagining, begin(mind.imagining, mind.features), made.objective(), None,
                             torch.Generator().manual_seed(seed), BUDGET)
    return plan.transitions, plan.seconds, bool(plan.reached[0])


def compare(figures: Figures, name: str, made: gedanken.Agent, seeds: range) -> None:
    pairs = [(planned(made, seed, True), planned(made, seed, False)) for seed in seeds]
    for k, arm in enumerate(("with skills", "without")):
        figures.add(f"{name}: {arm}", [p[k][0] for p in pairs], "transitions")
        figures.add(f"{name}: {arm}, seconds", [p[k][1] for p in pairs], "s")
        figures.add(f"{name}: {arm}, reached", [float(p[k][2]) for p in pairs], "share",
                    found=interval([p[k][2] for p in pairs]))
    saved = [1 - a[0] / b[0] for a, b in pairs]
    figures.add(f"{name}: saved by skills, of each plan", saved, "share", found=interval(saved, method="bootstrap"))
    fewer = [float(b[0] - a[0]) for a, b in pairs]
    figures.add(f"{name}: saved by skills", fewer, "transitions", found=interval(fewer, method="bootstrap"))


def main() -> None:
    chosen = options(__doc__ or "", layouts=(int, 30, "layouts of each world"),
                     only=(str, "", "only what has this in its name, such as `8x8, learned`"))
    torch.set_num_threads(1)
    figures, layouts = Figures(), 4 if chosen.quick else chosen.layouts
    for world, played in WORLDS.items():
        for arm in ("told", "learned only"):
            tests = [t for t in played if chosen.only in f"{t}, {arm}"]
            if not tests or (world == "UnlockPickup" and arm == "told"):
                continue    # there is no manual of it
            with tempfile.TemporaryDirectory() as folder:
                memory, told = Path(folder) / "m.sqlite", MANUAL.read_text() if arm == "told" else ""
                teacher = agent(world, told, memory)
                teacher.run(episodes=3, seed=LEARN_SEED + 1_000 * chosen.seed)
                print(world, arm, *teacher.skills, sep="\n  ", flush=True)
                teacher.close()
                for test in tests:
                    made = agent(test, told, memory)
                    first = TEST_SEED + 10_000 * chosen.seed
                    compare(figures, f"{test}, {arm}", made, range(first, first + layouts))
                    made.close()
    figures.write(chosen.json)


if __name__ == "__main__":
    main()
