"""Judging readings: what the transitions in memory say of what a sentence may mean.

A reading that the data refute goes down, one that explains what would else be unlikely goes up a little. Where a rule
applies, its claim either holds or not; were the sentence about something else, the claim would hold as often there as
it does where the rule does not apply. The likelihood ratio of the two weighs the readings, up to `PRAISE` for what
speaks in their favour: much is true of a world that a sentence does not say. Their order is that of their probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .checking import Evidence, measure
from .rules import syntax as s
from .rules.syntax import N, Rule
from .schema import Schema

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions

HOLDS = 0.95
"""How often the claim of a hard rule that was meant holds: people allow for exceptions."""
DAMPED = 4.0
"""Nats from which evidence counts less and less, as transitions of one world are not independent witnesses."""
PRAISE = 1.0
"""Nats that a reading can gain at most."""
RECENT = 2_000
"""Transitions looked at, the latest."""
_NEITHER = 0.05    # what is left for a meaning that is not among the readings


def judged(readings: Sequence[Sequence[Rule]], priors: Sequence[float], schema: Schema, transitions: Transitions
           ) -> list[float]:
    """The probability of each reading after the data have spoken."""
    recent = transitions.take(slice(max(len(transitions) - RECENT, 0), len(transitions)))
    logs = [weight_of_evidence(rules, schema, recent) for rules in readings]
    if not any(logs):
        return list(priors)
    rest = max(1.0 - sum(priors), _NEITHER * max(priors, default=1.0))
    weights = [p * math.exp(min(log, PRAISE)) for p, log in zip(priors, logs, strict=True)]
    total = sum(weights) + rest
    return [weight / total for weight in weights]


def weight_of_evidence(rules: Sequence[Rule], schema: Schema, transitions: Transitions) -> float:
    """Log likelihood ratio of the transitions, in nats, damped: the rules are meant against something else is."""
    claims = [rule for rule in rules if isinstance(rule.statement, s.Expect | s.Always | s.Reward | s.End)]
    if not claims:
        return 0.0
    claims = [rule.model_copy(update={"statement": _within_bounds(rule.statement, schema)}) for rule in claims]
    everywhere = [rule.model_copy(update={"statement": _unguarded(rule.statement)}) for rule in claims]
    counted = measure([*claims, *everywhere], schema, transitions)
    each = [_ratio(rule, inside, whole) for rule, inside, whole
            in zip(claims, counted[: len(claims)], counted[len(claims) :], strict=True)]
    total = sum(each)
    return math.copysign(DAMPED * math.log1p(abs(total) / DAMPED), total)


def _ratio(rule: Rule, inside: Evidence, whole: Evidence) -> float:
    probability = getattr(rule.statement, "probability", None)
    rate = min(max(probability if probability is not None else HOLDS, 0.01), 0.99)
    hits, misses = whole.hits - inside.hits, whole.violations - inside.violations
    usual = (hits + 0.5) / (hits + misses + 1) if hits + misses else 0.5
    usual = min(max(usual, 0.02), 0.98)
    told, else_ = (inside.hits * math.log(p) + inside.violations * math.log1p(-p) for p in (rate, usual))
    if probability is None:
        return told - else_
    h, v = inside.hits + 1, inside.violations + 1
    some = math.lgamma(h) + math.lgamma(v) - math.lgamma(h + v)    # any rate whatever, all alike
    return told - max(else_, some)


def _unguarded(statement: s.Statement) -> s.Statement:
    """The same claim of every step."""
    if isinstance(statement, s.End):
        return statement.model_copy(update={"guard": s.Boolean(value=True)})
    return statement.model_copy(update={"guard": None}) if hasattr(statement, "guard") else statement


def _within_bounds(node: N, schema: Schema) -> N:
    """The same with the bounds kept that nobody mentions: what adds one to a full tank leaves it full."""
    changes: dict[str, object] = {}
    for name, value in node:
        if isinstance(value, s.Node):
            changes[name] = _within_bounds(value, schema)
        elif isinstance(value, tuple) and value and isinstance(value[0], s.Node):
            changes[name] = tuple(_within_bounds(v, schema) for v in value)
    match node:
        case s.Compare(operators=("==",), operands=(s.Name(name=target, primed=True) as own, s.Arithmetic() as sum_)):
            feature = schema.base.get(target)
            if feature is not None and math.isfinite(feature.low + feature.high):
                bounds = s.Number(value=feature.low), s.Number(value=feature.high)
                return node.model_copy(update={"operands": (own, s.Call(function="clip", arguments=(sum_, *bounds)))})
    return node.model_copy(update=changes) if changes else node
