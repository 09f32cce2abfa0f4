"""All guards of a set of rules at once: `Guards(expressions, schema)(rows) -> [N, R]` bool, by table look-up.

A guard is a conjunction, and most of what it joins speaks of one scalar feature and of literals (`front == key`,
`x' in {1, 2}`, `battery < 0.2`). Whatever a feature's value is, all R rules' demands on it can be known beforehand:
one table `[values, R]` a feature, in which a row of the batch looks up one line; the guards are the conjunction of the
lines, eight rules to a machine word. A real feature is looked up by the interval its value falls in between the
numbers it is compared with. What is left (two features compared, arithmetic, arrays, `or` over several features) is
evaluated once for all the rules that share it, and eight such truths together are one more column of the look-up.

N rows, R rules, V values, T literals a real feature is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..schema import Feature, Schema
from .codes import Rows
from .evaluate import compiled, truth
from .syntax import (
    Arithmetic,
    Boolean,
    Call,
    Compare,
    Expression,
    Logical,
    Member,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Symbol,
    walk,
)

TRUE, FALSE = Boolean(value=True), Boolean(value=False)
_MOST_VALUES = 4096
_BITS = 8  # truths looked up together
_PLAIN = (Number, Boolean, Symbol, Name, Negative, Arithmetic, Call, Compare, Member, Not, Logical)
_ORDERED = (Compare, Member, Not, Logical, Name, Negative, Number)


@dataclass(frozen=True)
class Column:
    """What is looked up: `code(rows) -> [N]` int64, and `table [values, W]`, R truths in W words of eight bytes."""

    code: Callable[[Rows], Tensor]
    table: Tensor


class Guards:
    """The guards of R rules; `run(rows) -> [N, R]` bool, which is a fresh tensor."""

    def __init__(self, guards: Sequence[Expression], schema: Schema) -> None:
        self.count = len(guards)
        self.columns: list[Column] = []
        self.always = torch.ones(self.count, dtype=torch.bool)  # what reads nothing
        alone: dict[Name, list[tuple[int, Expression]]] = {}
        shared: dict[Expression, list[int]] = {}
        for r, guard in enumerate(guards):
            for part in conjuncts(guard):
                if isinstance(part, Boolean):
                    self.always[r] &= part.value
                elif (name := _only_name(part, schema)) is not None:
                    alone.setdefault(name, []).append((r, part))
                else:
                    shared.setdefault(part, []).append(r)
        for name, parts in alone.items():
            self.columns.append(self._of_name(name, parts, schema))
        rest = list(shared.items())
        for k in range(0, len(rest), _BITS):
            self.columns.append(self._of_truths(rest[k:k + _BITS], schema))
        self.start = _packed(self.always[None])

    def __call__(self, rows: Rows) -> Tensor:
        if not self.columns:
            words = self.start.expand(rows.size, -1).contiguous()
        else:
            first, *others = self.columns
            words = first.table.index_select(0, first.code(rows))
            scratch = torch.empty_like(words) if others else words
            for column in others:
                torch.index_select(column.table, 0, column.code(rows), out=scratch)
                words &= scratch
        return words.view(torch.bool)[:, :self.count]

    def _table(self, holds: Tensor, demands: Iterable[tuple[int, int]]) -> Tensor:
        """The packed table of `holds [values, K]`, where `demands` are pairs of a rule and the column it needs."""
        table = self.always.expand(len(holds), -1).clone()
        for rule, k in demands:
            table[:, rule] &= holds[:, k]
        return _packed(table)

    def _of_name(self, name: Name, parts: list[tuple[int, Expression]], schema: Schema) -> Column:
        unique = {part: k for k, part in enumerate(dict.fromkeys(part for _, part in parts))}
        code, examples = _lookup(name, unique, schema)
        holds = torch.stack([truth(part, examples) for part in unique], 1)
        return Column(code, self._table(holds, [(r, unique[part]) for r, part in parts]))

    def _of_truths(self, parts: list[tuple[Expression, list[int]]], schema: Schema) -> Column:
        runs = [compiled(part, schema, "truth") for part, _ in parts]
        bits = torch.arange(2 ** len(parts))[:, None] >> torch.arange(len(parts)) & 1
        weights = 2.0 ** torch.arange(len(parts))

        def code(rows: Rows) -> Tensor:
            if len(runs) == 1:
                return runs[0](rows).long()
            return (torch.stack([run(rows) for run in runs], 1).float() @ weights.to(rows.device)).long()

        return Column(code, self._table(bits.bool(), [(r, k) for k, (_, rules) in enumerate(parts) for r in rules]))


def conjuncts(expr: Expression) -> Iterable[Expression]:
    """What an expression joins by `and`; a chain of comparisons is the conjunction of its links."""
    match expr:
        case Logical(operator="and", operands=operands):
            for operand in operands:
                yield from conjuncts(operand)
        case Compare(operands=operands, operators=operators) if len(operators) > 1:
            for k, operator in enumerate(operators):
                yield Compare(operands=operands[k:k + 2], operators=(operator,), within=expr.within)
        case _:
            yield expr


def _packed(table: Tensor) -> Tensor:
    """Truths `[values, R]` as words `[values, W]`, eight to an int64; padded with False."""
    padded = torch.zeros(len(table), 8 * max(1, -(-table.shape[1] // 8)), dtype=torch.bool)
    padded[:, :table.shape[1]] = table
    return padded.view(torch.int64)


def _only_name(expr: Expression, schema: Schema) -> Name | None:
    """The one scalar that an expression reads, if a table can tell all that it says of it."""
    nodes: list[Node] = list(walk(expr))
    names = {n for n in nodes if isinstance(n, Name)}
    if len(names) != 1 or not all(isinstance(n, _PLAIN) for n in nodes):
        return None
    (name,) = names
    feature = schema.feature(name.name)
    if feature.shape:
        return None
    if _is_listed(feature, schema):
        return name
    if feature.kind in ("real", "integer") and expr != name and all(_is_ordered(n) for n in nodes):
        return name
    return None


def _is_listed(feature: Feature, schema: Schema) -> bool:
    """Whether all values of a scalar feature are known beforehand (a continuous action may lie between them)."""
    is_exact = schema.discrete_actions or feature not in schema.actions
    return is_exact and feature.cardinality is not None and feature.cardinality <= _MOST_VALUES


def _is_ordered(node: Node) -> bool:
    """Whether a node only asks on which side of literals a number lies."""
    if isinstance(node, Compare):
        return node.within is None and all(isinstance(o, Name) or _literal(o) is not None for o in node.operands)
    if isinstance(node, Member):
        return isinstance(node.operand, Name) and all(_literal(m) is not None for m in node.members)
    if isinstance(node, Not):
        return not isinstance(node.operand, Name)
    if isinstance(node, Logical):
        return not any(isinstance(o, Name) for o in node.operands)
    return isinstance(node, _ORDERED)


def _literal(node: Node) -> float | None:
    if isinstance(node, Number):
        return node.value
    return -node.operand.value if isinstance(node, Negative) and isinstance(node.operand, Number) else None


def _lookup(name: Name, parts: Iterable[Expression], schema: Schema) -> tuple[Callable[[Rows], Tensor], Rows]:
    """How a name's value is coded, and one example row a code."""
    feature = schema.feature(name.name)
    if _is_listed(feature, schema):
        # One code more on either side stands for what lies beyond the bounds.
        margin = int(feature.kind == "integer")
        last = (feature.cardinality or 0) - 1 + 2 * margin
        low = feature.offset - margin
        key, is_primed = ("code", name.name), name.primed  # hashing a node is slow
        values = torch.arange(last + 1) + low

        def listed(rows: Rows) -> Tensor:
            memo = rows.next_memo if is_primed else rows.memo
            if key not in memo:
                code = _read(name, rows, schema).long()
                memo[key] = (code - low).clamp_(0, last) if margin else code
            value: Tensor = memo[key]
            return value

        return listed, _examples(name, values, schema)
    literals = [v for p in parts for n in walk(p) if (v := _literal(n)) is not None]
    cuts = torch.tensor(sorted({float(torch.tensor(v, dtype=torch.float32)) for v in literals}))
    after = torch.nextafter(cuts, torch.tensor(torch.inf))
    # Below the first, at it, between it and the second, ..., above the last; not a number.
    values = torch.cat([torch.tensor([-torch.inf]), torch.stack([cuts, after], 1).flatten(), torch.tensor([torch.nan])])

    def between(rows: Rows) -> Tensor:
        value = _read(name, rows, schema).float().contiguous()
        code = torch.bucketize(value, cuts) + torch.bucketize(value, cuts, right=True)
        return code + (value != value)

    return between, _examples(name, values, schema)


def _read(name: Name, rows: Rows, schema: Schema) -> Tensor:
    for k, action in enumerate(schema.actions):
        if action.name == name.name:
            return rows.column(k) + action.offset
    return rows.read(name.name, name.primed)


def _examples(name: Name, values: Tensor, schema: Schema) -> Rows:
    """Rows in which the name has these values, and nothing else is known."""
    feature = schema.feature(name.name)
    typed = values if not _is_listed(feature, schema) else values.to(feature.dtype)
    for k, action in enumerate(schema.actions):
        if action.name == name.name:
            columns = torch.zeros(len(values), len(schema.actions), dtype=values.dtype)
            columns[:, k] = values - feature.offset
            return Rows(schema, {"": values}, columns)
    return Rows(schema, {name.name: typed}, None, {name.name: typed})
