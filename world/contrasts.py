"""Contrasts: what some transitions had in common before, and others, otherwise alike, had not; in words.

A greedy conjunction, as a decision list grows one (Quinlan 1990): the condition that tells most is put first, the next
is chosen among the rows that satisfy it, so that each speaks of nearer misses. What is left unexplained at the end is
put into words as well: the exception.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..prompts.reader.items import spoken
from .schema import Feature

CONDITIONS = 5
EXCEPTION = 2    # conditions that an exception may have
VALUES = 3    # of a category that are named
TYPICAL = 0.7    # the share of the rows that a condition must cover: some may be noise
_TELLING = 6.0    # nats that a condition must tell of all rows together, so that luck is not taken for a cause


@dataclass(frozen=True)
class Column:
    """One scalar feature at each of N steps: codes of a category, truth, or numbers, as float64 `[N]`; and its name."""

    feature: Feature
    values: np.ndarray
    name: str


@dataclass(frozen=True)
class Condition:
    """Something that tells: its words, where it holds `[N]`, what it is about (told once), and how much it tells."""

    words: str
    holds: np.ndarray
    about: str
    telling: float


def contrasted(columns: Sequence[Column], yes: np.ndarray, no: np.ndarray) -> tuple[list[str], list[str], float]:
    """What the rows `yes [N]` have and `no [N]` have not: conditions, those of an exception, and the share of `yes`
    among all rows that satisfy the former and not the latter."""
    found, cover = _grown(columns, yes, no, CONDITIONS)
    left, hits = int((no & cover).sum()), int((yes & cover).sum())
    exception: list[str] = []
    if left >= 3 and left > 0.02 * hits:
        what, inside = _grown(columns, no & cover, yes & cover, EXCEPTION)
        if what and (yes & cover & inside).sum() <= 0.2 * (no & cover & inside).sum():
            exception = [c.words for c in what]
            left, hits = int((no & cover & ~inside).sum()), int((yes & cover & ~inside).sum())
    return [c.words for c in found], exception, hits / max(hits + left, 1)


def common(columns: Sequence[Column], yes: np.ndarray) -> list[str]:
    """What all of the rows share, of categories and truths, whether it tells anything or not."""
    return [f"{c.name} is {_value(c.feature, c.values[yes][0])}" for c in columns
            if not _is_number(c.feature) and (c.values[yes] == c.values[yes][0]).all()]


def _grown(columns: Sequence[Column], yes: np.ndarray, no: np.ndarray, most: int) -> tuple[list[Condition], np.ndarray]:
    cover = np.ones(len(yes), bool)
    found: list[Condition] = []
    while len(found) < most and (no & cover).any():
        seen = {c.about for c in found}
        choices = [c for c in _conditions(columns, yes & cover, no & cover) if c.about not in seen]
        best = max(choices, key=lambda c: round(c.telling, 6), default=None)
        if best is None or best.telling < _TELLING:
            break
        found.append(best)
        cover = cover & best.holds
    return found, cover


def _conditions(columns: Sequence[Column], yes: np.ndarray, no: np.ndarray) -> Iterator[Condition]:
    """Everything that may tell the rows apart: features by themselves, then pairs of them."""
    own: dict[str, float] = {}
    for c in columns:
        for condition in _numeric(c, yes, no) if _is_number(c.feature) else _discrete(c, yes, no):
            own[c.name] = max(own.get(c.name, 0.0), condition.telling)
            yield condition
    for i, a in enumerate(columns):
        for b in columns[i + 1 :]:
            for words, holds in _relations(a, b):
                telling = _told(holds, yes, no)
                if telling > 1.1 * max(own.get(a.name, 0.0), own.get(b.name, 0.0)):    # more than either by itself
                    yield Condition(words, holds, f"{a.name} {b.name}", telling)


def _discrete(c: Column, yes: np.ndarray, no: np.ndarray) -> Iterator[Condition]:
    """`front is key (else empty or wall)`: the values that tell most, of those that are likelier here."""
    size = len(c.feature.values) or 2
    here, there = (np.bincount(c.values[rows].astype(int), minlength=size) for rows in (yes, no))
    order = np.argsort(-here / np.maximum(there, 0.5) - 1e-6 * here, kind="stable")
    order = order[here[order] > 0]
    p, n = np.cumsum(here[order]), np.cumsum(there[order])
    telling, k = _best_cut(p, n, int(here.sum()), int(there.sum()))
    if telling < 0:
        return
    chosen = sorted(order[: k + 1].tolist(), key=lambda v: (-here[v], v))
    others = [v for v in np.argsort(-there, kind="stable").tolist() if v not in chosen and there[v]]
    if len(others) == 1 < len(chosen):    # "is not wall" is shorter than all that it is
        words = f"{c.name} is not {_value(c.feature, others[0])}"
    elif len(chosen) <= VALUES:
        words = f"{c.name} is {_either(c.feature, chosen)}"
        words += f" (else {_either(c.feature, others[:VALUES])})" if others and c.feature.kind == "category" else ""
    else:
        return
    yield Condition(words, np.isin(c.values, chosen), c.name, telling)


def _numeric(c: Column, yes: np.ndarray, no: np.ndarray) -> Iterator[Condition]:
    """`load above 750 (else 12 to 748)`; a lower and an upper bound are two conditions."""
    mine, others = c.values[yes], c.values[no]
    whole = c.feature.kind == "integer"
    low, high = np.quantile(others, [0.02, 0.98], method="nearest")
    other = f" (else {figure(low)} to {figure(high)})" if low < high else f" (else {figure(low)})"
    values, counts = np.unique(mine, return_counts=True)
    most = values[counts.argmax()]
    if counts.max() >= TYPICAL * len(mine):
        holds = c.values == most
        yield Condition(f"{c.name} is {figure(most)}{other}", holds, c.name, _told(holds, yes, no) + 1e-3)
    if not (mine == others[0]).any() and (others == others[0]).all():
        holds = c.values != others[0]
        yield Condition(f"{c.name} is not {figure(others[0])}", holds, c.name, _told(holds, yes, no) - 1e-3)
    seen = np.unique(np.concatenate([mine, others]))
    cuts = seen[1:]    # a threshold stands between a value and the one before it
    if not len(cuts):
        return
    p, n = (np.searchsorted(np.sort(v), cuts) for v in (mine, others))    # how many are below each
    for above in (True, False):
        inside = (len(mine) - p, len(others) - n) if above else (p, n)
        telling, k = _best_cut(*inside, len(mine), len(others))
        if telling < 0:
            continue
        if above:
            words = f"at least {figure(cuts[k])}" if whole else f"above {figure(rounded(seen[k], cuts[k]))}"
        else:
            words = f"at most {figure(seen[k])}" if whole else f"below {figure(rounded(seen[k], cuts[k]))}"
        holds = c.values >= cuts[k] if above else c.values < cuts[k]
        yield Condition(f"{c.name} {words}{other}", holds, f"{c.name} {'low' if above else 'high'}", telling)


def _relations(a: Column, b: Column) -> Iterator[tuple[str, np.ndarray]]:
    """What may be between two features: order of numbers, sameness of what shares values."""
    f, g = a.feature, b.feature
    if _is_number(f) and _is_number(g) and (f.unit == g.unit):
        for sign, words in (("==", "equal to"), (">", "above"), ("<", "below")):
            holds = {"==": a.values == b.values, ">": a.values > b.values, "<": a.values < b.values}[sign]
            yield f"{a.name} {words} {b.name}", holds
        if f.kind == g.kind == "integer":
            yield f"{a.name} not equal to {b.name}", a.values != b.values
    elif f.kind == g.kind == "category" and len(set(f.values) & set(g.values)) > 1:
        theirs = translated(b.values, g, f)
        yield f"{a.name} the same as {b.name}", a.values == theirs
        yield f"{a.name} not the same as {b.name}", a.values != theirs


def translated(codes: np.ndarray, source: Feature, target: Feature) -> np.ndarray:
    """A category's codes as those of another, -1 where it lacks the value; anything else as it is."""
    if source.kind != "category" or source.values == target.values:
        return codes
    table = [target.values.index(v) if v in target.values else -1 for v in source.values]
    return np.array(table, float)[codes.astype(int)]


def _told(holds: np.ndarray, yes: np.ndarray, no: np.ndarray) -> float:
    """How much it tells (nats, all rows together) that a condition holds; -1 where it covers too few."""
    p, n = int(np.count_nonzero(holds & yes)), int(np.count_nonzero(holds & no))
    all_p, all_n = int(np.count_nonzero(yes)), int(np.count_nonzero(no))
    if p < TYPICAL * all_p or n * all_p >= p * all_n:
        return -1.0
    return _entropy(all_p, all_n) - _entropy(p, n) - _entropy(all_p - p, all_n - n)


def _entropy(p: int, n: int) -> float:
    """(p + n) H(p / (p + n)), in nats."""
    return -sum(k * math.log(k / (p + n)) for k in (p, n) if k)


def _best_cut(p: np.ndarray, n: np.ndarray, all_p: int, all_n: int) -> tuple[float, int]:
    """The same for K cuts from how many of both sides are within each, `[K]`: the most that one tells, and which."""
    usable = ((p >= TYPICAL * all_p) & (n * all_p < p * all_n)).nonzero()[0]
    rest_p, rest_n = all_p - p[usable], all_n - n[usable]
    told = _entropy(all_p, all_n) - _entropies(p[usable], n[usable]) - _entropies(rest_p, rest_n)
    best = int(told.round(6).argmax()) if len(usable) else 0
    return (float(told[best]), int(usable[best])) if len(usable) else (-1.0, 0)


def _entropies(p: np.ndarray, n: np.ndarray) -> np.ndarray:
    total = np.log(np.maximum(p + n, 1))
    return p * (total - np.log(np.maximum(p, 1))) + n * (total - np.log(np.maximum(n, 1)))


def said(f: Feature) -> str:
    """The name of a feature in words."""
    return " ".join(spoken(f.name))


def _is_number(f: Feature) -> bool:
    return f.kind in ("real", "integer")


def _value(f: Feature, code: float) -> str:
    return " ".join(spoken(f.values[int(code)])) if f.kind == "category" else "true" if code else "false"


def _either(f: Feature, codes: Sequence[int]) -> str:
    named = [_value(f, code) for code in codes]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"


def figure(value: float) -> str:
    """A number in plain digits."""
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) < 1e4 else f"{value:.0f}"


def rounded(low: float, high: float) -> float:
    """The roundest number in low .. high."""
    if low >= high:
        return low
    scale = 10.0 ** math.ceil(math.log10(max(abs(low), abs(high), 1e-9)))
    while True:
        for step in (scale, scale / 2, scale / 4 if scale > 1 else scale / 5):
            multiple = math.ceil(low / step - 1e-9) * step
            if multiple <= high + 1e-12:
                return multiple
        scale /= 10
