"""The one door to language models: a time limit, retries, a budget and a record for every call.

The rest of the package holds a `Gateway`, never a chat model. When no model answers, `ModelUnavailable` says so,
and everything but new text still works.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import GedankenError, UserError
from .failures import AnswerIncomplete, BudgetSpent, ModelTimeout, ModelUnavailable
from .limits import call_with_limit, transient
from .redaction import redactor

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from .reader.items import Item
    from .reader.reader import Say
    from .translation import Reading

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GatewayConfig:
    """Limits of a gateway; None means without limit.

    `timeout_s` bounds one `ask` or `score`, its retries and waits included. `attempts` counts the first one;
    between attempts it waits `backoff_s`, then twice that, and so on. The budget counts every attempt.
    """

    timeout_s: float = 120.0
    attempts: int = 3
    backoff_s: float = 0.5
    max_calls: int | None = None
    max_tokens: int | None = None
    record_path: Path | None = None
    """A JSONL file that every call is appended to."""
    kept_calls: int = 1000
    """How many calls `Gateway.calls` remembers."""

    def __post_init__(self) -> None:
        wrong = [name for name in ("timeout_s", "attempts", "kept_calls") if getattr(self, name) <= 0]
        wrong += [name for name in ("max_calls", "max_tokens", "backoff_s") if (getattr(self, name) or 0) < 0]
        if wrong:
            raise UserError(f"GatewayConfig: {', '.join(wrong)} must be positive")


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


@dataclass(frozen=True)
class Usage:
    """What a gateway has used up."""

    calls: int
    tokens: int


class Gateway:
    """Asks a chat model within limits, and records it. Safe to share between threads.

    Args:
        model: any LangChain chat model, or None: then every call raises `ModelUnavailable`.
        config: the limits.

    Raises:
        UserError: the record file cannot be written.
    """

    def __init__(self, model: BaseChatModel | None, config: GatewayConfig | None = None) -> None:
        self.model = model
        self.config = config or GatewayConfig()
        self._calls: deque[Call] = deque(maxlen=self.config.kept_calls)
        self._usage = Usage(0, 0)
        self._lock = threading.Lock()
        self._redact = redactor(model)
        self.name = str(getattr(model, "model", None) or getattr(model, "model_name", None) or type(model).__name__)
        if path := self.config.record_path:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.open("a").close()
            except OSError as error:
                raise UserError(f"cannot record calls in {path}: {error.strerror or error}") from error

    @property
    def calls(self) -> list[Call]:
        """The last calls, oldest first."""
        with self._lock:
            return list(self._calls)

    @property
    def usage(self) -> Usage:
        """Calls and tokens spent so far."""
        with self._lock:
            return self._usage

    @property
    def options(self) -> frozenset[str]:
        """The call options the model takes beyond LangChain's common ones (`grammar`, `seed`, ...)."""
        return frozenset(getattr(self.model, "call_options", ()))

    @property
    def can_score(self) -> bool:
        """Whether the model tells the likelihood of a given answer."""
        return callable(getattr(self.model, "score", None))

    @property
    def can_read(self) -> bool:
        """Whether the model was trained to read sentences as rule lines."""
        return bool(getattr(self.model, "can_read", False))

    @property
    def can_propose(self) -> bool:
        """Whether the model was trained to propose rules from surprises in words."""
        return bool(getattr(self.model, "can_propose", False))

    def ask(
        self,
        messages: Any,
        purpose: str,
        grammar: str | None = None,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> str:
        """Return the model's answer as text.

        Args:
            messages: a string, LangChain messages, or (role, text) pairs.
            purpose: what the call is for, in a word; recorded.
            grammar: GBNF text the answer must obey; ignored, like the options below, by models that take none.
            max_tokens: limit of the answer.
            temperature: 0 for the likeliest answer.
            seed: of the samples, where temperature > 0.

        Raises:
            ModelUnavailable: there is no model, or it failed (`ModelTimeout`, `BudgetSpent` where it was that).
            AnswerIncomplete: the tokens ran out before the grammar was fulfilled.
            UserError: the prompt or the grammar cannot be used.
        """
        wanted = {"grammar": grammar, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        options: dict[str, Any] = {
            name: value for name, value in wanted.items() if value is not None and name in self.options
        }

        def attempt(model: BaseChatModel, remaining_s: float) -> tuple[str, int | None]:
            limit: dict[str, Any] = {"timeout": remaining_s} if "timeout" in self.options else {}
            message = model.invoke(messages, **options, **limit)
            usage = getattr(message, "usage_metadata", None)
            if "grammar" in options and message.response_metadata.get("finish_reason") == "length":
                raise AnswerIncomplete(f"the answer was cut short before it followed its grammar: {message.text!r}")
            return str(message.text), usage["total_tokens"] if usage else None

        return self._within_limits(attempt, messages, purpose, str)

    def score(self, messages: Any, continuations: Sequence[str], purpose: str) -> list[float] | None:
        """Return the mean log-probability per token of each continuation, or None where the model cannot tell.

        Raises:
            ModelUnavailable: as `ask`.
        """
        if not self.can_score or not continuations:
            return [] if self.can_score else None

        def attempt(model: Any, remaining_s: float) -> tuple[list[float], int | None]:
            return model.score(messages, continuations), None

        return self._within_limits(attempt, messages, purpose, lambda scores: json.dumps(scores))

    def read(self, sentence: str, items: Sequence[Item], say: Say, purpose: str, also: Sequence[str] = ()
             ) -> list[Reading]:
        """Return what a sentence may mean in a world of these items, the likeliest first, of a model that can read;
        see `LocalChatModel.read`.

        Raises:
            ModelUnavailable: as `ask`.
        """

        def attempt(model: Any, remaining_s: float) -> tuple[list[Reading], int | None]:
            return model.read(sentence, items, say, also), None

        readings: list[Reading] = self._within_limits(attempt, sentence, purpose, lambda found: json.dumps(
            [[reading.text, round(reading.confidence, 4)] for reading in found]))
        return readings

    def propose(self, surprise: str, items: Sequence[Item], purpose: str) -> list[Reading]:
        """Return which rules may be behind a surprise in words, the likeliest first, of a model trained to propose.

        Raises:
            ModelUnavailable: as `ask`.
        """

        def attempt(model: Any, remaining_s: float) -> tuple[list[Reading], int | None]:
            return model.propose(surprise, items), None

        readings: list[Reading] = self._within_limits(attempt, surprise, purpose, lambda found: json.dumps(
            [[reading.text, round(reading.confidence, 4)] for reading in found]))
        return readings

    def _within_limits(
        self,
        attempt: Callable[[Any, float], tuple[Any, int | None]],
        messages: Any,
        purpose: str,
        show: Callable[[Any], str],
    ) -> Any:
        """Run `attempt(model, remaining_s) -> (result, tokens)` until it succeeds or a limit is reached."""
        if self.model is None:
            raise ModelUnavailable(
                f"no language model is configured, and one is needed to {purpose}: everything but new text still works"
            )
        prompt = as_text(messages)
        deadline = time.monotonic() + self.config.timeout_s
        wait_s = self.config.backoff_s
        for number in range(1, self.config.attempts + 1):
            self._spend_call()
            started, when = time.monotonic(), datetime.now(UTC).isoformat(timespec="milliseconds")
            answer, tokens, failure = None, None, None
            try:
                result, tokens = call_with_limit(attempt, self.model, max(deadline - started, 0.0))
                answer = show(result)
                return result
            except Exception as error:  # whatever a provider's client raises
                failure = error
            finally:
                seconds = time.monotonic() - started
                if tokens is None:
                    tokens = estimate_tokens(prompt + (answer or ""))
                text = None if failure is None else f"{type(failure).__name__}: {failure}"
                self._record(Call(when, self.name, purpose, prompt, answer, tokens, round(seconds, 4), text))
            if isinstance(failure, GedankenError) and not isinstance(failure, ModelUnavailable):
                raise failure  # our own words, about the prompt and not the model
            out_of_time = isinstance(failure, ModelTimeout) or time.monotonic() + wait_s >= deadline
            if out_of_time or not transient(failure) or number == self.config.attempts:
                raise self._unavailable(failure, purpose, number) from None  # a traceback may hold a key
            time.sleep(wait_s)
            wait_s *= 2
        raise AssertionError("attempts is positive")

    def _unavailable(self, failure: BaseException, purpose: str, attempts: int) -> ModelUnavailable:
        kind = ModelTimeout if isinstance(failure, TimeoutError) else ModelUnavailable
        times = "once" if attempts == 1 else f"{attempts} times"
        return kind(
            f"the language model '{self.name}' does not answer (asked {times} to {purpose}; "
            f"{type(failure).__name__}: {self._redact(str(failure))}): everything but new text still works"
        )

    def _spend_call(self) -> None:
        with self._lock:
            for spent, granted, unit in (
                (self._usage.calls, self.config.max_calls, "calls"),
                (self._usage.tokens, self.config.max_tokens, "tokens"),
            ):
                if granted is not None and spent >= granted:
                    raise BudgetSpent(
                        f"the budget of {granted} {unit} to language models is spent ({spent} used): "
                        f"raise max_{unit}; everything but new text still works"
                    )
            self._usage = Usage(self._usage.calls + 1, self._usage.tokens)

    def _record(self, call: Call) -> None:
        texts = {name: self._redact(text) for name in ("prompt", "answer", "error") if (text := getattr(call, name))}
        call = Call(**{**asdict(call), **texts})
        with self._lock:
            self._usage = Usage(self._usage.calls, self._usage.tokens + call.tokens)
            self._calls.append(call)
            if path := self.config.record_path:
                try:
                    with path.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(asdict(call), ensure_ascii=False) + "\n")
                except OSError as error:  # the answer is worth more than its record
                    log.warning("cannot record a call in %s: %s", path, error)


def as_text(messages: Any) -> str:
    """Return a prompt as one readable text, a paragraph a message."""
    if isinstance(messages, str):
        return messages
    from langchain_core.messages import convert_to_messages

    if hasattr(messages, "to_messages"):
        messages = messages.to_messages()
    return "\n\n".join(f"{message.type}: {message.text}" for message in convert_to_messages(messages))


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has, 4 characters each, rounded up."""
    return -(-len(text) // 4)
