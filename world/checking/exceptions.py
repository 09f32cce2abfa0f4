"""Exceptions: a rule that is true but for a region one can describe, told apart from a rule of a noisy world.

For every literal of the schema (`front == lava`, `heat < 25`) the hit rates inside and outside are weighed against one
common rate, by the e-process of `drift`, with the literal in place of the time. As which rows a literal covers is known
before the rule is tried on them, a chance of at most `ALPHA` covers all looks and, divided by their number, all
literals: noise, which strikes everywhere alike, makes no exceptions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..rules import syntax as s
from ..rules.evaluate import Rows, truth
from ..rules.parse import parse
from ..rules.syntax import Expression, Rule
from ..rules.text import to_text
from ..schema import Feature, Schema
from .drift import split_evidence
from .evidence import Region

ALPHA = 0.05
MOST_VALUES = 16
CUTS = 8
"""A number of more values is cut into so many parts of equal width."""
LARGEST = 0.4
"""An exception covers at most this share of where the rule applies: beyond it, it is the rule."""
FAILING = 0.5
"""Inside its exception a rule holds less often than this, and less than half as often as outside."""


def literals(schema: Schema) -> list[Expression]:
    """Conditions on one scalar feature or action each, which may describe an exception; M of them."""
    found: list[Expression] = []
    for f in schema.named.values():
        if f.shape:
            continue
        name = s.Name(name=f.name)
        if f.kind == "boolean":
            found += [name, s.Not(operand=name)]
        elif f.cardinality is not None and f.cardinality <= MOST_VALUES:
            found += [s.Compare(operands=(name, value), operators=("==",)) for value in _values(f)]
        else:
            for cut in _cuts(f):
                found += [s.Compare(operands=(name, s.Number(value=cut)), operators=(sign,)) for sign in ("<", ">=")]
    return found


def covers(conditions: Sequence[Expression], rows: Rows) -> Tensor:
    """Which literals hold on which rows, float64 `[N, M]`."""
    if not conditions:
        return torch.zeros(rows.size, 0, dtype=torch.float64)
    return torch.stack([truth(c, rows) for c in conditions], 1).double()


def exception(conditions: Sequence[Expression], inside: np.ndarray, hits: float, violations: float) -> Region | None:
    """The literal that best explains a rule's violations, if it surely does: `inside [M, 2]` are the hits and
    violations where each holds, of `hits` and `violations` in all."""
    if violations < 2 or not len(conditions):
        return None
    h, v = inside[:, 0], inside[:, 1]
    h0, v0 = hits - h, violations - v
    gain = split_evidence(h, v, h0, v0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate, rate0 = h / (h + v), h0 / (h0 + v0)
        fits = (rate < np.minimum(FAILING, rate0 / 2)) & (h + v <= LARGEST * (hits + violations))
    gain = np.where(fits, gain, -math.inf)
    best = int(np.argmax(gain))
    if gain[best] < math.log(len(conditions) / ALPHA):
        return None
    return Region(condition=to_text(conditions[best]), hits=_whole(h[best]), violations=_whole(v[best]))


def repaired(rule: Rule, region: Region, schema: Schema) -> Rule:
    """The rule with its exception left out: `... if GUARD and not (EXCEPTION)`, without the name. Raises `RuleError`
    where the condition is none of this schema's."""
    said = parse(f"end if {region.condition}", schema).statement
    assert isinstance(said, s.End)
    outside = _not(said.guard)
    statement = rule.statement
    match statement:
        case s.Always(condition=condition, weight=weight):
            mended: s.Statement = s.Expect(effect=condition, guard=outside, weight=weight)
        case s.Expect(guard=guard) | s.Reward(guard=guard) | s.End(guard=guard):
            parts = guard.operands if isinstance(guard, s.Logical) and guard.operator == "and" else (guard,)
            both = outside if guard is None else s.Logical(operator="and", operands=(*parts, outside))  # type: ignore[arg-type]
            mended = statement.model_copy(update={"guard": both})
        case _:
            return rule
    return Rule(statement=mended)


def _not(condition: Expression) -> Expression:
    opposite = {"==": "!=", "<": ">=", ">=": "<"}
    match condition:
        case s.Not(operand=operand):
            return operand
        case s.Compare(operators=(sign,)) if sign in opposite:
            return condition.model_copy(update={"operators": (opposite[sign],)})
    return s.Not(operand=condition)


def _values(f: Feature) -> list[Expression]:
    if f.kind == "category":
        return [s.Symbol(name=value) for value in f.values]
    return [s.Number(value=f.low + k) for k in range(f.cardinality or 0)]


def _cuts(f: Feature) -> list[float]:
    if not math.isfinite(f.high - f.low):
        return [0.0]
    cuts = [f.low + (f.high - f.low) * k / CUTS for k in range(1, CUTS)]
    return [float(round(c)) for c in cuts] if f.kind == "integer" else cuts


def _whole(x: float) -> int | float:
    """Counts are integers, sums of weights are not."""
    return int(x) if float(x).is_integer() else float(x)
