"""What the proposer shall write of a rule: as much as the surprise shows, in the numbers of its text.

Thresholds and probabilities are seen only about: where the text's number does as well as the true one, it stands in.
Whole numbers are compared by `<=` and `>=` alone, as the text does. Conditions that the text says nothing of are left
out; who calls sees to it that what is left is still true.
"""

from __future__ import annotations

import math
import re
from typing import Any

from gedanken.prompts.reader.numerals import Numeral, numerals
from gedanken.world.contrasts import said
from gedanken.world.rules import syntax as s
from gedanken.world.rules.syntax import Rule
from gedanken.world.schema import Schema
from gedanken.world.surprises import Surprise

_CLOSE = 0.3    # of a feature's range: how far the text's threshold may be from the true one, where data are few
_CHANCE = 0.15    # how far its probability may be
_THRESHOLD = re.compile(r"(?:above|below|least|most|is) $")
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def grounded(rule: Rule, surprise: Surprise, schema: Schema) -> Rule:
    """The rule as the surprise shows it. Raises `ValueError` where the text lacks a number that it needs."""
    numbers = numerals(surprise.text)
    statement: Any = rule.statement
    changes: dict[str, Any] = {}
    if isinstance(statement, s.Expect):
        changes["effect"] = _shown(statement.effect, surprise)
        changes["probability"] = _chance(statement.probability, numbers)
        changes["weight"] = None
    if statement.guard is not None:
        before = [(n, surprise.text[: n.start].rstrip("-")) for n in numbers if n.form == "plain"]
        cuts = [n.value for n, text in before if _THRESHOLD.search(text)]
        changes["guard"] = _said(_rewritten(statement.guard, schema, cuts), surprise.text, schema)
    return Rule(statement=statement.model_copy(update=changes))


def _said(guard: s.Expression, text: str, schema: Schema) -> s.Expression | None:
    """The parts of a guard whose features the text names."""
    parts = guard.operands if isinstance(guard, s.Logical) and guard.operator == "and" else (guard,)
    named = [p for p in parts if all(said(schema.named[x.name]) in text for x in s.walk(p) if isinstance(x, s.Name))]
    if len(named) < 2:
        return named[0] if named else None
    return guard.model_copy(update={"operands": tuple(named)}) if len(named) < len(parts) else guard


def _shown(effect: s.Expression, surprise: Surprise) -> s.Expression:
    """The parts of an effect that happened in the surprise."""
    if not isinstance(effect, s.Logical) or effect.operator != "and":
        return effect
    def about(part: s.Node) -> set[str]:
        named = {x.name for x in s.walk(part) if isinstance(x, s.Name) and x.primed}
        return named | {x.feature or "same" for x in s.walk(part) if isinstance(x, s.Same)}

    kept = tuple(p for p in effect.operands if about(p) & set(surprise.subjects))
    if not kept:
        raise ValueError("nothing of the effect happened")
    return kept[0] if len(kept) == 1 else effect.model_copy(update={"operands": kept})


def _chance(probability: float | None, numbers: list[Numeral]) -> float | None:
    shares = [n.value for n in numbers if n.form == "percent"]
    if probability is None:
        return None
    if not shares:
        if probability > 0.85:
            return None
        raise ValueError("a probability that the text does not show")
    if abs(shares[-1] - probability) > _CHANCE:
        raise ValueError("a probability far from the text's")
    return shares[-1]


def _rewritten(node: Any, schema: Schema, cuts: list[float]) -> Any:
    changes: dict[str, object] = {}
    node = _negated(node) if isinstance(node, s.Not) else node
    for name, value in node:
        if isinstance(value, s.Node):
            changes[name] = _rewritten(value, schema, cuts)
        elif isinstance(value, tuple) and value and isinstance(value[0], s.Node):
            changes[name] = tuple(_rewritten(v, schema, cuts) for v in value)
    node = node.model_copy(update=changes)
    return _compared(node, schema, cuts) if isinstance(node, s.Compare) else node


def _negated(node: s.Not) -> s.Expression:
    """Two negations are none, and a comparison is turned round."""
    inside = node.operand
    if isinstance(inside, s.Not):
        return inside.operand
    if isinstance(inside, s.Compare) and len(inside.operators) == 1 and inside.within is None:
        return inside.model_copy(update={"operators": (_OPPOSITE[inside.operators[0]],)})
    return node


def _compared(node: s.Compare, schema: Schema, cuts: list[float]) -> s.Compare:
    """A comparison of one feature with numbers, in the text's numbers."""
    owner = next((x for x in node.operands if isinstance(x, s.Name)), None)
    numbers = [x for x in node.operands if _number(x) is not None]
    if owner is None or len(numbers) + 1 != len(node.operands) or schema.named[owner.name].shape:
        return node
    feature = schema.named[owner.name]
    operands, operators = list(node.operands), list(node.operators)
    span = feature.high - feature.low
    near = _CLOSE * span if math.isfinite(span) else 0.3 * max(abs(_number(x) or 0.0) for x in numbers)
    for k, x in enumerate(operands):
        value = _number(x)
        if value is None:
            continue
        for side in (k - 1, k):    # the operators at its left and right
            if 0 <= side < len(operators) and feature.kind == "integer" and operators[side] in ("<", ">"):
                is_above = (operators[side] == ">") == (side == k - 1)    # whether the feature is above the number
                value += 1 if is_above else -1
                operators[side] = operators[side] + "="    # type: ignore[call-overload]
        if feature.kind == "real":
            nearest = min(cuts, key=lambda v: abs(v - abs(value)), default=None)
            if nearest is not None and abs(nearest - abs(value)) <= near:
                value = math.copysign(nearest, value)
        operands[k] = s.Number(value=value)
    return node.model_copy(update={"operands": tuple(operands), "operators": tuple(operators)})


def _number(node: s.Node) -> float | None:
    if isinstance(node, s.Number):
        return node.value
    return -node.operand.value if isinstance(node, s.Negative) and isinstance(node.operand, s.Number) else None
