"""Linear laws of numbers: `x' == x + 0.02 * v within 0.01`, fitted robustly, sparse, with round coefficients.

In every scope (all rows, those of one action, of a value, above or below a quartile) the change of a number is
regressed on all numbers and continuous actions by iteratively reweighted least squares (absolute loss, then Tukey's
bisquare; Holland & Welsch 1977); what an inlier's residual hardly needs is taken out, one by one (BIC). A law found
in one scope may hold in a wider one: the guard is searched afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..rules.text import number
from .terms import Term, Terms, roundest

LEAST = 12
"""Rows that a fit needs."""
SHARE = 0.85
"""Of a scope's rows that a law must explain to be one."""
SCOPES = 150
LAWS = 8


@dataclass(frozen=True)
class Law:
    """`target' == Σ weights[name] * name + constant within `within``, clipped to `[low, high]` where it saturates.

    Over all rows of the terms it was fitted to, `holds [N]` is where it is true, `trivial [N]` where it would be if the
    target did not change.
    """

    target: Term
    weights: Mapping[str, float]
    constant: float
    within: float
    low: float
    high: float
    holds: np.ndarray
    trivial: np.ndarray

    @property
    def text(self) -> str:
        """The effect in the language; integers need no tolerance."""
        value = linear(self.weights, self.constant)
        if np.isfinite(self.low) and np.isfinite(self.high):
            value = f"clip({value}, {number(self.low)}, {number(self.high)})"
        elif np.isfinite(self.low) or np.isfinite(self.high):
            side, bound = ("max", self.low) if np.isfinite(self.low) else ("min", self.high)
            value = f"{side}({value}, {number(bound)})"
        tolerance = "" if self.target.kind == "integer" else f" within {number(self.within)}"
        return f"{self.target.primed} == {value}{tolerance}"


def laws_of(term: Term, terms: Terms) -> list[Law]:
    """The laws of a term, each from the widest scope that shows it, those that hold most often first."""
    inputs = _inputs(term, terms)
    found: list[Law] = []
    resting = np.abs(term.next - term.now) <= 1e-6 * np.abs(term.now).max()
    for scope in _scopes(term, terms):
        explained = [resting, *(law.holds for law in found)]
        if scope.sum() < LEAST or any(e[scope].mean() >= SHARE for e in explained):
            continue
        law = fit(term, inputs, scope)
        if law is not None:
            found.append(law)
        if len(found) >= LAWS:
            break
    return sorted(found, key=lambda law: -int(law.holds.sum()))


def refit(law: Law, terms: Terms, scope: np.ndarray) -> Law:
    """The law fitted anew to the rows of its guard, or as it was where that fails."""
    new = fit(law.target, _inputs(law.target, terms), scope) if scope.sum() >= LEAST else None
    if new is None or set(new.weights) != set(law.weights) or new.holds[scope].mean() < law.holds[scope].mean() - 0.02:
        return law
    return new


def fit(term: Term, inputs: Mapping[str, np.ndarray], scope: np.ndarray) -> Law | None:
    """The law of the rows in `scope [N]`, or None where there is none."""
    names = [n for n, column in inputs.items() if np.ptp(column[scope]) > 0]
    x = np.stack([*(inputs[n][scope] for n in names), np.ones(int(scope.sum()))], 1)    # [n, D + 1]
    now, y = term.now[scope].astype(np.float64), (term.next - term.now)[scope].astype(np.float64)
    floor = 1e-6 * max(float(np.abs(now).max()), float(np.abs(y).max()), 1e-9)
    if len(y) < 2 * x.shape[1]:
        return None
    residual = y - x @ _robust(x, y, floor)
    inlier = np.abs(residual) <= 4 * _spread(residual) + floor
    if inlier.mean() < SHARE - 0.25:
        return None
    low, high = _limits(term)
    inlier &= (term.next[scope] > low) & (term.next[scope] < high)    # where it saturates it says nothing of the slope
    if inlier.sum() < LEAST:
        return None
    kept = _sparse(x[inlier], y[inlier], floor)
    for _ in range(2):
        weight, error = _solved(x[inlier][:, kept], y[inlier], floor)
        residual = y - x[:, kept] @ weight
        margin = 4 * _spread(residual[inlier]) + floor
        predicted = now + y - residual
        inside = (predicted > low + margin) & (predicted < high - margin) & (term.next[scope] > low)
        inlier = (np.abs(residual) <= margin) & inside & (term.next[scope] < high)
        if inlier.sum() < LEAST:
            return None
    weights, constant = _rounded([*names, ""], kept, weight, error, term, inputs, scope, inlier)
    own = weights.pop(term.text, 0.0) if term.text in weights else 0.0
    weights = {term.text: round(own + 1, 9)} | weights
    weights = {n: w for n, w in weights.items() if w}
    if term.kind == "integer" and any(w != round(w, 1) for w in [*weights.values(), constant]):
        return None
    resting = np.zeros(len(term.now), bool)
    law = Law(term, weights, constant, 0.0, -np.inf, np.inf, resting, resting)
    return _finished(law, inputs, scope, inlier, low, high, floor)


def _finished(law: Law, inputs: Mapping[str, np.ndarray], scope: np.ndarray, inlier: np.ndarray, low: float,
              high: float, floor: float) -> Law | None:
    """With its tolerance and bounds, if it explains enough of the scope and more than that nothing changes."""
    term = law.target
    predicted = sum((w * inputs[n] for n, w in law.weights.items()), np.full(len(term.now), law.constant))
    inside = (term.next - predicted)[scope][inlier]
    change = float(np.sqrt(np.mean((term.next - term.now)[scope][inlier].astype(float) ** 2)))
    width = max(3.5 * float(inside.std()) + abs(float(inside.mean())), 1e-3 * change, 10 * floor)
    if width > 0.5 * change:
        return None
    within = 1e-6 if term.kind == "integer" else roundest(width, 1.6 * width)
    margin = max(within, 1e-9)
    over = [(low, (predicted < low - margin) & scope), (high, (predicted > high + margin) & scope)]
    stops = [np.isfinite(b) and rows.sum() >= 3 and (np.abs(term.next[rows] - b) <= margin).mean() > 0.7
             for b, rows in over]
    clipped = replace(law, within=within, low=low if stops[0] else -np.inf, high=high if stops[1] else np.inf)
    value = np.clip(predicted, clipped.low, clipped.high)
    holds = np.abs(term.next - value) <= within
    trivial = np.abs(term.now - value) <= within
    return replace(clipped, holds=holds, trivial=trivial) if holds[scope].mean() >= SHARE else None


def _robust(x: np.ndarray, y: np.ndarray, floor: float) -> np.ndarray:
    """Coefficients [D] by reweighted least squares."""
    scale = np.abs(x).max(0)
    z, weight = x / scale, np.ones(len(y))
    for step in range(12):
        root = np.sqrt(weight)[:, None]
        solution = np.linalg.lstsq(z * root, y * root[:, 0], rcond=1e-9)[0]
        residual = np.abs(y - z @ solution)
        spread = max(_spread(residual), floor)
        near = np.maximum(1 - (residual / (5 * spread)) ** 2, 0)
        weight = 1 / np.maximum(residual, spread) if step < 8 else near**2
    return np.asarray(solution / scale)


def _sparse(x: np.ndarray, y: np.ndarray, floor: float) -> list[int]:
    """The columns that are needed: the least needed goes, as long as the error hardly grows (BIC, and a margin)."""
    kept, n = list(range(x.shape[1])), len(y)

    def error(columns: list[int]) -> float:
        left = x[:, columns]
        residual = y - left @ np.linalg.lstsq(left, y, rcond=1e-9)[0] if columns else y
        return n * float(np.log(np.mean(residual**2) + floor**2))

    now = error(kept)
    while kept:
        without = [error([c for c in kept if c != out]) for out in kept]
        best = int(np.argmin(without))
        if without[best] - now > 2 * np.log(n) + 6:
            break
        now = without[best]
        del kept[best]
    return kept


def _solved(x: np.ndarray, y: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Least squares: coefficients and their standard errors."""
    if not x.shape[1]:
        return np.zeros(0), np.zeros(0)
    weight = np.linalg.lstsq(x, y, rcond=1e-9)[0]
    variance = np.sum((y - x @ weight) ** 2) / max(len(y) - x.shape[1], 1) + floor**2
    return weight, np.sqrt(variance * np.diag(np.linalg.pinv(x.T @ x)))


def _rounded(names: list[str], kept: list[int], weight: np.ndarray, error: np.ndarray, term: Term,
             inputs: Mapping[str, np.ndarray], scope: np.ndarray, inlier: np.ndarray) -> tuple[dict[str, float], float]:
    """Each coefficient at the roundest number that its standard error allows; the constant last, for what is left."""
    weights, constant = {}, 0.0
    for k, w, e in zip(kept, weight, error, strict=True):
        width = max(2 * e, 1e-4 * abs(w))
        if names[k]:
            weights[names[k]] = roundest(w - width, w + width)
    if kept and kept[-1] == len(names) - 1:
        rest = (term.next - term.now).astype(float) - sum((w * inputs[n] for n, w in weights.items()), 0.0)
        left = rest[scope][inlier]
        width = max(2 * float(left.std()) / np.sqrt(len(left)), 1e-4 * abs(float(left.mean())))
        constant = roundest(float(left.mean()) - width, float(left.mean()) + width)
    return weights, constant


def _inputs(term: Term, terms: Terms) -> dict[str, np.ndarray]:
    """What a law may read: the numbers of the state (base features first) and the continuous actions."""
    numbers = [t for t in (*terms.states, *terms.actions) if t.is_number]
    if term.kind == "integer":
        numbers = [t for t in numbers if t.kind == "integer"]
    return {t.text: t.now.astype(np.float64) for t in numbers if t is term or np.ptp(t.now) > 0}


def _scopes(term: Term, terms: Terms) -> Iterator[np.ndarray]:
    """Rows that may obey one law: all; those of one action; of one value, or of one side of a quartile; of both."""
    everything = np.ones(terms.size, bool)
    acts = [t.now == c for t in terms.actions if not t.is_number for c in np.unique(t.now)]
    others = [t.now == c for t in terms.states if not t.is_number for c in np.unique(t.now)[:8]]
    if term.kind == "real":
        for t in (*terms.states, *terms.actions):
            if t.is_number and len(np.unique(t.now)) > 8:
                cuts = np.quantile(t.now, (0.25, 0.5, 0.75))
                others += [side for cut in cuts for side in (t.now <= cut, t.now > cut)]
    yield everything
    yield from acts
    yield from others
    for count, (a, b) in enumerate((a, b) for a in acts for b in others):
        if count >= SCOPES or term.kind == "integer":
            return
        yield a & b


def _limits(term: Term) -> tuple[float, float]:
    """Where the term may saturate: its bounds, or an extreme that it takes again and again."""
    low, high = term.feature.low, term.feature.high
    if term.kind == "real":
        low = low if np.isfinite(low) or (term.next == term.next.min()).sum() < 5 else float(term.next.min())
        high = high if np.isfinite(high) or (term.next == term.next.max()).sum() < 5 else float(term.next.max())
    return low, high


def _spread(residual: np.ndarray) -> float:
    """The standard deviation, from the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(residual)))


def linear(weights: Mapping[str, float], constant: float) -> str:
    """A sum in the language: `x + 0.02 * v - 0.1`."""
    text = ""
    for name, w in (*weights.items(), ("", constant)):
        if not w:
            continue
        size = number(abs(w))
        part = size if not name else name if abs(w) == 1 else f"{size} * {name}"
        text += (f" {'-' if w < 0 else '+'} " if text else "-" if w < 0 else "") + part
    return text or "0"
