"""Ctrl-C between two steps, never inside one: what is being written, stepped or descended is whole when it is left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """SIGINT and SIGTERM wait while this is open: the function it yields raises `KeyboardInterrupt` if one came, and
    so does its end. A second one does not wait. Outside the main thread, signals are left as they are."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    def check() -> None:
        if came:
            came.clear()
            raise KeyboardInterrupt

    with _handled(note):
        yield check
    check()


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM is taken like Ctrl-C while this is open."""
    with _handled(signal.default_int_handler, (signal.SIGTERM,)):
        yield


@contextmanager
def _handled(handler: Any, signals: tuple[signal.Signals, ...] = SIGNALS) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)  # None: set by another language
