"""A slow, obvious interpreter of rules: plain Python over one row at a time, dicts of values, no tensor anywhere.

It says what compiled rules have to agree with: the value of an expression, whether a guard holds, and the values that
hard rules make of a prediction. A row is `now`, `action` and `after`, each a dict of name -> number, truth or word;
arrays are lists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gedanken.world.rules import syntax as s
from gedanken.world.schema import Feature, Schema

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One transition; `pointers` gives the cell that a pointed feature reads: name -> (array, index of the cell)."""

    now: Values
    action: Values
    after: Values
    pointers: Mapping[str, tuple[str, str]]

    def read(self, name: str, primed: bool) -> Any:
        if name in self.action:
            return self.action[name]
        values = self.after if primed else self.now
        if name in self.pointers:
            array, index = self.pointers[name]
            return values[array][values[index]]
        return values[name]


def value(expr: s.Expression, row: Row, cell: int | None = None) -> Any:
    """What an expression is worth in one row (inside any, all, count: in one cell)."""
    def of(e: s.Expression) -> Any:
        return value(e, row, cell)

    match expr:
        case s.Number():
            return np.float32(expr.value)
        case s.Boolean():
            return expr.value
        case s.Symbol():
            return expr.name
        case s.Name():
            found = row.read(expr.name, expr.primed)
            if isinstance(found, list):
                assert cell is not None
                found = found[cell]
            return found if isinstance(found, bool | str) else np.float32(found)
        case s.Negative():
            return -of(expr.operand)
        case s.Arithmetic():
            a, b = of(expr.left), of(expr.right)
            return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b}[expr.operator]()
        case s.Call(function="count"):
            return np.float32(sum(each(expr.arguments[0], row)))
        case s.Compare():
            values = [of(o) for o in expr.operands]
            return all(compare(o, a, b, expr.within)
                       for o, a, b in zip(expr.operators, values, values[1:], strict=False))
        case s.Member():
            return any(compare("==", of(expr.operand), of(m), None) for m in expr.members)
        case s.Not():
            return not of(expr.operand)
        case s.Logical(operator="implies"):
            return not of(expr.operands[0]) or of(expr.operands[1])
        case s.Logical():
            return (all if expr.operator == "and" else any)(of(o) for o in expr.operands)
        case s.Quantified():
            return (all if expr.quantifier == "all" else any)(each(expr.condition, row))
    raise AssertionError(expr)


def each(condition: s.Expression, row: Row) -> list[bool]:
    """Whether a condition holds, cell by cell."""
    names = {n.name for n in s.walk(condition) if isinstance(n, s.Name)}
    (cells,) = {len(row.now[n]) for n in names if isinstance(row.now.get(n), list)}
    return [bool(value(condition, row, k)) for k in range(cells)]


def compare(sign: str, a: Any, b: Any, within: float | None) -> bool:
    if within is not None:
        return bool((abs(a - b) <= np.float32(within)) == (sign == "=="))
    return bool({"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]
                if not isinstance(a, str) else (a == b) == (sign == "=="))


def corrected(rules: Sequence[s.Rule], priority: Sequence[float], schema: Schema, row: Row) -> dict[str, Any]:
    """What hard `expect` rules, whose effects are comparisons of one feature, make of the prediction `row.after`.

    Of each feature the strongest rule that fires has its way, then each next one wherever it leaves a value. What is
    predicted stays if it is allowed; if not, the nearest number or the first value is taken. Pointed cells come last.
    """
    out = {k: list(v) if isinstance(v, list) else v for k, v in row.after.items()}
    fires = [r for _, r in sorted(zip(priority, rules, strict=True), key=lambda pair: -pair[0])
             if r.statement.guard is None or value(r.statement.guard, row)]
    for is_pointed in (False, True):
        for feature in schema.named.values():
            if (feature.name in row.pointers) != is_pointed or feature.shape:
                continue
            claims = [(sign, value(right, row), links.within) for r in fires
                      for name, sign, right, links in _links(r.statement.effect) if name == feature.name]
            if not claims:
                continue
            if is_pointed:
                array, index = row.pointers[feature.name]
                out[array][out[index]] = _settle(feature, out[array][out[index]], claims)
            else:
                out[feature.name] = _settle(feature, out[feature.name], claims)
    return out


def _links(effect: s.Expression) -> list[tuple[str, str, s.Expression, s.Compare]]:
    if isinstance(effect, s.Logical):
        return [link for part in effect.operands for link in _links(part)]
    assert isinstance(effect, s.Compare)
    target = effect.operands[0]
    assert isinstance(target, s.Name)
    return [(target.name, effect.operators[0], effect.operands[1], effect)]


def _settle(feature: Feature, predicted: Any, claims: Sequence[tuple[str, Any, float | None]]) -> Any:
    if feature.kind == "real":
        low, high = -math.inf, math.inf
        for sign, bound, within in claims:
            w = np.float32(within or 0)
            strict = {"<": -np.inf, ">": np.inf}.get(sign)
            edge = bound if strict is None else np.nextafter(bound, np.float32(strict))
            least = max(low, edge - w if sign in ("==", ">", ">=") else -math.inf)
            most = min(high, edge + w if sign in ("==", "<", "<=") else math.inf)
            if least <= most:
                low, high = least, most
        return min(max(predicted, low), high)
    listed: list[Any] = {"category": list(feature.values), "boolean": [False, True]}.get(feature.kind) or list(
        range(int(feature.low), int(feature.high) + 1))
    left = listed
    for sign, wanted, within in claims:
        if feature.kind == "category" and sign == "==" and wanted not in listed:
            continue
        if feature.kind == "integer" and sign == "==":
            wanted = min(max(wanted, feature.low), feature.high)
        still = [v for v in left if compare(sign, v, wanted, within)]
        left = still or left
    if predicted in left:
        return predicted
    return min(left, key=lambda v: abs(v - predicted)) if feature.kind == "integer" else left[0]
