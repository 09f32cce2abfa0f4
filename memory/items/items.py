"""Items: what other programs keep in a memory file, by namespace and key; the table under the adapters.

A collection belongs to one adapter and is never seen by another. A namespace is a path of labels, kept as a JSON list:
no label can be written so that it reads as two, and no character is a wildcard. Every item keeps who wrote it, and what
a person wrote is overwritten and deleted in a person's name alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ...errors import UserError
from ..database import Database
from ..origin import origin_of, outranks
from ..tables import MIGRATIONS
from ..text import mended, name

Namespace = tuple[str, ...]

LARGEST = 16 * 2**20  # bytes of a value
LONGEST_KEY = 1_000  # characters, of a label too
DEEPEST_NAMESPACE = 32
_COLUMNS = "SELECT id, namespace, key, value, source, created, updated, ttl FROM items"
_UNDER = "collection = ? AND (namespace = ? OR (namespace >= ? AND namespace < ?)) AND (expires IS NULL OR expires > ?)"


class HasDatabase(Protocol):
    """A memory: `LongTerm`, for one."""

    database: Database


@dataclass(frozen=True)
class Stored:
    """One item; times are seconds since 1970, `ttl_s` is how long it lives untouched."""

    id: int
    namespace: Namespace
    key: str
    value: bytes
    source: str
    created: float
    updated: float
    ttl_s: float | None


class Items:
    """One collection of a memory file."""

    def __init__(
        self,
        memory: Database | HasDatabase | str | Path,
        collection: str,
        source: str = "model",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`memory` is a memory, its database, or a path to open or create; `source` is who writes through this object.

        Raises `UserError` and `GedankenError` as `Database` does.
        """
        self.database = _database(memory)
        self.collection = _label(collection, "collection")
        self.source = name(source)
        self._clock = clock

    def get(self, namespace: Namespace, keys: Sequence[str]) -> dict[str, Stored]:
        """The items of these keys in exactly this namespace, by key."""
        rows = self.database.rows(
            f"""{_COLUMNS} WHERE collection = ? AND namespace = ? AND key IN (SELECT value FROM json_each(?))
                AND (expires IS NULL OR expires > ?)""",
            (self.collection, path(namespace), json.dumps([_key(key) for key in keys]), self._clock()),
        )
        return {item.key: item for item in map(_stored, rows)}

    def by_id(self, ids: Sequence[int]) -> dict[int, Stored]:
        """The items of these ids."""
        rows = self.database.rows(
            f"{_COLUMNS} WHERE collection = ? AND id IN (SELECT value FROM json_each(?))",
            (self.collection, json.dumps([int(id) for id in ids])),
        )
        return {item.id: item for item in map(_stored, rows)}

    def under(self, prefix: Namespace = (), limit: int = -1, offset: int = 0) -> list[Stored]:
        """Items in the namespace `prefix` and below it, the newest first; `limit` -1 for all."""
        sql = f"{_COLUMNS} WHERE {_UNDER} ORDER BY updated DESC, id DESC LIMIT ? OFFSET ?"
        return [_stored(row) for row in self.database.rows(sql, (*self._under(prefix), limit, offset))]

    def ids(self, prefix: Namespace = ()) -> list[int]:
        """The ids of `under(prefix)`."""
        return [int(id) for (id,) in self.database.rows(f"SELECT id FROM items WHERE {_UNDER}", self._under(prefix))]

    def keys(self, namespace: Namespace = (), prefix: str = "") -> list[str]:
        """The keys of a namespace that begin with `prefix`, as written."""
        rows = self.database.rows(
            """SELECT key FROM items WHERE collection = ? AND namespace = ? AND substr(key, 1, ?) = ?
               AND (expires IS NULL OR expires > ?) ORDER BY key""",
            (self.collection, path(namespace), len(prefix), prefix, self._clock()),
        )
        return [str(key) for (key,) in rows]

    def namespaces(self) -> list[Namespace]:
        """Every namespace that holds an item."""
        sql = "SELECT DISTINCT namespace FROM items WHERE collection = ? AND (expires IS NULL OR expires > ?)"
        return sorted(tuple(json.loads(text)) for (text,) in self.database.rows(sql, (self.collection, self._clock())))

    def put(self, namespace: Namespace, key: str, value: bytes, ttl_s: float | None = None) -> int:
        """Store an item and return its id; it is gone `ttl_s` seconds after it was last touched.

        Raises `UserError` for a value that is too large, a key or label that cannot be one, and where a person's item
        would be overwritten in another's name.
        """
        if len(value) > LARGEST:
            raise UserError(f"the value of {key!r} has {len(value):,} bytes; an item holds at most {LARGEST:,}")
        if ttl_s is not None and not ttl_s > 0:
            raise UserError(f"the time to live of {key!r} is {ttl_s} seconds; give a positive one, or None for ever")
        now = self._clock()
        where = (self.collection, path(namespace), _key(key))
        with self.database.transaction():
            self._may_change("key = ?", where)
            self.database.execute(
                """INSERT INTO items (collection, namespace, key, value, source, created, updated, ttl, expires)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                   ON CONFLICT (collection, namespace, key) DO UPDATE SET value = excluded.value,
                       source = excluded.source, updated = excluded.updated, ttl = excluded.ttl,
                       expires = excluded.expires""",
                (*where, value, self.source, now, now, ttl_s, None if ttl_s is None else now + ttl_s),
            )
            sql = "SELECT id FROM items WHERE collection = ? AND namespace = ? AND key = ?"
            return int(self.database.rows(sql, where)[0][0])

    def touch(self, items: Iterable[Stored]) -> None:
        """Let the time to live begin anew, of items that have one."""
        ids = [item.id for item in items if item.ttl_s is not None]
        if not ids:
            return
        self.database.execute(
            """UPDATE items SET expires = ? + ttl
               WHERE collection = ? AND ttl IS NOT NULL AND id IN (SELECT value FROM json_each(?))""",
            (self._clock(), self.collection, json.dumps(ids)),
        )

    def delete(self, namespace: Namespace, keys: Sequence[str]) -> list[int]:
        """Delete items where they are there; the ids of those that were. Raises `UserError` as `put` does."""
        where = (self.collection, path(namespace), json.dumps([_key(key) for key in keys]))
        wanted = "key IN (SELECT value FROM json_each(?))"
        with self.database.transaction():
            self._may_change(wanted, where)
            return self._remove(f"collection = ? AND namespace = ? AND {wanted}", where)

    def sweep(self) -> list[int]:
        """Delete what has outlived its time; the ids."""
        with self.database.transaction():
            return self._remove("collection = ? AND expires <= ?", (self.collection, self._clock()))

    def trim(self, most: int) -> list[int]:
        """Delete the items written longest ago, down to `most`; the ids."""
        newest = "SELECT id FROM items WHERE collection = ? ORDER BY updated DESC, id DESC LIMIT -1 OFFSET ?"
        with self.database.transaction():
            return self._remove(f"id IN ({newest})", (self.collection, most))

    def clear(self) -> None:
        """Delete the whole collection, in the name of whoever owns it."""
        self.database.execute("DELETE FROM items WHERE collection = ?", (self.collection,))

    def _remove(self, condition: str, values: Sequence[Any]) -> list[int]:
        ids = [int(id) for (id,) in self.database.rows(f"SELECT id FROM items WHERE {condition}", values)]
        if ids:
            self.database.execute("DELETE FROM items WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(ids),))
        return ids

    def _may_change(self, condition: str, where: Sequence[str]) -> None:
        mine = origin_of(self.source)
        sql = f"SELECT key, source FROM items WHERE collection = ? AND namespace = ? AND {condition}"
        for key, source in self.database.rows(sql, where):
            if not outranks(mine, origin_of(source)):
                raise UserError(
                    f"{key!r} was written by a person ('{source}'), and '{self.source}' cannot change it; use another "
                    "key, or open the store with source='user' where it is a person who asks"
                )

    def _under(self, prefix: Namespace) -> tuple[Any, ...]:
        """The values of `_UNDER`: `["a","b"]` itself, and what begins with `["a","b",`."""
        exact = path(prefix)
        below = exact[:-1] + ("," if prefix else "")
        beyond = exact[:-1] + "-" if prefix else "\\"  # "-" follows "," and "\" follows "[", in order of bytes
        return self.collection, exact, below, beyond, self._clock()


def path(namespace: Namespace) -> str:
    """A namespace as text, a JSON list. Raises `UserError` for what cannot be one."""
    if len(namespace) > DEEPEST_NAMESPACE:
        raise UserError(f"a namespace has {len(namespace)} labels; give at most {DEEPEST_NAMESPACE}")
    return json.dumps([_label(label, "label") for label in namespace], separators=(",", ":"))


def _key(key: str) -> str:
    return _label(key, "key")


def _label(text: str, what: str) -> str:
    """Refused where it would have to be mended: two that differ must never become one."""
    if not isinstance(text, str) or not text or len(text) > LONGEST_KEY or mended(text) != text:
        shown = repr(text) if len(repr(text)) <= 60 else repr(text)[:57] + "..."
        raise UserError(
            f"{shown} cannot be a {what}; give a text of 1 to {LONGEST_KEY:,} characters without NULs and half "
            "surrogates"
        )
    return text


def _stored(row: tuple[Any, ...]) -> Stored:
    id, namespace, *rest = row
    return Stored(int(id), tuple(json.loads(namespace)), *rest)


def _database(memory: Database | HasDatabase | str | Path) -> Database:
    if isinstance(memory, str | Path):
        return Database(Path(memory).expanduser(), MIGRATIONS)
    return memory if isinstance(memory, Database) else memory.database
