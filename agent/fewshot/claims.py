"""Claims: what may explain how a feature changed: a value, another feature's value, a step, a fitted law.

A law `x' == x + a + b * u + c * v` is the plane on which most of the changes lie, exactly fitted to few of them and
then to all that agree (random sample consensus, Fischler & Bolles 1981); the fewest terms win. A step that ends at a
bound of its feature agrees with every law that overshoots it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ...world.mining.laws import linear
from ...world.mining.terms import roundest
from ...world.rules.text import number, word
from ...world.schema import Feature
from .table import Column, Table, equal, numbers

TERMS = 3
"""Of a law, at most."""
DRAWS = 150
"""Exact fits that are tried for each choice of terms."""
SHARE = 0.6
"""Of the changes, that a law must explain."""


@dataclass(frozen=True)
class Claim:
    """What a feature will be, its cost (a description length), where it is known to be right and wrong, `[N]`, and the
    category values it speaks of."""

    target: str
    text: str
    cost: float
    right: np.ndarray
    wrong: np.ndarray
    values: frozenset[str] = frozenset()


def claims_of(table: Table, name: str, rows: np.ndarray) -> list[Claim]:
    """What may explain the changes of a feature in `rows [N]`."""
    if table.feature(name).kind == "real":
        return list(_laws(table, name, rows))
    changed = table.changed(name) & rows
    return [c for c in _discrete(table, name, changed) if (c.right & changed).any()]


def _discrete(table: Table, name: str, changed: np.ndarray) -> Iterator[Claim]:
    f, now, next = table.feature(name), table.now[name], table.next[name]
    known, primed = np.array([v is not None for v in next]), f"{word(name)}'"

    def claim(text: str, cost: float, values: Column, means: frozenset[str] = frozenset()) -> Claim:
        right = known & np.array([a is not None and a == b for a, b in zip(values, next, strict=True)])
        wrong = known & ~right & np.array([v is not None for v in values])
        return Claim(name, text, cost, right, wrong, means)

    for value in dict.fromkeys(v for v, c in zip(next, changed, strict=True) if c):
        means = frozenset({str(value)} if f.kind == "category" else ())
        yield claim(equal(f, value, "'"), 1.5 if f.kind == "integer" else 1.0, [value] * table.size, means)
    if f.kind == "boolean":
        yield claim(f"{primed} != {word(name)}", 1.2, [None if v is None else not v for v in now])
    for other, column in table.now.items():
        g = table.feature(other)
        if other != name and g.kind == f.kind != "boolean" and (f.kind == "integer" or set(f.values) & set(g.values)):
            yield claim(f"{primed} == {word(other)}", 1.3, column)
    if f.kind == "integer":
        before = numbers(now)
        for step in np.unique((numbers(next) - before)[changed & ~np.isnan(before)]).astype(int).tolist():
            moved: list[int | None] = [None if np.isnan(v) else int(v) + step for v in before]
            text = f"{word(name)} {'+' if step > 0 else '-'} {abs(step)}"
            yield claim(f"{primed} == {text}", 1.0, moved)
            bound = f.high if step > 0 else f.low
            stopped = [None if v is None else int(min(max(v, f.low), f.high)) for v in moved]
            clipped = claim(f"{primed} == {'min' if step > 0 else 'max'}({text}, {number(bound)})", 1.4, stopped)
            if (clipped.right & np.array([a != b for a, b in zip(moved, stopped, strict=True)])).any():
                yield clipped


def _laws(table: Table, name: str, rows: np.ndarray) -> Iterator[Claim]:
    now, next, f = numbers(table.now[name]), numbers(table.next[name]), table.feature(name)
    every = table.actions | table.now
    real = sorted((n for n in every if table.feature(n).kind == "real"), key=lambda n: (n != name, n in table.now))
    columns = {"": np.ones(table.size)} | {n: numbers(every[n]) for n in real}
    width, change, found = table.width(name), next - now, 0
    moved = rows & table.changed(name)
    for count in range(1, TERMS + 1):
        for chosen in combinations(columns, count):
            design = np.stack([columns[c] for c in chosen], 1)
            known = ~np.isnan(design).any(1) & ~np.isnan(change)
            inside = moved & known & (next > f.low + width) & (next < f.high - width)
            factors = _consensus(design, change, inside, width)
            if factors is None:
                continue
            value = now + design @ factors
            right = known & (np.abs(_stopped(value, f) - next) <= 3 * width)
            if (right & moved).sum() < max(count + 1, SHARE * (moved & known).sum()):
                continue
            over = (right & rows & (value > f.high + width)).any(), (right & rows & (value < f.low - width)).any()
            yield Claim(name, f"{word(name)}' == {_bounded(_sum(chosen, factors, name), f, *over)}", float(count),
                        right, known & ~right)
            found += 1
        if found:
            return
    for value in dict.fromkeys(v for v, m in zip(table.next[name], moved, strict=True) if m):
        right = np.abs(next - float(value or 0)) <= width    # set to a value, whatever it was
        if (right & moved).sum() >= 2:
            yield Claim(name, equal(f, value, "'"), 1.5, right, ~np.isnan(next) & ~right)


def _consensus(design: np.ndarray, change: np.ndarray, inside: np.ndarray, width: float) -> np.ndarray | None:
    """The factors `[K]` on which most changes agree, rounded; None where one is not needed or nothing is left over to
    confirm them."""
    rows, count = np.flatnonzero(inside), design.shape[1]
    if len(rows) <= count:
        return None
    some = np.random.default_rng(0).random((DRAWS, len(rows))).argsort(1)[:, :count]    # [D, K]
    exact = np.linalg.pinv(design[rows][some]) @ change[rows][some][..., None]    # [D, K, 1]
    agree = np.abs((design[rows] @ exact)[..., 0] - change[rows]) <= 2 * width    # [D, n]
    best = rows[agree[agree.sum(1).argmax()]]
    if len(best) <= count:
        return None
    factors = np.linalg.lstsq(design[best], change[best], rcond=None)[0]
    scale = np.abs(design[best]).max(0)
    if (np.abs(factors) * scale < 2 * width).any():
        return None
    slack = width / np.maximum(scale, 1e-9) / count
    return np.array([roundest(float(c - s), float(c + s)) for c, s in zip(factors, slack, strict=True)])


def _stopped(value: np.ndarray, f: Feature) -> np.ndarray:
    return np.clip(value, f.low, f.high)


def _sum(chosen: Sequence[str], factors: np.ndarray, name: str) -> str:
    """`0.9 * level + 1.5 * valve`: the change and the value before it as one sum."""
    weights = {name: 1.0} | {n: 0.0 for n in chosen if n and n != name}
    for n, factor in zip(chosen, factors, strict=True):
        if n:
            weights[n] = round(weights[n] + float(factor), 9)
    constant = next((float(c) for n, c in zip(chosen, factors, strict=True) if not n), 0.0)
    return linear({word(n): w for n, w in weights.items()}, constant)


def _bounded(text: str, f: Feature, over: bool, under: bool) -> str:
    if over and under:
        return f"clip({text}, {number(f.low)}, {number(f.high)})"
    return f"min({text}, {number(f.high)})" if over else f"max({text}, {number(f.low)})" if under else text
