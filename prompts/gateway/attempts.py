"""Attempts to have a model answer: each is granted by the budget, timed, booked and recorded; those that failed for a
while are repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import GedankenError
from ..failures import ModelTimeout, ModelUnavailable
from .asking import Question
from .budget import Budget
from .limits import asked_to_wait_s, call_with_limit, is_timeout, meaning, status_of, transient
from .record import Call, Record

if TYPE_CHECKING:
    from .gateway import GatewayConfig

T = TypeVar("T")
Tokens = tuple[int, int]
"""Of the prompt, of the answer."""


class Attempts:
    """Asks one model, within limits. Safe to share between threads."""

    def __init__(
        self,
        model: Any,
        name: str,
        config: GatewayConfig,
        budget: Budget,
        record: Record,
        redact: Callable[[str], str],
    ) -> None:
        self.model, self.name, self.config = model, name, config
        self.budget, self.record, self.redact = budget, record, redact

    def run(self, question: Question, work: Callable[[Any, float], T], show: Callable[[T], str]) -> T:
        """Return `work(model, remaining_s)`, tried until it succeeds or a limit is reached; `show` makes its record.

        Raises:
            ModelUnavailable: no attempt succeeded, or none was granted.
            GedankenError: what `work` or `show` say of the prompt, which another attempt would not mend.
        """
        remaining_s, wait_s = self.config.timeout_s, self.config.backoff_s
        deadline = time.monotonic() + remaining_s
        for number in range(1, self.config.attempts + 1):
            attempt = Attempt(self, question)
            answer, tokens, failure = None, None, None
            try:
                result = call_with_limit(work, self.model, remaining_s)
                tokens, answer = tokens_of(result), show(result)
                return result
            except Exception as error:  # whatever a provider's client raises
                failure = error
            finally:
                attempt.end(answer, tokens, failure)
            pause_s = max(wait_s, asked_to_wait_s(failure))
            remaining_s = deadline - time.monotonic() - pause_s
            is_last = number == self.config.attempts or remaining_s <= 0 or isinstance(failure, ModelTimeout)
            if is_last or not transient(failure):
                raise self.said(failure, question.purpose, number) from None  # a traceback may hold a key
            time.sleep(pause_s)
            wait_s *= 2
        raise AssertionError("attempts is positive")

    def run_together(
        self,
        questions: Sequence[Question],
        put: Callable[[Sequence[Question]], Callable[[Any, float], Sequence[T | Exception]]],
        show: Callable[[Question, Any], str],
    ) -> list[T | GedankenError]:
        """Ask a batch once: a result each, or the reason in our words. `put` makes the work of those that are granted,
        which share the time limit."""
        granted = [self._granted(question) for question in questions]
        asked = [q for q, attempt in zip(questions, granted, strict=True) if isinstance(attempt, Attempt)]
        results: Iterator[T | Exception]
        try:
            results = iter(call_with_limit(put(asked), self.model, self.config.timeout_s) if asked else ())
        except Exception as error:
            results = repeat(error)

        return [
            self._ended(question, attempt, next(results), show, len(asked)) if isinstance(attempt, Attempt) else attempt
            for question, attempt in zip(questions, granted, strict=True)
        ]

    def _ended(
        self,
        question: Question,
        attempt: Attempt,
        result: T | Exception,
        show: Callable[[Question, Any], str],
        share: int,
    ) -> T | GedankenError:
        answer: str | None = None
        try:
            if isinstance(result, Exception):
                raise result
            answer = show(question, result)
            return result
        except Exception as error:
            result = error
            return self.said(error, question.purpose)
        finally:
            attempt.end(answer, tokens_of(result), result if isinstance(result, Exception) else None, share)

    def _granted(self, question: Question) -> Attempt | GedankenError:
        try:
            return Attempt(self, question)
        except ModelUnavailable as error:
            return error

    def said(self, failure: BaseException, purpose: str, attempts: int = 1) -> GedankenError:
        """A failure in our words; what is said of the prompt, and not of the model, stays as it is."""
        if isinstance(failure, GedankenError) and not isinstance(failure, ModelUnavailable):
            return failure
        times = "once" if attempts == 1 else f"{attempts} times"
        wait_s = asked_to_wait_s(failure)
        patience = f"; it asks to wait {wait_s:g} s" if wait_s else ""
        return (ModelTimeout if is_timeout(failure) else ModelUnavailable)(
            f"the language model '{self.name}' does not answer (asked {times} to {purpose}; "
            f"{self.redact(meaning(failure))}{patience}): everything but new text still works"
        )


class Attempt:
    """One attempt under way; it must be ended.

    Raises:
        BudgetSpent: it is not granted.
    """

    def __init__(self, attempts: Attempts, question: Question) -> None:
        self._all, self._question = attempts, question
        self._reserved = estimate_tokens(question.text)
        attempts.budget.begin(self._reserved)
        self._started, self._when = time.monotonic(), now()

    def end(
        self, answer: str | None, tokens: Tokens | None = None, failure: BaseException | None = None, share: int = 1
    ) -> None:
        """Book and record it; `share` is how many were answered side by side, each of which took a part of the time."""
        if tokens is None and failure is not None and status_of(failure) is not None:
            tokens = 0, 0  # refused: nothing was read
        if tokens is None:
            tokens = self._reserved, estimate_tokens(self._question.text + (answer or "")) - self._reserved
        money = self._all.budget.end(self._reserved, *tokens)
        self._all.record.add(
            Call(
                when=self._when,
                model=self._all.name,
                purpose=self._question.purpose,
                prompt=self._question.text,
                answer=answer,
                tokens=sum(tokens),
                seconds=round((time.monotonic() - self._started) / share, 4),
                error=None if failure is None else f"{type(failure).__name__}: {failure}",
                money=money,
                template=self._question.template,
            )
        )


def tokens_of(result: Any) -> Tokens | None:
    """The tokens that a message says it took, or None."""
    usage = getattr(result, "usage_metadata", None)
    return (usage["input_tokens"], usage["output_tokens"]) if usage else None


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has, 4 characters each, rounded up."""
    return -(-len(text) // 4)


def now() -> str:
    """The present time as it is recorded: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
