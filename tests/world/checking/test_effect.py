"""The effect of a rule on a model's held-out error: alone, beside the others, and where it does harm."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gedanken.memory.experience.record import Transitions
from gedanken.world.checking.effect import Effect, effects
from gedanken.world.models.persistence import Persistence
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
SCHEMA = Schema(
    "door",
    (
        Feature("door", "category", values=("shut", "open", "stuck")), Feature("heat", low=0, high=100),
        Feature("cells", "category", (4,), values=("a", "b")), Feature("level", "integer", low=0, high=9),
    ),
    (Feature("action", "category", values=("wait", "push")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)
OPENS = "expect door' == open if action == push"


def lived(n: int = 400, seed: int = 0, works: float = 0.9) -> Transitions:
    """Pushes mostly open the door, heat rises by 2, cell 0 becomes b on a push, level stays; open doors pay 1."""
    rng = np.random.default_rng(seed)
    now = {"door": rng.integers(0, 3, n).astype(np.int16), "heat": (80 * rng.random(n)).astype(np.float32),
           "cells": rng.integers(0, 2, (n, 4)).astype(np.int16), "level": rng.integers(0, 10, n).astype(np.int32)}
    action = rng.integers(0, 2, (n, 1))
    pushed = action[:, 0] == 1
    cells = now["cells"].copy()
    cells[pushed, 0] = 1
    opens = pushed & (rng.random(n) < works)
    next = now | {"door": np.where(opens, 1, now["door"]).astype(np.int16), "cells": cells,
                  "heat": (now["heat"] + 2 + 0.1 * rng.standard_normal(n)).astype(np.float32)}
    paid = np.where(pushed, 1.0, 0.0).astype(np.float32)
    return Transitions(now, action, paid, pushed & (now["level"] == 9), np.zeros(n, bool), next,
                       np.arange(n) // 20, np.arange(n) % 20)


def found(*texts: str, **more: object) -> list[Effect]:
    rules = [parse(text, SCHEMA) for text in texts]
    return effects(rules, Persistence(SCHEMA), lived(), SCHEMA, **more)    # type: ignore[arg-type]


@pytest.mark.parametrize("text", [
    OPENS, "expect heat' == heat + 2 within 0.5", "expect cells'[0] == b if action == push",
    "reward 1 if action == push", "end if action == push and level == 9",
    "expect door' == open with probability 0.9 if action == push",
])
def test_a_true_rule_helps(text: str) -> None:
    (effect,) = found(text)
    assert effect.alone > 2 * effect.spread > 0
    assert effect.joint > 0
    assert effect.weight > 0
    assert effect.rows > 10
    assert not effect.is_harmful


def test_a_wrong_rule_is_harmful_and_weighs_nothing() -> None:
    good, bad = found(OPENS, "expect door' == stuck if action == push and door == open")
    assert bad.is_harmful
    assert bad.alone < 0
    assert bad.weight == pytest.approx(0, abs=0.05)
    assert good.weight > 0.3
    assert good.alone > 0


def test_of_rules_that_say_the_same_the_later_has_no_effect() -> None:
    first, second, third = found(OPENS, "expect door' == open if not action != push", "expect level' == level")
    assert first.alone == pytest.approx(second.alone)
    assert first.weight > 0.3
    assert second.weight < 0.5 * first.weight
    assert second.joint < 0.5 * first.joint
    assert abs(third.alone) < 0.02    # the model knows it already


def test_weights_are_those_of_the_most_likely_mixture() -> None:
    """A rule that is right 60% of the time weighs less than one that is right always."""
    rule = parse(OPENS, SCHEMA)
    always, often = (effects([rule], Persistence(SCHEMA), lived(1000, works=w), SCHEMA)[0] for w in (1.0, 0.6))
    assert always.weight > often.weight > 0


def test_the_model_that_is_there_may_know_the_rule() -> None:
    rule = parse(OPENS, SCHEMA)
    knows = Refined(Persistence(SCHEMA), [rule])
    (effect,) = effects([rule], knows, lived(), SCHEMA)
    assert abs(effect.alone) < 0.02


def test_rules_on_behaviour_and_no_data_have_no_effect() -> None:
    assert [e.alone for e in found("forbid push", "avoid heat > 3")] == [0, 0]
    assert effects([parse(OPENS, SCHEMA)], Persistence(SCHEMA), lived(0), SCHEMA)[0].alone == 0
    assert effects([], Persistence(SCHEMA), lived(), SCHEMA) == []
