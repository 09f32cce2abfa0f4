"""Long-term memory: every episode, transition and note, in one durable SQLite file.

Whatever a method has acknowledged survives `kill -9`. Several processes may use one file at once (writers take
turns). Worlds of the same features but other sizes share the file; transitions are those of this world only.
"""

from __future__ import annotations

import contextlib
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
from .experience.chunks import Chunks
from .experience.forgetting import Forgetting, Policy, Quota, Unit
from .experience.record import Layout, Step, Transitions
from .notes.facts import Facts
from .notes.notes import Link, Note, Notes
from .rules import Rules
from .skills import Skills
from .tables import MIGRATIONS
from .text import clean

_LEFT_S = 3_600.0  # steps staged longer ago than that are of a process that died

@dataclass(frozen=True)
class Episode:
    """One episode as it was lived: `length` transitions, undiscounted return (`total_reward`), where it came from.
    `held` transitions of it were not forgotten."""

    id: int
    length: int
    total_reward: float
    group: str
    source: str
    seed: int | None
    started: float  # seconds since 1970
    ended: bool
    held: int
    imagined: bool = False


class LongTerm:
    """One SQLite file: worlds, episodes, transitions, notes. Each acknowledged write survives `kill -9`.

    Safe to share between threads. After a power loss the last commits may be missing; the file stays whole.
    """

    def __init__(
        self, path: str | Path | None, layout: Layout, *, quota: Quota | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        """Open or create `path`; None means a temporary file, deleted at `close`. A `quota` is kept at the end of every
        episode (the file does not shrink then: what is free is written anew).

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
        self._clock, self._quota = clock, quota
        self.note_table = Notes(self.database, clock)
        self.facts = Facts(self.database, clock)
        self.skills = Skills(self.database, clock)
        self._counted: tuple[object, int] = (None, 0)  # at which version of the file, how many transitions
        try:
            self._world, self.layout = self._find_world(layout)
            self.chunks = Chunks(self.database, self.layout, self._world)
            self.chunks.fold_left(clock() - _LEFT_S)
            self._forgetting = Forgetting(self.database, self._world, self.chunks.records.type.itemsize)
        except BaseException:
            self.close()
            raise
        self.rules = Rules(self.database, self._world, clock)

    def begin(self, source: str = "agent", seed: int | None = None, group: str = "", imagined: bool = False) -> int:
        """Start an episode and return its id. `group` names the layout or level, for held-out splits. What is
        `imagined` is kept apart: nobody learns from it as if it had happened."""
        seed_text = None if seed is None else str(int(seed))
        return self.database.insert(
            """INSERT INTO episodes (world, source, seed, level, started, length, total_reward, imagined)
               VALUES (?, ?, ?, ?, ?, 0, 0.0, ?)""",
            (self._world, clean(source), seed_text, clean(group), self._clock(), imagined),
        )

    def append(self, episode: int, step: Step, surprise: float | None = None) -> None:
        """Remember one transition; durable at return. `surprise`: by how many nats it surprised the world model.

        Raises `UserError` for an episode that has ended or is not of this world, and for a step that does not fit the
        layout."""
        reward = float(step.reward)
        if math.isnan(reward):
            raise UserError("a reward is NaN; mend the environment's reward before it is remembered")
        if step.next_features is None:
            raise UserError("a step has no next features; give the state that followed its action")
        before, after = self.layout.pack(step.features, step.action), self.layout.pack(step.next_features)
        row = (before, reward, bool(step.terminated), bool(step.truncated), after, self._clock(), surprise)
        if not self.chunks.append(int(episode), row):
            raise self._no_episode(episode)

    def append_many(self, episode: int, steps: Iterable[Step], surprises: Sequence[float] | None = None) -> None:
        """Remember several transitions in one commit, all or none; `surprises` in nats, NaN where there is none.

        Raises `UserError` as `append` does.
        """
        stretch = self.chunks.records.of_steps(list(steps), surprises, self._clock())
        if len(stretch) and not self.chunks.extend(int(episode), stretch):
            raise self._no_episode(episode)

    def end(self, episode: int, truncated: bool = False) -> None:
        """Close an episode: nothing more is appended to it. Ending it twice does nothing. `truncated` says that it was
        broken off: its last transition is marked so, unless it terminated."""
        episode = int(episode)
        with self.database.transaction():
            sql = "UPDATE episodes SET ended = ? WHERE id = ? AND world = ? AND ended IS NULL"
            if self.database.execute(sql, (self._clock(), episode, self._world)):
                self.chunks.fold(episode)
                if truncated:
                    self.chunks.truncate(episode)
        if self._quota is not None:
            self._forgetting.keep(self._quota, self._clock())

    def forget(self, policy: Policy, keep: int, unit: Unit = "transitions") -> int:
        """Forget experience of this world down to `keep` transitions or bytes, "oldest" or "least_surprising" first
        (see `Quota`), and give the space back to the disk (the file's free pages, by incremental vacuum; a file of the
        first format is rewritten whole, once). Returns how many transitions went: fewer where the rest may not go,
        which is what a person told or demonstrated, and episodes under way."""
        gone = self._forgetting.to(Quota(keep, unit, policy), self._clock())
        if gone:
            self.database.give_back()
        return gone

    def __len__(self) -> int:
        """The number of transitions of this world that are remembered."""
        version = self.database.version()
        if version != self._counted[0]:
            ((count,),) = self.database.rows(
                """SELECT (SELECT coalesce(sum(held), 0) FROM episodes WHERE world = ?1 AND NOT imagined) +
                   (SELECT count(*) FROM steps s JOIN episodes e ON e.id = s.episode
                    WHERE e.world = ?1 AND NOT e.imagined)""",
                (self._world,),
            )
            self._counted = (version, count)
        return self._counted[1]

    def __bool__(self) -> bool:
        return True  # an empty memory is still a memory

    def episodes(self, since: int = 0, imagined: bool = False) -> list[Episode]:
        """Episodes of this world whose id is above `since`, oldest first: the lived ones, or the `imagined` ones."""
        rows = self.database.rows(
            """SELECT e.id, e.length + count(s.id), e.total_reward + total(s.reward), e.level, e.source, e.seed,
                      e.started, e.ended IS NOT NULL, e.held + count(s.id), e.imagined
               FROM episodes e LEFT JOIN steps s ON s.episode = e.id
               WHERE e.world = ? AND e.id > ? AND e.imagined = ? GROUP BY e.id ORDER BY e.id""",
            (self._world, int(since), imagined),
        )
        return [
            Episode(id, length, total, group, source, None if seed is None else int(seed), started, bool(ended), held,
                    bool(imagined))
            for id, length, total, group, source, seed, started, ended, held, imagined in rows
        ]  # fmt: skip

    def transitions(
        self, episodes: Sequence[int] | None = None, last: int | None = None, imagined: bool = False
    ) -> Transitions:
        """Transitions ordered by episode and time: of `episodes` only, and of those the `last` ones written; lived
        ones, or `imagined` ones. Raises `UserError` where some of them are damaged."""
        with self.database.view():
            pieces = self.chunks.pieces(episodes=episodes, imagined=imagined)
            rows = pieces.rows[np.lexsort((pieces.rows["t"], pieces.rows["episode"]))]
            if last is not None:
                # Episodes may take turns: `last` transitions are at least as new as the first of their piece.
                firsts = np.sort(np.repeat(rows["first"], rows["length"]))[::-1][: max(0, last)]
                rows = rows[rows["last"] >= firsts[-1]] if len(firsts) else rows[:0]
            found, written = self.chunks.transitions(rows, pieces.staged)
        return found if last is None else found.take(np.sort(np.argsort(-written)[: max(0, last)]))

    def position(self) -> int:
        """The row number of the newest transition of any world: it grows with every write, in any process."""
        return int(self.database.rows("SELECT newest FROM position")[0][0])

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

    def _no_episode(self, episode: int) -> UserError:
        return UserError(f"{self.path}: episode {episode} has ended or is not of this world; start one with begin()")
