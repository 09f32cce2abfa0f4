"""Events: what may happen in a step, and in which steps it did: a change of one feature, a reward, an end, or nothing.

A change is named by what most changes of its feature share: a value, another feature's, or a step up or down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..prompts.reader.items import spoken
from .contrasts import Column, figure, translated
from .rules.evaluate import Rows
from .schema import Derived, Feature, Pointed, Schema

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions

SUPPORT = 3
"""How often something must happen to be spoken of."""


@dataclass(frozen=True)
class Event:
    """What may happen in a step: its words, where it does `[N]`, and where one cannot tell `[N]`.

    `subject` is what happens in short: a feature's name, "reward", "end", "same"; `is_idle` that nothing does.
    """

    words: str
    subject: str
    rows: np.ndarray
    unclear: np.ndarray
    is_idle: bool = False


def events(schema: Schema, rows: Rows, columns: Sequence[Column], transitions: Transitions) -> Iterator[Event]:
    """Everything that happened in the transitions; `rows` and `columns` are the same transitions."""
    assert rows.next is not None
    nothing = np.zeros(rows.size, bool)
    still = np.ones(rows.size, bool)
    for name in schema.base:
        still &= (rows.now[name] == rows.next[name]).reshape(rows.size, -1).all(1).numpy()
    known = {c.feature.name: c for c in columns}
    for f in scalars(schema):
        derived = schema.derivations.get(f.name)
        if isinstance(derived, Derived) and derived.put is None:
            continue
        next = rows.read(f.name, True).double().numpy()
        moved = (derived.at(rows.now) != derived.at(rows.next)).numpy() if isinstance(derived, Pointed) else nothing
        yield from _changes(known[f.name], next, moved, columns)
    if not still.all():
        yield Event("nothing changes", "same", still, nothing, is_idle=True)
    ended = transitions.terminated.astype(bool)
    yield Event("the episode ends", "end", ended, nothing)
    paid, counts = np.unique(np.round(transitions.reward.astype(float), 4), return_counts=True)
    for amount in paid[np.argsort(-counts, kind="stable")][:6].tolist():
        if amount:
            yield Event(f"the reward is {'+' * (amount > 0)}{figure(amount)}", "reward",
                         np.abs(transitions.reward - amount) < 1e-3, nothing)


def _changes(c: Column, next: np.ndarray, moved: np.ndarray, columns: Sequence[Column]) -> Iterator[Event]:
    """How one feature changes, and that it does not."""
    f, now = c.feature, c.values
    nothing = np.zeros(len(now), bool)
    close = 1e-5 * (1 + np.abs(now)) if f.kind == "real" else 0.0
    changed = (np.abs(next - now) > close) & ~moved
    if changed.sum() < SUPPORT:
        return
    yield Event(f"{c.name} stays the same", f.name, ~changed & ~moved, moved, is_idle=True)
    for other in columns:
        g = other.feature
        if other is not c and g.kind == f.kind != "boolean" and (f.kind != "category" or set(f.values) & set(g.values)):
            copied = translated(other.values, g, f)
            hits = changed & (np.abs(next - copied) <= close)
            if hits.sum() >= 0.5 * changed.sum() and len(np.unique(next[hits])) > 1:
                yield Event(f"{c.name} becomes {other.name}", f.name, hits, ~changed & (next == copied))
    if f.kind in ("category", "boolean"):
        for code in np.unique(next[changed]):
            yield Event(f"{c.name} becomes {called(f, int(code))}", f.name, changed & (next == code),
                         ~changed & (next == code))
        return
    steps = np.round(next - now, 4 if f.kind == "real" else 0)
    open_ = changed.copy()
    while (best := _mode(steps[open_], np.round(next[open_], 4), int(changed.sum()))) is not None:
        value, is_step = best
        hits = changed & (np.abs((steps if is_step else next) - value) <= 1e-3 * max(abs(value), 0.1))
        words = f"becomes {figure(value)}"
        if is_step:
            words = f"{'rises' if value > 0 else 'falls'} by {figure(abs(value))}"
            words += f" to {figure(next[hits][0])}" if np.ptp(next[hits]) <= 1e-3 else ""
        there = nothing if is_step else ~changed & (np.abs(next - value) <= 1e-3)
        yield Event(f"{c.name} {words}", f.name, hits, there | moved)
        open_ &= ~hits
    for verb, hits in (("rises", open_ & (next > now)), ("falls", open_ & (next < now))):
        if hits.sum() >= SUPPORT:
            size = np.abs(next - now)[hits]
            low, high = np.quantile(size, [0.05, 0.95])
            middle = float(f"{np.median(size):.1g}")
            words = f" by {figure(middle)} within {float(f'{high - low:.1g}'):g}" if high - low < middle else ""
            yield Event(f"{c.name} {verb}{words}", f.name, hits, moved)


def _mode(steps: np.ndarray, next: np.ndarray, n: int) -> tuple[float, bool] | None:
    """The step, or the value, that most changes share, and whether it is a step: at least 8% of all `n` changes."""
    if len(steps) < SUPPORT:
        return None
    (by, times), (to, often) = ((found[counts.argmax()], counts.max()) for found, counts in (
        np.unique(steps, return_counts=True), np.unique(next, return_counts=True)))
    if max(times, often) < max(SUPPORT, 0.08 * n):
        return None
    return (float(by), True) if times >= often else (float(to), False)


def scalars(schema: Schema) -> list[Feature]:
    """Every feature that is one number, truth or value, base and derived."""
    acting = {a.name for a in schema.actions}
    return [f for f in schema.named.values() if not f.shape and f.name not in acting]


def called(f: Feature, code: int) -> str:
    """A value in words."""
    return " ".join(spoken(f.values[code])) if f.kind == "category" else str(bool(code)).lower() \
        if f.kind == "boolean" else str(code)
