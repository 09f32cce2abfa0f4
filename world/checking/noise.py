"""Noise: how often a sensor misreads a feature, as far as the transitions alone can tell.

Misreading strikes whatever is done, chance in the world's own dynamics only what it moves. So a feature is watched where
it behaves most regularly: among the contexts (action and, for a category, the present value) of one outcome (the next
value, or the change of a number) that is the most frequent, the quietest that make up `SHARE` of the data and at least
two actions. Where only one action was seen, or actions are continuous, nothing is known of misreading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..schema import Feature, Schema

if TYPE_CHECKING:
    from ...memory.record import Transitions

SHARE = 0.25
LEAST = 30
"""Transitions that a context needs before it is believed."""
MOST = 0.4
_BINS = 100


def misreading(schema: Schema, transitions: Transitions) -> dict[str, float]:
    """The estimated rate at which each scalar base feature is misread, 0 where the data are too few to tell."""
    if len(transitions) < LEAST:
        return {}
    action = np.asarray(transitions.action).reshape(len(transitions), -1)
    if not schema.discrete_actions:
        return {}
    return {f.name: _rate(f, action, transitions.features[f.name], transitions.next_features[f.name])
            for f in schema.features if not f.shape}


def _rate(f: Feature, action: np.ndarray, now: np.ndarray, next: np.ndarray) -> float:
    if f.kind in ("category", "boolean"):
        context, outcome = np.column_stack([action, now]), next.astype(np.int64)
    else:
        change = next.astype(np.float64) - now
        width = 1.0 if f.kind == "integer" else max(float(np.ptp(now)), 1e-9) / _BINS
        context, outcome = action, np.round(change / width).astype(np.int64)
    contexts, of = np.unique(context, axis=0, return_inverse=True)
    seen: list[tuple[float, int, int, tuple[float, ...]]] = []
    for k, values in enumerate(contexts):
        counts = np.unique(outcome[of.reshape(-1) == k], return_counts=True)[1]
        n, odd = int(counts.sum()), int(counts.sum() - counts.max())
        if n >= LEAST:
            seen.append((odd / n, odd, n, tuple(values[: action.shape[1]])))
    wanted, odd, n = SHARE * len(now), 0, 0
    done: set[tuple[float, ...]] = set()
    for _, more, size, act in sorted(seen):
        odd, n = odd + more, n + size
        done.add(act)
        if n >= wanted and len(done) > 1:
            return min(odd / n, MOST)
    return 0.0
