"""Examples as columns, and the literals that guards are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from ...world.mining.terms import roundest
from ...world.rules.text import number, word
from ...world.schema import Feature, Schema
from .examples import Example, Value

CLOSE = 1e-3
"""Of a real feature's spread: what counts as equal."""

Column = Sequence[Value | None]


@dataclass(frozen=True)
class Literal:
    """A condition, its denial, and where it is known to hold and to fail, `[N]` each; `names` are the features it
    speaks of, `values` the categories, `cut` the side of a number."""

    text: str
    denial: str
    cost: float
    holds: np.ndarray
    fails: np.ndarray
    names: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    cut: tuple[str, float] | None = None


class Table:
    """N examples as columns: `now`, `next` (None where unknown) and the actions, by name."""

    def __init__(self, schema: Schema, examples: Sequence[Example]) -> None:
        self.schema, self.size = schema, len(examples)
        names = list(dict.fromkeys(n for e in examples for n in (*e.before, *e.after)))
        acted = [e.acted(schema) for e in examples]
        self.now: dict[str, Column] = {n: [e.before.get(n) for e in examples] for n in names}
        self.next: dict[str, Column] = {n: [e.next(n) for e in examples] for n in names}
        self.actions: dict[str, Column] = {a.name: [row.get(a.name) for row in acted] for a in schema.actions}
        self.reward = numbers([e.reward for e in examples])
        self.end = [e.end for e in examples]

    def feature(self, name: str) -> Feature:
        return self.schema.named[name]

    def changed(self, name: str) -> np.ndarray:
        """Where a feature is known to have changed, `[N]`."""
        if self.feature(name).kind == "real":
            return np.abs(numbers(self.next[name]) - numbers(self.now[name])) > self.width(name)
        return np.array([b is not None and a != b for a, b in zip(self.now[name], self.next[name], strict=True)])

    def kept(self, name: str) -> np.ndarray:
        """Where a feature is known to be as it was, `[N]`."""
        known = np.array([a is not None and b is not None
                          for a, b in zip(self.now[name], self.next[name], strict=True)])
        return known & ~self.changed(name)

    def width(self, name: str) -> float:
        """What may lie between equal values: a part of the spread, or half the last decimal that was written."""
        values = numbers([*self.now[name], *self.next[name]])
        values = values[~np.isnan(values)]
        spread = float(np.ptp(values)) if len(values) else 0.0
        return max(spread * CLOSE, 0.5 * 10.0 ** -_decimals(values), 1e-6)


def literals_of(table: Table, step: bool = False) -> list[Literal]:
    """Literals of the state before; of a whole `step` also those of the state after and of the action, as rewards and
    ends may name them."""
    real = {n: c for n, c in table.actions.items() if not table.feature(n).is_discrete}
    found = list(_literals(table.schema, table.now | real))
    if step:
        acts = {n: c for n, c in table.actions.items() if n not in real}
        found = [*_literals(table.schema, table.next, "'"), *_literals(table.schema, acts), *found]
    return found


def numbers(column: Column) -> np.ndarray:
    """A column of numbers, NaN where unknown."""
    return np.array([np.nan if v is None else float(v) for v in column])


def equal(f: Feature, value: Value | None, prime: str = "") -> str:
    """`f == value` in the rule language."""
    name = word(f.name) + prime
    if f.kind == "boolean":
        return name if value else f"not {name}"
    return f"{name} == {_code(f, value)}"


def _code(f: Feature, value: Value | None) -> str:
    return word(str(value)) if f.kind == "category" else number(float(value or 0))


def _literals(schema: Schema, columns: Mapping[str, Column], prime: str = "") -> Iterator[Literal]:
    """Values, other than a value, cuts between the numbers seen, and categories that agree."""
    for name, column in columns.items():
        f, known = schema.named[name], np.array([v is not None for v in column])
        about, values = frozenset({name}), list(dict.fromkeys(v for v in column if v is not None))
        cost = 0.9 if name in schema.derivations else 1.0
        said = word(name) + prime
        for value in values if f.is_discrete else ():
            holds = np.array([v == value for v in column])
            means = frozenset({str(value)}) if f.kind == "category" else frozenset()
            is_, other = equal(f, value, prime), f"{said} != {_code(f, value)}"
            if f.kind == "boolean":
                other = equal(f, not value, prime)
            yield Literal(is_, other, cost if f.kind != "integer" else 2.0, holds, known & ~holds, about, means)
            if f.kind == "category" and len(f.values) > 2:
                yield Literal(other, is_, cost + 0.3, known & ~holds, holds, about)
        distinct = np.unique([float(v) for v in values]) if f.kind in ("integer", "real") else np.zeros(0)
        for low, high in pairwise(distinct.tolist()):    # between the two nobody knows: the cut is in the middle
            cut = roundest(low + (high - low) / 4, high - (high - low) / 4) if f.kind == "real" else (low + high) // 2
            below = known & (np.nan_to_num(numbers(column)) <= cut)
            under = f"{said} <= {number(cut)}"
            over = f"{said} > {number(cut)}" if f.kind == "real" else f"{said} >= {number(cut + 1)}"
            yield Literal(under, over, 1.5, below, known & ~below, about, cut=("<=", cut))
            yield Literal(over, under, 1.5, known & ~below, below, about, cut=(">", cut))
    categories = [n for n in columns if schema.named[n].kind == "category"]
    for a, b in combinations(categories, 2):
        if len(set(schema.named[a].values) & set(schema.named[b].values)) > 1:
            pairs = list(zip(columns[a], columns[b], strict=True))
            both = np.array([x is not None and y is not None for x, y in pairs])
            same, names = both & np.array([x == y for x, y in pairs]), frozenset({a, b})
            alike, unlike = (f"{word(a)}{prime} {sign} {word(b)}{prime}" for sign in ("==", "!="))
            yield Literal(alike, unlike, 1.2, same, both & ~same, names)
            yield Literal(unlike, alike, 1.4, both & ~same, same, names)


def _decimals(values: np.ndarray, most: int = 6) -> int:
    """Decimals that the numbers are written with."""
    return next((d for d in range(most) if np.abs(values - values.round(d)).max(initial=0.0) < 1e-9), most)
