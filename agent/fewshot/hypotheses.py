"""Hypotheses: the shortest rules that explain a handful of examples and contradict none of them.

For every feature that changed: the claims that may explain it (a value, another feature's value, a step, a fitted
law), and under each action the guard of least cost that holds where the claim does and fails where it is wrong: the
general boundary of the version space (Mitchell 1982), ranked by description length (Rissanen 1978). Guards of equal
cost stay open, and are said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from ...world.mining.terms import roundest
from ...world.rules.text import number, word
from ...world.schema import Feature, Schema
from .examples import Example, Value, targets

LITERALS = 3
"""Of a guard beside the action, at most."""
CLOSE = 1e-3
"""Of a real feature's spread: what counts as equal."""


@dataclass(frozen=True)
class Hypothesis:
    """A claim under a guard: `covers [N]` and where it is right or wrong there; `open` are guards that do as well."""

    target: str
    claim: str
    guard: str
    covers: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    open: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    target: str
    text: str
    cost: float
    right: np.ndarray
    wrong: np.ndarray


@dataclass(frozen=True)
class Literal:
    text: str
    cost: float
    holds: np.ndarray    # unknown is false
    fails: np.ndarray    # unknown is false, too


class Table:
    """Examples as columns: `now`, `next` (None where unknown) and the actions, by name."""

    def __init__(self, schema: Schema, examples: Sequence[Example]) -> None:
        self.schema = schema
        names = list(dict.fromkeys(n for e in examples for n in (*e.before, *e.after)))
        self.now: dict[str, list[Value | None]] = {n: [e.before.get(n) for e in examples] for n in names}
        self.next: dict[str, list[Value | None]] = {n: [e.next(n) for e in examples] for n in names}
        acted = [e.acted(schema) for e in examples]
        self.actions = {a.name: [row.get(a.name) for row in acted] for a in schema.actions}
        self.size = len(examples)

    def feature(self, name: str) -> Feature:
        return self.schema.named[name]

    def numbers(self, column: Sequence[Value | None]) -> np.ndarray:
        """A column of numbers, NaN where unknown."""
        return np.array([np.nan if v is None else float(v) for v in column])

    def changed(self, name: str) -> np.ndarray:
        """Where a feature is known to have changed, `[N]`."""
        if self.feature(name).kind == "real":
            return np.abs(self.numbers(self.next[name]) - self.numbers(self.now[name])) > self.width(name)
        return np.array([b is not None and a != b for a, b in zip(self.now[name], self.next[name], strict=True)])

    def width(self, name: str) -> float:
        values = self.numbers([*self.now[name], *self.next[name]])
        return max(float(np.nanmax(values) - np.nanmin(values)) * CLOSE, 1e-6)


def hypotheses(schema: Schema, examples: Sequence[Example]) -> list[Hypothesis]:
    """What explains the changes in the examples, feature by feature."""
    table = Table(schema, examples)
    return _learned(table, list(literals_of(table)), np.ones(table.size, bool))


def foretold(schema: Schema, examples: Sequence[Example]) -> np.ndarray:
    """Which examples the hypotheses from all the others say rightly and wholly, `[N]` (leave-one-out). Only the cuts
    and values that guards choose from are those of all."""
    table = Table(schema, examples)
    literals, out = list(literals_of(table)), np.ones(table.size, bool)
    changed = {name: table.changed(name) for name in targets(schema, table.next)}
    for k in range(table.size):
        found = [h for h in _learned(table, literals, np.arange(table.size) != k) if h.covers[k]]
        explained = {h.target for h in found if h.right[k]}
        out[k] = not any(h.wrong[k] for h in found) and all(n in explained for n, c in changed.items() if c[k])
    return out


def _learned(table: Table, literals: Sequence[Literal], seen: np.ndarray) -> list[Hypothesis]:
    """Hypotheses from the rows `seen [N]`."""
    groups = list(_groups(table))
    return [h for name in targets(table.schema, table.next) for guard, rows in groups
            for h in _explained(table, name, guard, rows, rows & seen, literals)]


def _explained(table: Table, name: str, action: str, rows: np.ndarray, seen: np.ndarray,
               literals: Sequence[Literal]) -> Iterator[Hypothesis]:
    """A decision list for one feature under one action, from the rows `seen [N]` of it."""
    left = table.changed(name) & seen
    claims = list(_claims(table, name, seen)) if left.any() else []
    while left.any():
        best: tuple[tuple[float, float], Claim, list[tuple[Literal, ...]]] | None = None
        for claim in claims:
            wanted, against = claim.right & left, claim.wrong & seen
            for rank, guards in _guards(wanted, against, literals, claim.cost):
                if best is None or rank > best[0]:
                    best = rank, claim, guards
        if best is None:
            return
        _, claim, guards = best
        first, *others = guards
        covers = rows & np.all([x.holds for x in first] or [rows], 0)
        yield Hypothesis(name, claim.text, _said(action, first), covers, claim.right, claim.wrong,
                         tuple(_said(action, g) for g in others[:5]))
        left &= ~(covers & claim.right)


def _guards(wanted: np.ndarray, against: np.ndarray, literals: Sequence[Literal], cost: float
            ) -> Iterator[tuple[tuple[float, float], list[tuple[Literal, ...]]]]:
    """The best rank, (changes explained, -cost), with every guard that has it."""
    if not wanted.any():
        return
    useful = [x for x in literals if (x.holds & wanted).any() and (x.fails & against).any()]
    found: dict[tuple[float, float], list[tuple[Literal, ...]]] = {}
    for size in range(LITERALS + 1):
        for guard in combinations(useful, size):
            if (against & ~np.any([x.fails for x in guard] or [~against], 0)).any():
                continue
            covered = wanted & np.all([x.holds for x in guard] or [wanted], 0)
            if covered.any():
                rank = float(covered.sum()), -round(cost + sum(x.cost for x in guard), 6)
                found.setdefault(rank, []).append(guard)
        if any(rank[0] == wanted.sum() for rank in found):
            break
    if found:
        yield max(found), found[max(found)]


def _said(action: str, guard: Sequence[Literal]) -> str:
    return " and ".join([*([action] if action else []), *(x.text for x in guard)])


def _groups(table: Table) -> Iterator[tuple[str, np.ndarray]]:
    """The discrete actions that occur, as guards, with their rows; all rows where actions are numbers."""
    names = [n for n in table.actions if table.feature(n).is_discrete]
    if not names:
        yield "", np.ones(table.size, bool)
    joint = list(zip(*(table.actions[n] for n in names), strict=True))
    for values in dict.fromkeys(joint):
        text = " and ".join(_equal(table.feature(n), v) for n, v in zip(names, values, strict=True) if v is not None)
        yield text, np.array([row == values for row in joint])


def _claims(table: Table, name: str, rows: np.ndarray) -> Iterator[Claim]:
    f, now, next = table.feature(name), table.now[name], table.next[name]
    known, changed = np.array([v is not None for v in next]), table.changed(name) & rows
    primed = f"{word(name)}'"

    def claim(text: str, cost: float, values: Sequence[Value | None]) -> Claim:
        right = known & np.array([a is not None and a == b for a, b in zip(values, next, strict=True)])
        wrong = known & ~right & np.array([v is not None for v in values])
        return Claim(name, text, cost, right, wrong)

    if f.kind == "real":
        yield from _laws(table, name, rows)
        return
    for value in dict.fromkeys(v for v, c in zip(next, changed, strict=True) if c):
        yield claim(_equal(f, value, True), 1.0 if f.kind != "integer" else 1.5, [value] * table.size)
    if f.kind == "boolean":
        yield claim(f"{primed} != {word(name)}", 1.2, [None if v is None else not v for v in now])
    for other in table.now:
        g = table.feature(other)
        if other != name and g.kind == f.kind and f.kind == "category" and set(f.values) & set(g.values):
            yield claim(f"{primed} == {word(other)}", 1.3, table.now[other])
    if f.kind == "integer":
        numbers = table.numbers(now)
        for step in np.unique((table.numbers(next) - numbers)[changed & ~np.isnan(numbers)]).astype(int).tolist():
            moved: list[Value | None] = [None if np.isnan(v) else int(v) + step for v in numbers]
            yield claim(f"{primed} == {word(name)} {'+' if step > 0 else '-'} {abs(step)}", 1.0, moved)


def _laws(table: Table, name: str, rows: np.ndarray) -> Iterator[Claim]:
    """`x' == x + a + b * u + c * v`, the fewest terms that fit every change of the group; more examples than terms."""
    now, next = table.numbers(table.now[name]), table.numbers(table.next[name])
    real = [n for n in (*table.actions, *table.now) if table.feature(n).kind == "real"]
    columns = {"": np.ones(table.size)} | {n: table.numbers((table.actions | table.now)[n]) for n in real}
    width = table.width(name)
    known = ~np.isnan(now + next)
    for count in (1, 2, 3):
        fits = []
        for chosen in combinations(columns, count):
            design = np.stack([columns[c] for c in chosen], 1)
            use = rows & table.changed(name) & ~np.isnan(design).any(1)
            if use.sum() <= count:
                continue
            factor, _, rank, _ = np.linalg.lstsq(design[use], (next - now)[use], rcond=None)
            error = np.abs(design[use] @ factor - (next - now)[use])
            if rank < count or error.max() > width or (np.abs(factor) * np.abs(design[use]).max(0) < width).any():
                continue
            factor = np.array([_round(float(c), width / max(np.abs(design[use, k]).max(), 1e-9) / count)
                               for k, c in enumerate(factor)])
            ok = known & ~np.isnan(design).any(1)
            right = ok & (np.abs(now + design @ factor - next) <= 3 * width)
            sum_ = "".join(f" {'+' if c > 0 else '-'} {number(abs(c))}{' * ' + word(n) if n else ''}"
                           for n, c in zip(chosen, factor, strict=True))
            fits.append(Claim(name, f"{word(name)}' == {word(name)}{sum_}", float(count), right, ok & ~right))
        yield from fits
        if fits:
            return


def _round(value: float, slack: float) -> float:
    return roundest(value - slack, value + slack) if abs(value) > slack else value


def literals_of(table: Table) -> Iterator[Literal]:
    """Values, other than a value, cuts between the numbers seen, and categories that agree."""
    derived = table.schema.derivations
    columns: dict[str, list[Value | None]] = table.now | {
        n: c for n, c in table.actions.items() if not table.feature(n).is_discrete}
    for name, column in columns.items():
        f, known = table.feature(name), np.array([v is not None for v in column])
        values = list(dict.fromkeys(v for v in column if v is not None))
        cost = 0.9 if name in derived else 1.0
        for value in values if f.is_discrete else ():
            holds = np.array([v == value for v in column])
            yield Literal(_equal(f, value), cost if f.kind != "integer" else 2.0, holds, known & ~holds)
            if f.kind == "category" and len(f.values) > 2:
                yield Literal(f"{word(name)} != {word(str(value))}", cost + 0.3, known & ~holds, holds)
        numbers = np.unique([float(v) for v in values]) if f.kind in ("integer", "real") else np.zeros(0)
        for low, high in pairwise(numbers):
            cut = roundest(float(low), float(high)) if f.kind == "real" else float(low)
            below = known & (np.nan_to_num(table.numbers(column)) <= cut)
            yield Literal(f"{word(name)} <= {number(cut)}", 1.5, below, known & ~below)
            yield Literal(f"{word(name)} > {number(cut)}", 1.5, known & ~below, below)
    categories = [n for n in table.now if table.feature(n).kind == "category"]
    for a, b in combinations(categories, 2):
        if len(set(table.feature(a).values) & set(table.feature(b).values)) > 1:
            pairs = list(zip(table.now[a], table.now[b], strict=True))
            both = np.array([x is not None and y is not None for x, y in pairs])
            same = both & np.array([x == y for x, y in pairs])
            yield Literal(f"{word(a)} == {word(b)}", 1.2, same, both & ~same)
            yield Literal(f"{word(a)} != {word(b)}", 1.4, both & ~same, same)


def _equal(f: Feature, value: Value | None, primed: bool = False) -> str:
    name = word(f.name) + "'" * primed
    if f.kind == "boolean":
        return name if value else f"not {name}"
    return f"{name} == {word(str(value)) if f.kind == 'category' else number(float(value or 0))}"
