"""Printing: a syntax tree back to the one canonical text that parses to it.

Parentheses stand only where the grammar needs them, numbers are printed shortest, modifiers before `if`. Printing
also notes where each node begins, so that a tree made by a program gets carets in its errors, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import syntax as s
from .syntax import Node

STATEMENTS = ("expect", "always", "reward", "end", "forbid", "avoid", "maintain", "prefer", "achieve")
RESERVED = frozenset({
    "and", "or", "not", "implies", "in", "if", "then", "within", "with", "true", "false", "same", "changed",
    "abs", "min", "max", "clip", "count", "any", "all",
})
"""Words that are never a name in an expression unless in double quotes."""

# How tightly a node binds; an operand that binds more loosely than its place allows stands in parentheses.
_IMPLIES, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _UNARY, _ATOM = range(9)
# Looser still: how milestones of a goal are put together, in braces where need be.
_THEN, _ELSE, _ALSO = -3, -2, -1
_COMBINED = {"then": _THEN, "else": _ELSE, "also": _ALSO}
_LOGICAL = {"implies": _IMPLIES, "or": _OR, "and": _AND}
_PLAIN = re.compile(r"[^\W\d]\w*")


def to_text(node: Node) -> str:
    """Return the canonical text of a rule, a statement or an expression."""
    return located(node)[0]


def located(node: Node) -> tuple[str, dict[int, int]]:
    """Return the canonical text and the offset in it of every node, by the node's `id`."""
    printer = _Printer()
    printer.node(node)
    return "".join(printer.parts), printer.offsets


def number(value: float) -> str:
    """The shortest text of a number: `1`, `0.5`, `-3`, `1e+20`."""
    return repr(float(value) + 0.0).removesuffix(".0")


def quantity(value: float, unit: str) -> str:
    """A number with its unit, if it has one."""
    return f"{number(value)} {unit}" if unit else number(value)


def word(name: str) -> str:
    """A name as the language writes it: in double quotes if it is not a plain word, or is reserved."""
    return name if _PLAIN.fullmatch(name) and name not in RESERVED else f'"{name}"'


class _Printer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.offsets: dict[int, int] = {}
        self._length = 0

    def put(self, text: str) -> None:
        self.parts.append(text)
        self._length += len(text)

    def node(self, node: Node, place: int = _IMPLIES) -> None:
        """Print `node` where something that binds at least as tightly as `place` is wanted."""
        grouped = _binding(node) < place
        if grouped:
            self.put("{" if isinstance(node, s.Combined) else "(")
        self.offsets[id(node)] = self._length
        self._node(node)
        if grouped:
            self.put("}" if isinstance(node, s.Combined) else ")")

    def some(self, nodes: Sequence[Node], between: str, place: int) -> None:
        for i, node in enumerate(nodes):
            if i:
                self.put(between)
            self.node(node, place)

    def _node(self, node: Node) -> None:
        match node:
            case s.Number(value=value, unit=unit):
                self.put(quantity(value, unit))
            case s.Hole():
                self.put("?")
            case s.Boolean(value=value):
                self.put("true" if value else "false")
            case s.Symbol(name=name):
                self.put(word(name))
            case s.Name(name=name, primed=primed):
                self.put(word(name) + ("'" if primed else ""))
            case s.Same(feature=feature):
                self.put("same" if feature is None else f"same({word(feature)})")
            case s.Changed(feature=feature):
                self.put(f"changed({word(feature)})")
            case s.Index(array=array, at=at):
                self.node(array)
                self.put("[")
                self.some(at, ", ", _SUM)
                self.put("]")
            case s.Call(function=called, arguments=arguments):
                self.put(called + "(")
                self.some(arguments, ", ", _IMPLIES if called == "count" else _SUM)
                self.put(")")
            case s.Quantified(quantifier=called, condition=condition):
                self.put(called + "(")
                self.node(condition)
                self.put(")")
            case s.Near(condition=condition, steps=steps):
                self.put("near(")
                self.node(condition)
                self.put(")" if steps == 1 else f", {steps})")
            case s.Position(condition=condition):
                self.put("position of (")
                self.node(condition)
                self.put(")")
            case s.Place(at=at):
                self.put("(")
                self.some(at, ", ", _SUM)
                self.put(")")
            case _:
                self._operation(node)

    def _operation(self, node: Node) -> None:
        match node:
            case s.Negative(operand=operand):
                self.put("-")
                literal = isinstance(operand, s.Number) and operand.value >= 0    # -(1) is not the number -1
                self.node(operand, _ATOM + 1 if literal else _UNARY)
            case s.Arithmetic(operator=operator, left=left, right=right):
                self.node(left, _binding(node))
                self.put(f" {operator} ")
                self.node(right, _binding(node) + 1)
            case s.Compare(operands=operands, operators=operators, within=within, unit=unit):
                for before, operand in zip(["", *operators], operands, strict=True):
                    self.put(f" {before} " if before else "")
                    self.node(operand, _SUM)
                if within is not None:
                    self.put(" within ")
                    self._fitted(within, unit)
            case s.Member(operand=operand, members=members):
                self.node(operand, _SUM)
                self.put(" in {")
                self.some(members, ", ", _SUM)
                self.put("}")
            case s.Not(operand=operand):
                self.put("not ")
                self.node(operand, _NOT)
            case s.Logical(operator="implies", operands=(left, right)):
                self.node(left, _OR)
                self.put(" implies ")
                self.node(right)
            case s.Logical(operator=operator, operands=operands):
                self.some(operands, f" {operator} ", _LOGICAL[operator] + 1)
            case s.Rule(name=name, statement=statement):
                self.put(f"{name}: " if name else "")
                self.node(statement)
            case _:
                self._statement(node)

    def _statement(self, node: Node) -> None:
        match node:
            case s.Expect(effect=effect, guard=guard, probability=probability, weight=weight):
                self.put("expect ")
                self.node(effect)
                if probability is not None:
                    self.put(" with probability ")
                    self._fitted(probability)
                self._end(weight, guard)
            case s.Always() | s.Avoid() | s.Maintain() | s.Prefer():
                self.put(node.kind + " ")
                self.node(node.condition)
                self._end(node.weight)
            case s.Reward(amount=amount, guard=guard):
                self.put("reward " + ("+" if not isinstance(amount, Node) and amount > 0 else ""))
                self._fitted(amount)
                self._end(guard=guard)
            case s.End(guard=guard):
                self.put("end")
                self._end(guard=guard)
            case s.Forbid(action=s.Compare(operands=(s.Name(name="action"), s.Symbol() as value), operators=("==",)),
                          guard=guard):
                self.put("forbid ")
                self.node(value)
                self._end(guard=guard)
            case s.Forbid(action=action, guard=guard):
                self.put("forbid ")
                self.node(action)
                self._end(guard=guard)
            case s.Achieve(milestones=milestones, within=within):
                self.put("achieve ")
                self.some(milestones, " then ", _THEN + 1)
                self._deadline(within)
            case s.Combined(operator=operator, parts=parts):
                self.some(parts, f" {operator} ", _COMBINED[operator] + 1)
            case s.Bounded(part=part, within=within, keeping=keeping):
                if within is not None or isinstance(part, s.Combined | s.Bounded):
                    self.put("{")
                    self.node(part, _THEN)
                    self._deadline(within)
                    self.put("}")
                else:
                    self.node(part)
                if keeping is not None:
                    self.put(" while ")
                    self.node(keeping)
            case s.Let(name=name, value=value):
                self.put(f"let {name} = ")
                self.node(value)
            case _:
                raise TypeError(f"{type(node).__name__} is not a node of the rule language")

    def _fitted(self, value: float | Node, unit: str = "") -> None:
        """Print a number that may be left to memory."""
        if isinstance(value, Node):
            self.node(value)
        else:
            self.put(quantity(value, unit))

    def _deadline(self, within: int | None) -> None:
        self.put("" if within is None else f" within {within} step{'' if within == 1 else 's'}")

    def _end(self, weight: float | None = None, guard: Node | None = None) -> None:
        self.put("" if weight is None else f" with weight {number(weight)}")
        if guard is not None:
            self.put(" if ")
            self.node(guard)


def _binding(node: Node) -> int:
    match node:
        case s.Combined(operator=operator):
            return _COMBINED[operator]
        case s.Logical(operator=operator):
            return _LOGICAL[operator]
        case s.Not():
            return _NOT
        case s.Compare() | s.Member():
            return _COMPARE
        case s.Arithmetic(operator="+" | "-"):
            return _SUM
        case s.Arithmetic():
            return _PRODUCT
        case s.Negative():
            return _UNARY
        case s.Number(value=value):
            return _UNARY if value < 0 else _ATOM
        case _:
            return _ATOM
