"""Every registered model, refined and not, with every registered planner that fits, on a tiny world of each kind.

What comes out is the table in docs/models-and-planners.md. To write it anew:

    GEDANKEN_WRITE=1 python -m pytest tests/agent/planning/test_models_and_planners.py
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from gedanken.agent.planning.build import PLANNERS, planner_for, planner_name
from gedanken.agent.planning.objective import Objective, Return
from gedanken.agent.planning.plan import Budget
from gedanken.errors import UserError
from gedanken.world.model import WorldModel, begin
from gedanken.world.models.build import MODELS, build
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Grid, Schema

DOCUMENT = Path(__file__).parents[3] / "docs" / "models-and-planners.md"
BUDGET = 30
BEGIN, END = "<!-- written by the tests, from here -->", "<!-- to here -->"


class Tiny(gym.Env):
    """A world of a few numbers, `state`; what it shows is all there is, and it can be copied."""

    schema: Schema
    start: dict[str, Any]

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Dict()
        self.action_space = gym.spaces.Discrete(1)
        self.state = {k: np.array(v) for k, v in self.start.items()}

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        super().reset(seed=seed)
        self.state = {k: np.array(v) for k, v in self.start.items()}
        return dict(self.state), {}

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        self.state = self.state | self.after(*np.asarray(action).tolist())
        return dict(self.state), float(self.state["x"] > 1), False, False, {}

    def after(self, *action: float) -> dict[str, Any]:
        raise NotImplementedError


def restored(env: gym.Env, features: Mapping[str, np.ndarray]) -> None:
    """Put a world where it shows `features`: what a simulator needs to be corrected by rules."""
    assert isinstance(env.unwrapped, Tiny)
    env.unwrapped.state = {k: np.array(v) for k, v in features.items()}


def schema(name: str, features: tuple[Feature, ...], actions: tuple[Feature, ...], grid: Grid | None = None) -> Schema:
    return Schema(name, features, actions, lambda seen, env: seen, lambda row: row, grid=grid, restore=restored)


class Cells(Tiny):
    """Three by three cells, one of them a wall, and a pointer that walks."""

    schema = schema(
        "grid", (Feature("thing", "category", (3, 3), values=("nothing", "wall")),
                 Feature("x", "integer", low=0, high=2), Feature("y", "integer", low=0, high=2)),
        (Feature("move", "category", values=("stay", "right", "down")),), Grid(("thing",), "x", "y"))
    start = {"thing": [[0, 0, 0], [0, 1, 0], [0, 0, 0]], "x": 0, "y": 0}  # noqa: RUF012
    rule = "expect x' == x if move == stay"

    def after(self, move: float) -> dict[str, Any]:
        x, y = self.state["x"] + (move == 1), self.state["y"] + (move == 2)
        free = x < 3 and y < 3 and not self.state["thing"][min(x, 2), min(y, 2)]
        return {"x": np.array(x), "y": np.array(y)} if free else {}


class Cart(Tiny):
    """A place and a speed, and a push."""

    schema = schema("vector", (Feature("x"), Feature("speed", low=-1.0, high=1.0)),
                    (Feature("push", low=-1.0, high=1.0),))
    start = {"x": 0.0, "speed": 0.0}  # noqa: RUF012
    rule = "expect speed' == speed + 0.1 * push within 0.1"

    def after(self, push: float) -> dict[str, Any]:
        speed = np.clip(self.state["speed"] + 0.1 * push, -1, 1)
        return {"x": self.state["x"] + speed, "speed": speed}


class Gripper(Tiny):
    """A place and whether something is held; a push and a grip, a number and a choice side by side."""

    schema = schema("mixed", (Feature("x"), Feature("held", "boolean")),
                    (Feature("push", low=-1.0, high=1.0), Feature("grip", "boolean")))
    start = {"x": 0.0, "held": False}  # noqa: RUF012
    rule = "expect held' if grip"

    def after(self, push: float, grip: float) -> dict[str, Any]:
        return {"x": self.state["x"] + push * bool(grip), "held": np.array(bool(grip))}


WORLDS = (Cells, Cart, Gripper)


@cache
def model_of(name: str, world: type[Tiny], is_refined: bool) -> WorldModel:
    torch.manual_seed(0)
    env = world()
    env.reset(seed=0)
    plain = build(name, world.schema, env)
    return Refined(plain, [parse(world.rule, plain.schema)]) if is_refined else plain


def tried(model: WorldModel, planner: Any, world: type[Tiny]) -> None:
    """One tiny plan; asserts that it is one. Raises `UserError` where model or planner refuses."""
    features = world.schema.batch([world().reset()[0]] * 2)
    plan = planner.plan(model, begin(model, features), Objective([Return()]), planner.initial(2),
                        torch.Generator().manual_seed(0), Budget(transitions=BUDGET))
    assert plan.action.shape == (2, len(world.schema.actions))
    assert torch.equal(plan.action, world.schema.clamp(plan.action))
    assert plan.action.dtype == world.schema.action_dtype
    assert not plan.value.isnan().any()
    assert plan.transitions <= 2 * BUDGET
    assert set(plan.imagined) == set(world.schema.base)


def refusal(model: str, planner: str, world: type[Tiny]) -> str:
    """Why the two do not go together here, in one line; "" where they do, refined and unrefined."""
    try:
        chosen = planner_for(planner, world.schema)
        for is_refined in (False, True):
            tried(model_of(model, world, is_refined), chosen, world)
    except UserError as error:
        return str(error).splitlines()[0]
    return ""


def written() -> str:
    """The table, and below it why some do not go together."""
    names = [w.schema.name for w in WORLDS]
    lines = ["| model | " + " | ".join(PLANNERS) + " |", "|---" * (len(PLANNERS) + 1) + "|"]
    reasons: dict[str, None] = {}
    for model in MODELS:
        cells = []
        for planner in PLANNERS:
            said = {w.schema.name: refusal(model, planner, w) for w in WORLDS}
            cells.append(", ".join(name for name in names if not said[name]) or "-")
            for name, why in said.items():
                if why:
                    at_model = _why_not(model, WORLDS[names.index(name)])
                    reasons[f"- {f'`{model}`' if at_model else f'`{planner}`'}, {name}: {at_model or why}"] = None
        lines.append(f"| `{model}` | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *sorted(reasons)])


def _why_not(model: str, world: type[Tiny]) -> str:
    """Why a model does not serve a world at all, refined or not, whatever the planner."""
    try:
        for is_refined in (False, True):
            made = model_of(model, world, is_refined)
            before = begin(made, world.schema.batch([world().reset()[0]]))
            made.step(before, world.schema.clamp(torch.ones(1, len(world.schema.actions))).to(
                world.schema.action_dtype))
    except UserError as error:
        return str(error).splitlines()[0]
    return ""


def test_every_pair_does_what_the_table_says() -> None:
    found, text = written(), DOCUMENT.read_text()
    head, rest = text.split(BEGIN)
    before, tail = rest.split(END)
    if os.environ.get("GEDANKEN_WRITE"):
        DOCUMENT.write_text(f"{head}{BEGIN}\n\n{found}\n\n{END}{tail}")
        pytest.skip("written anew")
    assert before.strip() == found, f"the table is stale; write it anew as this file's first lines say:\n{found}"


@pytest.mark.parametrize(("env", "planner"), [
    ("MiniGrid-DoorKey-8x8-v0", "search"), ("MiniGrid-DoorKey-16x16-v0", "waypoints"), ("FrozenLake-v1", "search"),
    ("CartPole-v1", "cem"),
])
def test_auto_takes_what_fits_the_world_and_its_size(env: str, planner: str) -> None:
    assert planner_name(planner_for("auto", Schema.from_env(gym.make(env)))) == planner
