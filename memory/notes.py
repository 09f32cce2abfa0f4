"""Notes: what was said, learnt or surprising, as text with a kind, an importance and tags."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import UserError
from .database import Database
from .text import clean

_COLUMNS = "SELECT id, text, kind, importance, source, tags, created, seen FROM notes"


@dataclass(frozen=True)
class Note:
    """A remembered text. `created` and `seen` (the last time it was noted) are seconds since 1970."""

    id: int
    text: str
    kind: str
    importance: float  # 0 to 1
    source: str
    tags: tuple[str, ...]
    created: float
    seen: float


class Notes:
    """The note tables of a memory file: the notes, their words, their embedding vectors."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(self, text: str, kind: str, importance: float, source: str, tags: Iterable[str]) -> int:
        """Store a note and return its id.

        The same text of the same kind is stored once: noting it again returns the same id, marks it as seen now and
        keeps the higher importance and the tags and source of the first time. Raises `UserError` for an empty text
        or an importance outside 0 to 1.
        """
        text, kind = clean(text), clean(kind)
        if not text or not kind:
            raise UserError("a note needs a text and a kind; give both, for example kind='lesson'")
        if not 0.0 <= float(importance) <= 1.0:
            raise UserError(f"a note's importance is {importance}; give a number from 0 to 1")
        if isinstance(tags, str):
            raise UserError(f"a note's tags are a list of words, not the text {tags!r}; write tags=[{tags!r}]")
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        labels = json.dumps(sorted({clean(tag) for tag in tags} - {""}), ensure_ascii=False)
        now = self._clock()
        with self._database.transaction():
            self._database.execute(
                """INSERT INTO notes (kind, digest, text, importance, source, tags, created, seen)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                   ON CONFLICT (kind, digest) DO UPDATE
                   SET seen = excluded.seen, importance = max(importance, excluded.importance)""",
                (kind, digest, text, float(importance), clean(source), labels, now, now),
            )
            return int(self._database.rows("SELECT id FROM notes WHERE kind = ? AND digest = ?", (kind, digest))[0][0])

    def all(self, kind: str | None = None) -> list[Note]:
        """Notes, oldest first; of one kind where given."""
        rows = self._database.rows(f"{_COLUMNS} WHERE ?1 IS NULL OR kind = ?1 ORDER BY id", (kind and clean(kind),))
        return [
            Note(id, text, of, importance, source, tuple(json.loads(tags)), created, seen)
            for id, text, of, importance, source, tags, created, seen in rows
        ]

    def revision(self) -> tuple[int, float]:
        """Changes whenever a note is added or seen again, in any process."""
        sql = "SELECT coalesce((SELECT max(id) FROM notes), 0), coalesce((SELECT max(seen) FROM notes), 0.0)"
        newest, seen = self._database.rows(sql)[0]
        return int(newest), float(seen)

    def match(self, query: str) -> dict[int, float]:
        """Note id to BM25 score (higher is better) of the notes that share a word with `query`."""
        words = re.findall(r"\w+", clean(query).replace("_", " "))
        if not words:
            return {}
        anyone = " OR ".join(f'"{word}"' for word in dict.fromkeys(words))  # quoted: words, never FTS operators
        sql = "SELECT rowid, -bm25(note_words) FROM note_words WHERE note_words MATCH ?"
        found = self._database.rows(sql, (anyone,))
        return {int(id): float(score) for id, score in found}

    def vectors(self, model: str) -> dict[int, np.ndarray]:
        """Note id to the float32 vector `[D]` that `model` gave it."""
        rows = self._database.rows("SELECT note, vector FROM note_vectors WHERE model = ?", (model,))
        return {int(id): np.frombuffer(blob, "<f4") for id, blob in rows}

    def keep_vectors(self, model: str, vectors: Mapping[int, np.ndarray]) -> None:
        """Store vectors `[D]` by note id, in one commit."""
        rows = [(id, model, np.asarray(vector, "<f4").tobytes()) for id, vector in vectors.items()]
        with self._database.transaction():
            self._database.execute_many("INSERT OR REPLACE INTO note_vectors VALUES (?, ?, ?)", rows)
