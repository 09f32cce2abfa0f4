"""A pay that the model made up: missed once, it is not sought there again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

import gedanken
from gedanken.world.around import Around
from gedanken.world.model import Outcome, State

LENGTH = 7


class Corridor(gym.Env[int, int]):
    """Cells in a row, the agent in the third; stepping onto the last one pays 1 and ends the episode."""

    observation_space, action_space = gym.spaces.Discrete(LENGTH), gym.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        self.cell = 2
        return self.cell, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.cell = min(max(self.cell + (1 if action else -1), 0), LENGTH - 1)
        return self.cell, float(self.cell == LENGTH - 1), self.cell == LENGTH - 1, False, {}


class MadeUp(Around):
    """The true corridor, but that running into its wall pays."""

    def step(self, state: State, action: Tensor, rng: torch.Generator | None = None) -> tuple[State, Outcome]:
        at_the_wall = next(iter(self.decode(state).values())) == 0
        after, out = super().step(state, action, rng)
        return after, replace(out, reward=torch.where(at_the_wall & (action[:, 0] == 0), 1.0, out.reward))


def deceived() -> gedanken.Agent:
    agent = gedanken.Agent(Corridor(), llm=None, model="simulator", planner="search")
    agent.mind.learned = MadeUp(agent.mind.learned)
    agent.refresh()
    return agent


def test_a_pay_that_did_not_come_is_not_sought_again() -> None:
    result = deceived().run(episodes=1, seeds=[0], max_steps=20)
    assert result.solved == 1
    assert result.episodes[0].departures == 1
    assert result.episodes[0].steps == 3 + LENGTH - 1    # to the wall and into it, then to the end


def test_nor_is_it_while_learning() -> None:
    agent = deceived()
    agent.learn(3 + LENGTH - 1, random=False, train=False)
    assert agent.mind.memory.transitions().reward.sum() == 1
    assert agent.mind.departures == 1
