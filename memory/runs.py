"""Runs: stretches of experience without a break, in which a sequence may lie."""

from __future__ import annotations

import numpy as np

from .columns import Growing


class Runs:
    """One side of the split in order of (episode, time), cut into runs. What is lived in order is added at the end.

    A *rank* counts transitions in this order, a *place* counts them by arrival.
    """

    def __init__(self) -> None:
        self._place = Growing(np.int64)  # by rank
        self._run = Growing(np.int64)  # by rank
        self._start = Growing(np.int64)  # by run: the rank at which it starts
        self._newest = Growing(np.int64)  # ranks by arrival, oldest first

    def __len__(self) -> int:
        return len(self._place.values)

    @property
    def places(self) -> np.ndarray:
        """Place of each transition by rank, int64 `[M]`, a view."""
        return self._place.values

    def extend(self, places: np.ndarray, joined: np.ndarray) -> None:
        """Add transitions `[K]` that come after all others, in order; `joined` says which continue the run before."""
        size = len(self)
        starts = np.flatnonzero(~joined)
        self._run.extend(len(self._start.values) - 1 + np.cumsum(~joined))
        self._start.extend(size + starts)
        self._newest.extend(size + np.argsort(places, kind="stable"))
        self._place.extend(places)

    def draw(self, batch: int, length: int, rng: np.random.Generator, recent: bool,
             weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Places and mask `[batch, length]` of windows in runs; past a run's end the last place is repeated.

        Each window holds a transition drawn from all alike; by `weights [M]` a rank, which sum to more than 0; or,
        where `recent`, with a density that falls with its age x in (0, 1] as x**(-2/3). It is moved inside its run
        where that is long enough.
        """
        u = rng.random(batch)
        if weights is not None:
            upto = weights.cumsum(dtype=np.float64)
            anchor = np.searchsorted(upto, u * upto[-1], side="right")
        elif recent:
            anchor = self._newest.values[len(self) - 1 - (u**3 * len(self)).astype(np.int64)]
        else:
            anchor = (u * len(self)).astype(np.int64)
        run = self._run.values[anchor]
        starts = self._start.values
        first = starts[run]
        last = np.where(run + 1 < len(starts), starts[np.minimum(run + 1, len(starts) - 1)], len(self)) - 1
        start = np.maximum(np.minimum(anchor - rng.integers(0, length, batch), last - length + 1), first)
        rank = start[:, None] + np.arange(length)
        return self._place.values[np.minimum(rank, last[:, None])], rank <= last[:, None]
