"""What is forbidden always narrows a continuous action; nothing else does."""

from __future__ import annotations

import pytest
import torch

from gedanken.world.models.persistence import Persistence
from gedanken.world.refine import Refined
from gedanken.world.rules.bounds import narrowed
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

MOTOR = Schema("motor", (Feature("speed", low=-9, high=9),),
               (Feature("torque", low=-2, high=2), Feature("brake", low=0, high=1), Feature("gear", "boolean")),
               lambda o, e: {}, lambda a: a)


def bounds(*lines: str) -> list[tuple[float, float]]:
    return [(a.low, a.high) for a in narrowed(MOTOR, [parse(line, MOTOR) for line in lines]).actions[:2]]


@pytest.mark.parametrize(("lines", "low", "high"), [
    (["forbid torque > 1.5"], -2, 1.5),
    (["forbid torque > 1.5 or torque < -1"], -1, 1.5),
    (["forbid abs(torque) >= 0.5"], -0.5, 0.5),
    (["forbid torque > 1.5", "forbid torque < 0"], 0, 1.5),
    (["forbid torque > 0.5 and torque < 1"], -2, 0.5),
    (["forbid not (-1 <= torque <= 0.25)"], -1, 0.25),
])
def test_an_action_is_narrowed_to_what_is_left_of_it(lines: list[str], low: float, high: float) -> None:
    (found, other) = bounds(*lines)
    assert found == pytest.approx((low, high), abs=1.1e-3)
    assert low - 1e-6 <= found[0] <= found[1] <= high + 1e-6
    assert other == (0, 1)


@pytest.mark.parametrize("line", [
    "forbid torque > 1 if speed > 3", "forbid torque + brake > 1", "forbid torque > speed", "forbid gear",
    "avoid speed > 3", "forbid torque < 5",
])
def test_what_is_not_forbidden_always_or_leaves_nothing_narrows_nothing(line: str) -> None:
    assert narrowed(MOTOR, [parse(line, MOTOR)]) is MOTOR


def test_a_refined_models_planner_draws_within() -> None:
    refined = Refined(Persistence(MOTOR), [parse("forbid torque > 1.5", MOTOR)])
    assert refined.schema.clamp(torch.tensor([[2.0, 0.5, 1.0]]))[0, 0] == pytest.approx(1.5, abs=1.1e-3)
    assert Refined(Persistence(MOTOR), [parse("avoid speed > 3", MOTOR)]).schema is MOTOR
