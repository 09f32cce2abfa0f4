"""BabyAI: instructions followed in every level family, with the full view and the 7 x 7 one, beside BabyAI's own bot.

    python benchmarks/babyai.py [--quick] [--levels GoTo,Boss] [--views full,partial] [--episodes 20] [--all-ids]

One model learns from 5,000 random interactions in small rooms (`TRAINED_IN`), played without a mission; a manual of a
few sentences tells what random play seldom shows. Weights and rules then run in every level. The mission is handed to
the agent as the user's instruction; the environment's own verifier says whether it was done. The bot, which reads the
simulator, plays the same seeds. Every episode is a row of its own, so that a run is resumed by the same command.

Reported seeds begin at 50,000,000 and were used for nothing else; settings were chosen on `--first 9000000`.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gymnasium as gym
import minigrid  # noqa: F401 - registers the environments
from common import Figures, options, table
from harness import Row, choices, run
from intervals import Interval, interval
from minigrid.utils.baby_ai_bot import BabyAIBot

import gedanken

MANUAL = Path(__file__).parents[1] / "examples" / "babyai" / "manual.txt"
TRAINED_IN = "MiniBossLevel"
VERSION = "2"
MOST_SECONDS = 90.0
"""An episode of an agent is broken off, and counts as unsolved, after so long."""
FAMILIES = (
    "GoToRedBallGrey", "GoToRedBall", "GoToRedBallNoDists", "GoToObj", "GoToLocal", "GoTo", "GoToImpUnlock", "GoToSeq",
    "GoToRedBlueBall", "GoToDoor", "GoToObjDoor",
    "Open", "OpenRedDoor", "OpenDoor", "OpenTwoDoors", "OpenDoorsOrderN4",
    "Pickup", "UnblockPickup", "PickupLoc", "PickupDist", "PickupAbove",
    "PutNextLocal", "PutNextS7N4", "Unlock", "UnlockLocal", "KeyInBox", "UnlockPickup", "BlockedUnlockPickup",
    "UnlockToUnlock", "ActionObjDoor", "FindObjS5", "KeyCorridor", "OneRoomS8", "MoveTwoAcrossS8N9",
    "Synth", "SynthLoc", "SynthSeq", "MiniBossLevel", "BossLevel", "BossLevelNoUnlock",
)  # fmt: skip
"""One id of each of the 40 families, as a rule the hardest."""
SOURCE = "from the literature, not measured here"
LITERATURE = (
    {SOURCE: "imitation learning, BossLevel, 7 x 7 view (BabyAI 1.0 and 1.1: Hui et al. 2020, arXiv 2007.12770)",
     "success": "0.77 and 0.904", "learned from": "1,000,000 demonstrations"},
    {SOURCE: "GPT-4o, five levels told in text, 7 x 7 view (BALROG: Paglieri et al. 2024, arXiv 2411.13543)",
     "success": "about 0.78", "learned from": "no interactions"},
)


@dataclass(frozen=True)
class Episode:
    """`player` is "bot", "full" or "partial"; the agents are those that `learned` saved in `folder`."""

    player: str
    level: str
    seed: int
    folder: str = ""


class FreePlay(gym.Wrapper):
    """An environment without its mission: that an order was carried out is no law of the world."""

    def step(self, action):
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, 0.0, False, terminated or truncated, info


class Bot(BabyAIBot):
    """BabyAI's bot, broken off where it goes round in circles over one action."""

    searches = 0

    def replan(self, action_taken=None):
        self.searches = 0
        return super().replan(action_taken)

    def _shortest_path(self, *args, **kwargs):
        self.searches += 1
        if self.searches > 200:
            raise TimeoutError("the bot does not come to an action")
        return super()._shortest_path(*args, **kwargs)


def every_level() -> tuple[str, ...]:
    """All of BabyAI's ids, without their prefix and version."""
    return tuple(i.removeprefix("BabyAI-").rpartition("-v")[0] for i in gym.registry if i.startswith("BabyAI-"))


def make(level: str) -> gym.Env:
    """The environment of a level, such as "GoToLocal"."""
    with contextlib.redirect_stdout(io.StringIO()):
        return gym.make(next(i for i in gym.registry if i.startswith(f"BabyAI-{level}-v")))


def reset(env: gym.Env, seed: int):
    """Reset without the lines that level generation prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        return env.reset(seed=seed)[0]


def learned(folder: Path, seed: int, interactions: int) -> Path:
    """The folder of an agent that was told the manual and learned from random play; made where it is not there."""
    place = folder / f"agent-{seed}-{interactions}"
    if not (place / "agent.safetensors").exists():
        began = time.perf_counter()
        envs = [FreePlay(make(TRAINED_IN)) for _ in range(4)]
        agent = gedanken.Agent(envs[0], llm=None, seed=seed)
        agent.tell(MANUAL.read_text(), source="manual")
        with contextlib.redirect_stdout(io.StringIO()):
            accuracy = agent.learn(steps=interactions, envs=envs)
        agent.save(place)
        seconds = time.perf_counter() - began
        print(f"  learned from {len(agent.mind.memory)} interactions in {seconds:.0f} s: {accuracy}", flush=True)
    return place


@lru_cache(maxsize=2)
def loaded(folder: str, level: str, view: str) -> gedanken.Agent:
    """The learned agent in another level, with a copy of its memory to itself."""
    env, aside = make(level), tempfile.mkdtemp()
    atexit.register(shutil.rmtree, aside, ignore_errors=True)
    schema = gedanken.Schema.from_env(env, view=view)
    memory = shutil.copy(Path(folder) / "memory.db", aside)
    return gedanken.Agent.load(folder, env, schema=schema, planner="waypoints", memory=memory)


def play(job: Episode) -> Row:
    """One episode: solved as the verifier says, in so many steps, at what cost."""
    return by_bot(job) if job.player == "bot" else by_agent(job)


def by_bot(job: Episode) -> Row:
    env, steps, reward, over, why = make(job.level), 0, 0.0, False, ""
    reset(env, job.seed)
    try:
        bot = Bot(env)
        while not over:
            _, reward, terminated, truncated, _ = env.step(bot.replan())
            over, steps = terminated or truncated, steps + 1
    except Exception as error:  # it stands on assumptions that some levels break
        reward, why = 0.0, f"{type(error).__name__}: {error}"
    return {"solved": reward > 0, "steps": steps, "why": why}


def by_agent(job: Episode) -> Row:
    agent = loaded(job.folder, job.level, job.player)
    observation, began = reset(agent.env, job.seed), time.perf_counter()
    agent.reset(observation)
    agent.instruct(observation["mission"])
    steps, reward, over = 0, 0.0, False
    while not over and (action := agent.act(observation, reward)) is not None:
        if agent.has_reached_goals() or time.perf_counter() - began > MOST_SECONDS:
            break  # it believes that all is done, and the verifier does not
        observation, reward, terminated, truncated = agent.interact(action)
        over, steps = terminated or truncated, steps + 1
    agent.end_episode()
    seconds = time.perf_counter() - began
    why = ("" if reward > 0 else "out of steps" if over and truncated else "failed" if over
           else "out of seconds" if seconds > MOST_SECONDS else "believed it was done")
    return {"solved": reward > 0, "steps": steps, "why": why, "mission": observation["mission"],
            "seconds": round(seconds, 3), "imagined": agent.mind.imagined_steps, "departures": agent.mind.departures}


def solved(rows: Iterable[Row]) -> Interval:
    return interval([row["solved"] for row in rows])


def level_rows(rows: Iterable[Row], views: list[str]) -> list[Row]:
    """A line a level: success with its interval, steps beside the bot's where both solved, seconds a decision."""
    of: dict[tuple[str, str], dict[int, Row]] = defaultdict(dict)
    for row in rows:
        of[row["level"], row["player"]][row["seed"]] = row
    lines = []
    for level in dict.fromkeys(level for level, _ in of):
        bot = of[level, "bot"]
        line: Row = {"level": level, "episodes": len(bot), "bot": solved(bot.values())}
        for view in views:
            ours = of[level, view]
            both = [s for s in ours if ours[s]["solved"] and s in bot and bot[s]["solved"]]
            line[view] = solved(ours.values())
            line[f"steps / bot, {view}"] = (sum(ours[s]["steps"] for s in both) / sum(bot[s]["steps"] for s in both)
                                            if both else None)
            line[f"s a decision, {view}"] = sum(r["seconds"] for r in ours.values()) / max(1, sum(
                r["steps"] for r in ours.values()))
        lines.append(line)
    return lines


def report(figures: Figures, rows: list[Row], views: list[str]) -> None:
    lines = level_rows(rows, views)
    print("\n" + table(lines) + "\n")
    print(table(LITERATURE) + "\n")
    solvable = {line["level"] for line in lines if line["bot"].value >= 0.5}
    figures.add("levels that the bot solves", [float(len(solvable))], "levels")
    for view, goal in (("full", 0.95), ("partial", 0.8)):
        if view not in views:
            continue
        ours = [r for r in rows if r["player"] == view]
        figures.add(f"{view}: solved, where the bot does", [r["solved"] for r in ours if r["level"] in solvable],
                    "share", f">= {goal}")
        figures.add(f"{view}: solved, all levels", [r["solved"] for r in ours], "share")
        reached = [line[view].value >= goal for line in lines if line["level"] in solvable]
        figures.add(f"{view}: levels with at least {goal}", reached, "share", "1")
        steps = max(1, sum(r["steps"] for r in ours))
        figures.add(f"{view}: seconds a decision", [sum(r["seconds"] for r in ours) / steps], "s")
        figures.add(f"{view}: imagined steps a decision", [sum(r["imagined"] for r in ours) / steps], "steps")
        lengths = [r["steps"] for r in ours]
        figures.add(f"{view}: steps an episode", lengths, "steps", found=interval(lengths, method="bootstrap"))
        causes = defaultdict(int)
        for r in ours:
            if not r["solved"]:
                causes[r["why"]] += 1
        print(f"  {view}: unsolved: {dict(causes)}")
    figures.add("language-model calls and tokens", [0.0], "")


def main() -> None:
    args = options(
        __doc__ or "",
        levels=(str, "", "levels whose names contain one of these, comma-separated"),
        views=(str, "full,partial", "which views"),
        episodes=(int, 20, "episodes a level and view"),
        first=(int, 50_000_000, "the first episode's seed"),
        interactions=(int, 5_000, "random interactions to learn from"),
        folder=(Path, Path("runs/babyai"), "where the learned agents are kept"),
        all_ids=(bool, False, "all of BabyAI's ids instead of one a family"),
        **choices("runs/babyai/rows.jsonl"),
    )
    levels = every_level() if args.all_ids else FAMILIES
    wanted = [part for part in args.levels.split(",") if part]
    if args.quick:
        levels, args.episodes, args.interactions = ("GoToLocal", "PickupLoc", "OpenDoor"), 4, 1_000
    levels = tuple(level for level in levels if not wanted or any(part in level for part in wanted))
    views = args.views.split(",")
    figures = Figures()
    folder = str(learned(args.folder, args.seed, args.interactions).resolve())
    jobs = [
        Episode(player, level, args.first + k, folder if player != "bot" else "")
        for level in levels for player in ("bot", *views) for k in range(args.episodes)
    ]
    rows = run(jobs, play, args.store, version=VERSION, backend=args.backend, n_jobs=args.n_jobs)
    report(figures, rows, views)
    figures.add("interactions learned from", [float(args.interactions)], "steps", "<= 5000")
    figures.write(args.json)


if __name__ == "__main__":
    main()
