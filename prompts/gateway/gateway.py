"""The one door to language models: a time limit, retries, a budget, a cache and a record for every call.

The rest of the package holds a `Gateway`, never a chat model. When no model answers, `ModelUnavailable` says so,
and everything but new text still works.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from ...errors import GedankenError, UserError
from .. import templates
from ..failures import ModelUnavailable
from .answers import Answers
from .asking import Options, Question, as_text
from .attempts import Attempt, Attempts, now, tokens_of
from .budget import Budget, Usage
from .limits import in_thread, stream_with_limit
from .prices import Prices, price_for
from .record import Call, Record
from .redaction import redactor

if TYPE_CHECKING:
    from langchain_core.caches import BaseCache
    from langchain_core.language_models import BaseChatModel

    from ..reader.items import Item
    from ..reader.reader import Say
    from ..translation import Reading


@dataclass(frozen=True)
class GatewayConfig:
    """Limits of a gateway; None means without limit.

    `timeout_s` bounds one `ask` or `score`, its retries and waits included. `attempts` counts the first one; between
    attempts it waits `backoff_s`, then twice that, and so on, or as long as the provider asks for. The budget counts
    every attempt; answers from the cache are free.
    """

    timeout_s: float = 120.0
    attempts: int = 3
    backoff_s: float = 0.5
    max_calls: int | None = None
    max_tokens: int | None = None
    max_money: float | None = None
    """In the currency of `prices`; a hosted model without a price is then refused."""
    prices: Prices | None = None
    """What tokens cost: `{"openai:gpt-4o-mini": Price(0.15, 0.60)}`, or a file of that (see `prices.py`)."""
    parallel: int = 8
    """Of the questions of one `ask_many`, how many a hosted model is asked at once."""
    prompts: str | Path | None = None
    """A folder of prompt files that stand in for ours of the same names."""
    record_path: Path | None = None
    """A JSONL file that every call is appended to."""
    kept_calls: int = 1000
    """How many calls `Gateway.calls` remembers."""

    def __post_init__(self) -> None:
        wrong = [name for name in ("timeout_s", "attempts", "kept_calls", "parallel") if not getattr(self, name) > 0]
        limits = ("max_calls", "max_tokens", "max_money", "backoff_s")
        wrong += [name for name in limits if not (getattr(self, name) or 0) >= 0]  # nor is NaN
        if wrong:
            raise UserError(f"GatewayConfig: {', '.join(wrong)} must be positive")


class Gateway:
    """Asks a chat model within limits, and records it. Safe to share between threads.

    Args:
        model: any LangChain chat model, or None: then every call raises `ModelUnavailable`.
        config: the limits.
        cache: any LangChain cache. Answers that would be the same again (the likeliest, or drawn from a seed) are kept
            in it by model, prompt and options.

    Raises:
        UserError: the record cannot be written, a prompt file or the table of prices is wrong, or money is limited
            and the price of a hosted model not known.
    """

    def __init__(
        self, model: BaseChatModel | None, config: GatewayConfig | None = None, cache: BaseCache | None = None
    ) -> None:
        self.model = model
        self.config = config or GatewayConfig()
        self.name = str(getattr(model, "model", None) or getattr(model, "model_name", None) or type(model).__name__)
        redact = redactor(model)
        self._answers = Answers(cache, model, redact)
        limits = self.config.max_calls, self.config.max_tokens, self.config.max_money
        price = price_for(model, self.name, self.config.prices, self.config.max_money is not None)
        self._budget = Budget(*limits, price)
        self.record = Record(self.config.kept_calls, redact, self.config.record_path)
        self.record.check()
        if self.config.prompts is not None:
            templates.check_folder(self.config.prompts)
        self._attempts = Attempts(model, self.name, self.config, self._budget, self.record, redact)

    @property
    def calls(self) -> list[Call]:
        """The last calls, oldest first."""
        return self.record.calls

    @property
    def usage(self) -> Usage:
        """Calls, tokens and money spent so far."""
        return self._budget.usage

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

    def render(self, name: str, /, **variables: Any) -> templates.Prompt:
        """Return the messages of the prompt `name`: the user's, where `GatewayConfig.prompts` has it, else ours."""
        return templates.render(name, self.config.prompts, **variables)

    def ask(self, messages: Any, purpose: str, grammar: str | None = None, **options: Unpack[Options]) -> str:
        """Return the model's answer as text.

        Args:
            messages: a string, LangChain messages, or (role, text) pairs.
            purpose: what the call is for, in a word; recorded.
            grammar: GBNF text the answer must obey; ignored by models that take none.
            options: `max_tokens`, `temperature`, `seed`, `stop`; see `Options`.

        Raises:
            ModelUnavailable: there is no model, or it failed (`ModelTimeout`, `BudgetSpent` where it was that).
            AnswerIncomplete: the tokens ran out before the grammar was fulfilled.
            UserError: the prompt or the grammar cannot be used.
        """
        return self._ask(self._question(messages, purpose, grammar, **options))

    def ask_many(
        self, prompts: Sequence[Any], purpose: str, grammar: str | None = None, **options: Unpack[Options]
    ) -> list[str | GedankenError]:
        """Return the answers to many prompts in their order, each as `ask` gives it; in the place of an answer that
        failed stands the error. A local model reads `batch_size` prompts side by side, and the time limit is theirs
        together; a hosted model is asked `GatewayConfig.parallel` at once.

        Raises:
            ModelUnavailable: there is no model.
        """
        questions = [self._question(prompt, purpose, grammar, **options) for prompt in prompts]
        size = getattr(self.model, "batch_size", 1)
        if size > 1:
            groups = [questions[at : at + size] for at in range(0, len(questions), size)]
            return [answer for group in groups for answer in self._ask_together(group)]

        def ask(question: Question) -> str | GedankenError:
            try:
                return self._ask(question)
            except GedankenError as error:
                return error

        from langchain_core.runnables.config import ContextThreadPoolExecutor  # whoever traces follows into its threads

        with ContextThreadPoolExecutor(self.config.parallel) as pool:
            return list(pool.map(ask, questions))

    def stream(
        self, messages: Any, purpose: str, grammar: str | None = None, **options: Unpack[Options]
    ) -> Iterator[str]:
        """Yield the answer piece by piece as it comes; as `ask`, but what fails is not asked again."""
        question = self._question(messages, purpose, grammar, **options)
        if (known := self._known(question)) is not None:
            yield known
            return
        attempt, whole, failure = Attempt(self._attempts, question), None, None
        written: list[str] = []
        try:
            work = question.put("stream", self._is_timed)
            for chunk in stream_with_limit(work, self.model, self.config.timeout_s):
                whole = chunk if whole is None else whole + chunk
                written.append(str(chunk.text))
                yield written[-1]
            question.whole(whole)
        except Exception as error:
            failure = error
        finally:
            attempt.end("".join(written) if failure is None else None, tokens_of(whole), failure)
        if failure is not None:
            raise self._attempts.said(failure, purpose) from None
        self._answers.keep(question.key, "".join(written))

    def score(self, messages: Any, continuations: Sequence[str], purpose: str) -> list[float] | None:
        """Return the mean log-probability per token of each continuation, or None where the model cannot tell.

        Raises:
            ModelUnavailable: as `ask`.
        """
        if not self.can_score or not continuations:
            return [] if self.can_score else None
        question, is_timed = self._question(messages, purpose), self._is_timed

        def work(model: Any, limit_s: float) -> list[float]:
            return model.score(messages, continuations, **({"timeout": limit_s} if is_timed else {}))

        return self._attempts.run(question, work, json.dumps)

    def read(
        self, sentence: str, items: Sequence[Item], say: Say, purpose: str, also: Sequence[str] = ()
    ) -> list[Reading]:
        """Return what a sentence may mean in a world of these items, the likeliest first, of a model that can read;
        see `LocalChatModel.read`.

        Raises:
            ModelUnavailable: as `ask`.
        """
        question = self._question(sentence, purpose)
        return self._attempts.run(question, lambda model, _: model.read(sentence, items, say, also), _shown)

    def propose(self, surprise: str, items: Sequence[Item], purpose: str) -> list[Reading]:
        """Return which rules may be behind a surprise in words, the likeliest first, of a model trained to propose.

        Raises:
            ModelUnavailable: as `ask`.
        """
        question = self._question(surprise, purpose)
        return self._attempts.run(question, lambda model, _: model.propose(surprise, items), _shown)

    async def aask(self, messages: Any, purpose: str, grammar: str | None = None, **options: Unpack[Options]) -> str:
        """`ask`, in a thread of its own: the event loop goes on."""
        return await asyncio.wrap_future(in_thread(lambda: self.ask(messages, purpose, grammar, **options)))

    async def aask_many(
        self, prompts: Sequence[Any], purpose: str, grammar: str | None = None, **options: Unpack[Options]
    ) -> list[str | GedankenError]:
        """`ask_many`, in a thread of its own."""
        return await asyncio.wrap_future(in_thread(lambda: self.ask_many(prompts, purpose, grammar, **options)))

    async def ascore(self, messages: Any, continuations: Sequence[str], purpose: str) -> list[float] | None:
        """`score`, in a thread of its own."""
        return await asyncio.wrap_future(in_thread(lambda: self.score(messages, continuations, purpose)))

    # --- behind the door ------------------------------------------------------------------------------------------

    def _question(
        self, messages: Any, purpose: str, grammar: str | None = None, **options: Unpack[Options]
    ) -> Question:
        if self.model is None:
            raise ModelUnavailable(
                f"no language model is configured, and one is needed to {purpose}: everything but new text still works"
            )
        wanted: dict[str, Any] = {"grammar": grammar, **options}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        taken = {name: value for name, value in wanted.items() if name in self.options or name == "stop"}
        if "seed" not in taken:
            wanted.pop("seed", None)  # one that is not taken makes no two answers alike
        if "temperature" not in taken and hasattr(self.model, "temperature"):
            wanted.pop("temperature", None)  # it answers at its own, or its provider's
        return Question(messages, purpose, as_text(messages), taken, self._answers.key(messages, wanted))

    def _known(self, question: Question) -> str | None:
        """The answer in the cache, recorded and counted as such."""
        answer = self._answers.find(question.key)
        if answer is not None:
            self._budget.cached()
            call = Call(now(), self.name, question.purpose, question.text, answer, 0, 0.0, None, 0.0)
            self.record.add(replace(call, cached=True, template=question.template))
        return answer

    def _ask(self, question: Question) -> str:
        if (known := self._known(question)) is not None:
            return known
        work = question.put("invoke", self._is_timed)
        return self._kept(question, self._attempts.run(question, work, question.whole))

    def _ask_together(self, questions: Sequence[Question]) -> list[str | GedankenError]:
        """Ask questions of the same options in one batch of a local model."""
        known = [self._known(question) for question in questions]
        asked = [question for question, answer in zip(questions, known, strict=True) if answer is None]

        def put(granted: Sequence[Question]) -> Callable[[Any, float], Sequence[Any]]:
            messages = [question.messages for question in granted]
            return granted[0].put("batch", self._is_timed, messages, return_exceptions=True)

        answers = iter(self._attempts.run_together(asked, put, Question.whole))
        return [
            self._kept(question, next(answers)) if answer is None else answer
            for question, answer in zip(questions, known, strict=True)
        ]

    def _kept(self, question: Question, message: Any) -> Any:
        """The text of a message, kept in the cache; a failure stays what it is."""
        if isinstance(message, GedankenError):
            return message
        self._answers.keep(question.key, str(message.text))
        return str(message.text)

    @property
    def _is_timed(self) -> bool:
        return "timeout" in self.options


def _shown(readings: Sequence[Reading]) -> str:
    return json.dumps([[reading.text, round(reading.confidence, 4)] for reading in readings])
