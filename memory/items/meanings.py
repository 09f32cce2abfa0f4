"""Meanings: the vectors of items, several of one where several of its texts count, searched exactly."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

import numpy as np

from ..database import Database
from ..vectors import Vectors

PARTS = 64
"""Texts of one item that are embedded; more are not."""


class Meanings:
    """The vectors of a collection's items by one embedding model. Vector p of item i stands as i * PARTS + p."""

    def __init__(self, database: Database, name: str) -> None:
        self.vectors = Vectors(database, name)
        self._lock = threading.RLock()

    def put(self, item: int, vectors: np.ndarray) -> None:
        """Give an item these vectors `[P, D]`, at most `PARTS`, instead of those it had."""
        with self._lock:
            self.vectors.refresh()
            codes = item * PARTS + np.arange(PARTS)
            known = self.vectors.items
            if len(known) and known.max() >= codes[0]:  # else it is new
                beyond = codes[len(vectors) :]
                if len(stale := beyond[self.vectors.rows(beyond) >= 0]):
                    self.vectors.remove(stale.tolist())
            if len(vectors):
                self.vectors.put(codes[: len(vectors)].tolist(), vectors)

    def put_new(self, items: Sequence[int], vectors: np.ndarray) -> None:
        """Give each item its one vector: `vectors [N, D]`."""
        self.vectors.put([item * PARTS for item in items], vectors)

    def remove(self, items: Collection[int]) -> None:
        """Delete the vectors of items."""
        if items:
            self.vectors.remove((np.array(list(items), np.int64)[:, None] * PARTS + np.arange(PARTS)).ravel().tolist())

    def nearest(self, query: np.ndarray, k: int, allowed: Collection[int] | None = None) -> list[tuple[int, float]]:
        """The `k` items nearest to `query [D]` and the cosine of the nearest of their vectors, nearest first; of
        those `allowed`, where given."""
        with self._lock:
            self.vectors.refresh()
            owners, rows = self.vectors.items // PARTS, None
            if allowed is not None:
                rows = np.flatnonzero(np.isin(owners, np.fromiter(allowed, np.int64, len(allowed))))
                owners = owners[rows]
            near = self.vectors.similarity(query, rows)
        order = np.argsort(-near, kind="stable")
        _, first = np.unique(owners[order], return_index=True)
        best = order[np.sort(first)[: max(k, 0)]]
        return [(int(owners[row]), float(near[row])) for row in best]

    def known(self) -> set[int]:
        """The items that have a vector."""
        with self._lock:
            self.vectors.refresh()
            return set((self.vectors.items // PARTS).tolist())

    def of(self, items: Sequence[int]) -> np.ndarray:
        """The first vector of each item, float32 `[N, D]`, of length 1."""
        with self._lock:
            return self.vectors.matrix[self.vectors.rows(np.array(items, np.int64) * PARTS)]
