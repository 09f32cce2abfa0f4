"""The schema, and the checker that tells an author what is wrong with one."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from gedanken.errors import UserError
from gedanken.world.schema import Derived, Feature, Schema, check_schema


class Tank(gymnasium.Env[np.ndarray, Any]):
    """A water tank: its level rises by what flows in."""

    observation_space = spaces.Box(0, 100, (1,))
    action_space = spaces.Box(0, 2, (1,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.level = np.zeros(1, np.float32)
        return self.level, {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.level = self.level + action
        return self.level, 0.0, False, False, {}


def litres(features: Any) -> torch.Tensor:
    return features["level"] * 10


TANK = Schema(
    name="tank",
    features=(Feature("level", low=0, high=100, unit="cm", description="how full the tank is"),),
    actions=(Feature("inflow", low=0, high=2),),
    perceive=lambda observation, env: {"level": observation[0]},
    act=lambda row: np.asarray(row, np.float32),
    derived=(Derived(Feature("litres", unit="l"), litres, lambda f, value: {"level": value / 10}),),
)


def test_a_sound_schema_has_no_problems() -> None:
    assert check_schema(TANK, Tank()) == []


@pytest.mark.parametrize(("broken", "expected"), [
    (replace(TANK, features=(Feature("level", low=0, high=1),)), "widen its bounds"),
    (replace(TANK, features=(Feature("levle"),)), "no feature 'levle'; did you mean 'level'?"),
    (replace(TANK, features=(Feature("level", shape=(2,)),)), r"has shape \(\), expected \(2,\)"),
    (replace(TANK, features=(Feature("level", "category", values=("empty", "full")),)), "add the missing value"),
    (replace(TANK, perceive=lambda o, env: {"level": "high"}), "not numeric"),
    (replace(TANK, perceive=lambda o, env: {"level": np.nan}), "not finite"),
    (replace(TANK, perceive=lambda o, env: {"level": [None]}), "not numeric"),
    (replace(TANK, derived=(Derived(Feature("litres"), lambda f: f["levle"]),)), "'litres' cannot be read"),
    (replace(TANK, derived=(Derived(Feature("litres"), lambda f: f["level"].sum()),)), "one value a row"),
    (replace(TANK, derived=(Derived(Feature("litres"), litres, lambda f, v: {"level": v}),)), "does not read back"),
], ids=["bounds", "missing", "shape", "category", "text", "nan", "object", "derived", "derived_shape", "setter"])
def test_a_broken_schema_is_found_with_its_remedy(broken: Schema, expected: str) -> None:
    problems = check_schema(broken, Tank())
    assert len(problems) >= 1
    assert re.search(expected, problems[0]), problems


def test_names_are_unique_and_categories_have_values() -> None:
    with pytest.raises(UserError, match="'level' more than once"):
        replace(TANK, actions=(Feature("level"),))
    with pytest.raises(UserError, match="lists no values"):
        replace(TANK, features=(Feature("level", "category"),))
    with pytest.raises(UserError, match="is not a name"):
        replace(TANK, features=(Feature("water level"),))


def test_an_unknown_feature_is_met_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'level'"):
        TANK.feature("levels")


def test_difference_names_what_a_saved_schema_lacks() -> None:
    assert TANK.difference(TANK.identity()) == ""
    other = replace(TANK, features=(Feature("level", low=0, high=50),))
    assert "'level' differs" in TANK.difference(other.identity())
    assert TANK.difference(other.identity(), sizes=False) == ""
    assert "'inflow' is new" in TANK.difference({**TANK.identity(), "actions": []})


def test_actions_are_clamped_and_listed() -> None:
    assert TANK.clamp(torch.tensor([[3.0], [-1.0]])).tolist() == [[2.0], [0.0]]
    with pytest.raises(UserError, match="continuous"):
        TANK.all_actions()
    two = replace(TANK, actions=(Feature("a", "category", values=("x", "y", "z")), Feature("b", "boolean")))
    assert two.all_actions().shape == (6, 2)
    assert two.clamp(torch.tensor([[7, -1]])).tolist() == [[2, 0]]
