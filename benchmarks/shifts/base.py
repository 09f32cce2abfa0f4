"""The agent before anything is shifted: random interactions on all boards, begun anywhere, and the manual of the world as it was."""

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

MANUAL = """\
Picking up a key puts it in your hand and leaves the cell ahead empty.
    expect carrying_object' == key and carrying_color' == front_color and front_object' == empty and front_color' == none if action == pickup and front_object == key and carrying_object == none

A locked door opens only to the key of its color; without that key nothing happens.
    expect front_state' == open if action == toggle and front_state == locked and carrying_object == key and carrying_color == front_color
    expect same if action == toggle and front_state == locked and not (carrying_object == key and carrying_color == front_color)

You can walk through an open door.
    expect agent_x' == front_x and agent_y' == front_y if action == forward and front_state == open

You can step onto the goal.
    expect agent_x' == front_x and agent_y' == front_y if action == forward and front_object == goal

Being on the goal pays 1 and ends the episode.
    reward +1 if object'[agent_x', agent_y'] == goal
    end if object'[agent_x', agent_y'] == goal

Lava ends the episode.
    end if object'[agent_x', agent_y'] == lava

Nothing else pays or ends it.
    reward 0 if object'[agent_x', agent_y'] != goal
    end with probability 0 if not (object'[agent_x', agent_y'] in {goal, lava})

You can carry only one thing.
    expect same if action == pickup and carrying_object != none
"""
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
