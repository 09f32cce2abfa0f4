"""True, false, noisy, near-true and no longer true are told apart, as transitions come one by one."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gedanken.memory.experience.record import Transitions
from gedanken.world.checking import Evidence, Tally, is_drifting, judge, measure
from gedanken.world.checking.drift import History
from gedanken.world.checking.exceptions import repaired
from gedanken.world.checking.noise import misreading
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Feature, Schema

SCHEMA = Schema(
    "door",
    (
        Feature("door", "category", values=("shut", "open")),
        Feature("lock", "category", values=("none", "bolt", "bar")),
        Feature("heat", low=0, high=80), Feature("lamp", "boolean"),
    ),
    (Feature("action", "category", values=("wait", "push")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)
OPENS = "expect door' == open if action == push"


def lived(n: int, fails: str = "", noise: float = 0.0, seed: int = 0, chance: float = 0.0) -> Transitions:
    """Pushes open the door, but for where it `fails` ("bar", "hot", "always") or by `chance`; what is read next
    is wrong with probability `noise`."""
    rng = np.random.default_rng(seed)
    now = {"door": rng.integers(0, 2, n).astype(np.int16), "lock": rng.integers(0, 3, n).astype(np.int16),
           "heat": (80 * rng.random(n)).astype(np.float32), "lamp": rng.random(n) < 0.5}
    action = rng.integers(0, 2, (n, 1))
    no, yes = np.zeros(n, bool), np.ones(n, bool)
    stuck = {"": no, "bar": now["lock"] == 2, "hot": now["heat"] >= 60, "always": yes}[fails]
    works = (action[:, 0] == 1) & ~stuck & (rng.random(n) >= chance)
    door = np.where(works, 1, np.where(action[:, 0] == 1, 0, now["door"]))
    next = now | {"door": np.where(rng.random(n) < noise, rng.integers(0, 2, n), door).astype(np.int16)}
    return Transitions(now, action, np.zeros(n, np.float32), no, no, next, np.zeros(n, np.int64), np.arange(n))


def evidence(transitions: Transitions, text: str = OPENS) -> Evidence:
    return measure([parse(text, SCHEMA)], SCHEMA, transitions)[0]


def status(e: Evidence, text: str = OPENS) -> str:
    return judge(parse(text, SCHEMA), e)


# --- noise ------------------------------------------------------------------------------------------------------------


def test_misreading_is_estimated_where_nothing_happens() -> None:
    estimated = misreading(SCHEMA, lived(4000, noise=0.3))
    low, high = estimated["door"]
    assert low < 0.15 < high < low + 0.1    # half of the wrong readings are right by chance
    assert estimated["lamp"][1] < 0.02
    assert misreading(SCHEMA, lived(4000, chance=0.3))["door"][1] < 0.02    # the world's own chance is no misreading
    assert misreading(SCHEMA, lived(20))["door"][1] > 0.05    # who has seen little cannot exclude it
    assert misreading(SCHEMA, lived(0)) == {}


def test_a_true_rule_is_kept_though_its_feature_is_misread() -> None:
    e = evidence(lived(2000, noise=0.3))
    assert status(e) == "supported"
    assert status(e.model_copy(update={"noise": (0.0, 0.0)})) == "contradicted"
    assert e.exception is None


def test_a_rule_that_fails_by_chance_is_contradicted_and_has_no_exception() -> None:
    e = evidence(lived(1000, chance=0.4))
    assert status(e) == "contradicted"
    assert e.exception is None


# --- exceptions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fails", "condition", "mended"), [
    ("bar", "lock == bar", "expect door' == open if action == push and lock != bar"),
    ("hot", "heat >= 60", "expect door' == open if action == push and heat < 60"),
])
def test_an_exception_is_described_and_repaired(fails: str, condition: str, mended: str) -> None:
    e = evidence(lived(600, fails, noise=0.1))
    assert e.exception is not None
    assert e.exception.condition == condition
    assert status(e) == "supported"
    assert f"but for `{condition}`" in str(e)
    better = repaired(parse(OPENS, SCHEMA), e.exception, SCHEMA)
    assert to_text(better) == mended
    assert status(evidence(lived(600, fails), mended), mended) == "supported"


def test_noise_makes_no_exceptions() -> None:
    found = [evidence(lived(200, chance=0.2, seed=seed)).exception for seed in range(40)]
    assert sum(region is not None for region in found) <= 2


def test_repairs_of_every_kind_of_statement() -> None:
    region = evidence(lived(600, "bar")).exception
    assert region is not None
    told = {"always door' == open": "expect door' == open if lock != bar",
            "expect lamp'": "expect lamp' if lock != bar",
            "reward 1 if lamp and heat > 3": "reward 1 if lamp and heat > 3 and lock != bar",
            "named: end if lamp or heat > 3": "end if (lamp or heat > 3) and lock != bar"}
    for text, mended in told.items():
        assert to_text(repaired(parse(text, SCHEMA), region, SCHEMA)).lower() == to_text(parse(mended, SCHEMA)).lower()


# --- drift ------------------------------------------------------------------------------------------------------------


def test_a_rule_that_stops_holding_is_flagged_and_recovers() -> None:
    rule = parse(OPENS, SCHEMA)
    parts = [lived(600, seed=1), lived(400, "always", seed=2), lived(400, seed=3)]
    seen = [evidence(Transitions.join(parts[:k])) for k in (1, 2, 3)]
    assert [judge(rule, e) for e in seen] == ["supported", "contradicted", "supported"]
    assert [is_drifting(rule, e) for e in seen] == [False, True, False]
    assert seen[2].support == sum(int((p.action == 1).sum()) for p in parts)


def test_a_steady_rate_hardly_ever_seems_to_change() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for rate in [0.5, 0.8, 0.95, 0.99] * 15:
        alarms += History().after((rng.random(1500) < rate).tolist()).changes > 0
    assert alarms <= 2


def test_the_history_stays_small_and_does_not_depend_on_how_it_is_dealt_out() -> None:
    holds = (np.random.default_rng(0).random(20_000) < np.linspace(0.99, 0.7, 20_000)).tolist()
    whole, parts = History().after(holds), History()
    for start in range(0, len(holds), 777):
        parts = parts.after(holds[start : start + 777])
    assert whole == parts
    assert len(whole.blocks) <= 65
    assert History.model_validate(json.loads(whole.model_dump_json())) == whole


# --- counting one by one ----------------------------------------------------------------------------------------------


def test_one_by_one_is_all_at_once() -> None:
    transitions, rules = lived(300, "bar", noise=0.1), [parse(OPENS, SCHEMA), parse("expect same(lamp)", SCHEMA)]
    tally = Tally(rules, SCHEMA)
    seen, where = tally.judge(transitions, {})
    for t in range(300):
        tally.add(seen[t : t + 1], where[t : t + 1])
    assert tally.evidence(misreading(SCHEMA, transitions)) == measure(rules, SCHEMA, transitions)


def test_weights_count_for_less() -> None:
    transitions = lived(300)
    (e,) = measure([parse(OPENS, SCHEMA)], SCHEMA, transitions, weight=np.full(300, 0.5))
    assert e.support == pytest.approx(0.5 * evidence(transitions).support)
    assert e.history.blocks[0][0] == 8
    with pytest.raises(ValueError, match="between 0 and 1"):
        measure([parse(OPENS, SCHEMA)], SCHEMA, transitions, weight=np.full(300, 2.0))


def test_evidence_survives_its_file() -> None:
    e = evidence(Transitions.join([lived(600, "bar", noise=0.1), lived(300, "always")]))
    assert Evidence.model_validate_json(e.model_dump_json()) == e
