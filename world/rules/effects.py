"""What an `expect` or `always` says of the next state: a conjunction of claims, each an `Atom` or a `Tie`.

An atom speaks of one place (a feature, or a cell of an array) and is corrected in closed form (`choices`,
`quantities`); a tie speaks of several next features together and goes through particles (`ties`).

N rows, V values of a feature.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...errors import UserError
from ..schema import Derived, Feature, Pointed, Schema
from .codes import Evaluation, Rows
from .evaluate import compiled, coordinates
from .guards import conjuncts
from .holes import known
from .syntax import (
    Boolean,
    Changed,
    Compare,
    Expression,
    Index,
    Member,
    Name,
    Negative,
    Not,
    Number,
    Same,
    Side,
    Symbol,
    walk,
)
from .text import to_text

Operation = Literal["==", "!=", "<", "<=", ">", ">=", "in", "such"]
"""`such`: the next value is one with which an expression holds."""
_MIRROR = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
MISSING = -1
"""The code of a category's value that the target does not have: there the effect says nothing."""
MOST_VALUES = 256
"""Up to how many values of a feature each is tried on its own."""


@dataclass(frozen=True)
class Operand:
    """What a place is compared with: `run(rows) -> [N]` in values of the target, and the number where it is one."""

    key: Hashable
    run: Evaluation
    constant: float | None = None


@dataclass(frozen=True)
class Place:
    """Where a claim is written: a feature, or the cell of an array at an index."""

    target: str
    at: tuple[Expression, ...] = ()

    def index(self, rows: Rows) -> Tensor | None:
        """The flat index `[N]` of the cell, -1 off the board; None where the place is a whole feature."""
        if not self.at:
            pointed = rows.schema.derivations.get(self.target)
            return rows.pointer(pointed, True) if isinstance(pointed, Pointed) else None
        flat, inside = torch.zeros((), dtype=torch.int64), torch.ones((), dtype=torch.bool)
        for length, run in zip(rows.schema.feature(self.target).shape, coordinates(self.at, rows.schema), strict=True):
            i = run(rows).nan_to_num(nan=-1.0).floor().long()
            flat, inside = flat * length + i, inside & (i >= 0) & (i < length)
        return torch.where(inside, flat, -1).expand(rows.size)

    def follows_pose(self, schema: Schema) -> bool:
        """Whether the cell is found through the next state, so that what points to it is corrected first."""
        return isinstance(schema.derivations.get(self.target), Pointed) or any(map(is_primed, self.at))


@dataclass(frozen=True)
class Atom:
    """One claim: `place operation operands`; an array without an index can only stay the `same` (== itself)."""

    place: Place
    operation: Operation
    operands: tuple[Operand, ...]
    within: float | None = None

    @property
    def key(self) -> Hashable:
        """Equal for atoms that say the same of one place."""
        return self.operation, self.within, tuple(o.key for o in self.operands)


@dataclass(frozen=True)
class Tie:
    """A claim that speaks of several next features together; `names` are those it may change."""

    effect: Expression
    names: tuple[str, ...]


def claims_of(effect: Expression, schema: Schema) -> tuple[Atom | Tie, ...]:
    """Split an effect into its claims. Raises `UserError` where one says nothing of the next state, says a feature of
    itself (`x' == x' + 1`), or writes a derived feature that has no setter."""
    return tuple(claim for part in conjuncts(effect) for claim in _claims(part, schema))


def _claims(part: Expression, schema: Schema) -> tuple[Atom | Tie, ...]:
    if isinstance(part, Same):
        return tuple(_same(n, schema) for n in ([part.feature] if part.feature else schema.base))
    if isinstance(part, Name | Index) and _is_target(part):
        return (_atom(part, "==", (number(1),), None, schema),)
    if isinstance(part, Not) and isinstance(part.operand, Name | Index) and _is_target(part.operand):
        return (_atom(part.operand, "==", (number(0),), None, schema),)
    if isinstance(part, Member) and isinstance(part.operand, Name | Index) and _is_target(part.operand):
        feature = _feature(part.operand, schema)
        if not any(map(is_primed, part.members)):
            return (_atom(part.operand, "in", tuple(operand(m, feature, schema) for m in part.members), None, schema),)
    if isinstance(part, Compare):
        left, operator, right = part.operands[0], part.operators[0], part.operands[1]
        if not _is_target(left):
            left, operator, right = right, _MIRROR[operator], left  # type: ignore[assignment]
        if isinstance(left, Name | Index) and _is_target(left):
            if not is_primed(right):
                value = operand(right, _feature(left, schema), schema, rounded=operator == "==")
                return (_atom(left, operator, (value,), known(part.within), schema),)
            if isinstance(left, Name) and any(n == left for n in walk(right)):
                raise UserError(f"the effect `{to_text(part)}` says {left.name}' of itself; write the present value, "
                                f"{left.name}, on one side")
    return (_joint(part, schema),)


def _joint(part: Expression, schema: Schema) -> Atom | Tie:
    """A claim that is no plain comparison: of one listed feature, its values are tried; of more, it is a tie."""
    names: dict[str, None] = {}
    for node in walk(part):
        if isinstance(node, Same | Changed):
            names |= dict.fromkeys([node.feature] if node.feature else schema.base)
        elif isinstance(node, Name) and node.primed:
            derivation = schema.derivations.get(node.name)
            if isinstance(derivation, Derived) and derivation.put is None:
                raise UserError(f"'{node.name}' cannot be an effect: its schema gives it no setter")
            if isinstance(derivation, Pointed):
                names[derivation.of] = None
            else:
                # A setter may write any feature: all of them are tried.
                names |= dict.fromkeys(schema.base if derivation else [node.name])
    if not names:
        raise UserError(f"the effect `{to_text(part)}` says nothing of the next state; write a primed name, x'")
    if len(names) == 1 and not any(isinstance(n, Same | Changed) for n in walk(part)):
        feature = schema.base[next(iter(names))]
        pointed = any(isinstance(n, Name) and n.name in schema.derivations for n in walk(part))
        if not pointed and not feature.shape and feature.cardinality and feature.cardinality <= MOST_VALUES:
            return Atom(Place(feature.name), "such", (Operand(part, compiled(part, schema, "truth")),))
    return Tie(part, tuple(names))


def _same(name: str, schema: Schema) -> Atom:
    feature = schema.feature(name)
    _settable(name, schema)
    if feature.shape:
        return Atom(Place(name), "==", (Operand(Name(name=name), lambda rows: rows.read(name, False)),))
    return Atom(Place(name), "==", (Operand(Name(name=name), compiled(Name(name=name), schema)),))


def _atom(target: Name | Index, operation: Operation, operands: tuple[Operand, ...], within: float | None,
          schema: Schema) -> Atom:
    if isinstance(target, Index):
        return Atom(Place(target.array.name, target.at), operation, operands, within)
    _settable(target.name, schema)
    if schema.feature(target.name).shape:
        raise UserError(f"an effect on the array '{target.name}' names one of its cells, or same({target.name})")
    return Atom(Place(target.name), operation, operands, within)


def _settable(name: str, schema: Schema) -> None:
    derivation = schema.derivations.get(name)
    if isinstance(derivation, Derived) and derivation.put is None:
        raise UserError(f"'{name}' cannot be an effect: its schema gives it no setter")


def is_primed(node: Expression) -> bool:
    """Whether an expression speaks of the next state."""
    return any((isinstance(n, Name | Side) and n.primed) or isinstance(n, Same | Changed) for n in walk(node))


def _is_target(expr: Expression) -> bool:
    return (isinstance(expr, Name) and expr.primed) or (isinstance(expr, Index) and expr.array.primed)


def _feature(target: Name | Index, schema: Schema) -> Feature:
    return schema.feature(target.name if isinstance(target, Name) else target.array.name)


def number(value: float) -> Operand:
    return Operand(value, lambda rows: torch.full((rows.size,), value, device=rows.device), value)


def operand(expr: Expression, target: Feature, schema: Schema, rounded: bool = True) -> Operand:
    """An expression as a value of `target`: a category's names are translated to the target's codes, `MISSING` where
    the target has no such value; what an integer shall equal is `rounded`, what bounds it is not."""
    match expr:
        case Symbol(name=name):
            return number(float(target.values.index(name)))
        case Number(value=value):
            return number(float(torch.tensor(value).round()) if target.kind == "integer" and rounded else value)
        case Negative(operand=Number(value=value)):
            return operand(Number(value=-value), target, schema, rounded)
        case Boolean(value=holds):
            return number(float(holds))
    run = compiled(expr, schema)
    if isinstance(expr, Name | Index) and target.kind == "category":
        source = _feature(expr, schema)
        if source.values != target.values:
            table = torch.tensor([target.values.index(v) if v in target.values else MISSING for v in source.values])
            return Operand(expr, lambda rows: table.to(rows.device)[run(rows).long()])
    if target.kind == "integer" and rounded:
        return Operand((expr, "rounded"), lambda rows: run(rows).float().round())
    return Operand(expr, run)
