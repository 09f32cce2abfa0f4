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

    `cost` is what a claim must explain more than a plainer one to be preferred; a linear claim keeps its `law`.
    """

    text: str
    holds: np.ndarray
    explains: np.ndarray
    target: str = ""
    is_relation: bool = False
    cost: float = 0.0
    law: Law | None = None


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
    holds = law.holds
    return Claim(law.text, holds, holds & (np.abs(term.next - term.now) > law.within), term.feature.name, True,
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
        found.append(Claim(f"reward {'+' if mean > 0 else ''}{number(mean)}", paid, paid))
    return found


def _discrete(term: Term, terms: Terms, support: int) -> Iterator[Claim]:
    name, now, next, changed = term.primed, term.now, term.next, term.changed

    def claim(text: str, holds: np.ndarray, is_relation: bool = True, cost: float = 0.0) -> Claim:
        return Claim(text, holds, holds & changed, term.feature.name, is_relation, cost)

    for other in terms.states:
        if other is not term and not other.is_under and (comparable(term, other) or other.kind == term.kind == "integer"):
            yield claim(f"{name} == {other.text}", next == translated(other.now, other, term))
    if term.kind == "integer":
        yield from (claim(text, holds, cost=cost) for text, holds, cost in _steps(term, support))
    if term.kind == "boolean":
        yield claim(f"{name} != {term.text}", next != now)
    if term.kind == "integer" and len(np.unique(next[changed])) > VALUES:
        return
    for code in np.unique(next[changed])[:VALUES].tolist():
        yield claim(term.says(code, True), next == code, is_relation=False, cost=1.0)


def _steps(term: Term, support: int) -> Iterator[tuple[str, np.ndarray, float]]:
    """`x + c` and, where the data reach a bound, the same stopped there or wrapped around it."""
    now, next = term.now, term.next
    low, high = (int(b) if np.isfinite(b) else int(edge) for b, edge in
                 ((term.feature.low, now.min()), (term.feature.high, now.max())))
    steps, counts = np.unique((next - now)[term.changed], return_counts=True)
    often = steps[np.argsort(-counts, kind="stable")][:STEPS]
    for step in often.tolist():
        sum_ = f"{term.text} {'+' if step > 0 else '-'} {abs(step)}"
        yield f"{term.primed} == {sum_}", next == now + step, 0.0
        bound, over = (high, now + step > high) if step > 0 else (low, now + step < low)
        if (over & (next == bound)).sum() >= support:
            text = f"{'min' if step > 0 else 'max'}({sum_}, {bound})"
            yield f"{term.primed} == {text}", next == np.clip(now + step, low, high), 0.5
        wrapped = (now + step) % (high + 1) if low == 0 else now
        if (over & (next == wrapped) & (next != bound)).sum() >= 2:
            yield f"{term.primed} == ({sum_}) % {high + 1}", next == wrapped, 0.5
