"""Quantities: every number with a unit converted to the unit of what it is compared with or added to.

Units bite only where a rule writes one: a plain number is in the unit of what it stands beside, and features of
different units may be compared as plain numbers. A unit is inferred from below (`_unit`) and demanded from above
(`_expressed`): `position' == position + 20 ms * velocity` wants m of the product, so s of its first factor.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import syntax as s
from .measures import BARE, Measure, converted, is_same, measure, own_names, product
from .syntax import Expression, N, Node
from .text import quantity, to_text
from .types import Typer

__all__ = ["Converter", "is_measured"]


def is_measured(node: Node) -> bool:
    """Whether a unit is written anywhere in it."""
    return any(isinstance(n, s.Number | s.Compare) and n.unit for n in s.walk(node))


class Converter:
    """Converts the quantities of a typed rule; mistakes go to its `typer`."""

    def __init__(self, typer: Typer) -> None:
        self.typer = typer
        self.named = typer.schema.named
        self.own = own_names({f.unit for f in self.named.values()})

    def converted(self, node: N) -> N:
        """The node with every comparison and set in one unit."""
        match node:
            case s.Compare(operands=operands):
                same, target, source = self._alike(operands, bool(node.unit))
                changes: dict[str, object] = {"operands": same}
                if node.unit and target is not None:
                    within = self._number(node, float(node.within), node.unit, target, source, False)  # type: ignore[arg-type]
                    changes |= {"within": within.value, "unit": within.unit}
                return self.typer.rebuilt(node, **changes)
            case s.Member(operand=operand, members=members):
                same, _, _ = self._alike((operand, *members))
                return self.typer.rebuilt(node, operand=same[0], members=same[1:])
            case s.Let(value=value) if _is_stated(value):
                target = self._unit(value) or BARE
                return self.typer.rebuilt(node, value=self._expressed(value, target, value, True))
            case s.Index(at=at) | s.Place(at=at) if any(map(_is_stated, at)):
                place = next(x for x in at if _is_stated(x))
                self.typer.wrong(place, f"'{to_text(place)}' as a cell's coordinate", "; write a plain number")
                return node
            case s.Number(unit=unit) if unit:
                self.typer.wrong(node, f"'{to_text(node)}' beside nothing that has a unit", "; write a plain number")
                return node
        return self.typer.placed(node, s.mapped(node, self.converted))

    def _alike(
        self, operands: Sequence[Expression], demanded: bool = False
    ) -> tuple[tuple[Expression, ...], Measure | None, Expression]:
        """The operands in one unit, that unit, and the operand it is of. Without quantities they stay as they are."""
        source = operands[0]
        if not demanded and not any(map(_is_stated, operands)):
            return tuple(map(self.converted, operands)), None, source
        for stated in (False, True):
            for source in operands:
                if _is_stated(source) == stated and (target := self._unit(source)) is not None:
                    return tuple(self._expressed(o, target, source, True) for o in operands), target, source
        return tuple(operands), None, source    # the unit of a quantity is unknown, which was noted

    # --- from below ---------------------------------------------------------------------------------------------------

    def _unit(self, node: Expression) -> Measure | None:
        """The unit of a number; None for a plain one, which takes on any."""
        match node:
            case s.Number(unit=unit):
                return self._read(unit, node) if unit else None
            case s.Hole():
                return None
            case s.Name(name=name) | s.Index(array=s.Name(name=name)):
                return measure(self.named[name].unit, self.own) or BARE
            case s.Negative(operand=operand):
                return self._unit(operand)
            case s.Arithmetic(operator="*" | "/" as operator, left=left, right=right):
                return product(self._unit(left), self._unit(right), 1 if operator == "*" else -1)
            case s.Arithmetic(left=left, right=right):
                return self._of_sum((left, right))
            case s.Call(function="abs" | "min" | "max" | "clip", arguments=arguments):
                return self._of_sum(arguments)
        return BARE

    def _of_sum(self, parts: Sequence[Expression]) -> Measure | None:
        """Of several things in one unit: a feature's goes before a quantity's."""
        units = [(p, u) for p in parts if (u := self._unit(p)) is not None]
        return next((u for p, u in units if not _is_stated(p)), units[0][1] if units else None)

    def _read(self, text: str, node: Node) -> Measure | None:
        found = measure(text, self.own)
        if found is None:
            hint = "; put spaces around * and /" if set(text) & set("*/") else ""
            if text in self.named:
                hint = f"; to multiply, write * {text}"
            self.typer.wrong(node, f"unknown unit '{text}'", hint)
        return found

    # --- from above ---------------------------------------------------------------------------------------------------

    def _expressed(self, node: Expression, target: Measure, source: Expression, absolute: bool) -> Expression:
        """The node with its quantities converted so that its value is in `target`, which is the unit of `source`."""
        if not _is_stated(node):
            own = self._unit(node)
            if own is not None and not is_same(own, target):
                self._differ(node, own, target, source)
            return self.converted(node)
        match node:
            case s.Number(value=value, unit=unit):
                return self._number(node, value, unit, target, source, absolute)
            case s.Negative(operand=operand):
                return self.typer.rebuilt(node, operand=self._expressed(operand, target, source, absolute))
            case s.Arithmetic(operator="*" | "/" as operator, left=left, right=right):
                return self._factored(node, operator == "*", left, right, target, source)
            case s.Arithmetic(left=left, right=right):
                left, right = (self._expressed(x, target, source, False) for x in (left, right))
                return self.typer.rebuilt(node, left=left, right=right)
            case s.Call(arguments=arguments):
                parts = tuple(self._expressed(a, target, source, absolute) for a in arguments)
                return self.typer.rebuilt(node, arguments=parts)
        return node

    def _factored(self, node: s.Arithmetic, is_product: bool, left: Expression, right: Expression, target: Measure,
                  source: Expression) -> Expression:
        """A product or quotient: one factor stays as it is, the other is converted to what is then wanted of it."""
        if target == BARE:
            self._differ(node, self._unit(node) or BARE, target, source)
            return node
        if _is_stated(left):
            other = self._unit(right)
            right = self._expressed(right, other, right, False) if _is_stated(right) and other else right
            left = self._expressed(left, product(target, other, -1 if is_product else 1) or BARE, source, False)
        else:
            own = self._unit(left)
            wanted = product(target, own, -1) if is_product else product(own, target, -1)
            right = self._expressed(right, wanted or BARE, source, False)
        return self.typer.rebuilt(node, left=left, right=right)

    def _number(self, node: Node, value: float, unit: str, target: Measure, source: Expression, absolute: bool
                ) -> s.Number:
        own, plain = self._read(unit, node), s.Number(value=value)
        if own is None:
            return plain
        found = None if target == BARE else converted(value, own, target, absolute)
        if found is None:
            self._differ(node, own, target, source, quantity(value, unit))
            return plain
        return self.typer.placed(node, s.Number(value=found, unit=target.text))

    def _differ(self, node: Node, own: Measure, target: Measure, source: Expression, text: str = "") -> None:
        text, beside = text or to_text(node), to_text(source)
        if target == BARE:
            self.typer.wrong(node, f"'{beside}' has no unit", "; write a plain number")
        elif own == BARE:
            self.typer.wrong(node, f"'{text}' has no unit, '{beside}' is in {target}", "; write plain numbers")
        else:
            self.typer.wrong(node, f"'{text}' is in {own}, where '{beside}' is in {target}",
                             "; give it a unit that measures the same thing")


def _is_stated(node: Expression) -> bool:
    """Whether a unit is written in a number itself, not in a condition or coordinate inside it."""
    match node:
        case s.Number(unit=unit):
            return bool(unit)
        case s.Negative(operand=operand):
            return _is_stated(operand)
        case s.Arithmetic(left=left, right=right):
            return _is_stated(left) or _is_stated(right)
        case s.Call(function="abs" | "min" | "max" | "clip", arguments=arguments):
            return any(map(_is_stated, arguments))
    return False
