"""One SQLite file, opened with care: write-ahead log, migrations, and errors a person can act on.

A commit survives `kill -9` of the process at once. After a power loss the file is whole, but the last commits
before it may be missing (`synchronous=NORMAL`: the disk is waited for at checkpoints, not at each commit).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import GedankenError, UserError

APPLICATION_ID = 0x6765646E  # "gedn"

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


class Database:
    """A connection shared by the threads of one process (one at a time), beside any number of other processes."""

    def __init__(self, path: Path, migrations: Sequence[Sequence[str]], busy_timeout_s: float = 10.0) -> None:
        """Open or create `path` and bring it to the newest migration.

        Raises `UserError` for a folder, a damaged file, another program's database or a file from a newer version;
        `GedankenError` where the disk says no.
        """
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        if path.is_dir():
            raise UserError(f"{path}: is a folder; memory needs a file, for example {path / 'memory.sqlite'}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GedankenError(f"{path}: its folder cannot be made ({error.strerror}); choose another path") from error
        try:
            self._connection = sqlite3.connect(
                path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            self._check()
            self._prepare(busy_timeout_s)
            self._migrate(migrations)
        except sqlite3.Error as error:
            self.close()
            raise self._explain(error, "open") from error
        except BaseException:
            self.close()
            raise

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one writing statement (its own commit outside `transaction`); the number of rows it changed."""
        with self._lock:
            try:
                return self._open.execute(sql, values).rowcount
            except sqlite3.Error as error:
                raise self._explain(error, "write to") from error

    def insert(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one INSERT; the new row's id."""
        with self._lock:
            try:
                return int(self._open.execute(sql, values).lastrowid or 0)
            except sqlite3.Error as error:
                raise self._explain(error, "write to") from error

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """Run one statement for each of `rows`; the number of rows changed. Call it inside `transaction`."""
        with self._lock:
            try:
                return self._open.executemany(sql, rows).rowcount
            except sqlite3.Error as error:
                raise self._explain(error, "write to") from error

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one query, one consistent view."""
        with self._lock:
            try:
                return self._open.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._explain(error, "read") from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: commits at the end of the block, rolls back on any exception. Inside another one it is part
        of that."""
        with self._lock:
            if self._open.in_transaction:
                yield
                return
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                if self._connection is not None and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

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
            with self._lock, contextlib.closing(sqlite3.connect(aside)) as copy:
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
        """Close the connection; a second call does nothing."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @property
    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise GedankenError(f"{self.path}: memory is closed; open it again with LongTerm(path, layout)")
        return self._connection

    def _check(self) -> None:
        """Refuse a damaged file and another program's, before anything is written to it."""
        tables = self._open.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        owner = self._open.execute("PRAGMA application_id").fetchone()[0]
        if tables and owner != APPLICATION_ID:
            raise UserError(f"{self.path}: is another program's database; choose another path for memory")
        verdict = str(self._open.execute("PRAGMA quick_check(1)").fetchone()[0])
        if verdict != "ok":
            raise self._damaged(verdict)

    def _prepare(self, busy_timeout_s: float) -> None:
        """Switch to the write-ahead log; two processes that do so at once must wait here, not in SQLite."""
        deadline = time.monotonic() + busy_timeout_s
        while True:
            try:
                self._open.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self._open.execute("PRAGMA synchronous = NORMAL")
        self._open.execute("PRAGMA foreign_keys = ON")

    def _migrate(self, migrations: Sequence[Sequence[str]]) -> None:
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

    def _damaged(self, why: str) -> UserError:
        return UserError(
            f"{self.path}: is not a gedanken memory, or is damaged ({why}); restore a snapshot, or choose another path"
        )

    def _explain(self, error: sqlite3.Error, doing: str) -> GedankenError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            return self._damaged(str(error))
        reason = _REASONS.get(code, "this is a defect in gedanken; please report it")
        return GedankenError(f"{self.path}: cannot {doing} memory ({error}): {reason}")
