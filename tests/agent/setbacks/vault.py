"""A corridor with keys, a locked door and a treasure behind it, and a world model that knows all of it but doors.

Things do not stand in the way, but a door that is not open does. `pickup` takes the key from where one stands and
leaves there what one carried; `toggle` opens the door ahead with the key of its color; `wait` moves the clock's hand.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import gedanken
from gedanken.world.distributions import Categorical, Distribution
from gedanken.world.model import Batch, Outcome
from gedanken.world.schema import Feature, Features, Grid, Pointed, Schema

OBJECTS = ("unseen", "empty", "key", "door", "treasure")
COLORS, STATES = ("none", "red", "blue"), ("none", "open", "locked")
LENGTH = 8
ACTIONS = ("back", "forward", "pickup", "toggle", "wait")


def pointed(name: str, of: str, values: tuple[str, ...], ahead: int) -> Pointed:
    def at(features: Features) -> Tensor:
        index = features["x"].long() + ahead
        return torch.where(index < LENGTH, index, -1)

    return Pointed(Feature(name, "category", values=values), of, at, 0)


def category(name: str, values: tuple[str, ...], shape: tuple[int, ...] = ()) -> Feature:
    return Feature(name, "category", shape, values=values)


def perceive(observation: Any, env: gym.Env | None) -> dict[str, Any]:
    return dict(observation)


SCHEMA = Schema(
    "vault",
    (category("object", OBJECTS, (LENGTH, 1)), category("color", COLORS, (LENGTH, 1)),
     category("state", STATES, (LENGTH, 1)), Feature("x", "integer", low=0, high=LENGTH - 1),
     Feature("y", "integer", low=0, high=0), category("carrying_object", ("none", "key")),
     category("carrying_color", COLORS), Feature("clock", "integer", low=0, high=3)),
    (category("action", ACTIONS),), perceive, lambda row: int(row[0]),
    (pointed("front_object", "object", OBJECTS, 1), pointed("front_color", "color", COLORS, 1),
     pointed("front_state", "state", STATES, 1), pointed("here_object", "object", OBJECTS, 0)),
    grid=Grid(("object", "color", "state"), "x", "y"),
)


class Vault(gym.Env[Any, Any]):
    """Keys by cell -> color; the door is blue and stands in cell 5, the treasure in cell 7, the agent starts in 2."""

    action_space = gym.spaces.Discrete(len(ACTIONS))
    observation_space = gym.spaces.Dict({})
    schema = SCHEMA

    def __init__(self, keys: dict[int, str] | None = None, unseen: int = 0) -> None:
        self.keys, self.unseen = keys if keys is not None else {0: "blue"}, unseen

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        object, color, state = (np.full((LENGTH, 1), k) for k in (1, 0, 0))
        for cell, name in self.keys.items():
            object[cell], color[cell] = 2, COLORS.index(name)
        object[5], color[5], state[5], object[7] = 3, 2, 2, 4
        object[6:6 + self.unseen] = 0
        self.s = {"object": object, "color": color, "state": state, "x": 2, "y": 0, "carrying_object": 0,
                  "carrying_color": 0, "clock": 0}
        return {k: np.array(v) for k, v in self.s.items()}, {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        now = SCHEMA.batch([{k: np.array(v) for k, v in self.s.items()}])
        after = moved(now, torch.tensor([[action]]))
        x = self.s["x"] + 1
        if ACTIONS[action] == "toggle" and x == 5 and self.s["carrying_color"] == 2:
            after["state"][0, 5, 0] = 1
        self.s = {k: v[0].numpy() for k, v in after.items()}
        return {k: np.array(v) for k, v in self.s.items()}, 0.0, False, False, {}


def moved(now: Features, action: Tensor) -> dict[str, Tensor]:
    """What a step brings, less what toggling does: N rows."""
    rows, act, after = torch.arange(len(action)), action[:, 0], {k: v.clone() for k, v in now.items()}
    x = now["x"].long()
    ahead = (x + 1).clamp_max(LENGTH - 1)
    is_shut = (now["object"][rows, ahead, 0] == 3) & (now["state"][rows, ahead, 0] == 2)
    to = torch.where((act == 1) & ~is_shut, ahead, torch.where(act == 0, (x - 1).clamp_min(0), x))
    after["x"] = to.to(now["x"].dtype)
    takes = (act == 2) & (now["object"][rows, x, 0] == 2)
    held = now["carrying_object"] == 1
    for name, carried in (("object", torch.where(held, 2, 1)), ("color", now["carrying_color"])):
        after[name][rows, x, 0] = torch.where(takes, carried.to(after[name].dtype), now[name][rows, x, 0])
    after["carrying_object"] = torch.where(takes, torch.ones_like(now["carrying_object"]), now["carrying_object"])
    after["carrying_color"] = torch.where(takes, now["color"][rows, x, 0], now["carrying_color"])
    after["clock"] = torch.where(act == 4, (now["clock"] + 1) % 4, now["clock"]).to(now["clock"].dtype)
    return after


class Knows:
    """A world model that knows the corridor, but thinks that toggling does nothing."""

    provides = frozenset({"reward", "end"})
    schema = SCHEMA

    def initial(self, n: int) -> dict[str, Tensor]:
        return {f.name: torch.zeros(n, *f.shape, dtype=f.dtype) for f in SCHEMA.features}

    def observe(self, state: Features, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(features)

    def assimilate(self, state: Features, features: Features, rows: Tensor,
                   rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {k: torch.where(rows.view(-1, *[1] * (v.dim() - 1)), features[k], v) for k, v in state.items()}

    def decode(self, state: Features) -> dict[str, Tensor]:
        return dict(state)

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {}

    def step(self, state: Features, action: Tensor, rng: torch.Generator | None = None
             ) -> tuple[dict[str, Tensor], Outcome]:
        after = moved(state, action)
        told: dict[str, Distribution] = {
            f.name: Categorical(f, F.one_hot(after[f.name].long() - f.offset, f.cardinality) * 12.0)
            for f in SCHEMA.features}
        zero = torch.zeros(len(action))
        return after, Outcome(told, zero, zero + 1, zero == 0, zero)


def agent_in(rules: str, keys: dict[int, str] | None = None, unseen: int = 0) -> gedanken.Agent:
    """An agent in a vault, its first episode begun."""
    made = gedanken.Agent(Vault(keys, unseen), llm=None, model=Knows(), planner="search",  # type: ignore[arg-type]
                          config=gedanken.AgentConfig(episode_steps=40))
    made.tell(rules)
    observation, _ = made.env.reset(seed=0)
    made.reset(observation)
    return made
