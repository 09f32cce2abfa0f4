"""The record of calls: the last ones in memory, all of them as lines of JSON in a file that a person can read."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from ...errors import UserError

log = logging.getLogger(__name__)
FILE = "calls.jsonl"
"""Of an agent, beside its memory or where it is saved."""


@dataclass(frozen=True)
class Call:
    """One attempt to have a model answer, as it is recorded: secrets redacted."""

    when: str
    """ISO 8601, UTC."""
    model: str
    purpose: str
    prompt: str
    answer: str | None
    tokens: int
    """Of prompt and answer, as the model counts them; estimated (4 characters each) where it does not say."""
    seconds: float
    error: str | None
    money: float | None = None
    """What it cost, in the currency of the prices; None where the price is not known."""
    cached: bool = False
    template: str | None = None
    """Name, version and fingerprint of the prompt file."""


class Record:
    """Keeps calls, and appends them to a file where one is given. Safe to share between threads and processes.

    Args:
        kept: how many calls stay in memory.
        redact: takes the secrets out of a text.
        path: a JSONL file, readable by its owner alone; created with the first call.
    """

    def __init__(self, kept: int, redact: Callable[[str], str], path: Path | None = None) -> None:
        self.path = path
        self._redact = redact
        self._calls: deque[Call] = deque(maxlen=kept)
        self._lock = threading.Lock()

    @property
    def calls(self) -> list[Call]:
        """The last calls, oldest first."""
        with self._lock:
            return list(self._calls)

    def add(self, call: Call) -> None:
        """Keep a call, without its secrets."""
        answer, error = (None if text is None else self._redact(text) for text in (call.answer, call.error))
        call = replace(call, prompt=self._redact(call.prompt), answer=answer, error=error)
        with self._lock:
            self._calls.append(call)
            self._write([call])

    def move_to(self, path: Path) -> None:
        """Record in this file from here on, beginning with the calls in memory, where there is no file yet."""
        with self._lock:
            if self.path is None:
                self.path = path
                self._write(self._calls)

    def check(self) -> None:
        """Raise UserError where the file cannot be written."""
        if self.path is not None:
            try:
                os.close(_open(self.path))
            except OSError as error:
                raise UserError(f"cannot record calls in {self.path}: {error.strerror or error}") from error

    def _write(self, calls: deque[Call] | list[Call]) -> None:
        if self.path is None or not calls:
            return
        text = "".join(json.dumps(asdict(call), ensure_ascii=False) + "\n" for call in calls)
        try:
            file = _open(self.path)
            try:
                os.write(file, text.encode("utf-8", "replace"))  # one write: lines of two processes do not mix
            finally:
                os.close(file)
        except OSError as error:  # the answer is worth more than its record
            log.warning("cannot record a call in %s: %s", self.path, error)


def read_calls(path: str | Path) -> tuple[dict[int, Call], int]:
    """Return the calls of a record by their line number, and how many lines are damaged.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    calls = {number: call for number, line in enumerate(lines, 1) if (call := _call(line)) is not None}
    return calls, sum(1 for line in lines if line.strip()) - len(calls)


def _call(line: bytes) -> Call | None:
    known = {field.name for field in fields(Call)}
    try:
        call = Call(**{name: value for name, value in json.loads(line).items() if name in known})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    texts = (call.when, call.model, call.purpose, call.prompt, call.answer or "", call.error or "", call.template or "")
    numbers = (call.tokens, call.seconds, call.money or 0)
    is_whole = all(isinstance(t, str) for t in texts) and all(isinstance(n, int | float) for n in numbers)
    return call if is_whole else None


def _open(path: Path) -> int:
    """Open a record for appending; a line that a kill left unfinished is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    if os.lseek(file, 0, os.SEEK_END) and os.lseek(file, -1, os.SEEK_END) and os.read(file, 1) != b"\n":
        os.write(file, b"\n")
    return file
