"""MiniGrid's own 7 x 7 view beside the full one: what is learned from it, believed of unseen cells, and found.

    python benchmarks/partial_view.py [--quick] [--part learning,belief,acting] [--episodes 30]

Learning: one-step exactness on full-view transitions of layouts never seen, by models that learned from as many random
interactions with the full and with the partial view. Belief: bits by which cells surprise when they come into sight on
held-out layouts, against their overall shares. Acting: success and steps of one rules-only agent under the goal to face
the thing that a mission names, with either view, beside BabyAI's bot, judged by the environment. Seeds of acting begin
at 60,000,000 and were used for nothing else.
"""

from __future__ import annotations

import contextlib
import io
import time

import gymnasium as gym
import minigrid  # noqa: F401 - registers the environments
import numpy as np
import torch
from common import Figures, options
from minigrid.utils.baby_ai_bot import BabyAIBot

from gedanken import Agent, Schema
from gedanken.world.model import begin
from gedanken.world.models.build import build
from gedanken.world.rules.parse import parse
from gedanken.world.training import exact
from gedanken.world.unseen import Unseen

LEARNED_IN = ("BabyAI-GoToLocal-v0", "MiniGrid-FourRooms-v0")
BELIEVED_IN = ("BabyAI-GoToLocal-v0", "BabyAI-GoToObjMaze-v0", "MiniGrid-FourRooms-v0")
ACTED_IN = ("BabyAI-GoToObj-v0", "BabyAI-GoToLocal-v0", "BabyAI-GoToObjMaze-v0")
TURNS = {"left": ("right", "up", "left", "down"), "right": ("right", "down", "left", "up")}
RULES = "\n".join([
    *(f"expect direction' == {b} if action == {turn} and direction == {a}"
      for turn, round_ in TURNS.items() for a, b in zip(round_, round_[1:] + round_[:1], strict=True)),
    "expect agent_x' == front_x and agent_y' == front_y if action == forward and (front_object in {empty, floor, goal} "
    "or front_state == open)",
    "expect front_state' == open if action == toggle and front_state == closed",
    "expect front_state' == closed if action == toggle and front_state == open",
    "expect carrying_object' == front_object and carrying_color' == front_color and front_object' == empty and "
    "front_color' == none if action == pickup and front_object in {key, ball, box} and carrying_object == none",
    "expect front_object' == carrying_object and front_color' == carrying_color and carrying_object' == none and "
    "carrying_color' == none if action == drop and carrying_object != none and front_object == empty",
])


class FreePlay(gym.Wrapper):
    """An environment without its mission, and without the lines that level generation prints."""

    def reset(self, **more):
        with contextlib.redirect_stdout(io.StringIO()):
            return self.env.reset(**more)

    def step(self, action):
        observation, _, _, truncated, info = self.env.step(action)
        return observation, 0.0, False, truncated, info


def learning(figures: Figures, seeds: range, steps: int) -> None:
    for name in LEARNED_IN:
        env = FreePlay(gym.make(name))
        full = Schema.from_env(env)
        before, action, after, rare = transitions(env, full, 60)
        for view in ("full", "partial"):
            all_of, rare_of = [], []
            for seed in seeds:
                own = FreePlay(gym.make(name))
                agent = Agent(own, schema=Schema.from_env(own, view=view), llm=None, seed=seed)
                agent.learn(steps, envs=4)
                model = build("slots", full, env)
                model.load_state_dict(agent.mind.learned.state_dict())
                with torch.no_grad():
                    right = exact(model.step(begin(model, before), action)[1].mode, after)
                all_of.append(float(right.float().mean()))
                rare_of.append(float(right[rare].float().mean()))
            figures.add(f"{name}: exact, learned from the {view} view", all_of, "share")
            figures.add(f"{name}: the same where more than the pose changed ({int(rare.sum())})", rare_of, "share")


def transitions(env: gym.Env, schema: Schema, episodes: int):
    """Random full-view transitions of held-out layouts, and which of them changed more than the pose."""
    rng, rows = np.random.default_rng(99), []
    for k in range(episodes):
        observation, _ = env.reset(seed=70_000_000 + k)
        seen = schema.observe(observation, env)
        for _ in range(25):
            action = int(rng.integers(7))
            observation, *_ = env.step(action)
            last, seen = seen, schema.observe(observation, env)
            rows.append((last, action, seen))
    before, after = schema.batch([r[0] for r in rows]), schema.batch([r[2] for r in rows])
    things = ("object", "state", "carrying_object")
    rare = torch.stack([(before[k] != after[k]).reshape(len(rows), -1).any(1) for k in things]).any(0)
    return before, torch.tensor([[r[1]] for r in rows]), after, rare


def belief(figures: Figures, seeds: range, steps: int, names: tuple[str, ...]) -> None:
    for name in names:
        gained, plain, off = [], [], []
        for seed in seeds:
            agents = []
            for other in (2 * seed, 2 * seed + 1):
                env = FreePlay(gym.make(name))
                agents.append(Agent(env, schema=Schema.from_env(env, view="partial"), llm=None, seed=other))
                agents[-1].learn(steps, envs=4, train=False)
            known, held_out = ([a.mind.memory.transitions([e.id]) for e in a.mind.memory.episodes()] for a in agents)
            unseen = Unseen.of(agents[0].schema, known)
            gained.append(float(unseen.surprise(held_out).mean()))
            plain.append(float(unseen.marginal.surprise(held_out).mean()))
            off.append(calibration(unseen, held_out))
        figures.add(f"{name}: bits a cell, by what lies around it", gained, "bits", "below the next")
        figures.add(f"{name}: bits a cell, by overall shares", plain, "bits")
        figures.add(f"{name}: expected calibration error of the likeliest value", off, "share")


def calibration(unseen: Unseen, episodes) -> float:
    """How far the belief's confidence in its likeliest value is from how often that is right, in ten bins."""
    p, value = unseen.foretold(episodes)
    sure, right = p.max(1), p.argmax(1) == value
    bins = (sure * 10).astype(int)
    return sum(abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins))


def acting(figures: Figures, seeds: range) -> None:
    for name in ACTED_IN:
        env = gym.make(name)
        steps, solved, seconds = {}, {}, {}
        for view in ("bot", "full", "partial"):
            agent = None
            if view != "bot":
                agent = Agent(env, schema=Schema.from_env(env, view=view), llm=None, model="none")
                agent.tell(RULES)
            played = [by_bot(env, s) if agent is None else by_agent(agent, s) for s in seeds]
            solved[view], steps[view], seconds[view] = (np.array(x, float) for x in zip(*played, strict=True))
        for view in ("full", "partial"):
            both = (solved[view] > 0) & (solved["bot"] > 0)
            figures.add(f"{name}: {view}, solved (bot {solved['bot'].mean():.2f})", solved[view].tolist(), "share")
            figures.add(f"{name}: {view}, steps / bot's", [steps[view][both].sum() / steps["bot"][both].sum()], "ratio")
            figures.add(f"{name}: {view}, seconds a decision", (seconds[view] / steps[view]).tolist(), "s")


def by_bot(env: gym.Env, seed: int) -> tuple[bool, int, float]:
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        env.reset(seed=seed)
    bot, reward, over, steps = BabyAIBot(env), 0.0, False, 0
    while not over:
        _, reward, terminated, truncated, _ = env.step(bot.replan())
        over, steps = terminated or truncated, steps + 1
    return reward > 0, steps, time.perf_counter() - began


def by_agent(agent: Agent, seed: int) -> tuple[bool, int, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        observation, _ = agent.env.reset(seed=seed)
    wanted = agent.env.unwrapped.instrs.desc  # what the mission's words name
    parts = [f"front_object == {wanted.type}", *([f"front_color == {wanted.color}"] if wanted.color else [])]
    agent.mind.errand = (parse("achieve " + " and ".join(parts), agent.schema).statement,)
    agent.reset(observation)
    began, reward, over, steps = time.perf_counter(), 0.0, False, 0
    while not over and (action := agent.step(observation, reward, False, False)) is not None:
        observation, reward, terminated, truncated = agent.interact(action)
        over, steps = terminated or truncated, steps + 1
    agent.end_episode()
    return reward > 0, steps, time.perf_counter() - began


def main() -> None:
    args = options(__doc__ or "", part=(str, "learning,belief,acting", "which parts, comma-separated"),
                   episodes=(int, 30, "episodes a level of acting"), seeds=(int, 3, "training seeds"),
                   interactions=(int, 2_000, "random interactions to learn from"))
    if args.quick:
        args.part, args.episodes, args.seeds, args.interactions = "belief,acting", 2, 1, 300
    torch.set_num_threads(1)
    figures, parts, seeds = Figures(), args.part.split(","), range(args.seed, args.seed + args.seeds)
    if "learning" in parts:
        learning(figures, seeds, args.interactions)
    if "belief" in parts:
        belief(figures, seeds, args.interactions, BELIEVED_IN[:1] if args.quick else BELIEVED_IN)
    if "acting" in parts:
        acting(figures, range(60_000_000, 60_000_000 + args.episodes))
    figures.write(args.json)


if __name__ == "__main__":
    main()
