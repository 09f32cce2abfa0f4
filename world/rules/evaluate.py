"""Expressions as batched tensor operations: what a rule says of N transitions, in a handful of tensor operations.

A tree is compiled once to nested closures; `Rows` carries what they are run over and remembers every subexpression,
so that equal subtrees, in one rule or in many, are computed once. An expression is read in three ways: as its value
(`evaluate`), as a truth (`truth`), and as the signed distance to where the truth turns (`robustness`, the
quantitative semantics of signal temporal logic, Donzé & Maler 2010). Trees come resolved from the checker.

Numbers are float32, truths bool, categories their codes; a missing number (0 / 0) compares False. Shapes: N rows;
inside `any`, `all`, `count` every value is `[N, *cells]`, scalars broadcast.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from typing import Any, Literal

import torch
from torch import Tensor

from ...errors import UserError
from ..schema import Grid, Schema
from . import space
from .codes import (
    Code,
    Evaluation,
    Rows,
    all_cells,
    any_cell,
    apply,
    constant,
    joined,
    number,
    over_cells,
    remembered,
    signed,
    truth_of,
    typed,
)
from .syntax import (
    Arithmetic,
    Boolean,
    Call,
    Changed,
    Compare,
    Expression,
    Hole,
    Index,
    Logical,
    Member,
    Name,
    Negative,
    Not,
    Number,
    Place,
    Position,
    Quantified,
    Relation,
    Same,
    Side,
    Symbol,
)

__all__ = ["Evaluation", "Reading", "Rows", "code_of", "compiled", "coordinates", "evaluate", "mask", "robustness",
           "truth"]

Reading = Literal["value", "truth", "robustness"]


def evaluate(expr: Expression, rows: Rows) -> Tensor:
    """The expression's value in each row `[N]`: bool, float32, or category codes."""
    return compiled(expr, rows.schema)(rows)


def truth(expr: Expression, rows: Rows) -> Tensor:
    """Where the expression holds: bool `[N]`."""
    return compiled(expr, rows.schema, "truth")(rows)


def robustness(expr: Expression, rows: Rows) -> Tensor:
    """How far each row is from where the expression turns, float32 `[N]`: above 0 it holds, below it does not.

    `a > b` is a - b; `a == b within w` is w - |a - b|, where w is 0 if not given and 1/2 between integers; every
    other atom is 1 or -1. `and` is the least of its parts, `or` the greatest, `not` the negative; cells likewise.
    """
    return compiled(expr, rows.schema, "robustness")(rows)


def compiled(expr: Expression, schema: Schema, reading: Reading = "value") -> Evaluation:
    """Compile an expression for a schema, once: `run(rows) -> [N]`. Equal expressions share one compilation."""
    return _compiler(schema).program(expr, reading)


def mask(condition: Expression, schema: Schema) -> Evaluation:
    """Where a condition on an array's cells holds, compiled: `run(rows) -> [N, *cells]`."""
    return _compiler(schema).truth(condition).run


def coordinates(at: Sequence[Expression], schema: Schema) -> list[Evaluation]:
    """What stands in the brackets of `array[...]`, compiled to a number an axis; NaN where a place is nowhere."""
    return [code.run for code in _compiler(schema).coordinates(at)]


def code_of(expr: Expression, schema: Schema) -> Code:
    """The expression compiled, with what is known of it before it runs (whether it is whole, its shape)."""
    compiled(expr, schema)
    return _compiler(schema).value(expr)


def _compiler(schema: Schema) -> _Compiler:
    compiler = _COMPILERS.get(id(schema))
    if compiler is None:
        compiler = _COMPILERS[id(schema)] = _Compiler(schema)
        weakref.finalize(schema, _COMPILERS.pop, id(schema), None)
    return compiler


_COMPARISONS: dict[str, Callable[..., Tensor]] = {
    "==": torch.eq, "!=": torch.ne, "<": torch.lt, "<=": torch.le, ">": torch.gt, ">=": torch.ge,
}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ARITHMETIC: dict[str, Callable[..., Tensor]] = {
    "+": torch.add, "-": torch.sub, "*": torch.mul, "/": torch.div, "%": torch.remainder,
}
_CALLS: dict[str, Callable[..., Tensor]] = {
    "abs": torch.abs,
    "min": lambda *x: reduce(torch.minimum, x),
    "max": lambda *x: reduce(torch.maximum, x),
    "clip": lambda x, low, high: torch.minimum(torch.maximum(x, low), high),
}
_all = partial(joined, torch.logical_and)
_any = partial(joined, torch.logical_or)
_least = partial(joined, torch.minimum)
_greatest = partial(joined, torch.maximum)


class _Compiler:
    """Compiles for one schema, which it does not keep alive."""

    def __init__(self, schema: Schema) -> None:
        self.schema: Schema = weakref.proxy(schema)
        self.columns = {a.name: k for k, a in enumerate(schema.actions)}
        self.programs: dict[tuple[Expression, Reading], Evaluation] = {}
        self.values: dict[Expression, Code] = {}
        self.gaps: dict[Expression, Code] = {}

    def program(self, expr: Expression, reading: Reading) -> Evaluation:
        run = self.programs.get((expr, reading))
        if run is None:
            code = {"value": self.value, "truth": self.truth, "robustness": self.gap}[reading](expr)
            if code.shape:
                raise UserError("the condition names a whole array: say for which cells it holds, with any(...) or "
                                "all(...), or name one cell, array[i, j]")
            run = self.programs[expr, reading] = code.run
        return run

    def value(self, expr: Expression) -> Code:
        if expr not in self.values:
            self.values[expr] = remembered(self._value(expr))
        return self.values[expr]

    def truth(self, expr: Expression) -> Code:
        return truth_of(self.value(expr))

    def gap(self, expr: Expression) -> Code:
        if expr not in self.gaps:
            self.gaps[expr] = remembered(self._gap(expr))
        return self.gaps[expr]

    def _value(self, expr: Expression) -> Code:
        match expr:
            case Number(value=value):
                return constant(torch.tensor(value, dtype=torch.float32), "number", value.is_integer())
            case Hole():
                raise UserError("a '?' has no value until memory has fitted it")
            case Boolean(value=value):
                return constant(torch.tensor(value), "truth")
            case Symbol(name=name):
                raise UserError(f"'{name}' is not a value of what it is compared with")
            case Name(name=name) if name in self.columns:
                k, offset = self.columns[name], self.schema.feature(name).offset
                return typed(self.schema.feature(name), lambda rows: rows.column(k) + offset)
            case Name(name=name, primed=primed):
                return typed(self.schema.feature(name), lambda rows: rows.read(name, primed), primed)
            case Index(array=array, at=at):
                return self._index(array, at)
            case Negative(operand=operand):
                return apply(torch.neg, [number(self.value(operand))], "number")
            case Arithmetic(operator=sign, left=left, right=right):
                code = apply(_ARITHMETIC[sign], [number(self.value(left)), number(self.value(right))], "number")
                return replace(code, is_integral=False, may_be_nan=True) if sign in "/%" else code
            case Call(function="count", arguments=(condition,)):
                return over_cells(lambda x: x.sum(1), number(self.truth(condition)))
            case Call(function="distance", arguments=(first, second)):
                pairs = zip(self._coordinates(first), self._coordinates(second), strict=True)
                return reduce(_sum, [apply(lambda a, b: (a - b).abs(), pair, "number") for pair in pairs])
            case Call(function=function, arguments=arguments):
                return apply(_CALLS[function], [number(self.value(a)) for a in arguments], "number")
            case Compare():
                return _all([self._pair(*pair, expr.within) for pair in _links(expr)])
            case Member(operand=operand, members=members):
                return _any([self._pair(operand, "==", member, None) for member in members])
            case Not(operand=operand):
                return apply(torch.logical_not, [self.truth(operand)], "truth")
            case Logical(operator="implies", operands=(first, second)):
                return _any([self.value(Not(operand=first)), self.truth(second)])
            case Logical(operator=word, operands=operands):
                return (_all if word == "and" else _any)([self.truth(o) for o in operands])
            case Quantified(quantifier=quantifier, condition=condition):
                return over_cells(any_cell if quantifier == "any" else all_cells, self.truth(condition))
            case Relation(condition=condition, relation=relation, steps=steps):
                mask = self._related(self.truth(condition), relation, steps)
                return mask if expr.over_cells else self._at_pointer(mask, relation)
            case Side(side=side, primed=primed):
                return self._side(side, primed)
            case Place() | Position():
                raise UserError("a place has no value of its own: compare it with a place, or index an array by it")
            case Same(feature=None):
                return _all([self.value(Same(feature=name)) for name in self.schema.base])
            case Same(feature=str(name)):
                return over_cells(all_cells, apply(torch.eq, self._now_and_next(name), "truth"))
            case Changed(feature=name):
                return apply(torch.logical_not, [self.value(Same(feature=name))], "truth")
        raise UserError(f"a '{expr.kind}' has no value")

    def _gap(self, expr: Expression) -> Code:
        match expr:
            case Compare():
                return _least([self._pair_gap(*pair, expr.within) for pair in _links(expr)])
            case Member(operand=operand, members=members):
                return _greatest([self._pair_gap(operand, "==", member, None) for member in members])
            case Not(operand=operand):
                return apply(torch.neg, [self.gap(operand)], "number")
            case Logical(operator="implies", operands=(first, second)):
                return _greatest([self.gap(Not(operand=first)), self.gap(second)])
            case Logical(operator=word, operands=operands):
                return (_least if word == "and" else _greatest)([self.gap(o) for o in operands])
            case Quantified(quantifier=quantifier, condition=condition):
                over = torch.amax if quantifier == "any" else torch.amin
                return over_cells(lambda x: over(x, 1), self.gap(condition))
            case Same(feature=None):
                return _least([self.gap(Same(feature=name)) for name in self.schema.base])
            case Same(feature=str(name)) if self.schema.feature(name).kind in ("real", "integer"):
                return over_cells(lambda x: x.amin(1), _distance("==", *self._now_and_next(name), None))
            case Changed(feature=name):
                return apply(torch.neg, [self.gap(Same(feature=name))], "number")
        return signed(self.truth(expr))

    def _now_and_next(self, name: str) -> tuple[Code, Code]:
        return self.value(Name(name=name)), self.value(Name(name=name, primed=True))

    def _sides(self, left: Expression, sign: str, right: Expression) -> tuple[str, Code, Code]:
        """Both sides of a comparison, with the sign between them; categories in the codes of the first, -1 for none."""
        if isinstance(left, Symbol) and isinstance(right, Symbol):
            code = int(left.name != right.name)
            return sign, constant(torch.tensor(0), "codes"), constant(torch.tensor(code), "codes")
        if isinstance(left, Symbol):
            left, sign, right = right, _MIRRORED[sign], left
        first = self.value(left)
        if isinstance(right, Symbol):
            if first.kind != "codes":
                raise UserError(f"'{right.name}' is not a value of what it is compared with")
            code = first.values.index(right.name) if right.name in first.values else -1
            return sign, first, constant(torch.tensor(code, dtype=torch.int16), "codes")
        second = self.value(right)
        if first.kind == second.kind == "codes" and first.values != second.values:
            table = torch.tensor([first.values.index(v) if v in first.values else -1 for v in second.values])
            second = apply(lambda codes: table.to(codes.device)[codes.long()], [second], "codes")
        return sign, first, second

    def _pair(self, left: Expression, sign: str, right: Expression, within: float | Hole | None) -> Code:
        if isinstance(within, Hole):
            return self._value(within)
        if isinstance(left, Place | Position):
            return self._same_place(left, sign, right)
        sign, first, second = self._sides(left, sign, right)
        if within is not None and sign in ("==", "!="):
            near = torch.le if sign == "==" else torch.gt
            return apply(lambda a, b: near((a - b).abs(), within), [number(first), number(second)], "truth")
        if sign == "!=" and (first.may_be_nan or second.may_be_nan):
            return apply(lambda a, b: (a < b) | (a > b), [first, second], "truth")
        return apply(_COMPARISONS[sign], [first, second], "truth")

    def _pair_gap(self, left: Expression, sign: str, right: Expression, within: float | Hole | None) -> Code:
        holds = self._pair(left, sign, right, within)
        if isinstance(left, Place | Position) or isinstance(within, Hole):
            return signed(holds)
        sign, first, second = self._sides(left, sign, right)
        if "number" not in (first.kind, second.kind):
            return signed(holds)
        gap = _distance(sign, first, second, within)
        if not gap.may_be_nan:
            return gap
        return apply(lambda g, s: torch.where(g.isnan(), s * torch.inf, g), [gap, signed(holds)], "number")

    def _index(self, array: Name, at: Sequence[Expression]) -> Code:
        """Gather one cell a row; off the board reads 0, which is a category's first value."""
        sizes = self.schema.feature(array.name).shape
        places = self.coordinates(at)
        if len(places) != len(sizes):
            raise UserError(f"'{array.name}' has {len(sizes)} axes: give {len(sizes)} indices, not {len(places)}")
        return self._gathered(self.value(array), sizes, places)

    def _gathered(self, cells: Code, sizes: Sequence[int], at: Sequence[Code]) -> Code:
        """The cell `[N]` of an array `[N, *sizes]` at coordinates, 0 off the board."""

        def flat_index(*places: Tensor) -> Tensor:
            is_inside = reduce(torch.logical_and, [(p >= 0) & (p < n) for p, n in zip(places, sizes, strict=True)])
            flat = reduce(torch.add, [p.floor() * math.prod(sizes[k + 1:]) for k, p in enumerate(places)])
            return torch.where(is_inside, flat, -1).long()

        def gather(rows: Rows) -> Tensor:
            index = cell.run(rows)                                                          # [N, *cell.shape]
            found = cells.run(rows).flatten(1).gather(1, index.clamp_min(0).view(len(index), -1)).view_as(index)
            return found.masked_fill(index < 0, 0)

        cell = apply(flat_index, [number(place) for place in at], "codes")
        return replace(cells, run=gather, shape=cell.shape, is_primed=cells.is_primed or cell.is_primed)

    # --- space --------------------------------------------------------------------------------------------------------

    def coordinates(self, at: Sequence[Expression]) -> list[Code]:
        """What stands in the brackets of an index, a number an axis."""
        return [c for e in at for c in (self._coordinates(e) if isinstance(e, Place | Position) else [self.value(e)])]

    def _coordinates(self, place: Expression) -> list[Code]:
        """A place as a number an axis; NaN where there is none, so that every comparison with it is false."""
        if isinstance(place, Place):
            return [number(self.value(x)) for x in place.at]
        assert isinstance(place, Position)
        mask = self.truth(place.condition)
        found = Code(lambda rows: space.first(mask.run(rows).flatten(1)), "number", is_primed=mask.is_primed)
        first = remembered(found)
        sizes = mask.shape
        steps = [math.prod(sizes[k + 1:]) for k in range(len(sizes))]
        return [replace(apply(partial(_coordinate, step=step, size=size), [first], "number"), may_be_nan=True)
                for step, size in zip(steps, sizes, strict=True)]

    def _same_place(self, left: Expression, sign: str, right: Expression) -> Code:
        pairs = list(zip(self._coordinates(left), self._coordinates(right), strict=True))
        if sign == "==":
            return _all([apply(torch.eq, pair, "truth") for pair in pairs])
        return _any([apply(lambda a, b: (a < b) | (a > b), pair, "truth") for pair in pairs])

    def _related(self, mask: Code, relation: str, steps: int | None) -> Code:
        """The cells `[N, *cells]` that stand in a relation to one of the mask."""
        down = self.schema.grid.down if self.schema.grid else 1
        return replace(mask, run=lambda rows: space.related(mask.run(rows), relation, steps, down), kind="truth")

    def _side(self, side: str, primed: bool) -> Code:
        """The cells `[N, W, H]` on a side of the agent; `agent` is its own."""
        grid = self._grid(side)
        shape = self.schema.feature(grid.arrays[0]).shape
        x, y = (self.value(Name(name=name, primed=primed)).run for name in (grid.x, grid.y))
        if side == "agent":
            return Code(lambda rows: space.one_cell(x(rows), y(rows), shape), "truth", shape, is_primed=primed)
        if grid.heading is None:
            raise UserError(f"'{side}' in a world that does not say where the agent looks: give its grid a heading")
        looks = self.value(Name(name=grid.heading, primed=primed)).run
        towards = torch.tensor([_turned(side, *step, grid.down) for step in grid.steps])                # [headings, 2]

        def run(rows: Rows) -> Tensor:
            ways = towards.to(rows.device).index_select(0, looks(rows).long())                      # [N, 2]
            return space.half_plane(x(rows), y(rows), ways, shape)

        return Code(run, "truth", shape, is_primed=primed)

    def _at_pointer(self, mask: Code, relation: str) -> Code:
        """What a mask says of the cell that the grid points to, now or (if the mask is of the next state) next."""
        grid = self._grid(f"{relation}(...)")
        at = [self.value(Name(name=name, primed=mask.is_primed)) for name in (grid.x, grid.y)]
        return self._gathered(replace(mask, run=lambda rows: mask.run(rows).byte()), mask.shape, at)

    def _grid(self, what: str) -> Grid:
        if self.schema.grid is None:
            raise UserError(f"{what} in a world that does not say where the agent stands: give its schema a grid")
        return self.schema.grid


def _sum(first: Code, second: Code) -> Code:
    return apply(torch.add, [first, second], "number")


def _coordinate(flat: Tensor, step: int, size: int) -> Tensor:
    return (flat / step).floor().remainder(size)


def _turned(side: str, dx: int, dy: int, down: int) -> tuple[int, int]:
    """The direction of a side of one who looks along (dx, dy)."""
    left = (dy, -dx) if down else (-dy, dx)
    return {"ahead": (dx, dy), "behind": (-dx, -dy), "on_left": left, "on_right": (-left[0], -left[1])}[side]


_COMPILERS: dict[int, _Compiler] = {}


def _links(chain: Compare) -> list[tuple[Expression, Any, Expression]]:
    """The pairs of a chain: `0 <= x < 5` is `0 <= x` and `x < 5`."""
    return list(zip(chain.operands, chain.operators, chain.operands[1:], strict=False))


def _distance(sign: str, first: Code, second: Code, within: float | None) -> Code:
    """The robustness of one comparison of numbers."""
    slack = within if within is not None else 0.5 if first.is_integral and second.is_integral else 0.0
    distances: dict[str, Callable[..., Tensor]] = {
        "==": lambda a, b: slack - (a - b).abs(), "!=": lambda a, b: (a - b).abs() - slack,
        "<": lambda a, b: b - a, "<=": lambda a, b: b - a, ">": torch.sub, ">=": torch.sub,
    }
    return apply(distances[sign], [number(first), number(second)], "number")
