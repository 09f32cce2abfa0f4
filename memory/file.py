"""A memory file opened without knowing its world: to look at what it holds, search it, delete from it, copy it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from .database import Database
from .experience.record import Layout
from .notes.facts import Facts
from .notes.notes import Notes
from .skills import Skills
from .tables import MIGRATIONS


@dataclass(frozen=True)
class World:
    """A world a memory holds experience of. Imagined episodes are counted apart."""

    id: int
    layout: Layout
    created: float  # seconds since 1970
    episodes: int
    transitions: int
    imagined: int


class MemoryFile:
    """The notes, facts, skills and worlds of a file that is there. `LongTerm` is for living in it; both may at once."""

    def __init__(self, path: str | Path, clock: Callable[[], float] = time.time) -> None:
        """Raises `UserError` where there is no such file, or it is damaged or another program's."""
        self.path = Path(path).expanduser()
        if not self.path.exists() or (self.path.is_file() and not self.path.stat().st_size):
            raise UserError(f"{self.path}: there is no memory; give the file, or the folder of a saved agent")
        self.database = Database(self.path, MIGRATIONS)
        self.note_table = Notes(self.database, clock)
        self.facts = Facts(self.database, clock)
        self.skills = Skills(self.database, clock)

    def worlds(self) -> list[World]:
        """The worlds, oldest first."""
        return [
            World(id, Layout.from_json(layout), *rest)
            for id, layout, *rest in self.database.rows(
                """SELECT w.id, w.layout, w.created,
                       (SELECT count(*) FROM episodes WHERE world = w.id AND NOT imagined),
                       (SELECT coalesce(sum(c.length), 0) FROM chunks c JOIN episodes e ON e.id = c.episode
                        WHERE e.world = w.id AND NOT e.imagined)
                       + (SELECT count(*) FROM steps s JOIN episodes e ON e.id = s.episode
                          WHERE e.world = w.id AND NOT e.imagined),
                       (SELECT count(*) FROM episodes WHERE world = w.id AND imagined)
                   FROM worlds w ORDER BY w.id"""
            )
        ]

    def kinds(self) -> list[tuple[str, str, str, int, int, int]]:
        """Kind, source, origin, notes, how many of them are superseded, and times they were recalled."""
        return self.database.rows(
            """SELECT kind, source, origin, count(*), count(successor), sum(recalled) FROM notes
               GROUP BY kind, source, origin ORDER BY count(*) DESC, kind, source"""
        )

    def vectors(self) -> list[tuple[str, int, int]]:
        """Name, count and size of each set of vectors."""
        return self.database.rows(
            """SELECT s.name, (SELECT count(*) FROM vectors WHERE set_id = s.id), s.size
               FROM vector_sets s ORDER BY s.name"""
        )

    def select(
        self, kind: str | None = None, source: str | None = None, origin: str | None = None, text: str | None = None
    ) -> list[int]:
        """The ids of the notes of a kind, a source and an origin that contain a text (whatever the case; as it is,
        without wildcards)."""
        return [
            note.id
            for note in self.note_table.all(kind, superseded=True)
            if (source is None or note.source == source)
            and (origin is None or note.origin == origin)
            and (text is None or text.casefold() in note.text.casefold())
        ]

    def snapshot(self, target: str | Path) -> None:
        """Write a complete copy of the file while it stays in use; written aside, then renamed."""
        self.database.backup(Path(target).expanduser())

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self.database.close()

    def __enter__(self) -> MemoryFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
