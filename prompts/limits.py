"""A time limit that really returns, and which failures are worth another try."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from ..errors import GedankenError
from .failures import ModelTimeout

T = TypeVar("T")
WORTH_WAITING = frozenset({408, 409, 425, 429})
OUR_MISTAKES = (TypeError, ValueError, AttributeError, NotImplementedError, LookupError, ImportError, AssertionError)
GRACE_S = 0.5


def call_with_limit(work: Callable[[Any, float], T], subject: Any, limit_s: float) -> T:
    """Return `work(subject, limit_s)`, or raise when `limit_s` have passed; a late answer is discarded.

    The work runs in a daemon thread with the caller's context variables. `work` is told the limit so that it can
    stop by itself; it is given half a second more to say so in its own words.

    Raises:
        ModelTimeout: the limit passed.
    """
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work, subject, limit_s))
        except BaseException as error:  # handed to the caller, or discarded with the answer
            future.set_exception(error)

    threading.Thread(target=run, name="gedanken-model-call", daemon=True).start()
    try:
        return future.result(limit_s + min(GRACE_S, limit_s))
    except FutureTimeoutError as error:
        if future.done():  # the work's own timeout
            raise
        raise ModelTimeout(f"no answer within {limit_s:.3g} s") from error


def transient(error: BaseException) -> bool:
    """Return whether asking again may help: not for our own mistakes, nor a refusal that will stay one."""
    if isinstance(error, GedankenError):
        return False
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(status, int):
        return status in WORTH_WAITING or status >= 500
    return not isinstance(error, OUR_MISTAKES)
