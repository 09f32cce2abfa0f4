"""Terms: what the miner's conditions and claims speak of, as columns over N transitions.

A term is a scalar feature, or the cell of an array under the grid's pointer, with its value now and next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..rules.evaluate import Rows
from ..rules.text import number, word
from ..schema import Derived, Feature, Pointed, Schema


@dataclass(frozen=True, eq=False)
class Term:
    """A name with its columns: `now [N]` and `next [N]`, codes (int64) or numbers (float64). `moved [N]` is where a
    pointed feature looks elsewhere than before, so that another value is no change of it; `is_under` marks a cell under
    the grid's pointer."""

    feature: Feature
    text: str
    primed: str
    now: np.ndarray
    next: np.ndarray
    moved: np.ndarray | None = None
    is_target: bool = True
    is_under: bool = False

    @property
    def kind(self) -> str:
        return self.feature.kind

    @property
    def is_number(self) -> bool:
        return self.kind in ("integer", "real")

    @cached_property
    def changed(self) -> np.ndarray:
        """Where the value is another than before, `[N]`."""
        other = self.now != self.next
        return other if self.moved is None else other & ~self.moved

    def says(self, code: float, primed: bool = False) -> str:
        """`f == value` in the language."""
        name = self.primed if primed else self.text
        if self.kind == "boolean":
            return name if code else f"not {name}"
        return f"{name} == {self.value(code)}"

    def value(self, code: float) -> str:
        return word(self.feature.values[int(code)]) if self.kind == "category" else number(code)


@dataclass(frozen=True)
class Terms:
    """The terms of a world's state and of its action (whose `next` is not read), and where nothing changed `[N]`."""

    schema: Schema
    states: tuple[Term, ...]
    actions: tuple[Term, ...]
    unchanged: np.ndarray

    @property
    def size(self) -> int:
        return len(self.unchanged)


def terms_of(schema: Schema, rows: Rows) -> Terms:
    """Read every term off the rows; categories come first, for a position says the least of why something happens."""
    assert rows.next is not None
    states = [_state(schema, f, rows) for f in schema.named.values() if f not in schema.actions and not f.shape]
    states += _under(schema, rows)
    order = {"category": 0, "boolean": 0, "integer": 1, "real": 2}
    actions = []
    for k, a in enumerate(schema.actions):
        column = _column(a, rows.column(k).numpy()) + (a.offset if a.is_discrete else 0)
        actions.append(Term(a, word(a.name), word(a.name), column, column, is_target=False))
    same = [(rows.now[n] == rows.next[n]).reshape(rows.size, -1).all(1).numpy() for n in schema.base]
    return Terms(schema, tuple(sorted(states, key=lambda t: order[t.kind])), tuple(actions), np.all(same, 0))


def roundest(low: float, high: float) -> float:
    """The number of the fewest digits between two, and of these the nearest to their middle."""
    middle = (low + high) / 2
    for exponent in range(math.ceil(math.log10(max(abs(low), abs(high), 1e-12))), -12, -1):
        for step in (10.0**exponent, 0.5 * 10.0**exponent):
            nearest = round(round(middle / step) * step, 12)
            if low <= nearest <= high:
                return nearest
    return middle


def _state(schema: Schema, f: Feature, rows: Rows) -> Term:
    derived = schema.derivations.get(f.name)
    moved = (derived.at(rows.now) != derived.at(rows.features(True))).numpy() if isinstance(derived, Pointed) else None
    now, next = (_column(f, rows.read(f.name, primed).numpy()) for primed in (False, True))
    name = word(f.name)
    return Term(f, name, f"{name}'", now, next, moved, not (isinstance(derived, Derived) and derived.put is None))


def _under(schema: Schema, rows: Rows) -> list[Term]:
    """The cells under the grid's pointer."""
    grid, found = schema.grid, []
    for name in grid.arrays if grid else ():
        f, sides = schema.base[name], []
        for features in (rows.now, rows.features(True)):
            i, j = (features[axis].numpy().astype(np.int64) for axis in (grid.x, grid.y))    # type: ignore[union-attr]
            i, j = i.clip(0, f.shape[0] - 1), j.clip(0, f.shape[1] - 1)
            sides.append(_column(f, features[name].numpy()[np.arange(rows.size), i, j]))
        x, y, array = word(grid.x), word(grid.y), word(name)    # type: ignore[union-attr]
        cell = Feature(f.name, f.kind, (), f.low, f.high, f.values)
        found.append(Term(cell, f"{array}[{x}, {y}]", f"{array}'[{x}', {y}']", sides[0], sides[1], is_target=False,
                          is_under=True))
    return found


def _column(f: Feature, values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64 if f.kind == "real" else np.int64)
