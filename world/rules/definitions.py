"""Definitions: `let near_goal = abs(x - goal_x) + abs(y - goal_y) <= 1`.

A definition is a derived feature whose getter is the compiled expression, so that its name works wherever a feature's
does: now and primed, in types, evaluation, decoding and mining.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from torch import Tensor

from ..schema import Derived, Feature, Features, Schema
from .evaluate import Rows, code_of, compiled
from .syntax import Arithmetic, Call, Expression, Index, Let, Name, Negative, Node, Number, Rule, walk

__all__ = ["Defined", "defined", "definitions", "depth", "names"]


@dataclass(frozen=True, kw_only=True)
class Defined(Derived):
    """A derived feature that a person defined, with the (checked) line that says how, and how many definitions deep it
    stands on others (1: on features only)."""

    definition: Let
    depth: int


def defined(schema: Schema, rules: Iterable[Rule]) -> Schema:
    """The schema with the definitions among checked `rules`, each of which may stand on the ones before; one that
    has the name of an older definition takes its place. Other rules are passed over."""
    for rule in rules:
        if isinstance(let := rule.statement, Let):
            others = tuple(d for d in schema.derived if d.feature.name != let.name)
            schema = replace(schema, derived=others)
            schema = schema.extended(_derived(let, schema))
    return schema


def definitions(schema: Schema) -> dict[str, Let]:
    """The definitions that a schema was extended with, by name."""
    return {n: d.definition for n, d in schema.derivations.items() if isinstance(d, Defined)}


def names(node: Node) -> set[str]:
    """The names of all features that an expression or statement reads or writes."""
    found: set[str] = set()
    for part in walk(node):
        if isinstance(part, Name):
            found.add(part.name)
        elif (feature := getattr(part, "feature", None)) is not None:    # same(f), changed(f)
            found.add(feature)
    return found


def depth(value: Expression, schema: Schema) -> int:
    """How many definitions deep an expression is: 1 if it stands on features only."""
    below = (schema.derivations.get(name) for name in names(value))
    return 1 + max((d.depth for d in below if isinstance(d, Defined)), default=0)


def _derived(let: Let, schema: Schema) -> Defined:
    feature = _feature(let, schema)
    return Defined(feature, _getter(let.value, feature, schema), definition=let, depth=depth(let.value, schema))


def _getter(value: Expression, feature: Feature, schema: Schema) -> Callable[[Features], Tensor]:
    def get(features: Features) -> Tensor:
        return compiled(value, schema)(Rows(schema, features)).to(feature.dtype)

    return get


def _feature(let: Let, schema: Schema) -> Feature:
    code = code_of(let.value, schema)
    if code.kind == "codes":
        return Feature(let.name, "category", values=code.values)
    if code.kind == "truth":
        return Feature(let.name, "boolean")
    return Feature(let.name, "integer" if code.is_integral else "real", unit=_unit(let.value, schema) or "")


def _unit(node: Expression, schema: Schema) -> str | None:
    """The unit that all parts of a sum share; None for a plain number, "" where there is none to be told."""
    match node:
        case Number(unit=unit):
            return unit or None
        case Name(name=name) | Index(array=Name(name=name)):
            return schema.feature(name).unit
        case Negative(operand=operand):
            return _unit(operand, schema)
        case Arithmetic(operator="+" | "-", left=left, right=right):
            parts = [left, right]
        case Call(function="abs" | "min" | "max" | "clip", arguments=arguments):
            parts = list(arguments)
        case _:
            return ""
    units = {u for part in parts if (u := _unit(part, schema)) is not None}
    return units.pop() if len(units) == 1 else "" if units else None
