"""The agent before anything is shifted: random interactions on all boards, begun anywhere, and that world's manual."""

from __future__ import annotations

import shutil
from pathlib import Path

import gymnasium as gym

import gedanken
from gedanken.agent.adapting import AdaptingConfig
from gedanken.agent.config import AgentConfig
from gedanken.agent.planning.plan import Budget

from .boards import Boards
from .play import Anywhere

MANUAL = (Path(__file__).parent / "manual.txt").read_text()
BUDGET = Budget(transitions=8_000, seconds=4.0)
FROZEN = AgentConfig(budget=BUDGET, train_every=10**9, layout_steps=12)
ADAPTING = AgentConfig(budget=BUDGET, adapting=AdaptingConfig(), layout_steps=12)


def base(folder: Path, seed: int, interactions: int) -> Path:
    """The folder of the agent that was told the manual and has lived so long; made where it is not there yet."""
    home = folder / f"base-{seed}-{interactions}"
    if not (home / "agent.safetensors").exists():
        aside = folder / f"making-{seed}-{interactions}"
        shutil.rmtree(aside, ignore_errors=True)
        agent = gedanken.Agent(Anywhere(Boards(), seed), llm=None, seed=seed, config=FROZEN)
        agent.tell(MANUAL, source="manual")
        agent.learn(steps=interactions)
        agent.save(aside)
        agent.close()
        aside.rename(home)
    return home


def awakened(home: Path, work: Path, env: gym.Env, config: AgentConfig) -> gedanken.Agent:
    """That agent in another world, with its own copy of everything in the folder `work`."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(home, work)
    return gedanken.Agent.load(work, env, config=config)
