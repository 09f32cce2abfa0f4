"""Rules as formulas for the solver z3 (de Moura & Bjørner 2008): every feature is one variable, now and next.

Categories are bounded integers, real numbers are exact; a small array is a variable a cell. A derived feature is a
variable of its own, of which only its type is known: what is proved then holds all the more, what is refuted may not be
possible in the world (`is_exact` tells). What goes beyond this raises `Undecided`.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction
from functools import reduce
from typing import Any

import z3

from ..rules import syntax as s
from ..rules.holes import known
from ..rules.syntax import Expression
from ..rules.text import word
from ..schema import Feature, Schema
from .sampling import at_cell

MOST_CELLS = 64
EFFORT = 2_000_000
"""z3's own count of work a query (about half a second), so that an answer does not depend on the machine."""


class Undecided(Exception):
    """An expression is beyond what is given to the solver, or the solver gave up."""


class Symbols:
    """The variables of one schema, and expressions over them as z3 terms."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.actions = {a.name for a in schema.actions}
        self._variables: dict[tuple[str, bool, tuple[int, ...]], Any] = {}
        self._unchanged: dict[str, Any] = {}

    def variable(self, name: str, primed: bool = False, at: tuple[int, ...] = ()) -> Any:
        key = name, primed, at
        if key not in self._variables:
            cell = f"[{', '.join(map(str, at))}]" if at else ""
            sort = {"boolean": z3.Bool, "real": z3.Real}.get(self.schema.named[name].kind, z3.Int)
            self._variables[key] = sort(f"{word(name)}{chr(39) if primed else ''}{cell}")
        return self._variables[key]

    def is_exact(self, *formulas: Any) -> bool:
        """Whether the formulas speak of base features and actions only."""
        opaque = [v for (name, _, _), v in self._variables.items() if name in self.schema.derivations]
        ids = {v.get_id() for v in (*opaque, *self._unchanged.values())}
        return not any(v.get_id() in ids for f in formulas for v in variables_of(f))

    def legal(self, *formulas: Any) -> Any:
        """That every variable in the formulas has a value its feature allows."""
        used = {v.get_id() for f in formulas for v in variables_of(f)}
        limits = [self._bounds(self.schema.named[name], v) for (name, _, _), v in self._variables.items()
                  if v.get_id() in used]
        return z3.And([limit for pair in limits for limit in pair])

    def next_of(self, *formulas: Any) -> list[Any]:
        """The next state's variables in the formulas."""
        used = {v.get_id() for f in formulas for v in variables_of(f)}
        found = [v for (_, primed, _), v in self._variables.items() if primed and v.get_id() in used]
        return found + [v for v in self._unchanged.values() if v.get_id() in used]

    def in_words(self, model: Any, *formulas: Any) -> str:
        """The values that a model gives the present state and the action in the formulas; of an array's cells only
        those that differ from most."""
        used = {v.get_id() for f in formulas for v in variables_of(f)}
        parts: list[str] = []
        cells: dict[str, dict[str, str]] = {}
        for (name, primed, _), v in self._variables.items():
            if v.get_id() in used and not primed:
                feature = self.schema.named[name]
                value = str(self._value(feature, model.eval(v, model_completion=True)))
                if feature.shape:
                    cells.setdefault(name, {})[str(v)] = value
                else:
                    parts.append(f"{v} = {value}")
        for name, values in cells.items():
            usual, times = Counter(values.values()).most_common(1)[0]
            parts += [f"{cell} = {value}" for cell, value in values.items() if value != usual or times == 1]
            parts += [f"{name} = {usual} in {times} cells"] if times > 1 else []
        return ", ".join(sorted(parts))

    # --- expressions --------------------------------------------------------------------------------------------------

    def term(self, node: Expression, shift: bool = False) -> Any:
        """The z3 term of a checked expression; `shift` reads the present state's names as the next state's.

        Raises `Undecided` where there is none.
        """
        match node:
            case s.Number(value=value):
                exact = Fraction(str(value))
                top, bottom = exact.numerator, exact.denominator
                return z3.IntVal(top) if bottom == 1 else z3.Q(top, bottom)
            case s.Boolean(value=value):
                return z3.BoolVal(value)
            case s.Name(name=name, primed=primed):
                if self.schema.named[name].shape:
                    raise Undecided(f"the whole array '{name}'")
                return self.variable(name, (primed or shift) and name not in self.actions)
            case s.Index(array=array, at=at):
                return self._cell(array.name, array.primed or shift, [self.term(place, shift) for place in at])
            case s.Negative(operand=operand):
                return -self.term(operand, shift)
            case s.Arithmetic(operator=operator, left=left, right=right):
                return self._arithmetic(operator, self.term(left, shift), self.term(right, shift))
            case s.Call(function="count", arguments=(condition,)):
                return z3.Sum([z3.If(cell, 1, 0) for cell in self._cells(condition, shift)])
            case s.Call(function=function, arguments=arguments):
                return self._call(function, [self.term(a, shift) for a in arguments])
            case s.Compare(operands=operands, operators=operators, within=within):
                pairs = zip(operands, operators, operands[1:], strict=False)
                return z3.And([self._compare(a, operator, b, known(within), shift) for a, operator, b in pairs])
            case s.Member(operand=operand, members=members):
                return z3.Or([self._compare(operand, "==", m, None, shift) for m in members])
            case s.Not(operand=operand):
                return z3.Not(self.term(operand, shift))
            case s.Logical(operator="implies", operands=(first, second)):
                return z3.Implies(self.term(first, shift), self.term(second, shift))
            case s.Logical(operator=operator, operands=operands):
                return (z3.And if operator == "and" else z3.Or)([self.term(o, shift) for o in operands])
            case s.Quantified(quantifier=quantifier, condition=condition):
                return (z3.Or if quantifier == "any" else z3.And)(self._cells(condition, shift))
            case s.Same(feature=feature):
                return z3.And([self._same(name) for name in ([feature] if feature else self.schema.base)])
            case s.Changed(feature=feature):
                return z3.Not(self._same(feature))
        raise Undecided(f"'{node.kind}'")

    def _same(self, name: str) -> Any:
        shape = self.schema.named[name].shape
        if math.prod(shape) > MOST_CELLS:
            return self._unchanged.setdefault(name, z3.Bool(f"same({word(name)})"))
        places = itertools.product(*map(range, shape))
        return z3.And([self.variable(name, False, at) == self.variable(name, True, at) for at in places])

    def _cells(self, condition: Expression, shift: bool) -> list[Any]:
        shapes = {self.schema.named[n.name].shape for n in s.walk(condition) if isinstance(n, s.Name)} - {()}
        shape = max(shapes, default=())
        if math.prod(shape) > MOST_CELLS:
            raise Undecided(f"an array of {math.prod(shape)} cells")
        places = itertools.product(*map(range, shape))
        return [self.term(at_cell(condition, at, self.schema), shift) for at in places]

    def _cell(self, name: str, primed: bool, at: list[Any]) -> Any:
        """One cell; off the board its first value."""
        shape = self.schema.named[name].shape
        if math.prod(shape) > MOST_CELLS and not all(z3.is_int_value(i) for i in at):
            raise Undecided(f"a cell of '{name}', {math.prod(shape)} cells")
        if any(not z3.is_int(i) for i in at):
            raise Undecided(f"a cell of '{name}' at a place that may be no whole number")
        feature = self.schema.named[name]
        outside: Any = z3.BoolVal(False) if feature.kind == "boolean" else z3.IntVal(0)
        if all(z3.is_int_value(i) for i in at):
            place = tuple(i.as_long() for i in at)
            inside = all(0 <= i < n for i, n in zip(place, shape, strict=True))
            return self.variable(name, primed, place) if inside else outside
        found = outside
        for place in itertools.product(*map(range, shape)):
            here = z3.And([i == k for i, k in zip(at, place, strict=True)])
            found = z3.If(here, self.variable(name, primed, place), found)
        return found

    def _arithmetic(self, operator: str, left: Any, right: Any) -> Any:
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/" if _is_constant(right) and z3.is_true(z3.simplify(right != 0)):
                return z3.ToReal(left) / right if z3.is_int(left) else left / right
            case "%" if z3.is_int(left) and z3.is_int_value(right) and right.as_long() > 0:
                return left % right
        raise Undecided(f"'{operator}' by what is not a constant")

    def _call(self, function: str, arguments: list[Any]) -> Any:
        least = lambda a, b: z3.If(a <= b, a, b)    # noqa: E731
        most = lambda a, b: z3.If(a >= b, a, b)    # noqa: E731
        match function:
            case "abs":
                return most(arguments[0], -arguments[0])
            case "min":
                return reduce(least, arguments)
            case "max":
                return reduce(most, arguments)
            case "clip":
                return least(most(arguments[0], arguments[1]), arguments[2])
        raise Undecided(f"'{function}'")

    def _compare(self, left: Expression, operator: str, right: Expression, within: float | None, shift: bool) -> Any:
        if isinstance(left, s.Symbol):
            if isinstance(right, s.Symbol):
                return z3.BoolVal((left.name == right.name) == (operator == "=="))
            left, right = right, left
        if isinstance(right, s.Symbol):
            values = self._feature(left).values
            code = values.index(right.name) if right.name in values else -1
            a, b = self.term(left, shift), z3.IntVal(code)
        else:
            a, b = self.term(left, shift), self.term(right, shift)
            if isinstance(left, s.Name | s.Index) and isinstance(right, s.Name | s.Index):
                own, other = self._feature(left).values, self._feature(right).values
                if own != other:
                    equal = z3.Or([z3.And(a == own.index(v), b == other.index(v)) for v in own if v in other])
                    return equal if operator == "==" else z3.Not(equal)
        if within is not None and operator in ("==", "!="):
            width = self.term(s.Number(value=within))
            near = z3.And(a - b <= width, b - a <= width)
            return near if operator == "==" else z3.Not(near)
        match operator:
            case "==":
                return a == b
            case "!=":
                return a != b
            case "<":
                return a < b
            case "<=":
                return a <= b
            case ">":
                return a > b
        return a >= b

    def _feature(self, node: Expression) -> Feature:
        match node:
            case s.Name(name=name) | s.Index(array=s.Name(name=name)):
                return self.schema.named[name]
        raise Undecided("a category that is no feature")

    def _bounds(self, f: Feature, v: Any) -> list[Any]:
        if f.kind == "boolean":
            return []
        low, high = (0, len(f.values) - 1) if f.kind == "category" else (f.low, f.high)
        limits = [v >= self.term(s.Number(value=float(low)))] if math.isfinite(low) else []
        return limits + ([v <= self.term(s.Number(value=float(high)))] if math.isfinite(high) else [])

    def _value(self, f: Feature, value: Any) -> str:
        if f.kind == "category":
            return word(f.values[value.as_long()])
        if f.kind == "boolean":
            return "true" if z3.is_true(value) else "false"
        return f"{float(Fraction(value.as_fraction())):g}" if z3.is_rational_value(value) else str(value)


def solved(*constraints: Any) -> Any | None:
    """A model of the constraints, or None where there surely is none. Raises `Undecided` where z3 gives up."""
    solver = z3.Solver()
    solver.set("rlimit", EFFORT)
    solver.add(*constraints)
    answer = solver.check()
    if answer == z3.unknown:
        raise Undecided(solver.reason_unknown())
    return solver.model() if answer == z3.sat else None


def variables_of(formula: Any) -> list[Any]:
    """The free variables of a term."""
    found: dict[int, Any] = {}
    seen: set[int] = set()
    stack = [formula]
    while stack:
        top = stack.pop()
        if top.get_id() in seen:
            continue
        seen.add(top.get_id())
        if z3.is_const(top) and top.decl().kind() == z3.Z3_OP_UNINTERPRETED:
            found[top.get_id()] = top
        stack.extend(top.children())
    return list(found.values())


def _is_constant(term: Any) -> bool:
    return not variables_of(term)
