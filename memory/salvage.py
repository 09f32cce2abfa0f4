"""Salvage: what can be read of a damaged memory file goes into a new one, and what was lost is told.

Tables are read row by row around the damage: a range of rows that cannot be read is halved until only rows of damaged
pages are left out. Transitions are checked by their checksums, so that of a damaged chunk the sound ones are kept.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .database import Database
from .experience.record import Layout
from .experience.records import Records
from .tables import MIGRATIONS

_WINDOW = 1_024  # rows looked for at a time
_LARGEST = 1 << 42  # bytes; a header that tells of more is damaged itself
_OURS = {"worlds", "episodes", "notes"}  # tables of every format


@dataclass(frozen=True)
class Report:
    """What was saved, rows by table, and what was lost, in words. `transitions` were saved; `transitions_lost` more are
    known to have been there."""

    rows: dict[str, int]
    transitions: int
    transitions_lost: int
    lost: tuple[str, ...]


def salvage(path: str | Path, target: str | Path) -> Report:
    """Save what can be read of the memory file `path` into the new file `target`; `path` is left as it is.

    Raises `UserError` where there is no such file, `target` exists, or nothing at all can be read.
    """
    path, target = Path(path).expanduser(), Path(target).expanduser()
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; give the damaged memory file")
    if target.exists():
        raise UserError(f"{target}: is there already; choose a new path for what is saved")
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    with tempfile.TemporaryDirectory(prefix="gedanken-") as folder:
        copy = Path(shutil.copy(path, folder))
        with contextlib.suppress(OSError):
            shutil.copy(path.with_name(path.name + "-wal"), folder)
        _pad(copy)
        try:
            with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as source:
                report = _save(source, path, aside)
            aside.replace(target)
        finally:
            for rest in ("", "-wal", "-shm"):
                aside.with_name(aside.name + rest).unlink(missing_ok=True)
    return report


def _save(source: sqlite3.Connection, path: Path, aside: Path) -> Report:
    try:
        there = {name for (name,) in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        raise UserError(f"{path}: nothing can be read ({error}), not even what tables it holds; restore a snapshot"
                        ) from error  # fmt: skip
    if not there & _OURS:
        raise UserError(f"{path}: holds nothing of a gedanken memory; give the damaged memory file")
    is_old = "transitions" in there  # the first format: saved as it is, then taken over as any file of it
    saved = Database(aside, MIGRATIONS[:1] if is_old else MIGRATIONS)
    saved.rows("PRAGMA foreign_keys = OFF")
    rows, lost = {}, []
    with saved.transaction():
        for table in _tables(saved):
            if table in there:
                rows[table], missed = _copy(source, saved, table)
                if missed:
                    lost.append(f"{table}: parts of the table cannot be read")
    if is_old:
        saved.migrate(MIGRATIONS)
    with saved.transaction():
        ((newest,),) = saved.rows("SELECT newest FROM position")
        folded = "(SELECT coalesce(sum(length), 0) FROM chunks)"
        promised = _count(saved, f"max({folded}, (SELECT coalesce(sum(held), 0) FROM episodes))")
        lost += [*_mend(saved), *_untie(saved)]
        kept = _count(saved, folded)
        saved.execute(  # rows that are lost still count: what a checkpoint names stays right
            """INSERT INTO forgettings (time, policy, transitions, position)
               SELECT ?1, 'salvage', ?2, ?3 FROM position WHERE newest < ?3""",
            (time.time(), max(0, promised - kept), newest),
        )
    saved.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    saved.rows("PRAGMA journal_mode = DELETE")
    saved.close()
    return Report({k: v for k, v in rows.items() if v}, kept, max(0, promised - kept), tuple(lost))


def _pad(path: Path) -> None:
    """Bring a file that was cut short to the length that its header tells, or SQLite reads none of it."""
    with path.open("rb+") as file:
        header = file.read(100)
        page = int.from_bytes(header[16:18], "big")
        size = (65_536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
        if path.stat().st_size < size < _LARGEST:
            file.truncate(size)


def _tables(database: Database) -> list[str]:
    """Tables that hold data of their own: not SQLite's, nor those that triggers fill."""
    found = database.rows("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
    virtual = [name for name, sql in found if sql.startswith("CREATE VIRTUAL")]
    return [name for name, _ in found
            if not name.startswith("sqlite_") and name != "revision"  # counts changes to this very file
            and not any(name == v or name.startswith(v + "_") for v in virtual)]  # fmt: skip


def _copy(source: sqlite3.Connection, saved: Database, table: str) -> tuple[int, bool]:
    """Copy what can be read of a table; how many rows that was, and whether anything could not be read."""
    known = {column for _, column, *_ in source.execute(f"PRAGMA table_info({_quoted(table)})")}
    described = [row for row in saved.rows(f"PRAGMA table_info({_quoted(table)})") if row[1] in known]
    columns, needed = [row[1] for row in described], [k for k, row in enumerate(described) if row[3]]
    listed = ", ".join(map(_quoted, columns))
    insert = f"INSERT OR REPLACE INTO {_quoted(table)} ({listed}) VALUES ({', '.join('?' * len(columns))})"
    query = f"SELECT {listed} FROM {_quoted(table)}"
    reader = _Reader(source, query, table)
    is_new = True  # a table may begin with rows that say that it is empty
    for part in reader.parts():
        rows = [row for row in part if all(row[k] is not None for k in needed)]
        reader.missed |= len(rows) < len(part)  # a page of zeros reads as rows of nothing
        if not rows:
            continue
        if is_new:
            saved.execute(f"DELETE FROM {_quoted(table)}")
        saved.execute_many(insert, rows)
        is_new = False
    return 0 if is_new else saved.rows(f"SELECT count(*) FROM {_quoted(table)}")[0][0], reader.missed


class _Reader:
    """The rows of one table, as far as they can be read."""

    def __init__(self, source: sqlite3.Connection, query: str, table: str) -> None:
        self._source, self._query, self._table = source, query, table
        self.missed = False

    def parts(self) -> Iterator[list[tuple[Any, ...]]]:
        """Lists of rows. A row may come twice where the table has no row numbers."""
        try:
            newest = self._source.execute(f"SELECT max(rowid) FROM {_quoted(self._table)}").fetchone()[0]
            if newest is None:
                return
        except sqlite3.OperationalError:
            yield from self._both_ways()
            return
        except sqlite3.DatabaseError:
            newest = None  # its last page is damaged: look until nothing more is found
            self.missed = True
        at = 1
        while newest is None or at <= newest:
            found = list(self._between(at, at + _WINDOW - 1))
            yield from found
            if newest is None and not any(found):
                return
            at += _WINDOW

    def _between(self, first: int, last: int) -> Iterator[list[tuple[Any, ...]]]:
        try:
            yield self._source.execute(f"{self._query} WHERE rowid BETWEEN ? AND ?", (first, last)).fetchall()
        except sqlite3.DatabaseError:
            self.missed = True
            if first < last:
                middle = (first + last) // 2
                yield from self._between(first, middle)
                yield from self._between(middle + 1, last)

    def _both_ways(self) -> Iterator[list[tuple[Any, ...]]]:
        """A table without row numbers, from its start to the damage and from its end."""
        keys = [c for _, c, *_, key in self._source.execute(f"PRAGMA table_info({_quoted(self._table)})") if key]
        for way in ("ASC", "DESC"):
            rows: list[tuple[Any, ...]] = []
            try:
                order = ", ".join(f"{_quoted(key)} {way}" for key in keys)
                for row in self._source.execute(f"{self._query} ORDER BY {order}"):
                    rows.append(row)
                yield rows
                return
            except sqlite3.DatabaseError:
                self.missed = True
                yield rows


def _count(saved: Database, held: str) -> int:
    sql = f"SELECT {held} + (SELECT count(*) FROM steps)"
    return int(saved.rows(sql)[0][0])


def _mend(saved: Database) -> list[str]:
    """Make the tables of experience agree again; what was lost for that, in words."""
    lost = []
    worlds = {id: Records(Layout.from_json(layout)) for id, layout in saved.rows("SELECT id, layout FROM worlds")}
    orphans = saved.rows("SELECT episode FROM chunks UNION SELECT episode FROM steps EXCEPT SELECT id FROM episodes")
    if orphans and len(worlds) == 1:
        saved.execute_many(
            """INSERT INTO episodes (id, world, source, level, started, ended, length, total_reward)
               VALUES (?, ?, 'salvaged', '', 0, 0, 0, 0)""",
            [(episode, *worlds) for (episode,) in orphans],
        )
        lost.append(f"where {len(orphans)} episodes came from; they are kept as of source 'salvaged'")
    chunks = saved.rows("""SELECT c.id, c.episode, c.t, c.length, c.surprise, c.joined, e.world
                           FROM chunks c LEFT JOIN episodes e ON e.id = c.episode ORDER BY c.episode, c.t""")
    for chunk, episode, t, length, surprise, joined, world in chunks:
        data = [data for (data,) in saved.rows("SELECT data FROM records WHERE chunk = ?", (chunk,))]
        records: np.ndarray = _records(worlds[world], data[0]) if data and world in worlds else np.zeros(0)
        parts = _sound(worlds[world], records) if len(records) else []
        if parts == [(0, length)]:
            continue
        gone = length - sum(stop - start for start, stop in parts)
        lost.append(f"episode {episode}: {gone} of the transitions {t} to {t + length - 1}")
        saved.execute("DELETE FROM chunks WHERE id = ?", (chunk,))
        saved.execute("DELETE FROM records WHERE chunk = ?", (chunk,))
        for start, stop in parts:
            rows = records["row"][start:stop]
            part = saved.insert(
                "INSERT INTO chunks (first, last, episode, t, length, joined, surprise) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (int(rows[0]), int(rows[-1]), episode, t + start, stop - start, bool(joined and start == 0),
                 surprise[4 * start : 4 * stop]),
            )  # fmt: skip
            saved.insert("INSERT INTO records VALUES (?, ?)", (part, records[start : stop + 1].tobytes()))
    gone = saved.execute("DELETE FROM records WHERE chunk NOT IN (SELECT id FROM chunks)")
    gone += saved.execute("DELETE FROM steps WHERE episode NOT IN (SELECT id FROM episodes)")
    if gone:
        lost.append(f"{gone} chunks or steps of which it is not known when they were lived")
    saved.execute(
        """UPDATE episodes SET
               held = (SELECT coalesce(sum(c.length), 0) FROM chunks c WHERE c.episode = episodes.id),
               length = max(length,
                            (SELECT coalesce(max(c.t + c.length), 0) FROM chunks c WHERE c.episode = episodes.id))"""
    )
    return lost


def _untie(saved: Database) -> list[str]:
    """Cut references to what is gone; a row that makes no sense without goes too. What was lost for that, in words."""
    lost = dict[str, int]()
    saved.execute("UPDATE note_state SET changed = max(changed, (SELECT coalesce(max(changed), 0) FROM notes))")
    for table, row, _, key in saved.rows("PRAGMA foreign_key_check"):
        if row is None:  # a table without row numbers: links and indices, which are harmless
            continue
        (column,) = {c for id, _, _, c, *_ in saved.rows(f"PRAGMA foreign_key_list({_quoted(table)})") if id == key}
        needed = {c for _, c, _, is_needed, *_ in saved.rows(f"PRAGMA table_info({_quoted(table)})") if is_needed}
        if column in needed:
            lost[table] = lost.get(table, 0) + saved.execute(f"DELETE FROM {_quoted(table)} WHERE rowid = ?", (row,))
        else:
            saved.execute(f"UPDATE {_quoted(table)} SET {_quoted(column)} = NULL WHERE rowid = ?", (row,))
    return [f"{table}: {count} rows that belonged to others that are gone" for table, count in lost.items()]


def _records(form: Records, data: bytes) -> np.ndarray:
    """As many whole records as there are."""
    return np.frombuffer(data[: len(data) // form.type.itemsize * form.type.itemsize], form.type)


def _sound(form: Records, records: np.ndarray) -> list[tuple[int, int]]:
    """From where to where transitions are as they were written: both their own record and the next one."""
    sound = form.sound(records)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], sound[:-1] & sound[1:], [False]])))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _quoted(name: str) -> str:
    """A name from the database's own list, as SQL."""
    return '"' + name.replace('"', '""') + '"'
