"""Maximal marginal relevance (Carbonell & Goldstein 1998): good ones, unlike one another."""

from __future__ import annotations

import numpy as np


def diverse(worth: np.ndarray, alike: np.ndarray, k: int, diversity: float) -> list[int]:
    """The indices of `k` of M candidates, each the best of (1 - diversity) * worth -
    diversity * its likeness to the nearest chosen before. `worth [M]`, `alike [M, M]`, both from 0 to 1."""
    chosen: list[int] = []
    nearest = np.zeros(len(worth))
    left = np.ones(len(worth), bool)
    while len(chosen) < min(k, len(worth)):
        value = np.where(left, (1.0 - diversity) * worth - diversity * nearest, -np.inf)
        best = int(value.argmax())
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, alike[best])
    return chosen
