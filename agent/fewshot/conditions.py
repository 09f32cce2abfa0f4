"""Conditions: what may be said of the ends of all demonstrations, over every transition that is known.

Weighed by bits: what it takes to say one (Rissanen 1978), and how often it comes true elsewhere, once for every
demonstration (the size principle, Tenenbaum 1999: of two conditions that fit, the rarer is likelier meant).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from ...memory.experience.record import Transitions
from ...world.checking import as_rows
from ...world.mining.terms import Term, Terms, roundest, terms_of
from ...world.rules.text import number
from ...world.schema import Schema

UNMOVED = 2.0
"""Bits more for what no change of the world brought about: it was just so, or the agent looks elsewhere."""


@dataclass(frozen=True, eq=False)
class Condition:
    """A text, the `terms` it speaks of, its `bits`, and where it holds before and after each transition, `[N]`."""

    text: str
    terms: tuple[Term, ...]
    bits: float
    now: np.ndarray
    next: np.ndarray

    @property
    def is_number(self) -> bool:
        return any(t.is_number for t in self.terms)

    @property
    def onsets(self) -> np.ndarray:
        """Where it comes true, `[N]`."""
        return self.next & ~self.now

    def __and__(self, other: Condition) -> Condition:
        return Condition(f"{self.text} and {other.text}", (*self.terms, *other.terms), self.bits + other.bits,
                         self.now & other.now, self.next & other.next)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Demonstrations and then other experience, as terms over N transitions: `spans` are the rows of each
    demonstration, `last` the row of each one's last step."""

    terms: Terms
    spans: tuple[slice, ...]
    others: tuple[slice, ...]

    @staticmethod
    def of(episodes: Sequence[Transitions], schema: Schema, elsewhere: Transitions | None) -> Evidence:
        parts = [*episodes, *([elsewhere] if elsewhere is not None and len(elsewhere) else [])]
        ends = np.cumsum([0, *map(len, parts)]).tolist()
        spans = tuple(slice(a, b) for a, b in pairwise(ends[: len(episodes) + 1]))
        cuts = []
        if len(parts) > len(episodes):
            breaks = np.flatnonzero(np.diff(parts[-1].episode)) + 1
            cuts = [ends[-2], *(breaks + ends[-2]).tolist(), ends[-1]]
        others = tuple(slice(a, b) for a, b in pairwise(cuts))
        return Evidence(terms_of(schema, as_rows(schema, Transitions.join(parts))), spans, others)

    @property
    def shown(self) -> slice:
        return slice(0, self.spans[-1].stop)

    @property
    def last(self) -> list[int]:
        return [span.stop - 1 for span in self.spans]

    def share(self, condition: Condition) -> float:
        """How often a step that ends no demonstration makes the condition true (the mean of Jeffreys' posterior)."""
        count = int(condition.onsets.sum()) - int(condition.onsets[self.last].sum())
        return (count + 0.5) / (self.terms.size - len(self.last) + 1)

    def score(self, condition: Condition) -> tuple[bool, float]:
        """The lower the better: numbers come after categories, then bits."""
        return condition.is_number, condition.bits + len(self.spans) * float(np.log2(self.share(condition)))

    def ends(self) -> list[Condition]:
        """What holds at the end of every demonstration and at no earlier time of any: one condition or two, best
        first. Two are left out where one of them says as much."""
        single = sorted(self._common(), key=self.score)[:100]
        pairs = [(a, b, a & b) for a, b in combinations(single, 2) if not set(a.terms) & set(b.terms) or a.is_number]
        both = [c for a, b, c in pairs
                if not any((x.now == c.now).all() and (x.next == c.next).all() for x in (a, b))]
        return sorted((c for c in [*single, *both] if not c.now[self.shown].any()), key=self.score)

    def _common(self) -> Iterator[Condition]:
        """What holds at the end of every demonstration."""
        for t in self.terms.states:
            ends, more = np.unique(t.next[self.last]), 0.0 if t.changed[self.last].all() else UNMOVED
            if t.kind != "real" and len(ends) == 1:
                yield equal(t, ends[0], (4.0 if t.is_number else 2.0) + more)
            if t.is_number:
                yield from _cuts(t, float(ends[0]), float(ends[-1]), t.now[self.shown], more)
            elif t.kind == "category" and len(t.feature.values) > 2:
                for code in np.setdiff1d(t.now[self.shown], ends).tolist():
                    yield Condition(f"{t.text} != {t.value(code)}", (t,), 3.0 + more, t.now != code, t.next != code)
        for a, b in combinations([t for t in self.terms.states if t.kind == "category" and not t.is_under], 2):
            if len(set(a.feature.values) & set(b.feature.values)) > 1:
                (a0, a1), (b0, b1) = ((np.array(t.feature.values)[side] for side in (t.now, t.next)) for t in (a, b))
                if (a1 == b1)[self.last].all():
                    yield Condition(f"{a.text} == {b.text}", (a, b), 4.0, a0 == b0, a1 == b1)


def equal(t: Term, code: float, bits: float = 2.0) -> Condition:
    """`term == value`."""
    return Condition(t.says(code), (t,), bits, t.now == code, t.next == code)


def _cuts(t: Term, low: float, high: float, before: np.ndarray, more: float) -> Iterator[Condition]:
    """`term >= cut` and `term <= cut` between the ends, from `low` to `high`, and the nearest number before."""
    for sign, edge, beyond in ((">=", low, before[before < low]), ("<=", high, before[before > high])):
        if len(beyond):
            near = float(beyond.max() if sign == ">=" else beyond.min())
            cut = roundest(min(near, edge), max(near, edge)) if t.kind == "real" else edge
            now, next = (t.now >= cut, t.next >= cut) if sign == ">=" else (t.now <= cut, t.next <= cut)
            yield Condition(f"{t.text} {sign} {number(cut)}", (t,), 4.0 + more, now, next)
