"""Rows on which rules show what they say: states, actions and next states, sampled around what the rules mention.

Uniform rows hardly ever satisfy a guard of four conditions or an equality of reals. So part of the rows are *steered*:
each condition of a rule is made true, or narrowly missed, by writing what it speaks of, one part after another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import UserError
from ..rules import syntax as s
from ..rules.evaluate import Rows, compiled
from ..rules.holes import known
from ..rules.syntax import Expression, Rule
from ..schema import Derived, Feature, Pointed, Schema

KEEP = 0.85
"""Chance that a part of a conjunction is made true on a row: some rows miss one or two of them."""
_NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


def sampled(rules: Sequence[Rule], schema: Schema, n: int, rng: torch.Generator) -> Rows:
    """N legal rows (now, action, next). A third are not steered; the rest are shared out among the rules."""
    sample = Sample(schema, rules, n, rng)
    turn = torch.arange(n) % max(3 * len(rules) // 2, len(rules) + 1)
    for i, rule in enumerate(rules):
        for condition in conditions(rule):
            sample.steer(condition, True, (turn == i) & sample.chance(0.9))
    return Rows(schema, sample.now, sample.action, sample.next)


def conditions(rule: Rule) -> tuple[Expression, ...]:
    """What a rule's statement says, as conditions: its guard before its effect."""
    match rule.statement:
        case s.Expect(effect=effect, guard=guard):
            return (effect,) if guard is None else (guard, effect)
        case s.Reward(guard=guard) | s.End(guard=guard):
            return () if guard is None else (guard,)
        case s.Forbid(action=action, guard=guard):
            return (action,) if guard is None else (action, guard)
        case s.Achieve() as goal:
            return goal.conditions
        case s.Always(condition=condition) | s.Avoid(condition=condition) | s.Maintain(condition=condition):
            return (condition,)
        case s.Prefer(condition=condition):
            return (condition,)
        case s.Let():
            return ()


class Sample:
    """N rows under construction."""

    def __init__(self, schema: Schema, rules: Sequence[Rule], n: int, rng: torch.Generator) -> None:
        self.schema, self.n, self.rng = schema, n, rng
        numbers = {float(x.value) for rule in rules for x in s.walk(rule) if isinstance(x, s.Number)}
        self.constants = torch.tensor(sorted(numbers | {-c for c in numbers} | {0.0}))
        self.now = {f.name: self._drawn(f) for f in schema.features}
        fresh = {f.name: self._drawn(f) for f in schema.features}
        mixture = torch.rand(n, generator=rng)
        self.next = {}
        for f in schema.features:
            keeps = (mixture < 0.4) | (mixture < 0.7) & self.chance(0.5)
            self.next[f.name] = torch.where(_wide(keeps, fresh[f.name]), self.now[f.name], fresh[f.name])
        columns = [(self._drawn(a) - a.offset).to(schema.action_dtype) for a in schema.actions]
        self.action = torch.stack(columns, 1)

    def chance(self, p: float) -> Tensor:
        """True with probability p, `[N]`."""
        return torch.rand(self.n, generator=self.rng) < p

    def _drawn(self, f: Feature) -> Tensor:
        """Values of a feature `[N, *shape]`: uniform, at its bounds, at the rules' constants and just beside them."""
        size = (self.n, *f.shape)
        if f.kind == "boolean":
            return torch.rand(size, generator=self.rng) < 0.5
        if f.kind == "category":
            return torch.randint(len(f.values), size, generator=self.rng).to(f.dtype)
        scale = 1 + float(self.constants.abs().max())
        low = f.low if math.isfinite(f.low) else min(-2 * scale, f.high - 4 * scale)
        high = f.high if math.isfinite(f.high) else max(2 * scale, f.low + 4 * scale)
        uniform = low + (high - low) * torch.rand(size, generator=self.rng)
        step = 1.0 if f.is_discrete else (high - low) / 200
        beside = step * torch.randint(-1, 2, size, generator=self.rng)
        at = self.constants[torch.randint(len(self.constants), size, generator=self.rng)]
        edge = torch.where(torch.rand(size, generator=self.rng) < 0.5, low, high)
        kind = torch.randint(10, size, generator=self.rng)
        return _legal(f, torch.where(kind < 5, uniform, torch.where(kind < 9, at + beside, edge)))

    # --- making conditions true -----------------------------------------------------------------------------------

    def steer(self, node: Expression, wanted: bool, where: Tensor, keep: float = KEEP) -> None:
        """Write the rows `where [N]` so that the condition is `wanted` there, as far as that is simple; each part of a
        conjunction with the chance `keep`."""
        match node:
            case s.Not(operand=operand):
                self.steer(operand, not wanted, where, keep)
            case s.Logical(operator="implies", operands=(first, second)):
                self.steer(s.Logical(operator="or", operands=(s.Not(operand=first), second)), wanted, where, keep)
            case s.Logical(operator=operator, operands=operands) if (operator == "and") == wanted:
                for operand in operands:
                    self.steer(operand, wanted, where & self.chance(keep), keep)
            case s.Logical(operands=operands):
                pick = torch.randint(len(operands), (self.n,), generator=self.rng)
                for i, operand in enumerate(operands):
                    self.steer(operand, wanted, where & (pick == i), keep)
            case s.Quantified(quantifier=quantifier, condition=condition):
                self._steer_cells(condition, wanted, where, is_everywhere=(quantifier == "all") == wanted)
            case s.Same(feature=feature):
                for name in [feature] if feature else self.schema.base:
                    if wanted:
                        self._write(name, True, self.rows().read(name, False), where)
            case s.Changed(feature=feature):
                self.steer(s.Same(feature=feature), not wanted, where, keep)
            case s.Name() | s.Index():
                self._assign(node, torch.full((self.n,), float(wanted)), where)
            case s.Member(operand=operand, members=members) if wanted:
                pick = torch.randint(len(members), (self.n,), generator=self.rng)
                for i, member in enumerate(members):
                    self._compare(operand, "==", member, None, where & (pick == i))
            case s.Compare(operands=operands, operators=operators, within=within):
                for left, sign, right in zip(operands, operators, operands[1:], strict=False):
                    self._compare(left, sign if wanted else _NEGATED[sign], right, known(within), where)

    def _steer_cells(self, condition: Expression, wanted: bool, where: Tensor, is_everywhere: bool) -> None:
        """Steer one random cell, or all of them by copying it."""
        arrays = {n.name for n in s.walk(condition) if isinstance(n, s.Name) and self.schema.named[n.name].shape}
        shape = next((self.schema.named[name].shape for name in arrays), ())
        at = tuple(int(torch.randint(k, (), generator=self.rng)) for k in shape)
        self.steer(at_cell(condition, at, self.schema), wanted, where)
        if is_everywhere:
            for name in arrays & set(self.schema.base):
                for features in (self.now, self.next):
                    cells: Any = features[name]
                    cell = cells[(slice(None), *at)].view(-1, *[1] * len(at))
                    features[name] = torch.where(_wide(where, features[name]), cell, features[name])

    def _compare(self, left: Expression, operator: str, right: Expression, within: float | None, where: Tensor
                 ) -> None:
        if not self._is_settable(left):
            left, right, operator = right, left, _MIRRORED[operator]
        value = self._value(right, left) if self._is_settable(left) else None
        if value is None:
            return
        if operator != "==":
            step = 1.0 if self._is_whole(left) and self._is_whole(right) else 0.01 * (1 + float(value.abs().median()))
            sign = {"<": -1.0, "<=": -1.0, ">": 1.0, ">=": 1.0}.get(operator)
            away = step * torch.randint(0 if operator in ("<=", ">=") else 1, 4, (self.n,), generator=self.rng)
            turned = 2.0 * self.chance(0.5) - 1 if sign is None else sign
            value = value + turned * (away + (within or 0.0) if sign is None else away)
        elif within:
            value = value + within * (torch.randint(-13, 14, (self.n,), generator=self.rng) / 12)
        self._assign(left, value, where)

    def _value(self, node: Expression, target: Expression) -> Tensor | None:
        """The value `[N]` of an expression in the codes of the target's category, -1 for none."""
        wanted = self._feature(target).values
        if isinstance(node, s.Symbol):
            return torch.full((self.n,), float(wanted.index(node.name) if node.name in wanted else -1))
        try:
            value = compiled(node, self.schema)(self.rows()).float()
        except UserError:
            return None
        own = self._feature(node).values if isinstance(node, s.Name | s.Index) else ()
        if own and own != wanted:
            value = torch.tensor([float(wanted.index(v) if v in wanted else -1) for v in own])[value.long()]
        return value

    def _feature(self, node: Expression) -> Feature:
        name = next(n.name for n in s.walk(node) if isinstance(n, s.Name))
        return self.schema.feature(name)

    def _is_settable(self, node: Expression) -> bool:
        match node:
            case s.Arithmetic(left=left, right=right):
                return self._is_settable(left) or self._is_settable(right)
            case s.Negative(operand=operand):
                return self._is_settable(operand)
        return isinstance(node, s.Name | s.Index)

    def _is_whole(self, node: Expression) -> bool:
        return all(x.value.is_integer() if isinstance(x, s.Number) else self.schema.named[x.name].is_discrete
                   for x in s.walk(node) if isinstance(x, s.Number | s.Name))

    def _assign(self, node: Expression, value: Tensor, where: Tensor) -> None:
        """Give a term its value by writing the first feature in it (sums, differences and products are inverted)."""
        match node:
            case s.Name(name=name, primed=primed):
                self._write(name, primed, value, where)
            case s.Index(array=array, at=at):
                places = [self._value(place, s.Name(name=array.name)) for place in at]
                self._write_cell(array, places, value, where)
            case s.Negative(operand=operand):
                self._assign(operand, -value, where)
            case s.Arithmetic(operator=operator, left=left, right=right):
                on_left = self._is_settable(left)
                known = compiled(right if on_left else left, self.schema)(self.rows()).float()
                match operator:
                    case "+":
                        value = value - known
                    case "-":
                        value = value + known if on_left else known - value
                    case "*":
                        value = value / known
                    case _:
                        return
                self._assign(left if on_left else right, value, where)

    def _write(self, name: str, primed: bool, value: Tensor, where: Tensor) -> None:
        derived, features = self.schema.derivations.get(name), self.next if primed else self.now
        if name in self.schema.base:
            old = features[name]
            features[name] = torch.where(_wide(where & _finite(value), old), _legal(self.schema.base[name], value), old)
        elif isinstance(derived, Pointed):
            self._write_flat(derived.of, features, derived.at(features), value, where)
        elif isinstance(derived, Derived) and derived.put is not None:
            for base, new in derived.put(features, _legal(derived.feature, value)).items():
                features[base] = torch.where(_wide(where, new), new, features[base])
        elif derived is None:
            k = [a.name for a in self.schema.actions].index(name)
            feature = self.schema.actions[k]
            code = (_legal(feature, value) - feature.offset).to(self.action.dtype)
            self.action[:, k] = torch.where(where & _finite(value), code, self.action[:, k])

    def _write_cell(self, array: s.Name, places: list[Tensor | None], value: Tensor, where: Tensor) -> None:
        flat = torch.zeros(self.n, dtype=torch.int64)
        for length, place in zip(self.schema.named[array.name].shape, places, strict=True):
            if place is None or array.name not in self.schema.base:
                return
            where = where & (place >= 0) & (place < length)
            flat = flat * length + place.clamp(0, length - 1).long()
        features = self.next if array.primed else self.now
        self._write_flat(array.name, features, torch.where(where, flat, -1), value, where)

    def _write_flat(self, of: str, features: dict[str, Tensor], index: Tensor, value: Tensor, where: Tensor) -> None:
        cells = features[of].flatten(1).clone()
        rows = (where & (index >= 0) & _finite(value)).nonzero()[:, 0]
        cells[rows, index[rows].long()] = _legal(self.schema.base[of], value)[rows]
        features[of] = cells.view_as(features[of])

    def rows(self) -> Rows:
        return Rows(self.schema, self.now, self.action, self.next)


def at_cell(node: Any, at: tuple[int, ...], schema: Schema) -> Any:
    """The condition of `any`, `all`, `count` for one cell: every bare array `a` becomes `a[i, j]`."""
    if isinstance(node, s.Index):
        return node
    if isinstance(node, s.Name):
        places = tuple(s.Number(value=float(k)) for k in at)
        return s.Index(array=node, at=places) if schema.named[node.name].shape else node
    if isinstance(node, s.Same | s.Changed) or not isinstance(node, s.Node):
        return node
    parts = {k: tuple(at_cell(x, at, schema) for x in v) if isinstance(v, tuple) else at_cell(v, at, schema)
             for k, v in node}
    return node.model_copy(update=parts)


def _legal(f: Feature, value: Tensor) -> Tensor:
    """The nearest legal values of a feature, in its type; what is not a number becomes the least."""
    if f.kind == "boolean":
        return value > 0.5 if value.dtype != torch.bool else value
    low, high = (0, len(f.values) - 1) if f.kind == "category" else (f.low, f.high)
    value = torch.nan_to_num(value.float(), nan=max(low, -1e6), posinf=1e6, neginf=-1e6)
    return (value.round() if f.is_discrete else value).clamp(low, high).to(f.dtype)


def _finite(value: Tensor) -> Tensor:
    finite = value.isfinite() if value.is_floating_point() else torch.ones_like(value, dtype=torch.bool)
    return finite.flatten(1).all(1) if finite.dim() > 1 else finite


def _wide(rows: Tensor, like: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (like.dim() - 1))
