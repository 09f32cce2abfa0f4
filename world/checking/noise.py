"""Noise: how often a sensor misreads a feature, as far as the transitions alone can tell.

Misreading strikes whatever is done, chance in the world's own dynamics only what it moves. So a feature is watched
under the actions that make it behave most regularly: how often does it not do what it mostly does there (stay as it is,
become a value, change by a number)? The quietest actions count that make up `SHARE` of the data. A feature seen little
leans on what all show together. With one action only, or continuous ones, nothing is known, and none is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..schema import Feature, Schema
from .interval import interval

if TYPE_CHECKING:
    from ...memory.experience.record import Transitions

SHARE = 0.2
SHRINK = 40
"""How many readings of a feature weigh as much as what all features show together."""
MOST = 0.4
Rates = dict[str, tuple[float, float]]
"""The least and the most that each feature is misread."""
_BINS = 100


def misreading(schema: Schema, transitions: Transitions) -> Rates:
    """The rate at which each scalar base feature is misread, as an interval; empty where nothing can be known."""
    if not schema.discrete_actions or not len(transitions):
        return {}
    _, action = np.unique(np.asarray(transitions.action).reshape(len(transitions), -1), axis=0, return_inverse=True)
    action = action.reshape(-1)
    if (np.bincount(action) > 1).sum() < 2:
        return {}
    counts = {f.name: _odd(action, _outcomes(f, transitions.features[f.name], transitions.next_features[f.name]))
              for f in schema.features if not f.shape}
    readings = sum(n for _, n in counts.values())
    overall = sum(odd for odd, _ in counts.values()) / readings if readings else 0.0
    found: Rates = {}
    for name, (odd, n) in counts.items():
        low, high = interval(odd + SHRINK * overall, n - odd + SHRINK * (1 - overall))
        found[name] = min(low, MOST), min(high, MOST)
    return found


def _outcomes(f: Feature, now: np.ndarray, next: np.ndarray) -> tuple[np.ndarray, ...]:
    """What became of a feature, in two ways to say it, as codes `[N]`: its change, and its next value."""
    if f.kind in ("category", "boolean"):
        value = next.astype(np.int64)
        return np.where(next == now, -1, value), value
    width = 1.0 if f.kind == "integer" else max(float(np.ptp(now)), 1e-9) / _BINS
    change = next.astype(np.float64) - now
    return np.round(change / width).astype(np.int64), np.round(next / width).astype(np.int64)


def _odd(action: np.ndarray, outcomes: tuple[np.ndarray, ...]) -> tuple[int, int]:
    """How many outcomes are not their action's most frequent, of how many, under the quietest actions."""
    seen: list[tuple[float, int, int]] = []
    for k in range(int(action.max()) + 1):
        rows = action == k
        n = int(rows.sum())
        odd = min(n - int(np.unique(outcome[rows], return_counts=True)[1].max()) for outcome in outcomes)
        seen.append((odd / n, odd, n))
    odd, n = 0, 0
    for _, more, size in sorted(seen):
        odd, n = odd + more, n + size
        if n >= SHARE * len(action):
            break
    return odd, n
