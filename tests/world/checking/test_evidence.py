"""Evidence: the interval on a hit rate, what it makes of a rule, and how hits are counted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gedanken.memory.experience.record import Transitions
from gedanken.world.checking import Evidence, interval, is_fallible, judge, measure
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Derived, Feature, Schema

SCHEMA = Schema(
    "oven",
    (
        Feature("heat", low=0, high=100), Feature("drift"), Feature("x", "integer", low=0, high=9),
        Feature("door", "category", values=("shut", "open")), Feature("levels", shape=(2,), low=0, high=1),
    ),
    (Feature("action", "category", values=("wait", "push")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
    (Derived(Feature("double", low=0, high=200), lambda f: f["heat"] * 2),),
)


def steps(n: int, now: dict | None = None, next: dict | None = None, action: int = 0, reward: object = 0.0,
          terminated: object = False) -> Transitions:
    """N transitions of SCHEMA at zero, but for what is given."""
    def features(given: dict | None) -> dict[str, np.ndarray]:
        zero = {f.name: np.zeros((n, *f.shape), f.numpy_dtype) for f in SCHEMA.features}
        for name, value in (given or {}).items():
            zero[name][...] = value
        return zero

    return Transitions(
        features(now), np.full((n, 1), action), np.broadcast_to(np.float32(reward), n).copy(),
        np.broadcast_to(terminated, n).copy(), np.zeros(n, bool), features(next), np.zeros(n, np.int64), np.arange(n),
    )


def counted(text: str, transitions: Transitions) -> tuple[int, int]:
    (evidence,) = measure([parse(text, SCHEMA)], SCHEMA, transitions)
    return evidence.hits, evidence.violations


def judged(text: str, hits: int, violations: int) -> str:
    return judge(parse(text, SCHEMA), Evidence(hits=hits, violations=violations))


# --- the interval -----------------------------------------------------------------------------------------------------


def test_interval_without_data_is_everything() -> None:
    assert interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "violations"), [(1, 0), (0, 1), (3, 1), (10, 10), (500, 3), (40_000, 2_000)])
def test_interval_ends_where_the_martingale_reaches_its_limit(hits: int, violations: int) -> None:
    lower, upper = interval(hits, violations)
    assert 0 <= lower < (hits + 0.5) / (hits + violations + 1) < upper <= 1

    def martingale(p: float) -> float:
        q = (np.arange(200_000) + 0.5) / 200_000
        prior = (1 + 9 * q**8) / 2
        return float(np.mean(prior * np.exp(hits * np.log(q / p) + violations * (np.log1p(-q) - math.log1p(-p)))))

    for p in [b for b, n in ((lower, hits), (upper, violations)) if n]:
        assert martingale(p) == pytest.approx(20, rel=1e-3)


def test_interval_covers_the_truth_at_all_times_together() -> None:
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(60):
        hits = np.cumsum(rng.random(300) < 0.85)
        looks = np.arange(4, 300, 5)
        bounds = [interval(int(hits[t]), int(t + 1 - hits[t])) for t in looks]
        missed += any(not low <= 0.85 <= high for low, high in bounds)
    assert missed <= 4    # at most 5% expected of 60, looked at 60 times each


def test_interval_narrows() -> None:
    widths = [high - low for low, high in (interval(9 * n, n) for n in (1, 10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)


def test_weights_keep_the_interval_honest() -> None:
    """Transitions that count for less: the truth still leaves the interval hardly ever."""
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(60):
        weight = rng.random(300)
        holds = rng.random(300) < 0.7
        h, v = np.cumsum(weight * holds), np.cumsum(weight * ~holds)
        missed += any(not low <= 0.7 <= high for low, high in (interval(h[t], v[t]) for t in range(3, 300, 6)))
    assert missed <= 3


# --- what follows -----------------------------------------------------------------------------------------------------

HARD = "expect door' == open if action == push"


def test_one_counterexample_does_not_contradict_and_a_thousand_do() -> None:
    assert judged(HARD, 0, 1) == "untested"
    assert judged(HARD, 50, 1) == "supported"
    assert judged(HARD, 1000, 20) == "supported"
    assert judged(HARD, 0, 1000) == "contradicted"
    assert judged(HARD, 1000, 1000) == "contradicted"


def test_support_takes_more_than_a_few_hits() -> None:
    assert [judged(HARD, n, 0) for n in range(10)] == ["untested"] * 7 + ["supported"] * 3


def test_a_probability_is_contradicted_on_either_side() -> None:
    rule = "expect door' == open with probability 0.3 if action == push"
    assert judged(rule, 30, 70) == "supported"
    assert judged(rule, 900, 100) == "contradicted"
    assert judged(rule, 10, 990) == "contradicted"
    assert judged(rule, 1, 2) == "untested"


def test_a_weight_says_only_that_it_is_likelier() -> None:
    rule = "expect door' == open with weight 2 if action == push"
    assert judged(rule, 30, 70) == "supported"
    assert judged(rule, 1, 1000) == "contradicted"


@pytest.mark.parametrize("text", ["forbid push", "avoid x > 6", "maintain x < 6", "prefer x < 1", "achieve x > 1"])
def test_will_is_never_tested(text: str) -> None:
    assert judged(text, 0, 1000) == "untested"
    assert counted(text, steps(5)) == (0, 0)


def test_a_hard_rule_with_sure_exceptions_is_fallible() -> None:
    rule = parse(HARD, SCHEMA)
    assert is_fallible(rule, Evidence(hits=960, violations=40))
    assert not is_fallible(rule, Evidence(hits=50, violations=1))
    assert not is_fallible(parse("expect x' == 1 with probability 0.5", SCHEMA), Evidence(hits=50, violations=50))


# --- counting ---------------------------------------------------------------------------------------------------------


def test_support_is_where_the_guard_holds() -> None:
    both = Transitions.join([steps(3, action=1, next={"door": 1}), steps(4, action=0)])
    assert counted(HARD, both) == (3, 0)
    assert counted("expect door' == shut if action == push", both) == (0, 3)
    assert counted("expect same", both) == (4, 3)


def test_the_guard_may_speak_of_the_next_state() -> None:
    mixed = steps(4, next={"door": [0, 1, 1, 1], "x": [2, 2, 2, 3]})
    assert counted("expect x' == 2 if door' == open", mixed) == (2, 1)


def test_reals_agree_within_a_hundredth_of_their_range_or_within() -> None:
    near = steps(2, now={"heat": 50}, next={"heat": [50.9, 51.1]})
    assert counted("expect heat' == heat", near) == (1, 1)
    assert counted("expect heat' == heat within 2", near) == (2, 0)
    assert counted("expect same(heat)", near) == (1, 1)
    assert counted("expect same", near) == (1, 1)
    assert counted("expect heat' == heat and x' == 1", near) == (0, 2)
    assert counted("always heat' <= 51", near) == (1, 1)


def test_cells_of_real_arrays_agree_within_tolerance() -> None:
    near = steps(2, next={"levels": [[0.0, 0.005], [0.0, 0.5]]})
    assert counted("expect same(levels)", near) == (1, 1)
    assert counted("expect levels'[1] == levels[1]", near) == (1, 1)


def test_an_unbounded_feature_is_measured_by_its_spread() -> None:
    now = np.linspace(0, 10, 5)
    assert counted("expect drift' == drift", steps(5, now={"drift": now}, next={"drift": now + 0.09})) == (5, 0)
    assert counted("expect drift' == drift", steps(5, now={"drift": now}, next={"drift": now + 0.2})) == (0, 5)


def test_rewards_agree_in_sign_and_size() -> None:
    assert counted("reward +1 if action == push", steps(5, action=1, reward=[0.95, 0.1, 0.0, -1.0, 11.0])) == (2, 3)
    assert counted("reward 0 if action == push", steps(2, action=1, reward=[0.0, 0.2])) == (1, 1)


def test_rewards_that_apply_together_add_up() -> None:
    rules = [parse(t, SCHEMA) for t in ("reward -0.01", "reward +10 if action == push")]
    paid = Transitions.join([steps(2, action=1, reward=9.99), steps(3, reward=-0.01)])
    assert [(e.hits, e.violations) for e in measure(rules, SCHEMA, paid)] == [(5, 0), (2, 0)]


def test_ends_agree_with_termination() -> None:
    assert counted("end if x' == 3", steps(4, next={"x": 3}, terminated=[True, True, False, True])) == (3, 1)


def test_counts_are_the_same_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    many = steps(1000, now={"x": rng.integers(0, 10, 1000)}, next={"door": rng.integers(0, 2, 1000)})
    whole = counted("expect door' == open if x > 4", many)
    monkeypatch.setattr("gedanken.world.checking.tally.CHUNK", 64)
    assert counted("expect door' == open if x > 4", many) == whole


def test_no_transitions_no_evidence() -> None:
    assert counted(HARD, steps(0)) == (0, 0)
    assert str(Evidence()) == "never applied"
    assert str(Evidence(hits=3, violations=1)).startswith("held 3 of 4 times")
