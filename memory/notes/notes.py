"""Notes: what was said, learnt or surprising, as text that keeps where it came from and how it fared.

Notes are appended and superseded, never overwritten. Each keeps its origin, the episode it was made in, the
transitions it rests on, how often it was recalled, and how well the episodes went in which it was.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import UserError
from ..database import Database
from ..origin import Origin, origin_of, outranks
from ..text import clean, limited, name
from .gate import digest, known
from .words import alike, gist

Link = tuple[int, int, int]
"""Transitions that a note rests on: episode, first t, last t."""

_TAGS = 64  # a note
_FREQUENT = 1_000  # notes that hold a word; of more, the newest count
_COLUMNS = """id, text, kind, importance, source, created, seen, origin, episode, recalled, helped, successor, tags,
    (SELECT json_group_array(json_array(episode, first, last)) FROM note_links WHERE note = notes.id)"""


@dataclass(frozen=True)
class Note:
    """A remembered text. `created` and `seen` (the last time it was noted) are seconds since 1970."""

    id: int
    text: str
    kind: str
    importance: float  # 0 to 1
    source: str
    created: float
    seen: float
    origin: Origin
    episode: int | None  # in which it was made
    recalled: int  # times
    helped: float | None  # mean reward after it was recalled (`Notes.credit`)
    superseded_by: int | None
    tags: tuple[str, ...]
    links: tuple[Link, ...]


class Notes:
    """The notes of a memory file."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self._clock = clock

    def add(
        self,
        text: str,
        kind: str = "lesson",
        importance: float = 0.5,
        source: str = "agent",
        tags: Iterable[str] = (),
        episode: int | None = None,
        links: Iterable[Link] = (),
        origin: Origin | None = None,
        exact: bool = False,
    ) -> int:
        """Remember a text and return its note's id; `origin` is by default what `source` is known for. `exact` says
        that one word makes a difference, as in what is said in a schema's words: only the same text is then known.

        What is known already is not stored again (`gate.py`): the id is then that of the note that says it,
        which counts as seen now, with the higher importance and the new links, unless it is of another origin or this
        is an echo of what was recalled. A superseded note is current again when its text is noted again, unless it gave
        way to a person's. Texts are cut at 20,000 characters. Raises `UserError` for an empty text, an importance
        outside 0 to 1, and links that are no times.
        """
        text, kind, source = limited(text), name(kind), name(source)
        if not text or not kind:
            raise UserError("a note needs a text and a kind; give both, for example kind='lesson'")
        _check(importance)
        rests_on = [_link(link) for link in links]
        said_by = origin_of(source, origin)
        labels = json.dumps(_labels(tags), ensure_ascii=False)
        now = self._clock()
        with self.database.transaction():
            found = known(self.database, text, kind, said_by, exact)
            if found is not None:
                return self._again(*found, text, said_by, float(importance), rests_on)
            id = self.database.insert(
                """INSERT INTO notes
                       (kind, origin, source, digest, text, importance, tags, created, seen, episode, changed)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (kind, said_by, source, digest(text, said_by), text, float(importance), labels, now, now, episode,
                 self._change()),
            )  # fmt: skip
            self.database.execute_many(
                "INSERT INTO note_shingles (hash, note) VALUES (?, ?)", [(hash, id) for hash in gist(text).sketch]
            )
            self._link(id, rests_on)
            return id

    def again(self, id: int, importance: float = 0.0) -> None:
        """Count a note as seen now, with the higher importance."""
        _check(importance)
        with self.database.transaction():
            self._seen(id, float(importance))

    def all(self, kind: str | None = None, superseded: bool = False) -> list[Note]:
        """Notes, oldest first; of one kind where given, those that gave way to others where wanted."""
        return self._read(
            "WHERE (?1 IS NULL OR kind = ?1) AND (?2 OR successor IS NULL) ORDER BY id",
            (None if kind is None else name(kind), superseded),
        )

    def get(self, ids: Sequence[int]) -> list[Note]:
        """The notes of these ids, in their order; those that are gone are left out."""
        found = self._read("WHERE id IN (SELECT value FROM json_each(?))", (_list(ids),))
        notes = {note.id: note for note in found}
        return [notes[id] for id in ids if id in notes]

    def supersede(self, old: int, by: int) -> bool:
        """Let a note give way to another: it is kept, and left out of searches unless asked for. False, and nothing
        changes, where a person's note would give way to what no person said. Raises `UserError` for unknown ids and a
        circle."""
        with self.database.transaction():
            before, after = self._one(old), self._one(self._end(by))
            if after.id == old:
                raise UserError(f"note {old} cannot give way to note {by}, which gave way to it; name the newer one")
            if not outranks(after.origin, before.origin):
                return False
            sql = "UPDATE notes SET successor = ?, changed = ? WHERE id = ?"
            self.database.execute(sql, (int(by), self._change(), int(old)))
            return True

    def recalled(self, ids: Sequence[int]) -> None:
        """Count notes as recalled once more; what was recalled is not stored again as new."""
        if ids:
            with self.database.transaction():
                self.database.execute(
                    """UPDATE notes SET recalled = recalled + 1, changed = ?
                       WHERE id IN (SELECT value FROM json_each(?))""",
                    (self._change(), _list(ids)),
                )

    def credit(self, ids: Sequence[int], reward: float) -> None:
        """Tell what the environment paid after these notes were recalled; `Note.helped` is the mean. Raises `UserError`
        for a reward that is no number."""
        if not math.isfinite(reward):
            raise UserError(f"notes are credited with a reward of {reward}; give a finite number")
        self.database.execute(
            """UPDATE notes SET helped = (coalesce(helped, 0) * credits + ?1) / (credits + 1), credits = credits + 1
               WHERE id IN (SELECT value FROM json_each(?2))""",
            (float(reward), _list(ids)),
        )

    def forget(self, ids: Sequence[int]) -> int:
        """Delete notes for good, with their words, links and vectors; how many there were. What is left of them in free
        space goes with `erasure.scrub`."""
        with self.database.transaction():
            gone = (_list(ids),)
            of = "IN (SELECT value FROM json_each(?))"
            text_sets = "(SELECT id FROM vector_sets WHERE substr(name, 1, 5) = 'text:')"
            self.database.execute(f"DELETE FROM vectors WHERE set_id IN {text_sets} AND item {of}", gone)
            self.database.execute(f"UPDATE vector_sets SET deleted = deleted + 1 WHERE id IN {text_sets}")
            count = self.database.execute(f"DELETE FROM notes WHERE id {of}", gone)
            self.database.execute("UPDATE note_state SET deleted = deleted + 1")
            return count

    def match(self, query: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids int64 `[M]` of the notes that share a word with `query`, and their BM25 `[M]` (higher is better). Words
        that very many notes hold say little, and cost much: they count where the query has no other, in the newest
        notes, alike."""
        words = dict.fromkeys(re.findall(r"\w+", clean(query).replace("_", " "))[:64])
        rare = {word: count for word in words if 0 < (count := self._holding(word)) <= _FREQUENT}
        chosen: list[str] = []
        total = 0
        for word in sorted(rare, key=lambda word: rare[word]):
            total += rare[word]
            if chosen and total > _FREQUENT:
                break
            chosen.append(word)
        if chosen:
            sql = "SELECT rowid, -bm25(note_words) FROM note_words WHERE note_words MATCH ?"
            found = self.database.rows(sql, (_any(chosen),))
        else:
            sql = "SELECT rowid, 1.0 FROM note_words WHERE note_words MATCH ? ORDER BY rowid DESC LIMIT ?"
            found = self.database.rows(sql, (_any(words), _FREQUENT)) if words else []
        ids, scores = zip(*found, strict=True) if found else ((), ())
        return np.array(ids, np.int64), np.array(scores, np.float64)

    def _holding(self, word: str) -> int:
        """How many notes hold a word, counted no further than matters."""
        sql = "SELECT count(*) FROM (SELECT 1 FROM note_words WHERE note_words MATCH ? LIMIT ?)"
        return int(self.database.rows(sql, (_any([word]), _FREQUENT + 1))[0][0])

    def _again(self, id: int, how: str, text: str, origin: Origin, importance: float, links: list[Link]) -> int:
        """What is known was noted again: the id of the note that says it now."""
        note, current = self._one(id), self._one(self._end(id))
        if current.id != note.id:
            if not outranks(origin, current.origin) or alike(gist(text), gist(current.text)):
                note = current
            elif how == "same":
                self.database.execute("UPDATE notes SET successor = NULL WHERE id = ?", (id,))
        if how != "echo" and note.origin == origin:
            self._seen(note.id, importance)
            self._link(note.id, links)
        return note.id

    def _seen(self, id: int, importance: float) -> None:
        self.database.execute(
            "UPDATE notes SET seen = ?, importance = max(importance, ?), changed = ? WHERE id = ?",
            (self._clock(), importance, self._change(), int(id)),
        )

    def _change(self) -> int:
        """The number of one more change; inside a transaction."""
        self.database.execute("UPDATE note_state SET changed = changed + 1")
        return int(self.database.rows("SELECT changed FROM note_state")[0][0])

    def _link(self, id: int, links: list[Link]) -> None:
        self.database.execute_many("INSERT OR IGNORE INTO note_links VALUES (?, ?, ?, ?)", [(id, *k) for k in links])

    def _one(self, id: int) -> Note:
        found = self.get([int(id)])
        if not found:
            raise UserError(f"{self.database.path}: there is no note {id}; `notes()` lists them with their ids")
        return found[0]

    def _end(self, id: int) -> int:
        """The note that a note gave way to, in the end."""
        sql = """WITH RECURSIVE later (id, depth) AS (SELECT ?, 0 UNION ALL
                 SELECT n.successor, depth + 1 FROM notes n JOIN later ON n.id = later.id
                 WHERE n.successor IS NOT NULL AND depth < 1000)
                 SELECT id FROM later ORDER BY depth DESC LIMIT 1"""
        return int(self.database.rows(sql, (int(id),))[0][0])

    def _read(self, where: str, values: Sequence[Any]) -> list[Note]:
        rows = self.database.rows(f"SELECT {_COLUMNS} FROM notes {where}", values)
        return [
            Note(*(*plain, tuple(json.loads(tags)), tuple(map(_link, json.loads(links)))))
            for *plain, tags, links in rows
        ]


def _check(importance: float) -> None:
    if not 0.0 <= float(importance) <= 1.0:
        raise UserError(f"a note's importance is {importance}; give a number from 0 to 1")


def _link(link: Link) -> Link:
    episode, first, last = (int(part) for part in link)
    if not 0 <= first <= last:
        raise UserError(f"a note's link is {link}; give (episode, first t, last t) with 0 <= first <= last")
    return episode, first, last


def _labels(tags: Iterable[str]) -> list[str]:
    if isinstance(tags, str):
        raise UserError(f"a note's tags are a list of words, not the text {tags!r}; write tags=[{tags!r}]")
    return sorted({name(tag) for tag in tags} - {""})[:_TAGS]


def _any(words: Iterable[str]) -> str:
    """An FTS query for any of the words; quoted, they are never operators."""
    return " OR ".join(f'"{word}"' for word in words)


def _list(ids: Iterable[int]) -> str:
    return json.dumps([int(id) for id in ids])
