"""Whether a rule speaks of what is near a grid's pointer alone: of its cell and the four beside it, of what it carries
and where it looks; not of where on the board that is, nor of cells further off."""

from __future__ import annotations

from ..schema import Pointed, Schema
from .definitions import names
from .syntax import (
    Call,
    Compare,
    Expect,
    Index,
    Name,
    Node,
    Place,
    Position,
    Quantified,
    Relation,
    Rule,
    children,
    walk,
)
from .text import to_text


def is_near(rule: Rule, schema: Schema) -> bool:
    """Whether what the rule says hangs on what is near alone; never so in a world without a grid."""
    if schema.grid is None:
        return False
    nearby = _Nearby(schema)
    statement = rule.statement
    if isinstance(statement, Expect):  # where an effect leads to is no condition
        indices = all(nearby.cell(i) for i in walk(statement.effect) if isinstance(i, Index))
        return indices and (statement.guard is None or nearby.all(statement.guard))
    return nearby.all(statement)


class _Nearby:
    def __init__(self, schema: Schema) -> None:
        assert schema.grid is not None
        self.x, self.y = schema.grid.x, schema.grid.y
        self.places = {self.x, self.y} | {d.feature.name for d in schema.derived if not isinstance(d, Pointed)}

    def all(self, node: Node) -> bool:
        match node:
            case Index():
                return self.cell(node)
            case Name():
                return node.name not in self.places
            case Place() | Position() | Quantified() | Relation():
                return False
            case Call(function="count" | "distance"):
                return False
            case Compare() if all(names(operand) & self.places for operand in node.operands):  # one place and another
                return all(self.cell(i) for i in walk(node) if isinstance(i, Index))
        return all(self.all(child) for child in children(node))

    def cell(self, index: Index) -> bool:
        if len(index.at) != 2:
            return False
        x, y = map(to_text, index.at)
        if {x.removesuffix("'"), y.removesuffix("'")} <= self.places:  # its own cell, or the one ahead
            return True
        right_or_left = x in (f"{self.x} + 1", f"{self.x} - 1") and y == self.y
        return right_or_left or (x == self.x and y in (f"{self.y} + 1", f"{self.y} - 1"))
