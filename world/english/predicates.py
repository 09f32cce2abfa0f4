"""What is said of a feature: predicates, and the conditions they make of a feature's name.

A predicate is known before its subject is: `below 3` is `Compared("<", 3)`, and of which feature, in which unit, shows
only beside the noun. `holds` puts the two together, and gives None where they do not fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..rules import syntax as s
from ..rules.syntax import Expression
from ..schema import Feature, Schema
from .lexicon import Amount


@dataclass(frozen=True)
class Half:
    """So many times another feature."""

    times: float
    feature: str


Measure = Amount | Half | str
"""A number, a multiple of a feature, or a feature itself."""


@dataclass(frozen=True)
class Value:
    """Having one value of a category, or being true or false."""

    feature: str
    value: str | bool


@dataclass(frozen=True)
class Compared:
    operator: str
    measure: Measure


@dataclass(frozen=True)
class Between:
    low: Measure
    high: Measure


@dataclass(frozen=True)
class Bound:
    """At one end of what is possible: full, empty."""

    is_high: bool


@dataclass(frozen=True)
class Flag:
    """Being on or off."""

    is_on: bool


@dataclass(frozen=True)
class Denied:
    predicate: Predicate


@dataclass(frozen=True)
class Joined:
    operator: str
    left: Predicate
    right: Predicate


Predicate = Value | Compared | Between | Bound | Flag | Denied | Joined
_CONTRARY = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def holds(name: str, predicate: Predicate, schema: Schema) -> Expression | None:
    """The condition that a feature is so; None where this cannot be said of it."""
    f = schema.named[name]
    match predicate:
        case Value(feature, value) if feature == name:
            return flag(name, value) if isinstance(value, bool) else compare(name, "==", s.Symbol(name=value))
        case Compared(operator, measure) if f.kind in ("real", "integer"):
            number = measured(measure, f, schema)
            return None if number is None else compare(name, operator, number)
        case Between(low, high) if f.kind in ("real", "integer"):
            ends = measured(low, f, schema), measured(high, f, schema)
            if ends[0] is None or ends[1] is None:
                return None
            return s.Compare(operands=(ends[0], s.Name(name=name), ends[1]), operators=("<=", "<="))
        case Bound(is_high) if f.kind in ("real", "integer") and math.isfinite(f.low + f.high):
            return compare(name, "==", s.Number(value=f.high if is_high else f.low)) if is_high or not f.low else None
        case Flag(is_on) if f.kind == "boolean":
            return flag(name, is_on)
        case Denied(inner):
            said = holds(name, inner, schema)
            return None if said is None else negated(said)
        case Joined(operator, left, right):
            one, other = holds(name, left, schema), holds(name, right, schema)
            return None if one is None or other is None else joined(operator, one, other)
    return None


def measured(measure: Measure, f: Feature, schema: Schema) -> Expression | None:
    """A measure in the terms of a feature; None where the units do not fit."""
    if isinstance(measure, Half):
        base = measured(measure.feature, f, schema)
        return None if base is None else s.Arithmetic(operator="*", left=s.Number(value=measure.times), right=base)
    if isinstance(measure, str):
        other = schema.named[measure]
        alike = other.kind in ("real", "integer") and other.unit == f.unit and measure != f.name and not other.shape
        return s.Name(name=measure) if alike else None
    if measure.features is not None and f.name not in measure.features:
        return None
    value = measure.value
    if measure.form == "percent":
        if "%" in f.unit or f.unit == "percent":
            value *= 100
        elif f.high != 1:
            return None
    elif (measure.form == "fraction" and f.high != 1) or (f.kind == "integer" and value != int(value)):
        return None
    return number(value)


def number(value: float) -> Expression:
    return s.Number(value=value) if value >= 0 else s.Negative(operand=s.Number(value=-value))


def flag(name: str, is_on: bool) -> Expression:
    return s.Name(name=name) if is_on else s.Not(operand=s.Name(name=name))


def compare(name: str, operator: str, other: Expression) -> s.Compare:
    return s.Compare(operands=(s.Name(name=name), other), operators=(operator,))    # type: ignore[arg-type]


def joined(operator: str, *parts: Expression) -> Expression:
    """Several conditions as one, flat."""
    flat = [p for part in parts for p in (part.operands if isinstance(part, s.Logical) and part.operator == operator
                                          else (part,))]
    return s.Logical(operator=operator, operands=tuple(dict.fromkeys(flat))) if len(set(flat)) > 1 else flat[0]  # type: ignore[arg-type]


def negated(node: Expression) -> Expression:
    """The contrary, with the negation as far in as it goes."""
    match node:
        case s.Not(operand=operand):
            return operand
        case s.Compare(operands=operands, operators=(operator,)):
            return s.Compare(operands=operands, operators=(_CONTRARY[operator],))    # type: ignore[arg-type]
    return s.Not(operand=node)


def primed(node: Expression, schema: Schema) -> Expression:
    """The same of the next state; what is said of the action stays."""
    if isinstance(node, s.Name):
        acting = {a.name for a in schema.actions}
        return node if node.name in acting else node.model_copy(update={"primed": True})
    return s.mapped(node, lambda part: primed(part, schema))


def acts(node: s.Node, schema: Schema) -> bool:
    """Whether a condition speaks of the action."""
    acting = {a.name for a in schema.actions}
    return any(isinstance(n, s.Name) and n.name in acting for n in s.walk(node))
