"""The same rule in other words is recognised, and rules that differ on one kind of row are told apart."""

from __future__ import annotations

import pytest
import torch

from gedanken.world.checking.equivalence import equivalent
from gedanken.world.checking.sampling import sampled
from gedanken.world.rules.evaluate import truth
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Derived, Feature, Pointed, Schema

OBJECTS = ("empty", "wall", "key", "door", "lava")


def _ahead(features: dict[str, torch.Tensor]) -> torch.Tensor:
    index = features["x"].long() + 1
    return torch.where(index < 6, index, -1)


SCHEMA = Schema(
    "hall",
    (
        Feature("x", "integer", low=0, high=5), Feature("score", "integer"),
        Feature("heat", low=0, high=100), Feature("speed"),
        Feature("lit", "boolean"),
        Feature("hand", "category", values=("none", "key", "lava")),
        Feature("door", "category", values=("open", "closed", "locked")),
        Feature("tile", "category", (6,), values=OBJECTS),
    ),
    (Feature("action", "category", values=("wait", "forward", "pickup", "toggle")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
    (
        Pointed(Feature("front", "category", values=OBJECTS), "tile", _ahead, 1),
        Derived(Feature("double", low=0, high=200), lambda f: f["heat"] * 2, lambda f, v: {"heat": v / 2}),
    ),
)

SAME = [
    ("expect door' == open if action == toggle and door == locked and hand == key and lit",
     "expect door' == open if lit and hand == key and door == locked and action == toggle"),
    ("expect x' == x + 1 if action == forward", "expect x' == 1 + x if action in {forward}"),
    ("expect same(x) if action != forward", "expect x' == x if not (action == forward)"),
    ("expect same(x) if action != forward", "expect x' == x if action in {wait, pickup, toggle}"),
    ("expect x' < 3 if lit", "expect x' <= 2 if lit"),
    ("expect x' in {4, 5} if lit", "expect x' >= 4 if lit"),
    ("expect speed' == speed + 0.1 * heat", "expect speed' == heat / 10 + speed"),
    ("expect speed' < speed if action == wait", "expect speed > speed' if action == wait"),
    ("expect hand' == key and front' == empty if action == pickup and front == key",
     "expect front' == empty and hand' == front if action == pickup and front == key"),
    ("expect door' == open with probability 0.9 if lit", "expect door' == open with probability 0.9 if lit == true"),
    ("always 0 <= x' <= 4", "always x' in {0, 1, 2, 3, 4}"),
    ("always 0 <= x' and x' <= 4", "always 0 <= x' <= 4"),
    ("reward +1 if x' == 5 and x != 5", "reward 1 if not (x == 5 or x' != 5)"),
    ("end if front == lava and action == forward", "end if action == forward and front == lava"),
    ("forbid forward if front == lava", "forbid action == forward and front == lava"),
    ("forbid forward or pickup if lit", "forbid action in {forward, pickup} if lit"),
    ("avoid heat > 60", "maintain heat <= 60"),
    ("avoid double > 60", "avoid heat > 30"),
    ("avoid lit or x == 1", "avoid x == 1 or lit"),
    ("avoid any(tile == lava)", "avoid count(tile == lava) >= 1"),
    ("avoid any(tile == lava)", "maintain all(tile != lava)"),
    ("prefer heat < 20 with weight 2", "prefer 20 > heat with weight 2"),
    ("maintain abs(speed) < 2", "maintain -2 < speed < 2"),
    ("maintain max(speed, 1) < 2", "maintain speed < 2"),
    ("achieve hand == key then door == open", "achieve key == hand then not (door != open)"),
    ("named: expect lit' if lit", "expect lit' if lit"),
]
OTHER = [
    ("expect x' == x + 1 if action == forward", "expect x' == x + 2 if action == forward"),
    ("expect x' == x + 1 if action == forward", "expect x' == x - 1 if action == forward"),
    ("expect x' == x + 1 if action == forward", "expect x' == x + 1 if action == forward and front != wall"),
    ("expect x' == x + 1 if action == forward", "expect x' > x if action == forward"),
    ("expect door' == open if action == toggle and door == locked and hand == key and lit and x == 3",
     "expect door' == open if action == toggle and door == locked and hand == key and lit and x == 4"),
    ("expect door' == open if action == toggle and door == locked and hand == key and lit",
     "expect door' == open if action == toggle and door == locked and hand == key"),
    ("expect x' < 3 if lit", "expect x' <= 3 if lit"),
    ("expect speed' == speed + 0.1", "expect speed' == speed + 0.11"),
    ("expect speed' == speed + 0.1", "expect speed' == speed + 0.1 within 0.05"),
    ("expect speed' == speed + 0.1 within 0.1", "expect speed' == speed + 0.1 within 0.15"),
    ("expect lit'", "always lit'"),
    ("expect lit' with probability 0.9", "expect lit' with probability 0.8"),
    ("expect lit' with weight 2", "expect lit'"),
    ("reward 1 if lit", "reward 2 if lit"),
    ("reward 1 if lit", "reward 1 if lit'"),
    ("avoid heat > 60", "avoid heat >= 60"),
    ("avoid heat > 60", "avoid heat > 60.5"),
    ("avoid heat > 60", "avoid heat > 60 with weight 1"),
    ("avoid any(tile == lava)", "avoid any(tile == lava) and tile[0] != lava"),
    ("avoid any(tile == lava)", "avoid count(tile == lava) >= 2"),
    ("achieve hand == key then door == open", "achieve door == open then hand == key"),
    ("achieve hand == key within 10 steps", "achieve hand == key"),
    ("end if lit", "reward 1 if lit"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_the_same_in_other_words(a: str, b: str) -> None:
    first, second = parse(a, SCHEMA), parse(b, SCHEMA)
    assert equivalent(first, second, SCHEMA)
    assert equivalent(second, first, SCHEMA, seed=1)


@pytest.mark.parametrize(("a", "b"), OTHER)
def test_rules_that_differ_are_told_apart(a: str, b: str) -> None:
    first, second = parse(a, SCHEMA), parse(b, SCHEMA)
    assert not equivalent(first, second, SCHEMA)
    assert not equivalent(second, first, SCHEMA, seed=1)


def test_sampled_rows_are_legal_and_reach_narrow_guards() -> None:
    rule = parse(OTHER[4][0], SCHEMA)
    rows = sampled([rule], SCHEMA, 512, torch.Generator().manual_seed(0))
    assert rows.next is not None
    for features in (rows.now, rows.next):
        assert set(features) == set(SCHEMA.base)
        assert 0 <= int(features["x"].min()) <= int(features["x"].max()) <= 5
        assert features["tile"].shape == (512, 6)
    fires = truth(rule.statement.guard, rows)
    holds = truth(rule.statement.effect, rows)[fires]
    assert fires.sum() > 50
    assert 0.2 < holds.float().mean() < 0.98
