"""What the miner chooses from: the conditions that a guard may hold, and the claims that an effect may make.

Both are columns of truth over N transitions, so that counting them is a matrix product. Real features are left out:
they are what the model learns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .evidence import as_rows
from .rules.text import number, word
from .schema import Derived, Feature, Pointed, Schema

if TYPE_CHECKING:
    from ..memory.record import Transitions


@dataclass(frozen=True)
class Claim:
    """What may be said of a step: its text, where it is true `[N]`, and where it explains something `[N]`."""

    text: str
    holds: np.ndarray
    explains: np.ndarray
    target: str = ""
    is_relation: bool = False


class Table:
    """The transitions as columns of codes, with every literal a guard may hold and every claim an effect may make.

    `matrix [N, L]` is 1 where a literal holds; `seeds` are the literals of the action. Of a feature at most `values`
    values are told apart.
    """

    def __init__(self, schema: Schema, transitions: Transitions, values: int) -> None:
        rows = as_rows(schema, transitions)
        assert rows.next is not None
        self.schema, self.transitions, self.values, self.size = schema, transitions, values, rows.size
        acting = [a for a in schema.actions if a.is_discrete and not a.shape]
        known = [f for f in schema.named.values() if f not in schema.actions and f.is_discrete and not f.shape]
        # A position says the least of why something happens: categories come first, and win where they do as well.
        self.states = sorted(known, key=lambda f: f.kind == "integer")
        self.now = {f.name: rows.read(f.name, False).numpy().astype(np.int64) for f in self.states}
        self.next = {f.name: rows.read(f.name, True).numpy().astype(np.int64) for f in self.states}
        self.unchanged = np.all([(rows.now[name] == rows.next[name]).reshape(rows.size, -1).all(1).numpy()
                                 for name in schema.base], 0)
        moved = {d.feature.name: (d.at(rows.now) != d.at(rows.next)).numpy()
                 for d in schema.derived if isinstance(d, Pointed)}

        self.literals: list[str] = []
        columns: list[np.ndarray] = []
        for feature in acting:
            value = rows.column(schema.actions.index(feature)).numpy().astype(np.int64) + feature.offset
            self._add(feature, value, columns)
        self.seeds: list[int] | list[None] = list(range(len(columns)))
        for feature in self.states:
            if feature.kind != "integer":
                self._add(feature, self.now[feature.name], columns)
        for i, f in enumerate(self.states):
            for g in self.states[i + 1 :]:
                if f.kind == g.kind == "category" and _share(f, g):
                    self.literals.append(f"{word(f.name)} == {word(g.name)}")
                    columns.append(self.now[f.name] == _translated(self.now[g.name], g, f))
        for feature in self.states:
            if feature.kind == "integer":
                self._add(feature, self.now[feature.name], columns)
        self.matrix = np.stack(columns, 1).astype(np.float32) if columns else np.zeros((self.size, 0), np.float32)

        self.changes: dict[str, list[Claim]] = {}
        for feature in self.states:
            derived = schema.derivations.get(feature.name)
            if not (isinstance(derived, Derived) and derived.put is None):
                self.changes[feature.name] = self._claims(feature, moved.get(feature.name))

    def rows_of(self, guard: Sequence[int]) -> np.ndarray:
        """Where all literals of a guard hold, `[N]`."""
        return np.asarray((self.matrix[:, list(guard)] > 0).all(1))

    def settle(self, purity: float) -> list[Claim]:
        """Claims that hold on every step, whatever is done; their features then need no other explanation."""
        found: list[Claim] = []
        for target, claims in list(self.changes.items()):
            always = next((c for c in claims if c.is_relation and c.holds.mean() >= purity), None)
            if always is not None:
                found.append(always)
                del self.changes[target]
        return found

    def questions(self) -> Iterator[tuple[Sequence[Claim], str]]:
        """What is to be explained: the claims that may do it, and the word that such a rule begins with."""
        for claims in self.changes.values():
            yield claims, "expect "
        yield [Claim("same", self.unchanged, self.unchanged)] if not self.unchanged.all() else [], "expect "
        ended = self.transitions.terminated.astype(bool)
        yield [Claim("", ended, ended)], "end"
        reward = self.transitions.reward
        for paid in (reward > 0, reward < 0):
            if paid.any() and paid.mean() < 0.5:
                mean = round(float(reward[paid].mean()), 2)
                yield [Claim(f"{'+' if mean > 0 else ''}{number(mean)}", paid, paid)], "reward "

    def _add(self, feature: Feature, value: np.ndarray, columns: list[np.ndarray]) -> None:
        """Add the literals of a feature's values."""
        for code in np.unique(value)[: self.values]:
            self.literals.append(_says(feature, int(code), ""))
            columns.append(value == code)

    def _claims(self, feature: Feature, moved: np.ndarray | None) -> list[Claim]:
        """What may be said of a feature's next value. A pointed one that now looks elsewhere has not changed."""
        name, now, next = word(feature.name), self.now[feature.name], self.next[feature.name]
        changed = (next != now) if moved is None else (next != now) & ~moved
        if not changed.any():
            return []
        found: list[Claim] = []

        def claim(text: str, holds: np.ndarray, is_relation: bool = True) -> None:
            found.append(Claim(text, holds, holds & changed, feature.name, is_relation))

        for other in self.states:
            if other is not feature and other.kind == feature.kind and _share(feature, other):
                claim(f"{name}' == {word(other.name)}", next == _translated(self.now[other.name], other, feature))
        if feature.kind == "integer":
            steps, counts = np.unique((next - now)[changed], return_counts=True)
            for step in steps[np.argsort(-counts, kind="stable")][:4].tolist():
                claim(f"{name}' == {name} {'+' if step > 0 else '-'} {abs(step)}", next == now + step)
        for code in np.unique(next[changed])[: self.values].tolist():
            claim(_says(feature, code, "'"), next == code, is_relation=False)
        return found


def _says(feature: Feature, code: int, prime: str) -> str:
    """`f == value` in the language."""
    name = word(feature.name) + prime
    if feature.kind == "boolean":
        return name if code else f"not {name}"
    return f"{name} == {word(feature.values[code]) if feature.kind == 'category' else number(code)}"


def _share(f: Feature, g: Feature) -> bool:
    """Whether it makes sense to compare two features: numbers, or categories with more than one value in common."""
    return f.kind == g.kind == "integer" or len(set(f.values) & set(g.values)) > 1


def _translated(codes: np.ndarray, source: Feature, target: Feature) -> np.ndarray:
    """A category's codes as those of another, -1 where it lacks the value; numbers as they are."""
    if source.kind != "category" or source.values == target.values:
        return codes
    return np.array([target.values.index(v) if v in target.values else -1 for v in source.values])[codes]
