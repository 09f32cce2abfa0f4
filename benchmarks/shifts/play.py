"""Transitions of a world under play that meets things: it begins before a thing, with something in its hands, and then
is random, but likes to walk and to try its hands on what is ahead. Nobody learns from it: it shows what is true."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from minigrid.core.world_object import Ball, Key

from gedanken.memory.experience.record import Transitions
from gedanken.world.schema import Schema

from .boards import COLORS, NEXT

LIKES = (1.0, 1.0, 4.0, 2.0, 1.0, 2.0, 1.0)
"""How often each of MiniGrid's actions is taken, against the others."""


def play(env: gym.Env, steps: int, seed: int, episode_steps: int = 12) -> Transitions:
    """`steps` transitions of `env` as its fully observed schema has them."""
    env, rng = Anywhere(env, seed), np.random.default_rng(seed)
    schema = Schema.from_env(env)
    likes = np.array(LIKES) / sum(LIKES)
    rows: list[tuple[dict[str, np.ndarray], int, float, bool, dict[str, np.ndarray], int, int]] = []
    episode, t, now = -1, episode_steps, {}
    while len(rows) < steps:
        if t >= episode_steps:
            episode, t = episode + 1, 0
            seen, _ = env.reset(seed=seed + episode)
            now = schema.observe(seen, env)
        action = int(rng.choice(len(likes), p=likes))
        seen, reward, terminated, truncated, _ = env.step(action)
        after = schema.observe(seen, env)
        rows.append((now, action, float(reward), bool(terminated), after, episode, t))
        now, t = after, episode_steps if terminated or truncated else t + 1
    before, actions, paid, ended, after_, episodes, times = zip(*rows, strict=True)
    return Transitions(
        {k: np.stack([r[k] for r in before]) for k in now}, np.array(actions)[:, None], np.array(paid, np.float32),
        np.array(ended), np.zeros(steps, bool), {k: np.stack([r[k] for r in after_]) for k in now},
        np.array(episodes), np.array(times),
    )


class Anywhere(gym.Wrapper):
    """Episodes that begin on some empty cell, before a thing two times in three, with something or nothing in hand."""

    def __init__(self, env: gym.Env, seed: int) -> None:
        super().__init__(env)
        self.rng = np.random.default_rng(seed)

    def reset(self, **options: Any) -> Any:
        _, info = self.env.reset(**options)
        begin_anywhere(self.unwrapped, self.rng)
        return self.unwrapped.gen_obs(), info


def begin_anywhere(board: Any, rng: np.random.Generator) -> None:
    """Put the agent and what it holds there."""
    cells = [(x, y) for x in range(1, board.width - 1) for y in range(1, board.height - 1)]
    empty = [c for c in cells if board.grid.get(*c) is None]
    met = [((x - dx, y - dy), k) for x, y in cells if getattr(board.grid.get(x, y), "type", "wall") != "wall"
           for k, (dx, dy) in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))) if (x - dx, y - dy) in empty]
    if met and rng.random() < 2 / 3:
        board.agent_pos, board.agent_dir = met[rng.integers(len(met))]
    else:
        board.agent_pos, board.agent_dir = empty[rng.integers(len(empty))], int(rng.integers(4))
    doors = [t.color for c in cells if getattr(t := board.grid.get(*c), "type", "") == "door"]
    fitting = [*doors, *(c for c in COLORS if NEXT[c] in doors)]
    color = str(rng.choice(fitting if fitting and rng.random() < 2 / 3 else COLORS))
    board.carrying = (Key(color), Ball(color), None)[rng.integers(3)]
