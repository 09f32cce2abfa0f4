"""One SQLite file, opened with care: write-ahead log, migrations, and errors a person can act on.

A commit survives `kill -9` of the process at once. After a power loss the file is whole, but the last commits
before it may be missing (`synchronous=NORMAL`: the disk is waited for at checkpoints, not at each commit).

Every thread has a connection of its own, so that readers wait for nobody; writers take turns, in this process by a lock
and between processes by `BEGIN IMMEDIATE` (a plain BEGIN that reads first finds the database locked when it writes).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import GedankenError, UserError

APPLICATION_ID = 0x6765646E  # "gedn"
PAGE = 16_384  # bytes; chunks of experience are long, and read twice as fast as from SQLite's pages of 4,096
WAL_PAGES = 2_000  # of the write-ahead log, from which on it is copied into the file

Values = Sequence[Any] | Mapping[str, Any]

_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, or choose a path on another disk",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only; make both writable, or choose another path",
    sqlite3.SQLITE_PERM: "permission denied; make the file and its folder writable, or choose another path",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that its folder is there and writable, or choose another path",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write; check its space and health, or choose another path",
    sqlite3.SQLITE_BUSY: "another process keeps it locked; let that one finish or close it, then try again",
    sqlite3.SQLITE_LOCKED: "another process keeps it locked; let that one finish or close it, then try again",
}
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class _Connection(sqlite3.Connection):
    """One that can be referred to weakly: it goes with its thread."""


class Database:
    """One file, for all threads of a process, beside any number of other processes."""

    def __init__(self, path: Path, migrations: Sequence[Sequence[str]], busy_timeout_s: float = 10.0) -> None:
        """Open or create `path` and bring it to the newest migration.

        Raises `UserError` for a folder, a damaged file, another program's database or a file from a newer version;
        `GedankenError` where the disk says no.
        """
        self.path = path
        self.rollbacks = 0  # what was read or written in a transaction that failed did not happen
        self._busy_timeout_s = busy_timeout_s
        self._writing = threading.RLock()
        self._own = threading.local()  # this thread's connection
        self._connections: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._is_closed = False
        if path.is_dir():
            raise UserError(f"{path}: is a folder; memory needs a file, for example {path / 'memory.sqlite'}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GedankenError(f"{path}: its folder cannot be made ({error.strerror}); choose another path") from error
        try:
            self._check()
            self.migrate(migrations)
        except sqlite3.Error as error:
            self.close()
            raise self._explain(error, "open") from error
        except BaseException:
            self.close()
            raise

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one writing statement (its own commit outside `transaction`); the number of rows it changed."""
        with self._write() as connection:
            return connection.execute(sql, values).rowcount

    def insert(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one INSERT; the new row's id."""
        with self._write() as connection:
            return int(connection.execute(sql, values).lastrowid or 0)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each of `rows`; the number of rows changed. Call it inside `transaction`."""
        with self._write() as connection:
            return connection.executemany(sql, rows).rowcount

    def rows(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """All rows of one query, one consistent view."""
        try:
            return self._open.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._explain(error, "read") from error

    def part(self, table: str, column: str, row: int, offset: int, length: int) -> bytes | None:
        """`length` bytes of a blob from `offset` on, without reading the rest; None where there is no such row."""
        connection = self._open
        try:
            with connection.blobopen(table, column, row, readonly=True) as blob:
                blob.seek(offset)
                return blob.read(length)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                return None
            raise self._explain(error, "read") from error
        except sqlite3.Error as error:
            raise self._explain(error, "read") from error

    def version(self) -> tuple[int, int]:
        """Changes whenever anything was written to the file, by this thread, another one or another process."""
        connection = self._open
        try:
            return connection.execute("PRAGMA data_version").fetchone()[0], connection.total_changes
        except sqlite3.Error as error:
            raise self._explain(error, "read") from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: commits at the end of the block, rolls back on any exception. One inside another (of the same
        thread) rolls back its own part, and is durable when the outermost commits."""
        with self._writing:
            is_inner = self._open.in_transaction
            self.execute("SAVEPOINT part" if is_inner else "BEGIN IMMEDIATE")
            try:
                yield
                self.execute("RELEASE part" if is_inner else "COMMIT")
            except BaseException:
                connection = getattr(self._own, "connection", None)
                if connection is not None and not self._is_closed and connection.in_transaction:
                    self.rollbacks += 1
                    connection.execute("ROLLBACK TO part" if is_inner else "ROLLBACK")
                    if is_inner:
                        connection.execute("RELEASE part")
                raise

    @contextlib.contextmanager
    def view(self) -> Iterator[None]:
        """Everything read in the block is of one moment, whatever others write meanwhile."""
        if self._open.in_transaction:
            yield
            return
        self._open.execute("BEGIN")
        try:
            yield
        finally:
            self._open.execute("COMMIT")

    def give_back(self) -> None:
        """Return unused pages to the disk; the write-ahead log too, where nobody is reading."""
        connection = self._open
        with self._writing:
            try:
                if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:  # a file of the first format
                    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                    connection.execute("VACUUM")
                connection.executescript("PRAGMA incremental_vacuum")  # execute() would stop after one page
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.Error as error:
                raise self._explain(error, "shrink") from error

    def backup(self, target: Path) -> None:
        """Copy the whole database into `target`: written aside, flushed to disk, then renamed over it.

        Raises `UserError` where `target` is this file or one that is in use, `GedankenError` where it cannot be
        written; the old `target` then still stands.
        """
        if target.exists() and self.path.exists() and target.samefile(self.path):
            raise UserError(f"{target}: is the memory itself; choose another path for the copy")
        if target.with_name(target.name + "-wal").exists():  # it would be replayed over the copy
            raise UserError(f"{target}: is in use, or was not closed; choose another path for the copy")
        aside = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            aside.unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(aside)) as copy:
                self._open.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, no journals beside it
            with aside.open("rb+") as file:
                os.fsync(file.fileno())
            aside.replace(target)
        except (sqlite3.Error, OSError) as error:
            raise GedankenError(f"{target}: the copy cannot be written ({error}); choose another path") from error
        finally:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the connections of all threads; a second call does nothing. None of them may be at work."""
        self._is_closed = True
        for connection in list(self._connections):
            connection.close()

    @property
    def _open(self) -> _Connection:
        """This thread's connection."""
        if self._is_closed:
            raise GedankenError(f"{self.path}: memory is closed; open it again with LongTerm(path, layout)")
        connection: _Connection | None = getattr(self._own, "connection", None)
        return self._connect() if connection is None else connection

    @contextlib.contextmanager
    def _write(self) -> Iterator[_Connection]:
        with self._writing:
            try:
                yield self._open
            except sqlite3.Error as error:
                raise self._explain(error, "write to") from error

    def _connect(self) -> _Connection:
        """A connection for this thread."""
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        self._own.connection = connection
        self._connections.add(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES:d}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA mmap_size = 2147483647")  # read pages where the system keeps them
        return connection

    def _check(self) -> None:
        """Refuse a damaged file and another program's, before anything is written to it; then use the write-ahead log.
        A new file gets its page size, and pages that can be given back. Two processes that do so at once must wait
        here, not in SQLite."""
        tables = self._open.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        owner = self._open.execute("PRAGMA application_id").fetchone()[0]
        if tables and owner != APPLICATION_ID:
            raise UserError(f"{self.path}: is another program's database; choose another path for memory")
        verdict = str(self._open.execute("PRAGMA quick_check(1)").fetchone()[0])
        if verdict != "ok":
            raise self.damaged(verdict)
        if self._open.execute("PRAGMA page_count").fetchone()[0] == 0:
            self._open.execute(f"PRAGMA page_size = {PAGE:d}")
            self._open.execute("PRAGMA auto_vacuum = INCREMENTAL")
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                self._open.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def migrate(self, migrations: Sequence[Sequence[str]]) -> None:
        """Take the file through those of the migrations that it has not been through.

        Raises `UserError` for a file that has been through more.
        """
        version = self._version()
        if version == len(migrations):
            return
        if version > len(migrations):
            raise UserError(
                f"{self.path}: was written by a newer gedanken (format {version}, this one reads up to "
                f"{len(migrations)}); upgrade gedanken, or choose another path"
            )
        with self.transaction():
            for statements in migrations[self._version() :]:  # read again: another process may have been faster
                for statement in statements:
                    self._open.execute(statement)
            # PRAGMA takes no parameters; both are our own integers.
            self._open.execute(f"PRAGMA user_version = {len(migrations):d}")
            self._open.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")

    def _version(self) -> int:
        return int(self._open.execute("PRAGMA user_version").fetchone()[0])

    def damaged(self, why: str) -> UserError:
        """What to tell of a file that is not as it was written."""
        return UserError(
            f"{self.path}: is not a gedanken memory, or is damaged ({why}); restore a snapshot, save what can be saved "
            "with `gedanken memory salvage` (in Python, gedanken.memory.salvage(path, target)), or choose another path"
        )

    def _explain(self, error: sqlite3.Error, doing: str) -> GedankenError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            return self.damaged(str(error))
        reason = _REASONS.get(code, "this is a defect in gedanken; please report it")
        return GedankenError(f"{self.path}: cannot {doing} memory ({error}): {reason}")
