"""Claims: what an effect may say of a step, each a column of truth over N transitions.

Of a discrete feature: a value, another feature's value, a step up or down, clipped at a bound or wrapped around it;
of a number, a linear law (`laws`). Rewards and ends are claims, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..rules.text import number
from .conditions import VALUES, comparable, translated
from .laws import Law, laws_of
from .terms import Term, Terms

STEPS = 4
"""So many sizes of an integer's step are considered."""
PAYMENTS = 8
"""A reward of more values than these is told by its mean, apart from its sign."""


@dataclass(frozen=True)
class Claim:
    """What may be said of a step: its text, where it is true `[N]`, and where it explains a change `[N]`.

    `trivial [N]` is where it would be true if nothing changed, `possible [N]` where it stays within its feature's
    bounds. `cost` is what a claim must explain more than a plainer one to be preferred; a linear claim keeps its `law`.
    """

    text: str
    holds: np.ndarray
    explains: np.ndarray
    trivial: np.ndarray
    possible: np.ndarray
    target: str = ""
    is_relation: bool = False
    cost: float = 0.0
    law: Law | None = None

    @staticmethod
    def of(text: str, holds: np.ndarray, explains: np.ndarray | None = None) -> Claim:
        """A claim about the whole step: that it pays, ends, or changes nothing."""
        never = np.zeros(len(holds), bool)
        return Claim(text, holds, holds if explains is None else explains, never, ~never)


def claims_of(term: Term, terms: Terms, support: int) -> list[Claim]:
    """What may be said of a term's next value; nothing where it hardly ever changes."""
    if term.changed.sum() < support:
        return []
    found = [] if term.kind == "real" else list(_discrete(term, terms, support))
    if term.is_number:
        told = sum(c.is_relation and c.explains.sum() >= support for c in found)
        for law in laws_of(term, terms):
            if term.kind == "real" or (law.weights and (told > 1 or not told)):
                found.append(claim_of(law, term))
    return [c for c in found if c.explains.sum() >= support]


def claim_of(law: Law, term: Term) -> Claim:
    """A law as a claim; where hardly anything changes it explains nothing."""
    moves, possible = np.abs(term.next - term.now) > law.within, np.ones(len(term.now), bool)
    return Claim(law.text, law.holds, law.holds & moves, law.trivial, possible, term.feature.name, True,
                 0.5 * len(law.weights), law)


def payments(reward: np.ndarray, support: int) -> list[Claim]:
    """What a step may pay: each amount that is often paid, or the mean of those above and of those below 0."""
    amounts, counts = np.unique(np.round(reward.astype(np.float64), 6), return_counts=True)
    often = amounts[counts >= support]
    if np.isin(np.round(reward, 6), often).mean() > 0.9 and len(often) <= PAYMENTS:
        masks = [np.isclose(reward, amount) for amount in often if amount]
    else:
        masks = [m for m in (reward > 0, reward < 0) if m.any()]
    found = []
    for paid in masks:
        mean = round(float(reward[paid].mean()), 2) or float(reward[paid].mean())
        found.append(Claim.of(f"reward {'+' if mean > 0 else ''}{number(mean)}", paid))
    return found


def _discrete(term: Term, terms: Terms, support: int) -> Iterator[Claim]:
    name, now, next, changed = term.primed, term.now, term.next, term.changed
    low, high = (term.feature.low, term.feature.high) if term.kind == "integer" else (0, np.inf)

    def claim(text: str, value: np.ndarray | int, is_relation: bool = True, cost: float = 0.0) -> Claim:
        holds, possible = next == value, np.broadcast_to((value >= low) & (value <= high), now.shape)
        return Claim(text, holds, holds & changed, now == value, possible, term.feature.name, is_relation, cost)

    for other in terms.states:
        are_alike = comparable(term, other) or other.kind == term.kind == "integer"
        if other is not term and not other.is_under and are_alike:
            cost = 0.25 if term.kind == "integer" else 0.0
            yield claim(f"{name} == {other.text}", translated(other.now, other, term), cost=cost)
    if term.kind == "integer":
        for text, value, cost in _steps(term, support):
            yield claim(f"{name} == {text}", value, cost=cost)
    if term.kind == "boolean":
        yield claim(f"{name} != {term.text}", 1 - now)
    if term.kind == "integer" and len(np.unique(next[changed])) > VALUES:
        return
    for code in np.unique(next[changed])[:VALUES].tolist():
        yield claim(term.says(code, True), code, is_relation=False, cost=1.0)


def _steps(term: Term, support: int) -> Iterator[tuple[str, np.ndarray, float]]:
    """`x + c` and, where the data reach a bound, the same stopped there or wrapped around it; value `[N]` and cost."""
    now, next = term.now, term.next
    low, high = (int(b) if np.isfinite(b) else int(edge) for b, edge in
                 ((term.feature.low, now.min()), (term.feature.high, now.max())))
    steps, counts = np.unique((next - now)[term.changed], return_counts=True)
    often = steps[np.argsort(-counts, kind="stable")][:STEPS]
    for step in often.tolist():
        sum_ = f"{term.text} {'+' if step > 0 else '-'} {abs(step)}"
        yield sum_, now + step, 0.0
        bound, over = (high, now + step > high) if step > 0 else (low, now + step < low)
        if (over & (next == bound)).sum() >= support:
            yield f"{'min' if step > 0 else 'max'}({sum_}, {bound})", np.clip(now + step, low, high), 0.5
        wrapped = (now + step) % (high + 1) if low == 0 else now
        if (over & (next == wrapped) & (next != bound)).sum() >= 2:
            yield f"({sum_}) % {high + 1}", wrapped, 0.5
