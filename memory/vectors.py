"""Vectors: named sets of float32 rows in the memory file, with a matrix in RAM to search exactly.

A set belongs to what made it, `text:all-MiniLM-L6-v2` or `state:slots`, and has one size. Rows are packed little-endian
floats; the matrix takes in what is new, written by any process, before each search: one look at the newest row tells,
as quick as SQLite's `data_version` and the same for every connection.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ..errors import GedankenError, UserError
from .database import Database
from .text import clean

_CHUNK = 16_384  # vectors read at a time
_FEW = 0.1  # of all rows; so few are gathered before they are multiplied

Metric = Literal["cosine", "euclidean"]


class Vectors:
    """One named set: a vector `[D]` an item, items being the caller's own integers (a note's id, a transition's row).

    Safe to share between threads. `metric` says what `similarity` is: the cosine, or minus the distance.
    """

    def __init__(self, database: Database, name: str, metric: Metric = "cosine") -> None:
        self.database = database
        self.name = clean(name)
        self.metric = metric
        self._lock = threading.RLock()
        self._newest = self._count = 0
        self._begin(None)

    def __len__(self) -> int:
        """How many vectors are in RAM; `refresh` first to count those of others."""
        return self._count

    @property
    def items(self) -> np.ndarray:
        """The items in RAM, int64 `[N]`, in the order of the rows of `matrix`."""
        return self._items[: self._count]

    @property
    def matrix(self) -> np.ndarray:
        """The vectors in RAM, float32 `[N, D]`; of length 1 (or 0) where the metric is the cosine."""
        return self._matrix[: self._count]

    def put(self, items: Sequence[int], vectors: np.ndarray) -> None:
        """Store vectors `[N, D]` of items, in one commit; an item that had one has the new one.

        Raises `GedankenError` for another size than the set's, `UserError` for numbers that are not finite.
        """
        rows = np.ascontiguousarray(vectors, "<f4")
        if rows.ndim != 2 or len(rows) != len(items) or not rows.shape[1] or not np.isfinite(rows).all():
            raise UserError(
                f"vectors of '{self.name}' have shape {rows.shape} for {len(items)} items; give [N, D] finite numbers"
            )
        with self.database.transaction():
            set_id = self._make(rows.shape[1])
            self.database.execute_many(
                "INSERT OR REPLACE INTO vectors (set_id, item, vector) VALUES (?, ?, ?)",
                [(set_id, int(item), row.tobytes()) for item, row in zip(items, rows, strict=True)],
            )

    def remove(self, items: Sequence[int]) -> None:
        """Delete the vectors of items, where they have one."""
        with self.database.transaction():
            self.database.execute(
                """DELETE FROM vectors WHERE set_id = (SELECT id FROM vector_sets WHERE name = ?)
                   AND item IN (SELECT value FROM json_each(?))""",
                (self.name, json.dumps([int(item) for item in items])),
            )
            self.database.execute("UPDATE vector_sets SET deleted = deleted + 1 WHERE name = ?", (self.name,))

    def refresh(self) -> bool:
        """Take in what is new in the file; whether there was anything."""
        with self._lock:
            found = self.database.rows(
                """SELECT id, size, deleted, (SELECT coalesce(max(seq), 0) FROM vectors WHERE set_id = vector_sets.id)
                   FROM vector_sets WHERE name = ?""",
                (self.name,),
            )
            if not found:
                return False
            set_id, size, deleted, newest = (int(part) for part in found[0])
            if (set_id, size, deleted) != self._set:
                self._begin((set_id, size, deleted))
            elif newest == self._newest:
                return False
            while self._newest < newest:
                rows = self.database.rows(
                    "SELECT seq, item, vector FROM vectors WHERE set_id = ? AND seq > ? ORDER BY seq LIMIT ?",
                    (set_id, self._newest, _CHUNK),
                )
                if not rows:
                    break
                self._take([row[1] for row in rows], np.frombuffer(b"".join(row[2] for row in rows), "<f4"))
                self._newest = int(rows[-1][0])
            return True

    def rows(self, items: np.ndarray) -> np.ndarray:
        """The row in `matrix` of each item, int64 `[M]`; -1 where it has none."""
        if not self._count:
            return np.full(len(items), -1, np.int64)
        order = np.argsort(self.items)
        at = np.minimum(np.searchsorted(self.items, items, sorter=order), self._count - 1)
        found = order[at]
        return np.where(self.items[found] == items, found, -1)

    def similarity(self, query: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """How near each row of `matrix`, or each of `rows [M]`, is to `query [D]`: float32 `[N]` or `[M]`.

        Raises `GedankenError` for a query of another size.
        """
        with self._lock:
            matrix, squares = self.matrix, self._squares[: self._count]
        wanted = np.asarray(query, np.float32)
        if len(matrix) and wanted.shape != matrix.shape[1:]:
            raise GedankenError(self._other_size(wanted.size, matrix.shape[1]))
        if self.metric == "cosine":
            wanted = unit(wanted[None])[0]
        if rows is None:
            return self._nearness(matrix, squares, wanted)
        if len(rows) > _FEW * len(matrix):
            return self._nearness(matrix, squares, wanted)[rows]
        return self._nearness(matrix[rows], squares[rows], wanted)

    def search(self, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The `k` items nearest to `query [D]` among the `allowed` rows (bool `[N]`), exactly, and their similarity;
        nearest first, fewer where there are not so many."""
        with self._lock:
            self.refresh()
            rows = None if allowed is None else np.flatnonzero(allowed)
            near, items = self.similarity(query, rows), self.items if rows is None else self.items[rows]
        best = np.argpartition(near, len(near) - k)[-k:] if len(near) > k else np.arange(len(near))
        best = best[np.argsort(-near[best], kind="stable")]
        return items[best], near[best]

    def _nearness(self, matrix: np.ndarray, squares: np.ndarray, query: np.ndarray) -> np.ndarray:
        if not len(matrix):
            return np.zeros(0, np.float32)
        product = matrix @ query
        if self.metric == "cosine":
            return product
        return -np.sqrt(np.maximum(squares - 2 * product + query @ query, 0.0))

    def _begin(self, found: tuple[int, int, int] | None) -> None:
        """Forget what is in RAM; `found` is the set's id, size and count of deletions."""
        self._set, self._newest, self._count = found, 0, 0
        self._items = np.zeros(0, np.int64)
        self._matrix = np.zeros((0, found[1] if found else 0), np.float32)
        self._squares = np.zeros(0, np.float32)
        self._row_of: dict[int, int] = {}

    def _take(self, items: list[int], flat: np.ndarray) -> None:
        """Append vectors to the matrix, or put them in the place of those the items had."""
        fresh = flat.reshape(len(items), -1)
        fresh = unit(fresh) if self.metric == "cosine" else fresh
        rows = np.array([self._row_of.setdefault(item, len(self._row_of)) for item in items], np.int64)
        needed = len(self._row_of)
        if needed > len(self._items):
            room = max(needed, 2 * len(self._items), 64)
            self._items = np.concatenate([self.items, np.zeros(room - self._count, np.int64)])
            self._matrix = np.concatenate([self.matrix, np.zeros((room - self._count, fresh.shape[1]), np.float32)])
            self._squares = np.concatenate([self._squares[: self._count], np.zeros(room - self._count, np.float32)])
        self._items[rows], self._matrix[rows] = items, fresh
        self._squares[rows] = np.einsum("nd,nd->n", fresh, fresh)
        self._count = needed

    def _make(self, size: int) -> int:
        """The id of this set, made where there is none; inside a transaction."""
        self.database.execute("INSERT OR IGNORE INTO vector_sets (name, size) VALUES (?, ?)", (self.name, size))
        id, stored = self.database.rows("SELECT id, size FROM vector_sets WHERE name = ?", (self.name,))[0]
        if stored != size:
            raise GedankenError(self._other_size(size, stored))
        return int(id)

    def _other_size(self, given: int, stored: int) -> str:
        return (
            f"a vector of {given} numbers for '{self.name}', whose vectors have {stored}; give models of different "
            "sizes different names"
        )


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows `[N, D]` scaled to length 1, float32; zero rows stay zero."""
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype(np.float32)
