"""A time limit that really returns, which failures are worth another try, and what they mean in words."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from ...errors import GedankenError
from ..failures import ModelTimeout

T = TypeVar("T")
WORTH_WAITING = frozenset({408, 409, 425, 429})
OUR_MISTAKES = (TypeError, ValueError, AttributeError, NotImplementedError, LookupError, ImportError, AssertionError)
MEANINGS = {
    400: "it does not take this request",
    401: "its key was refused: check the key in the environment",
    402: "its account has no credit",
    403: "its key does not allow this",
    404: "there is no such model, or no such address",
    408: "it took too long",
    413: "the prompt is too long",
    429: "too many requests, or its quota is used up",
}
GRACE_S = 0.5


def in_thread(work: Callable[[], T]) -> Future[T]:
    """Run `work` in a daemon thread of its own, with the caller's context variables."""
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:  # handed to the caller, or discarded with the answer
            future.set_exception(error)

    threading.Thread(target=run, name="gedanken-model-call", daemon=True).start()
    return future


def call_with_limit(work: Callable[[Any, float], T], subject: Any, limit_s: float) -> T:
    """Return `work(subject, limit_s)`, or raise when `limit_s` have passed; a late answer is discarded.

    The work runs in a thread. It is told the limit so that it can stop by itself; it is given half a second more to
    say so in its own words.

    Raises:
        ModelTimeout: the limit passed.
    """
    future = in_thread(lambda: work(subject, limit_s))
    try:
        return future.result(limit_s + min(GRACE_S, limit_s))
    except FutureTimeoutError as error:
        if future.done():  # the work's own timeout
            raise
        raise ModelTimeout(f"no answer within {limit_s:.3g} s") from error


def stream_with_limit(work: Callable[[Any, float], Iterable[T]], subject: Any, limit_s: float) -> Iterator[T]:
    """Yield what `work(subject, limit_s)` yields while it comes; where the caller stops listening, the work is stopped
    at its next piece.

    Raises:
        ModelTimeout: the limit passed before the end.
    """
    pieces: queue.SimpleQueue[Any] = queue.SimpleQueue()
    end, is_over = object(), threading.Event()
    deadline = time.monotonic() + limit_s + min(GRACE_S, limit_s)

    def run() -> None:
        try:
            for piece in work(subject, limit_s):
                if is_over.is_set():
                    return
                pieces.put(piece)
        finally:
            pieces.put(end)

    future = in_thread(run)
    try:
        while (piece := pieces.get(timeout=max(deadline - time.monotonic(), 0.0))) is not end:
            yield piece
    except queue.Empty:
        raise ModelTimeout(f"no whole answer within {limit_s:.3g} s") from None
    finally:
        is_over.set()
    future.result()


def status_of(error: BaseException) -> int | None:
    """The HTTP status of a refusal that a provider's client reports, or None."""
    status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None


def transient(error: BaseException) -> bool:
    """Return whether asking again may help: not for our own mistakes, nor a refusal that will stay one."""
    if isinstance(error, GedankenError):
        return False
    status = status_of(error)
    if status is not None:
        return status in WORTH_WAITING or status >= 500
    return not isinstance(error, OUR_MISTAKES)


def asked_to_wait_s(error: BaseException) -> float:
    """How many seconds a provider asks to wait (`Retry-After`), 0 where it does not say."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(float(headers[name]) * unit_s, 0.0)
        except (KeyError, TypeError, ValueError):
            continue
    return 0.0


def is_timeout(error: BaseException) -> bool:
    """Whether a failure is that of time; providers' clients have types of their own for it."""
    return isinstance(error, TimeoutError) or "Timeout" in type(error).__name__


def meaning(error: BaseException) -> str:
    """What a failure means to a person, as far as it is known, and its own words."""
    said = f"{type(error).__name__}: {error}"
    status = status_of(error)
    if status is not None:
        meant = MEANINGS.get(status) or ("it fails itself" if status >= 500 else "it refuses")
        return f"{meant} (status {status}); {said}"
    if isinstance(error, OUR_MISTAKES):
        return f"its answer is not one that can be read; {said}"
    return said
