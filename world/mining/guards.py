"""Guards: the conjunction of literals under which a claim holds.

A beam search in the manner of CN2 (Clark & Niblett 1989), by the claim's log likelihood over its base rate less what
each literal costs to name, then repaired by tests: a literal stands if, and only if, what it keeps out departs from
the claim more often than misreading explains. What no literal divides any further and yet is no certainty is a
probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from .conditions import Conditions, text_of

WIDTH = 6
"""Guards kept at each length."""
TRIED = 4
"""Of the best guards of any length, so many are repaired."""
LEAST_CHANCE = 8
"""Hits that a probability needs."""


@dataclass(frozen=True)
class Guard:
    """Literals (indices into `conditions`), the rows `[N]` where they hold, and how often the claim then does: None
    is always, but for misreading. `value` is the log likelihood gained, in nats."""

    conditions: Conditions
    literals: tuple[int, ...]
    cover: np.ndarray
    probability: float | None
    value: float

    def text(self, positive: np.ndarray, negative: np.ndarray, seen: np.ndarray | None = None) -> str:
        """The guard in words, its cuts at the roundest numbers that part `positive [N]` from `negative [N]`, its values
        those met among the rows `seen [N]` (None: any but those it excludes)."""
        return text_of(self.conditions.sharpened(self.literals, positive, negative), seen)


@dataclass(frozen=True)
class Search:
    """How guards are searched: `noise` is the share of steps that may be misread, `significance` the chance that
    some literal stands by luck."""

    support: int = 4
    noise: float = 0.05
    significance: float = 0.05
    length: int = 6


def grow(conditions: Conditions, positive: np.ndarray, holds: np.ndarray, trivial: np.ndarray, search: Search
         ) -> Guard | None:
    """The guard under which a claim holds: `positive [N]` is what it shall explain, `holds [N]` where it is true, and
    `trivial [N]` where it would be true if nothing changed."""
    negative = ~holds
    if positive.sum() < search.support:
        return None
    if _is_plausible(holds, trivial, np.ones(len(holds), bool), search):
        return Guard(conditions, (), np.ones(len(holds), bool), None, 0.0)
    conditions = conditions.with_cuts(positive, positive | negative)
    if not conditions.literals:
        return None
    best: Guard | None = None
    for literals in _beam(conditions, positive, negative, search):
        tested = _tested(conditions, literals, holds, trivial, search)
        guard = _judged(conditions, tested, positive, holds, trivial, search)
        if guard is not None and (best is None or guard.value > best.value):
            best = guard
    return best


def grow_chance(conditions: Conditions, positive: np.ndarray, explains: np.ndarray, holds: np.ndarray, search: Search
                ) -> Guard | None:
    """The guard under which a claim explains what happens (`explains [N]`, of which `positive [N]` is still to be
    explained) with one probability that nothing divides any further."""
    if positive.sum() < LEAST_CHANCE:
        return None
    conditions = conditions.with_cuts(positive, np.ones(len(holds), bool))
    if not conditions.literals:
        return None
    start = max(_beam(conditions, positive, ~holds, search), key=len, default=())
    for literals in dict.fromkeys([start, ()]):
        divided = _divided(conditions, list(literals), explains, search)
        if divided is None:
            continue
        cover = conditions.rows_of(divided)
        rate = float(holds[cover].mean())
        value = _value((positive & cover).sum(), (~holds & cover).sum(), positive.sum(), (~holds).sum())
        value -= conditions.cost * len(divided)
        is_chance = rate >= 0.1 and not _is_plausible(holds, np.zeros_like(cover), cover, search)
        if is_chance and (positive & cover).sum() >= LEAST_CHANCE and value > -np.log(search.significance):
            return Guard(conditions, tuple(divided), cover, rate, float(value))
    return None


def _beam(conditions: Conditions, positive: np.ndarray, negative: np.ndarray, search: Search) -> list[tuple[int, ...]]:
    """The conjunctions of most value, of any length."""
    all_p, all_n = int(positive.sum()), int(negative.sum())
    beam: list[tuple[int, ...]] = [()]
    found: dict[tuple[int, ...], float] = {}
    for length in range(1, search.length + 1):
        covers = np.stack([conditions.rows_of(g) for g in beam])
        both = np.concatenate([covers & positive, covers & negative]).astype(np.float32) @ conditions.matrix
        p, n = both[: len(beam)], both[len(beam) :]
        value = _value(p, n, all_p, all_n) - conditions.cost * length
        value[p < search.support] = -np.inf
        fresh: dict[tuple[int, ...], float] = {}
        seen: set[tuple[float, float, float]] = set()
        for flat in np.argsort(-value, axis=None, kind="stable")[: 20 * WIDTH]:
            i, literal = divmod(int(flat), value.shape[1])
            guard = tuple(sorted({*beam[i], literal}))
            key = (float(value[i, literal]), float(p[i, literal]), float(n[i, literal]))
            if len(guard) == length and np.isfinite(key[0]) and key not in seen:
                seen.add(key)
                fresh[guard] = key[0]
            if len(fresh) >= WIDTH:
                break
        if not fresh or (found and max(fresh.values()) < max(found.values()) - 2 * conditions.cost):
            break
        found |= fresh
        beam = list(fresh)
    return sorted(found, key=lambda g: -found[g])[:TRIED]


def _tested(conditions: Conditions, literals: tuple[int, ...], holds: np.ndarray, trivial: np.ndarray, search: Search
            ) -> list[int]:
    """The guard with what it lacks, and without what it does not need. Exceptions are counted among all rows, and
    among those where the claim is not trivial: a claim that something stays holds nearly everywhere."""
    guard = list(literals)
    level = search.significance / len(conditions.literals) / 2
    for _ in range(2):
        while len(guard) < search.length + 2:
            cover = conditions.rows_of(guard)
            chance = np.ones(len(conditions.literals))
            for rows in (cover, cover & ~trivial):
                kept, wrong = np.stack([rows, rows & ~holds]).astype(np.float32) @ conditions.matrix
                tail = binom.sf((rows & ~holds).sum() - wrong - 1, rows.sum() - kept, _noise(cover, holds, search))
                chance = np.where(kept - wrong < search.support, chance, np.minimum(chance, tail))
            best = int(np.argmin(chance))
            if chance[best] >= level or best in guard:
                break
            guard.append(best)
        while guard:
            cover = conditions.rows_of(guard)
            noise, chances = _noise(cover, holds, search), []
            for literal in guard:
                more = conditions.rows_of([i for i in guard if i != literal]) & ~cover
                chances.append(min(float(binom.sf((rows & ~holds).sum() - 1, rows.sum(), noise))
                                   for rows in (more, more & ~trivial)))
            if max(chances) < level:
                break
            del guard[int(np.argmax(chances))]
    return guard


def _judged(conditions: Conditions, guard: list[int], positive: np.ndarray, holds: np.ndarray, trivial: np.ndarray,
            search: Search) -> Guard | None:
    """The guard with its worth, if the claim holds under it but for misreading and that is no luck."""
    cover = conditions.rows_of(guard)
    hits = int((positive & cover).sum())
    if hits < search.support or not _is_plausible(holds, trivial, cover, search):
        return None
    value = _value(hits, (cover & ~holds).sum(), positive.sum(), (~holds).sum()) - conditions.cost * len(guard)
    if guard and value < -np.log(search.significance):
        return None
    return Guard(conditions, tuple(guard), cover, None, float(value))


def _divided(conditions: Conditions, guard: list[int], explains: np.ndarray, search: Search) -> list[int] | None:
    """The guard narrowed, to where the claim is likelier, until no literal tells where; then widened where it may be.
    None where it gets too long."""
    while True:
        cover = conditions.rows_of(guard)
        p, n = np.stack([cover & explains, cover & ~explains]).astype(np.float32) @ conditions.matrix
        all_p, all_n = (cover & explains).sum(), (cover & ~explains).sum()
        gain = _likelihood(p, n) + _likelihood(all_p - p, all_n - n) - _likelihood(all_p, all_n)
        if gain.max() <= conditions.cost + 1:
            break
        rate = p / np.maximum(p + n, 1)
        gain[(rate <= all_p / max(all_p + all_n, 1)) | (p < LEAST_CHANCE)] = 0
        if gain.max() <= conditions.cost or len(guard) >= search.length:
            return None
        guard = [*guard, int(np.argmax(gain))]
    for literal in list(guard):
        rest = [i for i in guard if i != literal]
        cover, wider = conditions.rows_of(guard), conditions.rows_of(rest)
        more = wider & ~cover
        parts = [((c & explains).sum(), (c & ~explains).sum()) for c in (cover, more, wider)]
        if _likelihood(*parts[0]) + _likelihood(*parts[1]) - _likelihood(*parts[2]) < conditions.cost:
            guard = rest
    return guard


def _is_plausible(holds: np.ndarray, trivial: np.ndarray, cover: np.ndarray, search: Search) -> bool:
    """Whether misreading explains the exceptions."""
    both = (cover, cover & ~trivial)
    return all(binom.sf((rows & ~holds).sum() - 1, rows.sum(), search.noise) > 0.01 for rows in both)


def _noise(cover: np.ndarray, holds: np.ndarray, search: Search) -> float:
    """How often the claim seems to be misread: its rate of exceptions, if not more than is allowed for."""
    return float(np.clip(((cover & ~holds).sum() + 1) / (cover.sum() + 2), min(0.01, search.noise), search.noise))


def _value(p: np.ndarray | int, n: np.ndarray | int, all_p: int, all_n: int) -> np.ndarray:
    """Log likelihood of the positives at the rate in the guard, over that at the rate everywhere."""
    return np.asarray(p * np.log((p + 0.5) / (p + n + 1.0) * (all_p + all_n + 1.0) / (all_p + 0.5)))


def _likelihood(p: np.ndarray | int, n: np.ndarray | int) -> np.ndarray:
    """Log likelihood of p hits and n misses at their own rate."""
    p, n = np.asarray(p, float), np.asarray(n, float)
    total = np.maximum(p + n, 1)
    return p * np.log(np.maximum(p, 1e-9) / total) + n * np.log(np.maximum(n, 1e-9) / total)
