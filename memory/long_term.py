"""Long-term memory: every episode, transition and note, in one durable SQLite file.

Whatever a method has acknowledged survives `kill -9`. Several processes may use one file at once (writers take
turns). Worlds of the same features but other sizes share the file; transitions are those of this world only.
"""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .database import Database
from .facts import Facts
from .notes import Link, Note, Notes
from .record import Layout, Step, Transitions
from .rules import Rules
from .tables import MIGRATIONS
from .text import clean

_CHUNK = 32_768  # rows turned into arrays at a time
_APPEND = """
    INSERT INTO transitions (episode, t, before, reward, terminated, truncated, after, time)
    SELECT id, (SELECT coalesce(max(t) + 1, 0) FROM transitions WHERE episode = episodes.id), ?, ?, ?, ?, ?, ?
    FROM episodes WHERE id = ? AND world = ? AND ended IS NULL"""
_COLUMNS = "t.before, t.reward, t.terminated, t.truncated, t.after, t.episode, t.t"
# CROSS: SQLite then walks the transitions by id, and never sorts them by way of the episodes.
_OF_WORLD = "FROM transitions t CROSS JOIN episodes e ON e.id = t.episode WHERE e.world = ?"


@dataclass(frozen=True)
class Episode:
    """One episode: `length` transitions, undiscounted return (`total_reward`), and where it came from."""

    id: int
    length: int
    total_reward: float
    group: str
    source: str
    seed: int | None
    started: float  # seconds since 1970
    ended: bool


class LongTerm:
    """One SQLite file: worlds, episodes, transitions, notes. Each acknowledged write survives `kill -9`.

    Safe to share between threads. After a power loss the last commits may be missing; the file stays whole.
    """

    def __init__(self, path: str | Path | None, layout: Layout, *, clock: Callable[[], float] = time.time) -> None:
        """Open or create `path`; None means a temporary file, deleted at `close`.

        Raises `UserError` for a damaged or foreign file and for one whose features have other names or types,
        `GedankenError` where the disk says no.
        """
        self._temporary: Callable[[], Any] | None = None
        if path is None:
            folder = tempfile.TemporaryDirectory(prefix="gedanken-", ignore_cleanup_errors=True)
            self._temporary = weakref.finalize(self, folder.cleanup)
            path = Path(folder.name) / "memory.sqlite"
        self.path = Path(path).expanduser()
        self.database = Database(self.path, MIGRATIONS)
        self._clock = clock
        self.note_table = Notes(self.database, clock)
        self.facts = Facts(self.database, clock)
        self._counted = (0, 0)  # up to which row, how many transitions
        try:
            self._world, self.layout = self._find_world(layout)
        except BaseException:
            self.close()
            raise
        self.rules = Rules(self.database, self._world, clock)

    def begin(self, source: str = "agent", seed: int | None = None, group: str = "") -> int:
        """Start an episode and return its id. `group` names the layout or level, for held-out splits."""
        values = (self._world, clean(source), None if seed is None else str(int(seed)), clean(group), self._clock())
        return self.database.insert(
            "INSERT INTO episodes (world, source, seed, level, started) VALUES (?, ?, ?, ?, ?)", values
        )

    def append(self, episode: int, step: Step) -> None:
        """Remember one transition; durable at return. Raises `UserError` as `append_many` does."""
        if self.database.execute(_APPEND, self._row(episode, step, None)) != 1:
            raise self._no_episode(episode)

    def append_many(self, episode: int, steps: Iterable[Step]) -> None:
        """Remember several transitions in one commit, all or none.

        Raises `UserError` for an episode that has ended or is not of this world, and for a step that does not fit
        the layout.
        """
        steps = list(steps)
        rows = [self._row(episode, step, after) for step, after in zip(steps, [*steps[1:], None], strict=True)]
        if not rows:
            return
        with self.database.transaction():
            if self.database.execute_many(_APPEND, rows) != len(rows):
                raise self._no_episode(episode)

    def end(self, episode: int, truncated: bool = False) -> None:
        """Close an episode: nothing more is appended to it. Ending it twice does nothing. `truncated` says that it was
        broken off: its last transition is marked so, unless it terminated."""
        if truncated:
            self.database.execute(
                """UPDATE transitions SET truncated = 1 WHERE NOT terminated
                       AND episode = (SELECT id FROM episodes WHERE id = ? AND world = ? AND ended IS NULL)
                       AND t = (SELECT max(t) FROM transitions WHERE episode = ?)""",
                (int(episode), self._world, int(episode)),
            )
        self.database.execute(
            """UPDATE episodes SET ended = ?,
                   length = (SELECT count(*) FROM transitions WHERE episode = episodes.id),
                   total_reward = (SELECT total(reward) FROM transitions WHERE episode = episodes.id)
               WHERE id = ? AND world = ? AND ended IS NULL""",
            (self._clock(), int(episode), self._world),
        )

    def __len__(self) -> int:
        """The number of transitions of this world."""
        seen, count = self._counted
        upto = self.position()
        if upto > seen:
            count += self.database.rows(
                f"SELECT count(*) {_OF_WORLD} AND t.id > ? AND t.id <= ?", (self._world, seen, upto)
            )[0][0]
            self._counted = (upto, count)
        return count

    def __bool__(self) -> bool:
        return True  # an empty memory is still a memory

    def episodes(self, since: int = 0) -> list[Episode]:
        """Episodes of this world whose id is above `since`, oldest first."""
        rows = self.database.rows(
            """SELECT id, coalesce(length, (SELECT count(*) FROM transitions WHERE episode = episodes.id)),
                      coalesce(total_reward, (SELECT total(reward) FROM transitions WHERE episode = episodes.id)),
                      level, source, seed, started, ended IS NOT NULL
               FROM episodes WHERE world = ? AND id > ? ORDER BY id""",
            (self._world, int(since)),
        )
        return [
            Episode(id, length, total, group, source, None if seed is None else int(seed), started, bool(ended))
            for id, length, total, group, source, seed, started, ended in rows
        ]

    def transitions(self, episodes: Sequence[int] | None = None, last: int | None = None) -> Transitions:
        """Transitions ordered by episode and time: of `episodes` only, and of those the `last` ones written."""
        sql = f"SELECT {_COLUMNS} {_OF_WORLD}"
        values: list[Any] = [self._world]
        if episodes is not None:
            sql += " AND t.episode IN (SELECT value FROM json_each(?))"
            values.append(json.dumps([int(episode) for episode in episodes]))
        if last is not None:
            sql += " ORDER BY t.id DESC LIMIT ?"
            values.append(max(0, int(last)))
        rows = self.database.rows(sql, values)
        found = self._columns(rows)
        return found.take(np.lexsort((found.t, found.episode)))

    def position(self) -> int:
        """The row number of the newest transition of any world: it grows with every write, in any process."""
        return int(self.database.rows("SELECT coalesce(max(id), 0) FROM transitions")[0][0])

    def arrivals(self, since: int, upto: int) -> tuple[Transitions, np.ndarray]:
        """Transitions written at rows above `since` up to `upto`, in order of writing, and their rows int64 `[N]`."""
        rows = self.database.rows(
            f"SELECT {_COLUMNS}, t.id {_OF_WORLD} AND t.id > ? AND t.id <= ? ORDER BY t.id",
            (self._world, int(since), int(upto)),
        )
        return self._columns(rows), np.array([row[-1] for row in rows], np.int64)

    def note(
        self,
        text: str,
        kind: str = "lesson",
        importance: float = 0.5,
        source: str = "agent",
        tags: Iterable[str] = (),
        episode: int | None = None,
        links: Iterable[Link] = (),
    ) -> int:
        """Remember a text and return its note's id; what is known already is not stored again (`Notes.add`). `links`
        are the transitions it rests on: episode, first t, last t."""
        return self.note_table.add(text, kind, importance, source, tags, episode, links)

    def notes(self, kind: str | None = None) -> list[Note]:
        """Notes, oldest first; of one kind where given. Those that gave way to others are in `note_table.all`."""
        return self.note_table.all(kind)

    def snapshot(self, target: str | Path) -> None:
        """Write a complete copy of the file to `target` while it stays in use; written aside, then renamed."""
        self.database.backup(Path(target).expanduser())

    def close(self) -> None:
        """Close the file (and delete it where it was temporary); a second call does nothing."""
        self.database.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                self._temporary()

    def __enter__(self) -> LongTerm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _find_world(self, layout: Layout) -> tuple[int, Layout]:
        """The stored world of this layout, or a new row beside others of the same features."""
        with self.database.transaction():
            stored = [(id, Layout.from_json(text)) for id, text in self.database.rows("SELECT id, layout FROM worlds")]
            for id, other in stored:
                if layout.same(other):
                    return id, other
            for _, other in stored:
                if lines := layout.difference(other):
                    raise UserError(
                        f"{self.path}: holds another world: {'; '.join(lines)}. Choose another path for this world's "
                        "memory, or go back to the features it was recorded with"
                    )
            sql = "INSERT INTO worlds (layout, created) VALUES (?, ?)"
            return self.database.insert(sql, (layout.to_json(), self._clock())), layout

    def _row(self, episode: int, step: Step, following: Step | None) -> tuple[Any, ...]:
        reward = float(step.reward)
        if math.isnan(reward):
            raise UserError("a reward is NaN; mend the environment's reward before it is remembered")
        after = step.next_features
        if after is None and following is not None:
            after = following.features
        if after is None:
            raise UserError("a step has no next features; give the state that followed its action")
        return (
            self.layout.pack(step.features, step.action),
            reward,
            bool(step.terminated),
            bool(step.truncated),
            self.layout.pack(after),
            self._clock(),
            int(episode),
            self._world,
        )

    def _columns(self, rows: Sequence[tuple[Any, ...]]) -> Transitions:
        parts = []
        for start in range(0, max(len(rows), 1), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            columns = list(zip(*chunk, strict=True)) if chunk else [()] * 7
            before, reward, terminated, truncated, after, episode, t = columns[:7]
            features, action = self.layout.unpack(b"".join(before))
            parts.append(
                Transitions(
                    features=features,
                    action=action,
                    reward=np.array(reward, np.float32),
                    terminated=np.array(terminated, bool),
                    truncated=np.array(truncated, bool),
                    next_features=self.layout.unpack_features(b"".join(after)),
                    episode=np.array(episode, np.int64),
                    t=np.array(t, np.int64),
                )
            )
        return Transitions.join(parts)

    def _no_episode(self, episode: int) -> UserError:
        return UserError(f"{self.path}: episode {episode} has ended or is not of this world; start one with begin()")
