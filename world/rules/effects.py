"""Effects: what an `expect` or `always` says of the next state, as closed-form corrections of its distribution.

An effect is a conjunction of atoms, each about one feature: set, allowed values, a bound, or unchanged. An atom knows
how to correct a scalar, one cell of an array (a pointed feature or an index), or a derived feature through its setter.

N rows, V values of a feature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import UserError
from ..distributions import Board, Categorical, Distribution, Normal, encode
from ..schema import Derived, Feature, Pointed, Schema
from .evaluate import Rows, compiled
from .syntax import Compare, Expression, Index, Logical, Member, Name, Not, Same, Symbol
from .text import to_text

Operation = Literal["==", "!=", "<", "<=", ">", ">=", "in", "same"]
_MIRROR = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
MISSING = -1
"""The code of a category's value that the target does not have: there the effect says nothing."""
Predicted = dict[str, Distribution]
Strength = tuple[Literal["hard", "weight", "probability"], float]


@dataclass(frozen=True)
class Atom:
    """One claim: `target' operation operands`. `cell` gives the flat index where the target is an array's cell."""

    target: str
    operation: Operation
    operands: tuple[Callable[[Rows], Tensor], ...] = ()
    within: float | None = None
    cell: Callable[[Rows], Tensor] | None = None

    def apply(self, predicted: Predicted, rows: Rows, where: Tensor, strength: Strength) -> Tensor:
        """Correct `predicted` in place where `where [N]` holds; return the rows `[N]` on which it was impossible."""
        schema = rows.schema
        derivation = schema.derivations.get(self.target)
        nothing = torch.zeros_like(where)
        if self.operation == "==" and schema.feature(self.target).kind == "category":
            where = where & (self.operands[0](rows) != MISSING)
        if isinstance(derivation, Pointed) or self.cell is not None:
            of = derivation.of if isinstance(derivation, Pointed) else self.target
            index = self.cell(rows) if self.cell is not None else derivation.at(rows.features(True))  # type: ignore[union-attr]
            cell, failed = self._correct(cell_of(predicted[of], index), rows, where & (index >= 0), strength)
            predicted[of] = with_cell(predicted[of], index, cell)
            return failed
        if isinstance(derivation, Derived):
            if derivation.put is None:
                raise UserError(f"'{self.target}' cannot be an effect: its schema gives it no setter")
            value = derivation.get(rows.next or {})
            wanted = self._wanted(value, rows)
            for name, new in derivation.put(rows.next or {}, wanted).items():
                predicted[name] = _towards(predicted[name], where & (wanted != value), new, strength)
            return nothing
        predicted[self.target], failed = self._correct(predicted[self.target], rows, where, strength)
        return failed

    def _correct(self, own: Distribution, rows: Rows, where: Tensor, strength: Strength) -> tuple[Distribution, Tensor]:
        nothing = torch.zeros_like(where)
        kind, amount = strength
        if self.operation == "same":
            return _towards(own, where, rows.read(self.target, False), strength), nothing
        if isinstance(own, Board):
            raise UserError(f"an effect on the array '{self.target}' names one of its cells, or same({self.target})")
        if isinstance(own, Normal):
            return self._correct_real(own, rows, where, strength), nothing
        if kind == "hard" and self.operation == "==":
            return own.set(where, self.operands[0](rows)), nothing
        allowed = self._allowed(own, rows)
        if kind == "hard":
            return own.restrict(where, allowed)
        if kind == "weight":
            return own.tilt(where, allowed.to(own.logits.dtype) * amount), nothing
        return own.condition(where, allowed, amount), nothing

    def _correct_real(self, own: Normal, rows: Rows, where: Tensor, strength: Strength) -> Normal:
        kind, amount = strength
        if self.operation == "in":
            members = torch.stack([o(rows) for o in self.operands], -1)
            nearest = (members - own.mean[..., None]).abs().argmin(-1, keepdim=True)
            return _towards(own, where, members.gather(-1, nearest)[..., 0], strength)  # type: ignore[return-value]
        value = self.operands[0](rows)
        if self.operation == "!=":  # of a number without bounds: the next one, where it is just this
            return own.set(where & (own.mode() == value), value + 1)
        if self.operation == "==":
            if kind == "weight":
                tolerance = self.within if self.within else _scale(own.feature)
                return own.fuse(where, value, tolerance / amount**0.5)
            if self.within:
                return own.clip(where, value - self.within, value + self.within)
            return own.set(where, value)
        below = self.operation in ("<", "<=")
        bound = _beyond(value, self.operation, -1 if below else +1, own.feature)
        if kind == "weight":
            return own.lean(where, bound, -1 if below else +1, amount)
        return own.clip(where, -torch.inf, bound) if below else own.clip(where, bound, torch.inf)

    def _allowed(self, own: Categorical, rows: Rows) -> Tensor:
        """Which values satisfy the atom, `[N, V]`."""
        v = own.logits.shape[-1]
        values = torch.arange(v, device=own.logits.device) + own.feature.offset
        wanted = [o(rows)[:, None] for o in self.operands]
        if self.operation == "in":
            return torch.stack([values == w for w in wanted]).any(0)
        return _COMPARE[self.operation](values, wanted[0])

    def _wanted(self, value: Tensor, rows: Rows) -> Tensor:
        """The nearest value that satisfies the atom, for features written through a setter."""
        if self.operation == "same":
            return rows.read(self.target, False)
        bound = self.operands[0](rows)
        if self.operation == "!=":
            return torch.where(value == bound, value + 1, value)
        if self.operation == "in":
            members = torch.stack([o(rows).to(value.dtype) for o in self.operands])
            return torch.where((members == value).any(0), value, members[0])
        if self.operation == "==":
            near = value.clamp(bound - self.within, bound + self.within) if self.within else bound
            return near.to(value.dtype)
        step = 0.0 if self.operation in ("<=", ">=") else (1 if not value.is_floating_point() else 1e-6)
        if self.operation in ("<", "<="):
            return torch.minimum(value, (bound - step).to(value.dtype))
        return torch.maximum(value, (bound + step).to(value.dtype))


_COMPARE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "==": torch.eq, "!=": torch.ne, "<": torch.lt, "<=": torch.le, ">": torch.gt, ">=": torch.ge,
}


def atoms_of(effect: Expression, schema: Schema) -> tuple[Atom, ...]:
    """Split an effect into its atoms. Raises `UserError` where it is not a conjunction of claims about one feature."""
    if isinstance(effect, Logical) and effect.operator == "and":
        return tuple(a for part in effect.operands for a in atoms_of(part, schema))
    if isinstance(effect, Same):
        return tuple(Atom(n, "same") for n in ([effect.feature] if effect.feature else schema.base))
    if isinstance(effect, Name | Index) and _is_target(effect):
        return (_atom(effect, "==", (_constant(1),), None, schema),)
    if isinstance(effect, Not) and isinstance(effect.operand, Name | Index) and _is_target(effect.operand):
        return (_atom(effect.operand, "==", (_constant(0),), None, schema),)
    if isinstance(effect, Member) and _is_target(effect.operand):
        target = effect.operand
        assert isinstance(target, Name | Index)
        feature = _feature(target, schema)
        return (_atom(target, "in", tuple(value_of(m, feature, schema) for m in effect.members), None, schema),)
    if isinstance(effect, Compare):
        return tuple(_comparison(effect, i, schema) for i in range(len(effect.operators)))
    raise _unsupported(effect)


def _comparison(effect: Compare, i: int, schema: Schema) -> Atom:
    left, operator, right = effect.operands[i], effect.operators[i], effect.operands[i + 1]
    if not _is_target(left):
        left, right = right, left
        operator = _MIRROR[operator]  # type: ignore[assignment]
    if not _is_target(left):
        raise _unsupported(effect)
    assert isinstance(left, Name | Index)
    value = value_of(right, _feature(left, schema), schema, rounded=operator == "==")
    return _atom(left, operator, (value,), effect.within, schema)


def _atom(target: Name | Index, operation: Operation, operands: tuple[Callable[[Rows], Tensor], ...],
          within: float | None, schema: Schema) -> Atom:
    if isinstance(target, Name):
        return Atom(target.name, operation, operands, within)
    shape = schema.feature(target.array.name).shape
    at = [compiled(e, schema) for e in target.at]

    def cell(rows: Rows) -> Tensor:
        flat, inside = torch.zeros((), dtype=torch.int64), torch.ones((), dtype=torch.bool)
        for length, index in zip(shape, at, strict=True):
            i = index(rows).long()
            flat, inside = flat * length + i, inside & (i >= 0) & (i < length)
        return torch.where(inside, flat, -1).expand(rows.size)

    return Atom(target.array.name, operation, operands, within, cell)


def _is_target(expr: Expression) -> bool:
    return (isinstance(expr, Name) and expr.primed) or (isinstance(expr, Index) and expr.array.primed)


def _feature(target: Name | Index, schema: Schema) -> Feature:
    return schema.feature(target.name if isinstance(target, Name) else target.array.name)


def value_of(expr: Expression, target: Feature, schema: Schema, rounded: bool = True) -> Callable[[Rows], Tensor]:
    """The expression's value `[N]` as a value of `target`: a category's names are translated to the target's codes,
    `MISSING` where the target has no such value; what an integer shall equal is `rounded`, what bounds it is not."""
    if isinstance(expr, Symbol):
        return _constant(target.values.index(expr.name))
    run = compiled(expr, schema)
    if isinstance(expr, Name | Index) and target.kind == "category":
        source = _feature(expr, schema)
        if source.values != target.values:
            table = torch.tensor([target.values.index(v) if v in target.values else MISSING for v in source.values])
            return lambda rows: table.to(rows.device)[run(rows).long()]
    if target.kind == "integer" and rounded:
        return lambda rows: run(rows).float().round()
    return run


def _constant(value: float) -> Callable[[Rows], Tensor]:
    return lambda rows: torch.full((rows.size,), value, device=rows.device)


def _unsupported(effect: Expression) -> UserError:
    return UserError(f"the effect `{to_text(effect)}` ties several next features together, or names none of them; "
                     "write one claim a feature (`a' == ... and b' == ...`), each primed name alone on its side")


def _scale(feature: Feature) -> float:
    """A hundredth of the feature's range: what a soft equality without a tolerance means."""
    span = feature.high - feature.low
    return 0.01 * span if span < float("inf") else 0.01


def _towards(own: Distribution, where: Tensor, value: Tensor, strength: Strength) -> Distribution:
    """Certain of `value [N, *shape]`, or with a weight, that much likelier to be it."""
    kind, amount = strength
    if kind != "weight":
        return own.set(where, value)
    if isinstance(own, Normal):
        return own.fuse(where, value, _scale(own.feature) / amount**0.5)
    if isinstance(own, Board):
        return own.tilt(where, value, amount)
    return own.tilt(where, F.one_hot(encode(own.feature, value), own.logits.shape[-1]) * amount)


def _beyond(bound: Tensor, operator: str, sign: int, feature: Feature) -> Tensor:
    """The bound itself, or for a strict comparison the next number beyond it; the next whole one for an integer."""
    if feature.kind == "integer":
        inside = bound.floor() if sign < 0 else bound.ceil()
        return inside + sign * (inside == bound) if operator in ("<", ">") else inside
    return bound if operator in ("<=", ">=") else torch.nextafter(bound, torch.full_like(bound, sign * torch.inf))


def cell_of(array: Distribution, index: Tensor) -> Categorical | Normal:
    """The distribution of the cell `index [N]` of an array (off the board: of the first)."""
    if isinstance(array, Board):
        return array.cell(index)
    one, at = replace(array.feature, shape=()), index.clamp_min(0)[:, None]
    if isinstance(array, Normal):
        mean, std = (part.flatten(1).gather(1, at)[:, 0] for part in (array.mean, array.std))
        low, high = (None if b is None else b.flatten(1).gather(1, at)[:, 0] for b in (array.low, array.high))
        return Normal(one, mean, std, low, high)
    flat = array.logits.flatten(1, -2)
    return Categorical(one, flat.gather(1, at[..., None].expand(-1, 1, flat.shape[-1]))[:, 0])


def with_cell(array: Distribution, index: Tensor, cell: Distribution) -> Distribution:
    """Put a cell's distribution back (off the board: nothing)."""
    at, inside = index.clamp_min(0)[:, None], (index >= 0)[:, None]
    if isinstance(array, Normal):
        assert isinstance(cell, Normal)

        def put(old: Tensor | None, new: Tensor | None, otherwise: float) -> Tensor | None:
            if new is None:
                return old
            flat = (torch.full_like(array.mean, otherwise) if old is None else old).flatten(1)
            return flat.scatter(1, at, torch.where(inside, new[:, None], flat.gather(1, at))).view_as(array.mean)

        mean, std = put(array.mean, cell.mean, 0.0), put(array.std, cell.std, 0.0)
        assert mean is not None
        assert std is not None
        low, high = put(array.low, cell.low, -torch.inf), put(array.high, cell.high, torch.inf)
        return Normal(array.feature, mean, std, low, high)
    assert isinstance(cell, Categorical)
    if isinstance(array, Board):
        return array.with_cell(index, cell)
    flat = array.logits.flatten(1, -2)
    wide = at[..., None].expand(-1, 1, flat.shape[-1])
    new = torch.where(inside[..., None], cell.logits[:, None], flat.gather(1, wide))
    return replace(array, logits=flat.scatter(1, wide, new).view(array.logits.shape))
