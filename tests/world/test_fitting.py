"""Numbers that memory fits: found where the data tell them, left open where they do not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gedanken.memory.experience.record import Transitions
from gedanken.world.checking import Evidence
from gedanken.world.fitting import fit, weighed
from gedanken.world.rules.holes import filled, holes
from gedanken.world.rules.parse import RuleError, parse
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Feature, Schema

CAR = Schema(
    "car",
    (
        Feature("speed", low=0, high=20), Feature("load", low=0, high=10), Feature("wind", low=-1, high=1),
        Feature("door", "category", values=("open", "shut")), Feature("boxes", "integer", low=0, high=50),
    ),
    (Feature("action", "category", values=("brake", "push", "wait")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)
BRAKE, PUSH, WAIT = range(3)


def drives(n: int = 600, seed: int = 0) -> Transitions:
    """Braking slows by 0.7 (measured with noise, one time in twenty something else happens), a push opens a shut door
    under a load of at most 6.2 and counts by 3; waiting pays 1.5 and shuts a door three times in ten; a heavy brake
    ends it."""
    rng = np.random.default_rng(seed)
    now = {
        "speed": rng.uniform(2, 18, n).astype(np.float32), "load": rng.uniform(0, 10, n).astype(np.float32),
        "wind": rng.uniform(-1, 1, n).astype(np.float32), "door": rng.integers(0, 2, n).astype(np.int16),
        "boxes": rng.integers(0, 20, n).astype(np.int32),
    }
    action = rng.integers(0, 3, n)
    speed = now["speed"] + np.where(action == BRAKE, -0.7 + rng.normal(0, 0.02, n), 0)
    speed = np.where(action == WAIT, 0.9 * now["speed"] + 0.3 * now["wind"], speed)
    odd = rng.random(n) < 0.05
    speed = np.where(odd, rng.uniform(0, 20, n), speed).astype(np.float32)
    door = np.where((action == PUSH) & (now["load"] <= 6.2), 0, now["door"])
    door = np.where((action == WAIT) & (rng.random(n) < 0.3), 1, door).astype(np.int16)
    boxes = (now["boxes"] + np.where(action == PUSH, 3, 0)).astype(np.int32)
    reward = np.where(action == WAIT, 1.5, 0).astype(np.float32)
    ended, no = (action == BRAKE) & (now["load"] > 8), np.zeros(n, bool)
    return Transitions(now, action[:, None], reward, ended, no, now | {"speed": speed, "door": door, "boxes": boxes},
                       np.zeros(n, np.int64), np.arange(n))


@pytest.mark.parametrize(("text", "values", "tolerance"), [
    ("expect speed' == speed - ? if action == brake", (0.7,), 0.01),
    ("expect speed' == ? * speed + ? * wind if action == wait", (0.9, 0.3), 0.01),
    ("expect speed' == ? * speed - ? if action == brake", (1, 0.7), 0.03),
    ("expect boxes' == boxes + ? if action == push", (3,), 0),
    ("expect boxes' == boxes + ? and speed' == speed - ? if action == brake", (0, 0.7), 0.01),
    ("expect speed' <= speed - ? if action == brake", (0.66, ), 0.05),
    ("expect speed' == speed - 0.7 within ? if action == brake and speed - 1 < speed' < speed", (0.04,), 0.01),
    ("expect door' == shut with probability ? if action == wait and door == open", (0.3,), 0.08),
    ("expect same(door) if action == push and door == shut and load > ?", (6.2,), 0.15),
    ("expect door' == open if action == push and load < ?", (6.2,), 0.35),
    ("expect speed' == speed - ? with probability ? if action == brake and load > 3", (0.7, 0.95), 0.05),
    ("end if action == brake and load > ?", (8,), 0.15),
    ("reward ? if action == wait", (1.5,), 0),
    ("reward +1.5 if action == wait and load > ?", None, 0),    # pays whatever the load
    ("expect speed' == speed * ? * ? if action == brake", None, 0),    # not linear
    ("expect speed' == speed + ? - ? if action == brake", None, 0),    # not told apart
    ("expect boxes' == boxes + ? if action == push and load < 0.01", None, 0),    # too few rows
    ("expect door' == shut with probability ? if action == push and door == open", None, 0),    # never happens
])
def test_what_is_fitted(text: str, values: tuple[float, ...] | None, tolerance: float) -> None:
    rule = parse(text, CAR)
    found = fit(rule, CAR, drives())
    if values is None:
        assert found is None
    else:
        assert found is not None
        assert len(found.values) == len(found.spread) == holes(rule)
        assert all(abs(v - w) <= tolerance for v, w in zip(found.values, values, strict=True)), found
        assert found.support >= 5
        assert holes(filled(rule, found.values)) == 0


def test_evidence_is_counted_on_other_transitions_than_the_fit_is_made_on() -> None:
    rules = [parse(x, CAR) for x in ("expect speed' == speed - ? if action == brake", "expect same(boxes)",
                                     "expect same(door) if load > ? and action == wait and load < 0.01")]
    seen = drives(200)
    (found, evidence), (none, plain), (_, silent) = weighed(rules, CAR, seen)
    assert found is not None
    assert found.support == int((seen.action[::2, 0] == BRAKE).sum())
    assert evidence.support == int((seen.action[1::2, 0] == BRAKE).sum())
    assert evidence.hits > 0.85 * evidence.support
    assert none is None
    assert plain.support == 200
    assert silent == Evidence()


def test_pure_chance_is_not_confirmed() -> None:
    """A threshold that separates nothing is either not found, or fails on the transitions between."""
    kept = 0
    for seed in range(10):
        rule = parse("expect door' == shut if action == wait and wind > ?", CAR)
        ((found, evidence),) = weighed([rule], CAR, drives(200, seed))
        kept += found is not None and evidence.hits > 0.9 * evidence.support > 0
    assert kept <= 1


def test_filling_counts_holes_as_they_are_printed() -> None:
    rule = parse("expect speed' == ? * speed within ? with probability ? if load > ?", CAR)
    assert to_text(filled(rule, [1, 2, 0.3, 4])) == \
        "expect speed' == 1 * speed within 2 with probability 0.3 if load > 4"
    assert to_text(filled(parse("reward ? if load > ?", CAR), [-1, 2])) == "reward -1 if load > 2"
    with pytest.raises(ValueError, match="1 values for 4 holes"):
        filled(rule, [1])
    assert filled(parse("end if load > 3", CAR), []) == parse("end if load > 3", CAR)


@pytest.mark.parametrize(("text", "says"), [
    ("avoid load > ?", "'?' in `avoid`"), ("forbid push if load > ?", "'?' in `forbid`"),
    ("achieve load > ?", "'?' in `achieve`"), ("prefer load > 1 with weight ?", "unexpected '?'"),
    ("expect door' == ?", "'door'' is a category, '?' is a number"), ("expect speed' in {?, 1}", "'?' in an effect"),
    ("expect speed' == " + " + ".join(["?"] * 17), "more than 16 '?'"),
])
def test_where_memory_cannot_fit(text: str, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(text, CAR)
    assert says in str(caught.value)


def test_nothing_comes_of_nothing() -> None:
    assert fit(parse("expect speed' == speed - ?", CAR), CAR, drives(600).take(slice(0, 0))) is None
    assert fit(parse("expect same(door)", CAR), CAR, drives(50)) is None
    found = fit(parse("expect speed' == speed / ?", CAR), CAR, drives(50))
    assert found is None or all(map(math.isfinite, found.values))
