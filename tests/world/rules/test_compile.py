"""Compiled rules agree with a slow interpreter, and keep every row a distribution whatever they are told."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from gedanken.errors import UserError
from gedanken.world.distributions import FLOOR, Categorical, Distribution, Normal
from gedanken.world.model import Outcome
from gedanken.world.rules.codes import Rows
from gedanken.world.rules.compile import Compiled
from gedanken.world.rules.evaluate import evaluate
from gedanken.world.rules.guards import Guards
from gedanken.world.rules.syntax import (
    Always,
    Arithmetic,
    Boolean,
    Call,
    Compare,
    Expect,
    Expression,
    Logical,
    Member,
    Name,
    Negative,
    Not,
    Number,
    Quantified,
    Rule,
    Symbol,
)
from gedanken.world.schema import Feature, Pointed, Schema

from .interpreter import Row, corrected, value

torch.set_num_threads(1)
N = 16
THINGS, HANDS = ("empty", "wall", "key", "ball"), ("none", "key", "ball")
SCHEMA = Schema(
    "yard",
    (
        Feature("cells", "category", (3,), values=THINGS), Feature("at", "integer", low=0, high=2),
        Feature("x", "integer", low=-2, high=3), Feature("y", "integer", low=-2, high=3),
        Feature("hand", "category", values=HANDS), Feature("thing", "category", values=THINGS),
        Feature("lit", "boolean"), Feature("wet", "boolean"), Feature("heat", low=-5, high=5), Feature("speed"),
    ),
    (Feature("move", "category", values=("stay", "go")), Feature("gear", "integer", low=1, high=3)),
    lambda observation, env: {},
    lambda row: row,
    (Pointed(Feature("here", "category", values=THINGS), "cells", lambda f: f["at"].long()),),
)
POINTERS = {"here": ("cells", "at")}
PROPERTY = settings(derandomize=True, deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 1000)


def draw(seed: int, n: int = N) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]:
    """Random features now, actions, and random next features."""
    rng = torch.Generator().manual_seed(seed)

    def of(f: Feature) -> Tensor:
        if f.kind == "real":
            return torch.randint(-6, 7, (n, *f.shape), generator=rng) / 2
        return (torch.randint(f.cardinality or 1, (n, *f.shape), generator=rng) + f.offset).to(f.dtype)

    now, after = ({f.name: of(f) for f in SCHEMA.features} for _ in range(2))
    return now, torch.stack([torch.randint(a.cardinality or 1, (n,), generator=rng) for a in SCHEMA.actions], 1), after


def certain(features: dict[str, Tensor]) -> Outcome:
    """The prediction that is sure of these features."""
    out: dict[str, Distribution] = {}
    for f in SCHEMA.features:
        v = features[f.name]
        out[f.name] = (Normal(f, v, torch.full_like(v, 1e-3)) if f.kind == "real" else Categorical(
            f, torch.nn.functional.one_hot(v.long() - f.offset, f.cardinality or 1) * 30.0))
    return outcome(out)


def vague(seed: int, n: int = N) -> Outcome:
    rng = torch.Generator().manual_seed(seed)

    def of(f: Feature) -> Distribution:
        if f.kind == "real":
            return Normal(f, torch.randn(n, generator=rng), torch.ones(n))
        return Categorical(f, torch.randn(n, *f.shape, f.cardinality or 1, generator=rng) * 2)

    return outcome({f.name: of(f) for f in SCHEMA.features})


def outcome(features: dict[str, Distribution]) -> Outcome:
    n = len(next(iter(features.values())).mode())
    return Outcome(features, torch.zeros(n), torch.ones(n), torch.ones(n, dtype=torch.bool), torch.zeros(n))


def plain(features: dict[str, Tensor], n: int) -> dict[str, Any]:
    def word(f: Feature, v: Any) -> Any:
        if isinstance(v, list):
            return [word(f, x) for x in v]
        return f.values[int(v)] if f.kind == "category" else bool(v) if f.kind == "boolean" else v

    return {f.name: word(f, features[f.name][n].tolist()) for f in SCHEMA.features}


def row_of(now: dict[str, Tensor], action: Tensor, after: dict[str, Tensor], n: int) -> Row:
    move, gear = action[n].tolist()
    return Row(plain(now, n), {"move": SCHEMA.actions[0].values[move], "gear": gear + 1}, plain(after, n), POINTERS)


# --- random expressions, well typed ---


def name(*kinds: str, primed: bool = True) -> st.SearchStrategy[Any]:
    fitting = [f for f in SCHEMA.named.values() if f.kind in kinds and not f.shape]
    actions = {a.name for a in SCHEMA.actions}
    return st.builds(lambda f, p: Name(name=f.name, primed=p and primed and f.name not in actions),
                     st.sampled_from(fitting), st.booleans())


literal = st.sampled_from([-2.0, -1.0, 0.0, 1.0, 1.5, 2.0, 3.0]).map(
    lambda v: Number(value=v) if v >= 0 else Negative(operand=Number(value=-v)))
signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def pair(left: Any, sign: Any, right: Any, **more: Any) -> st.SearchStrategy[Any]:
    return st.builds(lambda a, o, b, **k: Compare(operands=(a, b), operators=(o,), **k), left, sign, right, **more)


@st.composite
def of_category(draw: Any, primed: bool = True) -> Expression:
    subject = draw(name("category", primed=primed))
    symbols = st.sampled_from(SCHEMA.feature(subject.name).values).map(lambda v: Symbol(name=v))
    if draw(st.booleans()):
        return Member(operand=subject, members=tuple(draw(st.lists(symbols, min_size=1, max_size=3))))
    return Compare(operands=(subject, draw(symbols)), operators=(draw(st.sampled_from(["==", "!="])),))


def conditions(primed: bool = True) -> st.SearchStrategy[Any]:
    number = name("integer", "real", primed=primed)
    total = st.builds(Arithmetic, operator=st.sampled_from("+-*"), left=number, right=number | literal)
    cell = st.builds(lambda v, o: Compare(operands=(Name(name="cells"), Symbol(name=v)), operators=(o,)),
                     st.sampled_from(THINGS), st.sampled_from(["==", "!="]))
    simple = st.one_of(
        of_category(primed), name("boolean", primed=primed), pair(number, signs, literal),
        pair(literal, signs, number), pair(number, signs, number), pair(total, signs, literal),
        pair(number, st.sampled_from(["==", "!="]), literal, within=st.just(0.5)),
        st.builds(Member, operand=number, members=st.lists(literal, min_size=1, max_size=3).map(tuple)),
        st.builds(lambda a, x, b: Compare(operands=(a, x, b), operators=("<=", "<")), literal, number, literal),
        st.builds(Quantified, quantifier=st.sampled_from(["any", "all"]), condition=cell),
        pair(st.builds(lambda c: Call(function="count", arguments=(c,)), cell), signs, literal),
        st.builds(lambda v: Boolean(value=v), st.booleans()),
    )
    return st.recursive(simple, lambda inner: st.one_of(
        st.builds(Not, operand=inner),
        st.builds(Logical, operator=st.just("implies"), operands=st.tuples(inner, inner)),
        st.builds(Logical, operator=st.sampled_from(["and", "and", "or"]),
                  operands=st.lists(inner, min_size=2, max_size=4).map(tuple))), max_leaves=6)


@st.composite
def effects(draw: Any) -> Expression:
    target = draw(st.sampled_from(["x", "y", "hand", "thing", "here", "heat", "speed"]))
    f = SCHEMA.feature(target)
    left = Name(name=target, primed=True)
    if f.kind == "category":
        constant = st.sampled_from(f.values).map(lambda v: Symbol(name=v))
        right = draw(constant | st.sampled_from(["hand", "thing", "here"]).map(lambda v: Name(name=v)))
        return Compare(operands=(left, right), operators=(draw(st.sampled_from(["==", "==", "!="])),))
    sign = draw(signs) if f.kind == "integer" else draw(st.sampled_from(["==", "<", "<=", ">", ">="]))
    whole = st.sampled_from([0.0, 1.0, 2.0]).map(lambda v: Number(value=v))
    moved = st.builds(Arithmetic, operator=st.sampled_from("+-"), left=st.just(Name(name=target)), right=whole)
    within = 0.5 if f.kind == "real" and sign == "==" and draw(st.booleans()) else None
    return Compare(operands=(left, draw(whole | moved)), operators=(sign,), within=within)


def rules(min_size: int = 1) -> st.SearchStrategy[list[Rule]]:
    return st.lists(st.builds(lambda e, g: Rule(statement=Expect(effect=e, guard=g)), effects(),
                              st.none() | conditions(primed=False)), min_size=min_size, max_size=8)


@st.composite
def soft_rules(draw: Any) -> list[Rule]:
    def soften(rule: Rule, kind: int) -> Rule:
        s = rule.statement
        assert isinstance(s, Expect)
        more = [{}, {"weight": 2.0}, {"probability": 0.7}][kind]
        return Rule(statement=Expect(effect=s.effect, guard=s.guard, **more))

    return [soften(r, draw(st.integers(0, 2))) for r in draw(rules())]


# --- agreement ---


@PROPERTY
@given(st.lists(conditions(), min_size=1, max_size=12), seeds)
def test_guards_and_expressions_agree_with_the_interpreter(guards: list[Expression], seed: int) -> None:
    now, action, after = draw(seed)
    rows = Rows(SCHEMA, now, action, after)
    held = Guards(guards, SCHEMA)(rows)
    alone = [evaluate(g, rows) for g in guards]
    for n in range(N):
        row = row_of(now, action, after, n)
        expected = [bool(value(g, row)) for g in guards]
        assert held[n].tolist() == expected
        assert [bool(a[n]) for a in alone] == expected


@PROPERTY
@given(rules(), seeds)
def test_hard_rules_agree_with_the_interpreter(told: list[Rule], seed: int) -> None:
    now, action, after = draw(seed)
    priority = [float(k) for k in range(len(told))]
    out = Compiled(SCHEMA, told, priority).correct(now, action, certain(after))
    for n in range(N):
        expected = corrected(told, priority, SCHEMA, row_of(now, action, after, n))
        assert _alike(plain(out.mode, n), expected)


def _alike(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(math.isclose(a[k], b[k], abs_tol=1e-6) if isinstance(a[k], float) else a[k] == b[k] for k in a)


# --- what always holds ---


@PROPERTY
@given(soft_rules(), seeds)
def test_every_row_stays_a_distribution(told: list[Rule], seed: int) -> None:
    now, action, _ = draw(seed)
    out = Compiled(SCHEMA, told).correct(now, action, vague(seed), torch.Generator().manual_seed(seed))
    for d in out.features.values():
        if isinstance(d, Categorical):
            p = d.logits.softmax(-1)
            assert not p.isnan().any()
            assert torch.allclose(p.sum(-1), torch.ones(()))
        else:
            assert isinstance(d, Normal)
            assert d.mean.isfinite().all()
            assert (d.std > 0).all()


@PROPERTY
@given(soft_rules(), seeds, st.randoms(use_true_random=False))
def test_the_order_of_the_rules_is_irrelevant(told: list[Rule], seed: int, random: Any) -> None:
    now, action, _ = draw(seed)
    order = list(range(len(told)))
    random.shuffle(order)
    first = Compiled(SCHEMA, told).correct(now, action, vague(seed))
    other = Compiled(SCHEMA, [told[i] for i in order]).correct(now, action, vague(seed))
    assert first.fired is not None
    assert other.fired is not None
    assert torch.equal(first.fired[:, order], other.fired)
    for k, d in first.features.items():
        e = other.features[k]
        parts = ((d.mean, e.mean) if isinstance(d, Normal) and isinstance(e, Normal)
                 else (d.logits.softmax(-1), e.logits.softmax(-1)))  # type: ignore[union-attr]
        assert torch.allclose(*parts, atol=1e-4)


@PROPERTY
@given(soft_rules(), seeds)
def test_a_row_on_which_no_rule_fires_keeps_its_prediction(told: list[Rule], seed: int) -> None:
    now, action, _ = draw(seed)
    before = vague(seed)
    out = Compiled(SCHEMA, told).correct(now, action, before)
    assert out.fired is not None
    idle = ~out.fired.any(1)
    for k, d in before.features.items():
        for a, b in zip(_parts(d), _parts(out.features[k]), strict=True):
            assert torch.equal(a[idle], b[idle])


def _parts(d: Distribution) -> tuple[Tensor, ...]:
    return (d.mean, d.std) if isinstance(d, Normal) else (d.logits,)


def test_hard_rules_multiply_exactly() -> None:
    now, action, _ = draw(0)
    before = vague(0)
    told = [parsed("hand' != key"), parsed("hand' != ball", weight=1.5), parsed("x' <= 1"), parsed("x' > -1")]
    out = Compiled(SCHEMA, told).correct(now, action, before)
    for k, factor in (("hand", [math.exp(1.5), 0, 1]), ("x", [0, 0, 1, 1, 0, 0])):
        logits = before.features[k].logits  # type: ignore[union-attr]
        model = (1 - FLOOR) * logits.softmax(-1) + FLOOR / logits.shape[-1]
        expected = model * torch.tensor(factor)
        got = out.features[k].logits.softmax(-1)  # type: ignore[union-attr]
        # Below the floor, what is nearest is favoured.
        likely = (logits.softmax(-1) * (torch.tensor(factor) > 0)).sum(-1) >= FLOOR
        assert likely.sum() > N / 2
        assert torch.allclose(got[likely], (expected / expected.sum(-1, keepdim=True))[likely], atol=1e-5)
        assert (got[:, torch.tensor(factor) == 0] == 0).all()


def parsed(text: str, **more: Any) -> Rule:
    """An effect `name' sign value`, with a weight or a probability."""
    left, sign, right = text.split()
    target = left.rstrip("'")
    f = SCHEMA.feature(target)
    wanted: Any = Symbol(name=right) if f.kind == "category" else (
        Negative(operand=Number(value=-float(right))) if right.startswith("-") else Number(value=float(right)))
    return Rule(statement=Expect(effect=Compare(operands=(Name(name=target, primed=True), wanted), operators=(sign,)),
                                 **more))  # type: ignore[arg-type]


# --- conflicts ---


def test_the_rule_that_loses_is_counted() -> None:
    now, action, _ = draw(0)
    told = [parsed("hand' == key"), parsed("hand' == ball"), parsed("heat' <= 1"), parsed("heat' >= 2"),
            parsed("x' <= 1")]
    compiled = Compiled(SCHEMA, told, [2, 1, 1, 2, 0])
    out = compiled.correct(now, action, vague(0))
    assert compiled.conflicts(out) == {told[1]: N, told[2]: N}
    assert (out.mode["hand"] == HANDS.index("key")).all()
    assert (out.mode["heat"] >= 2).all()


def test_a_weaker_rule_that_fits_beside_a_loser_still_counts() -> None:
    now, action, _ = draw(0)
    told = [parsed("x' >= 1"), parsed("x' <= 0"), parsed("x' <= 2")]
    out = Compiled(SCHEMA, told, [3, 2, 1]).correct(now, action, vague(0))
    p = out.features["x"].logits.softmax(-1)  # type: ignore[union-attr]
    assert ((p > 0) == torch.tensor([False, False, False, True, True, False])).all()


def test_probabilities_of_different_events_all_hold() -> None:
    now, action, _ = draw(0)
    told = [parsed(f"x' == {k}", probability=0.3) for k in (-1, 0, 1)]
    p = Compiled(SCHEMA, told).correct(now, action, vague(0)).features["x"].logits.softmax(-1)  # type: ignore[union-attr]
    assert torch.allclose(p[:, 1:4], torch.tensor(0.3), atol=2e-2)


def test_an_effect_that_says_a_feature_of_itself_is_refused() -> None:
    again = Arithmetic(operator="+", left=Name(name="x", primed=True), right=Number(value=1))
    effect = Compare(operands=(Name(name="x", primed=True), again), operators=("==",))
    with pytest.raises(UserError, match="of itself"):
        Compiled(SCHEMA, [Rule(statement=Expect(effect=effect))])


# --- ties ---


def tie(effect: Expression, **more: Any) -> Rule:
    return Rule(statement=Expect(effect=effect, **more))


X, Y, HEAT, SPEED, LIT, WET = (Name(name=k, primed=True) for k in ("x", "y", "heat", "speed", "lit", "wet"))


def equal(a: Any, b: Any) -> Compare:
    return Compare(operands=(a, b), operators=("==",))


def plus(a: Any, b: Any) -> Arithmetic:
    return Arithmetic(operator="+", left=a, right=b)


CELL = Compare(operands=(Name(name="cells", primed=True), Symbol(name="key")), operators=("==",))
TIES: list[tuple[Expression, Any]] = [
    (equal(plus(X, Y), Number(value=3)), lambda m: m["x"] + m["y"] == 3),
    (equal(X, Y), lambda m: m["x"] == m["y"]),
    (equal(plus(HEAT, SPEED), Number(value=1)), lambda m: (m["heat"] + m["speed"] - 1).abs() < 1e-5),
    (Compare(operands=(HEAT, SPEED), operators=("<=",)), lambda m: m["heat"] <= m["speed"]),
    (Logical(operator="or", operands=(LIT, WET)), lambda m: m["lit"] | m["wet"]),
    (Not(operand=Logical(operator="and", operands=(LIT, WET))), lambda m: ~(m["lit"] & m["wet"])),
    (Logical(operator="implies", operands=(LIT, equal(X, Number(value=2)))), lambda m: ~m["lit"] | (m["x"] == 2)),
    (Compare(operands=(Call(function="count", arguments=(CELL,)), Number(value=1)), operators=(">=",)),
     lambda m: (m["cells"] == 2).sum(1) >= 1),
]


@pytest.mark.parametrize(("effect", "holds"), TIES)
@pytest.mark.parametrize("is_drawn", [False, True])
@pytest.mark.parametrize("word", ["expect", "always"])
def test_a_tie_holds_of_what_comes_out(effect: Expression, holds: Any, is_drawn: bool, word: str) -> None:
    now, action, _ = draw(0)
    rng = torch.Generator().manual_seed(0) if is_drawn else None
    rule = tie(effect) if word == "expect" else Rule(statement=Always(condition=effect))
    compiled = Compiled(SCHEMA, [rule, parsed("hand' == key")])
    out = compiled.correct(now, action, vague(1), rng)
    assert compiled.conflicts(out) == {}
    assert holds(out.mode).all()
    if is_drawn:
        assert holds({k: d.sample(rng) for k, d in out.features.items()}).float().mean() > 0.95


def test_a_tie_keeps_what_other_rules_made_certain() -> None:
    now, action, _ = draw(0)
    out = Compiled(SCHEMA, [tie(equal(plus(X, Y), Number(value=3))), parsed("x' == 2")]).correct(now, action, vague(1))
    assert (out.mode["x"] == 2).all()
    assert (out.mode["y"] == 1).all()


def test_a_tie_that_cannot_be_had_leaves_the_row_and_is_counted() -> None:
    now, action, _ = draw(0)
    before = vague(1)
    compiled = Compiled(SCHEMA, [tie(equal(plus(X, Y), Number(value=90)))])
    out = compiled.correct(now, action, before)
    assert compiled.conflicts(out) == {compiled.rules[0]: N}
    assert all(torch.equal(out.mode[k], before.mode[k]) for k in before.mode)


def test_a_satisfied_tie_changes_nothing_without_a_draw() -> None:
    now, action, after = draw(0)
    after["y"] = after["x"].clone()
    before = certain(after)
    out = Compiled(SCHEMA, [tie(equal(X, Y))]).correct(now, action, before)
    assert all(out.features[k] is d for k, d in before.features.items())


def test_a_tie_takes_the_likeliest_of_what_it_allows() -> None:
    now, action, _ = draw(0)
    before = vague(3)
    out = Compiled(SCHEMA, [tie(equal(X, Y))]).correct(now, action, before).mode
    joint = before.features["x"].log_probs() + before.features["y"].log_probs()  # type: ignore[union-attr]
    assert torch.equal(out["x"] + 2, joint.argmax(-1).int())


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_a_tie_with_a_probability_is_drawn(p: float) -> None:
    now, action, after = draw(0, 2000)
    after["lit"][:] = after["wet"][:] = False
    rule = tie(Logical(operator="or", operands=(LIT, WET)), **({"probability": p} if p else {"weight": 30.0}))
    out = Compiled(SCHEMA, [rule]).correct(now, action, certain(after), torch.Generator().manual_seed(0)).mode
    share = (out["lit"] | out["wet"]).float().mean().item()
    assert share == pytest.approx(p, abs=0.05) if p else share > 0.3


def test_a_disjunction_of_one_feature_is_exact() -> None:
    now, action, _ = draw(0)
    either = Logical(operator="or", operands=(equal(X, Number(value=2)), equal(X, Name(name="y"))))
    p = Compiled(SCHEMA, [tie(either, probability=0.6)]).correct(now, action, vague(0)).features["x"]
    codes = torch.arange(-2, 4)
    event = (codes == 2) | (codes == now["y"][:, None])
    assert torch.allclose((p.logits.softmax(-1) * event).sum(-1), torch.tensor(0.6), atol=1e-4)  # type: ignore[union-attr]


def test_always_goes_to_the_nearest_that_is_allowed() -> None:
    now, action, after = draw(0)
    after["x"][:] = 3
    bound = parsed("x' <= 1").statement
    assert isinstance(bound, Expect)
    out = Compiled(SCHEMA, [Rule(statement=Always(condition=bound.effect)), parsed("y' == 0")])
    assert (out.correct(now, action, certain(after)).mode["x"] == 1).all()


# --- violation ---


def test_descending_the_violation_teaches_the_rules() -> None:
    now, action, _ = draw(0)
    told = [parsed("hand' == key"), parsed("x' <= 0"), parsed("thing' == wall", probability=0.7),
            parsed("heat' == 2"), parsed("speed' <= -1"), parsed("lit' == 1", weight=2.0)]
    compiled = Compiled(SCHEMA, told)
    start = vague(0)
    leaves = {k: (d.mean if isinstance(d, Normal) else d.logits).clone().requires_grad_()  # type: ignore[union-attr]
              for k, d in start.features.items()}

    def predicted() -> Outcome:
        return outcome({k: Normal(d.feature, leaves[k], d.std) if isinstance(d, Normal)
                        else Categorical(d.feature, leaves[k]) for k, d in start.features.items()})

    optimiser = torch.optim.Adam(leaves.values(), lr=0.2)
    first = compiled.violation(now, action, predicted())
    assert first.shape == (N,)
    assert (first >= 0).all()
    for _ in range(150):
        optimiser.zero_grad()
        compiled.violation(now, action, predicted()).sum().backward()
        optimiser.step()
    last = compiled.violation(now, action, predicted())
    assert last.max() < 0.1 * first.max()
    out = predicted()
    assert (out.mode["hand"] == 1).all()
    assert (out.mode["heat"] - 2).abs().max() < 0.3
    p = out.features["thing"].logits.softmax(-1)[:, 1]  # type: ignore[union-attr]
    assert torch.allclose(p, torch.tensor(0.7), atol=0.05)


def test_what_does_not_fire_violates_nothing() -> None:
    now, action, _ = draw(0)
    s = parsed("hand' == key").statement
    assert isinstance(s, Expect)
    never = Rule(statement=Expect(effect=s.effect, guard=Boolean(value=False)))
    assert (Compiled(SCHEMA, [never]).violation(now, action, vague(0)) == 0).all()
