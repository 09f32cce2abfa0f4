"""The catalogue: what searches filter and rank notes by, as columns in RAM; the texts stay in the file.

It takes in what changed, in any process, before each search: a change of a note gives it a new number (`changed`), so
that what is new is one range.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..database import Database
from ..text import name

_COLUMNS = {
    "id": "i8", "kind": "i4", "source": "i4", "origin": "i4", "episode": "i8", "created": "f8", "seen": "f8",
    "importance": "f4", "recalled": "i4", "current": "?",
}  # fmt: skip
_NONE = -1  # no such episode, no such name


class Catalogue:
    """Columns `[N]` of all notes of a file, in the order they were first read. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.RLock()
        self._changed = _NONE
        self._begin(_NONE)

    def __len__(self) -> int:
        return self._count

    @property
    def version(self) -> tuple[int, int]:
        """Changes whenever rows are added or read anew."""
        return self._deleted, self._count

    def column(self, name: str, rows: np.ndarray | None = None) -> np.ndarray:
        """One of `_COLUMNS`, `[N]`, or at `rows [M]`, in ascending order."""
        column = self._columns[name][: self._count]
        return column if rows is None or len(rows) == self._count else column[rows]

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """The row of each note of `ids [M]`, int64 `[M]`; -1 where it is not known."""
        return np.where(ids < len(self._places), self._places[np.minimum(ids, len(self._places) - 1)], _NONE)

    def refresh(self) -> bool:
        """Take in what changed; whether anything did. After a deletion all is read anew."""
        with self._lock:
            changed, deleted = self._database.rows("SELECT changed, deleted FROM note_state")[0]
            if deleted != self._deleted:
                self._begin(deleted)
            elif changed == self._changed:
                return False
            rows = self._database.rows(
                """SELECT id, kind, source, origin, coalesce(episode, ?), created, seen, importance, recalled,
                          successor IS NULL, tags FROM notes WHERE changed > ? AND changed <= ?""",
                (_NONE, self._changed, changed),
            )
            self._take(rows)
            self._changed = changed
            return True

    def mask(
        self,
        kind: str | Iterable[str] | None = None,
        source: str | Iterable[str] | None = None,
        origin: str | Iterable[str] | None = None,
        since: float | None = None,
        until: float | None = None,
        episode: int | Iterable[int] | None = None,
        tags: str | Iterable[str] | None = None,
        superseded: bool = False,
    ) -> np.ndarray:
        """Which notes pass every filter given, bool `[N]`: of these kinds, sources, origins and episodes, made from
        `since` to before `until`, with all of `tags`; those that gave way to others only where `superseded`."""
        with self._lock:
            mask = np.ones(self._count, bool) if superseded else self.column("current").copy()
            for column, wanted in (("kind", kind), ("source", source), ("origin", origin)):
                if wanted is not None:
                    mask &= _any_of(self.column(column), [self._codes.get(name(text), _NONE) for text in _each(wanted)])
            if since is not None:
                mask &= self.column("created") >= since
            if until is not None:
                mask &= self.column("created") < until
            if episode is not None:
                mask &= _any_of(self.column("episode"), [episode] if isinstance(episode, int) else list(episode))
            for tag in () if tags is None else _each(tags):
                tagged = np.zeros(self._count, bool)
                tagged[list(self._tagged.get(name(tag), ()))] = True
                mask &= tagged
            return mask

    def _begin(self, deleted: int) -> None:
        self._deleted, self._changed, self._count = deleted, _NONE, 0
        self._columns = {name: np.zeros(0, dtype) for name, dtype in _COLUMNS.items()}
        self._places = np.full(64, _NONE, np.int64)  # the row of each id
        self._codes: dict[str, int] = {}  # of every kind, source and origin
        self._tagged: dict[str, set[int]] = {}  # rows

    def _take(self, rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        code = self._code
        numbers, kinds, sources, origins, *rest, tags = zip(*rows, strict=True)
        fresh = (numbers, map(code, kinds), map(code, sources), map(code, origins), *rest)
        ids = np.array(numbers, np.int64)
        self._places = _longer(self._places, int(ids.max()) + 1, _NONE)
        new = ids[self._places[ids] < 0]
        self._places[new] = np.arange(self._count, self._count + len(new))
        self._count += len(new)
        places = self._places[ids]
        for (column, dtype), values in zip(_COLUMNS.items(), fresh, strict=True):
            self._columns[column] = _longer(self._columns[column], self._count, 0)
            self._columns[column][places] = np.fromiter(values, dtype, len(rows))
        for place, labels in zip(places.tolist(), tags, strict=True):
            for tag in json.loads(labels) if labels != "[]" else ():
                self._tagged.setdefault(tag, set()).add(place)

    def _code(self, text: str) -> int:
        return self._codes.setdefault(text, len(self._codes))


def _longer(array: np.ndarray, needed: int, fill: int) -> np.ndarray:
    """The array, or one at least twice as long that begins with it where more is `needed`."""
    if needed <= len(array):
        return array
    more = max(needed, 2 * len(array), 64) - len(array)
    return np.concatenate([array, np.full(more, fill).astype(array.dtype)])


def _any_of(column: np.ndarray, wanted: list[int]) -> np.ndarray:
    """Where a column has one of the values wanted; for a few, quicker than `np.isin`."""
    if len(wanted) > 8:
        return np.isin(column, wanted)
    mask = np.zeros(len(column), bool)
    for value in wanted:
        mask |= column == value
    return mask


def _each(wanted: str | Iterable[str]) -> list[str]:
    return [wanted] if isinstance(wanted, str) else list(wanted)
