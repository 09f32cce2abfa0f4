"""Two worlds to write rules for: a grid like MiniGrid's, and a plant with continuous actions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gedanken.world.schema import Derived, Feature, Features, Grid, Pointed, Schema

OBJECTS = ("unseen", "empty", "wall", "floor", "door", "key", "ball", "box", "goal", "lava")
COLORS = ("none", "red", "green", "blue", "purple", "yellow", "grey")
STATES = ("none", "open", "closed", "locked")
ACTIONS = ("left", "right", "forward", "pickup", "drop", "toggle", "done")


def category(name: str, values: tuple[str, ...], shape: tuple[int, ...] = ()) -> Feature:
    return Feature(name, "category", shape, values=values)


def ahead(features: Features) -> Tensor:
    return features["agent_x"].long() * 7 + features["agent_y"].long()


def beside(name: str) -> Callable[[Features], Tensor]:
    return lambda features: features[name] + 1


@pytest.fixture(scope="session")
def grid_schema() -> Schema:
    return Schema(
        "grid",
        (
            category("object", OBJECTS, (7, 7)), category("color", COLORS, (7, 7)), category("state", STATES, (7, 7)),
            Feature("agent_x", "integer", low=0, high=6), Feature("agent_y", "integer", low=0, high=6),
            category("direction", ("right", "down", "left", "up")),
            category("carrying_object", ("none", "key", "ball", "box")), category("carrying_color", COLORS),
            Feature("battery", low=0, high=1), Feature("lit", "boolean"),
        ),
        (category("action", ACTIONS),),
        lambda observation, env: {},
        lambda row: int(row[0]),
        (
            Pointed(category("front_object", OBJECTS), "object", ahead),
            Pointed(category("front_color", COLORS), "color", ahead),
            Pointed(category("front_state", STATES), "state", ahead),
            Derived(Feature("front_x", "integer", low=-1, high=7), beside("agent_x")),
            Derived(Feature("front_y", "integer", low=-1, high=7), beside("agent_y")),
        ),
        Grid(("object", "color", "state"), "agent_x", "agent_y", "direction"),
    )


@pytest.fixture(scope="session")
def plant_schema() -> Schema:
    """Continuous, two actions of which one is a switch; awkward names and values on purpose."""
    return Schema(
        "plant",
        (
            Feature("position", low=-1.2, high=0.6), Feature("velocity", low=-0.07, high=0.07),
            Feature("temperature", unit="°C"), Feature("speed", low=0, unit="m/s"), Feature("weight", low=0, high=50),
            Feature("count", "integer", low=0), Feature("levels", shape=(3,)), Feature("open", "boolean"),
            category("door", ("open", "shut", "half-open", "then")), category("code", ("0", "1", "2")),
        ),
        (Feature("torque", low=-2, high=2), Feature("brake", "boolean"), category("gear", ("low", "high"))),
        lambda observation, env: {},
        lambda row: row,
        (Derived(Feature("energy"), lambda f: f["velocity"] ** 2, lambda f, v: {"velocity": torch.sqrt(v)}),),
    )
