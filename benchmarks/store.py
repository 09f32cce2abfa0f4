"""The store of finished jobs: one JSON object a line, durable line by line, appended to and never rewritten.

A job is known by the hash of what it says, the benchmark's name and its version: change the version where the code
that measures changed, and every job is done anew. A line that a kill tore is dropped with a warning.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gedanken.errors import UserError


def plain(job: Any) -> dict[str, Any]:
    """A job or a row as JSON data. Raises `UserError` where it is neither a dataclass nor a mapping of plain values."""
    fields = asdict(job) if is_dataclass(job) and not isinstance(job, type) else job
    if not isinstance(fields, Mapping):
        raise UserError(f"a job, and what comes of it, is a dataclass or a mapping, not {job!r}")
    try:
        same: dict[str, Any] = json.loads(json.dumps(dict(fields), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"cannot store {job!r}: {error}; give plain values (None for what is not known)") from error
    return same


def key_of(job: Mapping[str, Any], name: str, version: str) -> str:
    """The hash of a plain job, of which benchmark, measured by which version of it."""
    said = json.dumps([name, version, job], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:20]


class Store:
    """`rows`: key -> result, `errors`: key -> what the last try raised; `add` appends. One process at a time."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.rows: dict[str, dict[str, Any]] = {}
        self.errors: dict[str, str] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path.with_name(self.path.name + ".lock"))

    def __enter__(self) -> Store:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"another run is writing {self.path}; wait for it, or choose another store") from None
        self._file = open(self.path, "a+b")
        self._read()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.release()

    def add(self, key: str, entry: Mapping[str, Any]) -> None:
        """Append one entry (`row` or `error`, and what describes it); it is on the disk when this returns."""
        self._file.write(json.dumps({"key": key, **entry}).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._take({"key": key, **entry})

    def _read(self) -> None:
        self._file.seek(0)
        lines = self._file.read().splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                known = line.endswith(b"\n") and "key" in entry and ("row" in entry or "error" in entry)
            except (ValueError, TypeError):
                known = False
            if known:
                self._take(entry)
            else:
                warnings.warn(f"{self.path}, line {number} is not whole: dropped, its job is done again", stacklevel=3)
        if lines and not lines[-1].endswith(b"\n"):
            self._file.truncate(sum(map(len, lines[:-1])))

    def _take(self, entry: Mapping[str, Any]) -> None:
        key = entry["key"]
        if "row" in entry:
            self.rows[key] = entry["row"]
            self.errors.pop(key, None)
        else:
            self.errors[key] = entry["error"]
