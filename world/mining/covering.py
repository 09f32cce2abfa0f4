"""Covering: for what shall be explained, claims and their guards, until nothing is left that one explains.

A decision list in the manner of CN2 (Clark & Niblett 1989): the claim that explains the most gets the guard under
which it holds, then the next. What no guard makes certain may hold with a probability.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .claims import Claim, claim_of
from .conditions import Conditions
from .guards import Guard, Search, grow, grow_chance
from .laws import refit
from .terms import Terms

ROUNDS = 10
"""Claims with a guard that one thing may need."""
STREAK = 20
"""A certainty with fewer hits than these may yet turn out to be a streak of luck."""


@dataclass(frozen=True)
class Found:
    """A claim and its guard; `says` is the guard's text."""

    claim: Claim
    guard: Guard
    says: str


def cover(conditions: Conditions, claims: Sequence[Claim], terms: Terms, search: Search) -> Iterator[Found]:
    """Claims with their guards, until what they explain is covered or given up."""
    if not claims:
        return
    events = np.any([c.explains for c in claims], 0)
    allowed = search
    search = replace(allowed, noise=_misread(events, terms, allowed.noise))
    open_ = maybe = events
    left, grown = list(claims), {}
    for _ in range(ROUNDS):
        left = [c for c in left if (c.explains & open_).sum() >= search.support]
        left.sort(key=lambda c: c.cost - (c.explains & open_).sum())
        best: tuple[float, Claim, Guard] | None = None
        for claim in left[:4]:
            positive = claim.explains & open_
            key = claim.text, positive.tobytes()
            if key not in grown:
                grown[key] = grow(conditions, positive, claim.holds, claim.trivial, search)
            guard = grown[key]
            if guard is None:
                continue
            score = (positive & guard.cover).sum() - 2 * len(guard.literals) - claim.cost
            if best is None or score > best[0]:
                best = score, claim, guard
        if best is None:
            left = left[4:]
            if not left:
                break
            continue
        _, claim, guard = best
        guard = _possible(guard, claim)
        yield _told(claim, guard, claim.explains, terms)
        positive = claim.explains & open_
        open_ = open_ & ~guard.cover
        if (positive & guard.cover).sum() >= STREAK:
            maybe = maybe & ~guard.cover
    for claim in _chancy(claims, maybe, search):
        guard = grow_chance(conditions, claim.explains & maybe, claim.explains, claim.holds, allowed)
        if guard is not None and _is_lawful(claim, guard.cover, terms):
            guard = _possible(guard, claim)
            maybe = maybe & ~(guard.cover & claim.explains)
            yield _told(claim, guard, claim.explains, terms)


def _possible(guard: Guard, claim: Claim) -> Guard:
    """Without the rows on which the claim would leave the bounds of its feature, which no data need tell."""
    wanted = guard.cover & claim.possible
    if claim.possible[guard.cover].all():
        return guard
    covers = (guard.conditions.matrix > 0) & guard.cover[:, None]
    exact = np.flatnonzero((covers == wanted[:, None]).all(0))
    if not len(exact):
        return guard
    return replace(guard, literals=(*guard.literals, int(exact[0])), cover=wanted)


def lasting(found: list[Found]) -> list[Found]:
    """Without rules that are no more than a streak of luck of one with a probability."""
    def is_streak(rule: Found) -> bool:
        hits = rule.claim.explains & rule.guard.cover
        return any(
            (hits & other.claim.explains & other.guard.cover).sum() > 0.8 * hits.sum()
            and -hits.sum() * np.log(other.guard.probability) < 1.5 * rule.guard.conditions.cost
            for other in found if other.guard.probability is not None
        )

    return [f for f in found if f.guard.probability is not None or not is_streak(f)]


def foreseen(now: Conditions, after: Conditions, event: Claim, terms: Terms, search: Search) -> list[Found]:
    """When an event comes: told from the state and the action, or from the next state where that tells more."""
    told = [list(cover(conditions, [event], terms, search)) for conditions in (now, after)]

    def worth(rules: list[Found]) -> float:
        cover = np.any([r.guard.cover for r in rules], 0) if rules else np.zeros(terms.size, bool)
        return float(np.where(event.holds, 1, -1)[cover].sum() - sum(len(r.guard.literals) for r in rules))

    return told[1] if worth(told[1]) > worth(told[0]) + 2 else told[0]


def _misread(events: np.ndarray, terms: Terms, most: float) -> float:
    """How often a thing is misread, at most: no more often than it happens under the action that sees it least."""
    rates = [(float(events[rows].sum()) + 2) / (rows.sum() + 2)
             for t in terms.actions if not t.is_number for rows in (t.now == code for code in np.unique(t.now))]
    return float(np.clip(1.5 * min(rates, default=most), min(0.02, most), most))


def _chancy(claims: Sequence[Claim], open_: np.ndarray, search: Search) -> list[Claim]:
    """Claims that may hold by chance: of discrete features, where no guard makes them certain; relations first."""
    found = [c for c in claims if c.target and c.law is None and (c.explains & open_).sum() >= 2 * search.support]
    return sorted(found, key=lambda c: (not c.is_relation, c.cost, -(c.explains & open_).sum()))


def _is_lawful(claim: Claim, cover: np.ndarray, terms: Terms) -> bool:
    """Whether the next value hangs on the present one: it must remain far oftener than if the next values were dealt
    out anew, and an integer under the guard make but few steps (then `x + 1` is right by chance wherever it can be)."""
    term = next(t for t in terms.states if t.feature.name == claim.target)
    if not _exceeds_chance(term.now, term.next, np.zeros(1)):
        return False
    if term.kind != "integer" or not claim.is_relation:
        return True
    steps, counts = np.unique((term.next - term.now)[cover], return_counts=True)
    few = steps[counts >= 0.1 * cover.sum()]
    return bool(counts[np.isin(steps, few)].sum() >= 0.8 * cover.sum()) and _exceeds_chance(
        term.now[cover], term.next[cover], few)


def _exceeds_chance(now: np.ndarray, after: np.ndarray, steps: np.ndarray) -> bool:
    """Whether `after - now` is one of `steps` more often, by 10 nats, than if `after` were dealt out anew."""
    now, after = now.astype(np.int64), after.astype(np.int64)
    share = float(np.isin(after - now, steps).mean())
    dealt = float(np.isin(after[:, None] - now[None, :], steps).mean())
    if share <= dealt:
        return False
    odds = share * np.log(share / dealt) + (1 - share) * np.log(max(1 - share, 1e-9) / (1 - dealt))
    return bool(len(now) * odds > 10)


def _told(claim: Claim, guard: Guard, positive: np.ndarray, terms: Terms) -> Found:
    """With its law fitted to the guard's rows, and the guard's cuts at round numbers."""
    if claim.law is not None:
        claim = claim_of(refit(claim.law, terms, guard.cover), claim.law.target)
    return Found(claim, guard, guard.text(positive, ~claim.holds, guard.cover))
