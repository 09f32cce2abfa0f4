"""Small worlds of named features for `fewshot_dynamics.py`, each with what a person would show of it.

A world's `shown` are its demonstrations in the order a person gives them: every effect once and every near miss once
among the first five to ten, then the same again in other circumstances. What a demonstration does not fix is as the
world begins. The kiln was written before any result on it was seen, and nothing was settled on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from gedanken import Feature, Schema

State = dict[str, Any]


class Small(gymnasium.Env):
    """A world of named features: `begin` gives the first state, `change` the next."""

    schema: ClassVar[Schema]
    goal: ClassVar[str]
    shown: ClassVar[tuple[tuple[State, Any], ...]]
    observation_space = spaces.Dict()

    def begin(self) -> State:
        raise NotImplementedError

    def change(self, s: State, action: Any) -> State:
        raise NotImplementedError

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[State, dict]:
        super().reset(seed=seed)
        self.state = self.begin()
        return dict(self.state), {}

    def step(self, action: Any) -> tuple[State, float, bool, bool, dict]:
        self.state = self.change(dict(self.state), action)
        return dict(self.state), 0.0, False, False, {}


def codes(features: tuple[Feature, ...]) -> Any:
    """Perception of a state by value names."""
    def perceive(observation: Mapping[str, Any], env: gymnasium.Env | None) -> dict[str, Any]:
        return {f.name: f.values.index(observation[f.name]) if f.values else observation[f.name] for f in features}
    return perceive


def small(name: str, features: tuple[Feature, ...], action: Feature) -> Schema:
    act = (lambda row: int(row[0])) if action.is_discrete else (lambda row: np.asarray(row, np.float32))
    return Schema(name, features, (action,), codes(features), act)


class Workshop(Small):
    """A lamp shows which chest holds the key; the key opens the door."""

    verbs = ("flip", "take", "open", "wait")
    schema = small("workshop", (Feature("lamp", "boolean"), Feature("hand", "category", values=("empty", "key")),
                                Feature("door", "category", values=("locked", "open")),
                                Feature("weather", "category", values=("dry", "wet"))),
                   Feature("action", "category", values=verbs))
    action_space = spaces.Discrete(4)
    goal = "achieve door == open"
    shown = (({"lamp": False}, "flip"), ({"lamp": True}, "take"), ({"hand": "key"}, "open"), ({"lamp": False}, "take"),
             ({"lamp": True}, "open"), ({"lamp": True}, "flip"), ({}, "wait"), ({"lamp": False, "hand": "key"}, "open"),
             ({"lamp": False}, "open"), ({"lamp": True}, "take")) * 2

    def begin(self) -> State:
        return {"lamp": bool(self.np_random.integers(2)), "hand": "empty", "door": "locked",
                "weather": str(self.np_random.choice(["dry", "wet"]))}

    def change(self, s: State, action: Any) -> State:
        verb = self.verbs[int(action)]
        if verb == "flip":
            s["lamp"] = not s["lamp"]
        elif verb == "take" and s["lamp"]:
            s["hand"] = "key"
        elif verb == "open" and s["hand"] == "key":
            s["door"] = "open"
        return s


class Corridor(Small):
    """Walking goes two cells to the east and one back; the far end is a place to ring the bell."""

    verbs = ("east", "west", "ring")
    schema = small("corridor", (Feature("x", "integer", low=0, high=12), Feature("bell", "boolean")),
                   Feature("action", "category", values=verbs))
    action_space = spaces.Discrete(3)
    goal = "achieve bell"
    shown = (({"x": 3}, "east"), ({"x": 6}, "west"), ({"x": 9}, "ring"), ({"x": 8}, "ring"), ({"x": 11}, "east"),
             ({"x": 7}, "east"), ({"x": 0}, "west"), ({"x": 12}, "ring"), ({"x": 2}, "west"), ({"x": 10}, "east"),
             *(({}, verb) for verb in verbs), *(({"x": x}, "ring") for x in (1, 4, 10, 11)), ({"x": 12}, "east"),
             ({"x": 12}, "west"), ({"x": 1}, "west"))

    def begin(self) -> State:
        return {"x": int(self.np_random.integers(0, 10)), "bell": False}

    def change(self, s: State, action: Any) -> State:
        verb = self.verbs[int(action)]
        if verb == "ring":
            s["bell"] = s["bell"] or s["x"] >= 9
        elif verb == "east" and s["x"] + 2 <= 12:
            s["x"] += 2
        elif verb == "west" and s["x"] >= 1:
            s["x"] -= 1
        return s


class Tank(Small):
    """A valve fills and empties a tank that leaks a tenth of its level."""

    schema = small("tank", (Feature("level", low=0, high=10), Feature("rain", low=0, high=1)),
                   Feature("valve", low=-1, high=1))
    action_space = spaces.Box(np.float32(-1), np.float32(1), (1,))
    goal = "achieve 6 < level < 6.5"
    shown = (({"level": 2.0}, 1.0), ({"level": 5.0}, 0.0), ({"level": 5.0}, -1.0), ({"level": 0.5}, -1.0),
             ({"level": 8.0}, 0.5), *(({}, v / 10) for v in range(-10, 11, 3)), ({"level": 9.9}, 1.0),
             *(({}, v / 8) for v in range(-7, 8, 2)))[:20]

    def begin(self) -> State:
        return {"level": float(self.np_random.uniform(1, 4)), "rain": float(self.np_random.uniform(0, 1))}

    def change(self, s: State, action: Any) -> State:
        s["level"] = float(np.clip(0.9 * s["level"] + 1.5 * float(np.asarray(action).reshape(-1)[0]), 0, 10))
        return s


class Kiln(Small):
    """Clay is shaped, then baked over a fire that needs fuel; raw clay cracks in the fire. Held out."""

    verbs = ("knead", "stoke", "light", "bake", "rest")
    schema = small("kiln", (Feature("clay", "category", values=("raw", "shaped", "fired", "cracked")),
                            Feature("fuel", "integer", low=0, high=3), Feature("fire", "boolean"),
                            Feature("apron", "boolean")),
                   Feature("action", "category", values=verbs))
    action_space = spaces.Discrete(5)
    goal = "achieve clay == fired"
    shown = (({}, "knead"), ({"fuel": 0}, "stoke"), ({"fuel": 1}, "light"), ({"clay": "shaped", "fire": True}, "bake"),
             ({"fuel": 0}, "light"), ({"clay": "shaped"}, "bake"), ({"fire": True}, "bake"), ({"fuel": 3}, "stoke"),
             ({"clay": "shaped"}, "knead"), ({}, "rest"), ({"fuel": 2}, "light"), ({"fuel": 1}, "stoke"),
             ({"clay": "cracked"}, "knead"), ({"clay": "shaped", "fire": True, "fuel": 2}, "bake"), ({}, "knead"),
             ({"clay": "fired", "fire": True}, "bake"), ({"fuel": 2}, "stoke"), ({}, "bake"),
             ({"clay": "shaped", "fuel": 0}, "light"), ({"fire": True}, "light"))

    def begin(self) -> State:
        return {"clay": "raw", "fuel": int(self.np_random.integers(0, 2)), "fire": False,
                "apron": bool(self.np_random.integers(2))}

    def change(self, s: State, action: Any) -> State:
        verb = self.verbs[int(action)]
        if verb == "knead" and s["clay"] == "raw":
            s["clay"] = "shaped"
        elif verb == "stoke":
            s["fuel"] = min(s["fuel"] + 1, 3)
        elif verb == "light" and s["fuel"] >= 1:
            s["fire"] = True
        elif verb == "bake" and s["fire"] and s["clay"] in ("raw", "shaped"):
            s["clay"] = "fired" if s["clay"] == "shaped" else "cracked"
        return s
