"""Doubts: what is well formed and yet cannot be meant, such as a guard that can never hold.

A conjunction is read as what it allows of each feature; where nothing is left, it never holds. Only comparisons of a
feature with a literal count, so that a doubt is never wrong; an unfounded condition may well pass unnoticed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..schema import Feature, Schema
from . import syntax as s
from .syntax import Expression, Rule
from .text import to_text

Literal = float | str | bool
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def warnings(rule: Rule, schema: Schema) -> list[str]:
    """Say, a sentence each, why a checked rule can never fire or never hold (empty: no doubts)."""
    match rule.statement:
        case s.Expect(effect=effect, guard=guard):
            parts = [("the rule never fires", guard), ("the effect can never come true", effect)]
        case s.Reward(guard=guard) | s.End(guard=guard):
            parts = [("the rule never fires", guard)]
        case s.Forbid(action=action, guard=guard):
            parts = [("nothing is ever forbidden", action), ("nothing is ever forbidden", guard)]
        case s.Avoid(condition=condition):
            parts = [("there is nothing to avoid", condition)]
        case s.Always(condition=condition) | s.Maintain(condition=condition) | s.Prefer(condition=condition):
            parts = [(f"`{rule.statement.kind}` asks for what cannot be", condition)]
        case s.Achieve() as goal:
            parts = [("the goal cannot be reached", m) for m in goal.conditions]
        case s.Let(value=value):
            parts = [("the definition never holds", value if isinstance(value, s.Compare | s.Logical) else None)]
    reasons = ((so, impossible(part, schema)) for so, part in parts if part is not None)
    return [f"{so}: {reason}" for so, reason in reasons if reason]


def impossible(condition: Expression, schema: Schema) -> str | None:
    """Say why a condition can never hold, or None if it may."""
    match condition:
        case s.Boolean(value=False):
            return "`false` never holds"
        case s.Logical(operator="or", operands=operands):
            reasons = [impossible(o, schema) for o in operands]
            return reasons[0] if all(reasons) else None
        case s.Quantified(condition=inner) | s.Near(condition=inner):
            return impossible(inner, schema)
        case s.Logical(operator="and", operands=operands):
            reason = next(filter(None, (impossible(o, schema) for o in operands)), None)
            return reason or _exhausted(condition, schema)
        case _:
            return _exhausted(condition, schema)


def _exhausted(condition: Expression, schema: Schema) -> str | None:
    left: dict[str, Allowed] = {}
    for target, operator, literal in _claims(condition):
        feature = schema.named.get(target.array.name if isinstance(target, s.Index) else target.name)
        if feature is None:
            continue
        name = to_text(target)
        allowed = left.setdefault(name, Allowed.of(feature))
        allowed.narrow(operator, literal)
        if allowed.is_empty():
            alone = Allowed.of(feature)
            alone.narrow(operator, literal)
            if alone.is_empty():
                return f"`{to_text(condition)}` never holds; {feature.describe()}"
            return f"`{to_text(condition)}` never holds, as it leaves no value for {name}"
    return None


Target = s.Name | s.Index
Claim = tuple[Target, str, tuple[Literal, ...]]


def _claims(node: Expression) -> Iterator[Claim]:
    """What a conjunction says of features by literals: (target, operator, literals); `within` says two."""
    match node:
        case s.Logical(operator="and", operands=operands):
            for operand in operands:
                yield from _claims(operand)
        case s.Name() | s.Index():
            yield node, "==", (True,)
        case s.Not(operand=s.Name() | s.Index() as operand):
            yield operand, "==", (False,)
        case s.Not(operand=s.Compare(operators=(operator,), within=None) as compare):
            for target, _, literals in _claims(compare.model_copy(update={"operators": ("==",)})):
                turned = target != compare.operands[0]
                opposite = _OPPOSITE[operator]
                yield target, _TURNED.get(opposite, opposite) if turned else opposite, literals
        case s.Member(operand=s.Name() | s.Index() as operand, members=members):
            known = tuple(x for x in map(_literal, members) if x is not None)
            if len(known) == len(members):
                yield operand, "in", known
        case s.Compare(operands=operands, operators=operators, within=within):
            for a, operator, b in zip(operands, operators, operands[1:], strict=False):
                if isinstance(b, s.Name | s.Index):
                    a, b, operator = b, a, _TURNED.get(operator, operator)  # type: ignore[assignment]
                literal = _literal(b)
                if not isinstance(a, s.Name | s.Index) or literal is None or isinstance(within, s.Hole):
                    continue
                if within and not isinstance(literal, str | bool):
                    yield a, ">=", (literal - within,)
                    yield a, "<=", (literal + within,)
                else:
                    yield a, operator, (literal,)


def _literal(node: Expression) -> Literal | None:
    return node.value if isinstance(node, s.Number | s.Boolean) else node.name if isinstance(node, s.Symbol) else None


@dataclass
class Allowed:
    """The values still allowed of a feature: a set of them, or an interval with values left out."""

    values: set[Literal] | None = None
    low: float = -math.inf
    high: float = math.inf
    is_integer: bool = False
    left_out: set[Literal] = field(default_factory=set)

    @staticmethod
    def of(feature: Feature) -> Allowed:
        if feature.kind == "category":
            return Allowed(set(feature.values))
        if feature.kind == "boolean":
            return Allowed({False, True})
        return Allowed(None, feature.low, feature.high, feature.kind == "integer")

    def narrow(self, operator: str, literals: tuple[Literal, ...]) -> None:
        value = literals[0]
        if operator in ("==", "in"):
            kept = {x for x in literals if self._has(x)}
            self.values = kept if self.values is None else self.values & kept
        elif operator == "!=":
            self.left_out.add(value)
        elif isinstance(value, float):
            if operator in (">", ">="):
                self.low = max(self.low, math.floor(value) + 1 if self.is_integer and operator == ">" else value)
            else:
                self.high = min(self.high, math.ceil(value) - 1 if self.is_integer and operator == "<" else value)
            if operator in ("<", ">"):
                self.left_out.add(value)
        if self.values is not None:
            self.values = {x for x in self.values if self._has(x)}

    def _has(self, value: Literal) -> bool:
        if value in self.left_out:
            return False
        if isinstance(value, str | bool):
            return True
        return self.low <= value <= self.high and (not self.is_integer or value == int(value))

    def is_empty(self) -> bool:
        if self.values is not None:
            return not self.values
        if self.is_integer and math.isfinite(self.low) and math.isfinite(self.high):
            low, high = math.ceil(self.low), math.floor(self.high)
            return low > high or (low == high and low in self.left_out)
        return self.low > self.high or (self.low == self.high and self.low in self.left_out)
