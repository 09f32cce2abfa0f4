"""Effects: what a rule says of the next state, as corrections of what a model predicts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gedanken.world.models.persistence import Persistence
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Derived, Feature, Features, Pointed, Schema

THINGS, HANDS = ("empty", "wall", "key", "ball"), ("none", "key", "ball")


def _shifted(name: str, by: int) -> Callable[[Features], Tensor]:
    return lambda features: features[name] + by


SCHEMA = Schema(
    "cells",
    (
        Feature("thing", "category", (4,), values=THINGS), Feature("lit", "boolean", (4,)),
        Feature("at", "integer", low=0, high=3), Feature("hand", "category", values=HANDS),
        Feature("colour", "category", values=("red", "blue")),
    ),
    (Feature("action", "category", values=("wait", "go")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
    (
        Pointed(Feature("here", "category", values=THINGS), "thing", lambda f: f["at"].long()),
        Derived(Feature("ahead", "integer", low=1, high=4), _shifted("at", 1),
                lambda f, value: {"at": value - 1}),
    ),
)


def step(rules: list[str], **now: list) -> dict[str, Tensor]:
    """The most likely next features where nothing happens but what the rules say."""
    n = len(next(iter(now.values())))
    zero = {f.name: torch.zeros(n, *f.shape, dtype=f.dtype) for f in SCHEMA.features}
    features = zero | {k: torch.tensor(v, dtype=SCHEMA.base[k].dtype) for k, v in now.items()}
    model = Refined(Persistence(SCHEMA), [parse(r, SCHEMA) for r in rules])
    state = model.observe(model.initial(n), None, features)
    return model.step(state, torch.zeros(n, 1, dtype=torch.int64))[1].mode


def test_a_bare_cell_of_a_boolean_array_is_an_effect() -> None:
    assert step(["expect lit'[1]"], at=[0])["lit"].tolist() == [[False, True, False, False]]
    assert step(["expect not lit'[at]"], lit=[[True] * 4] * 2, at=[0, 3])["lit"].tolist() == [
        [False, True, True, True], [True, True, True, False]]


def test_always_takes_a_bare_cell() -> None:
    assert step(["always lit'[0]"], at=[0])["lit"][0, 0]


def test_same_of_a_pointed_feature_reads_where_it_points_now() -> None:
    # The agent walks from the key to the wall and the wall takes on what was here.
    out = step(["expect at' == 1", "expect same(here)"], thing=[[2, 1, 0, 0]], at=[0])
    assert out["at"].tolist() == [1]
    assert out["thing"].tolist() == [[2, 2, 0, 0]]


def test_same_of_a_derived_feature_undoes_a_change() -> None:
    assert step(["expect at' == 2"], at=[1])["at"].tolist() == [2]
    assert step(["expect at' == 2", "expect same(ahead)"], at=[1])["at"].tolist() == [1]


def test_a_set_of_values_for_a_derived_feature_moves_only_what_is_outside() -> None:
    assert step(["expect ahead' in {2, 3}"], at=[0, 1, 2, 3])["at"].tolist() == [1, 1, 2, 1]
    assert step(["expect ahead' != 2"], at=[0, 1, 2])["at"].tolist() == [0, 2, 2]


@pytest.mark.parametrize("rule", ["expect hand' == here", "expect hand' == thing[at]"])
def test_a_value_that_the_target_lacks_corrects_nothing(rule: str) -> None:
    # Neither `empty` nor `wall` can be held: those rows keep the model's prediction.
    out = step([rule], thing=[[i, 0, 0, 0] for i in range(4)], at=[0] * 4, hand=[2] * 4)
    assert [HANDS[i] for i in out["hand"]] == ["ball", "ball", "key", "ball"]


def test_a_missing_value_corrects_no_cell() -> None:
    out = step(["expect here' == hand"], thing=[[1, 0, 0, 0]] * 3, hand=[0, 1, 2], at=[0] * 3)
    assert [THINGS[i] for i in out["thing"][:, 0]] == ["wall", "key", "ball"]


def test_a_missing_value_among_members_is_left_out() -> None:
    out = step(["expect hand' in {here, key}"], thing=[[1, 0, 0, 0], [3, 0, 0, 0]], at=[0, 0], hand=[0, 2])
    assert [HANDS[i] for i in out["hand"]] == ["key", "ball"]
