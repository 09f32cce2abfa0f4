"""A question on its way to a model: its prompt, the options that the model takes, and how it is put."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from ..failures import AnswerIncomplete
from .answers import Key


class Options(TypedDict):
    """How to answer. A model is given what it takes: every one `stop`, the local one all of it."""

    max_tokens: NotRequired[int | None]
    """Limit of the answer."""
    temperature: NotRequired[float | None]
    """0 for the likeliest answer."""
    seed: NotRequired[int | None]
    """Of the samples, where temperature > 0."""
    stop: NotRequired[Sequence[str] | None]
    """Texts before which the answer ends."""


@dataclass(frozen=True)
class Question:
    """What a model is asked: `options` are those it takes, `key` that of the answer in the cache."""

    messages: Any
    purpose: str
    text: str
    """The prompt as it is recorded."""
    options: dict[str, Any]
    key: Key | None = None

    @property
    def template(self) -> str | None:
        """The prompt file that it was made of."""
        return getattr(self.messages, "template", None)

    def put(self, method: str, is_timed: bool, messages: Any = None, **more: Any) -> Callable[[Any, float], Any]:
        """What calls a method of a model with this question and, where it `is_timed`, its time limit in seconds."""

        def work(model: Any, limit_s: float) -> Any:
            limit = {"timeout": limit_s} if is_timed else {}
            return getattr(model, method)(messages or self.messages, **more, **self.options, **limit)

        return work

    def whole(self, message: Any) -> str:
        """The text of an answer.

        Raises:
            AnswerIncomplete: it did not come to the end of its grammar.
        """
        text = "" if message is None else str(message.text)
        if "grammar" in self.options and message.response_metadata.get("finish_reason") == "length":
            raise AnswerIncomplete(f"the answer was cut short before it followed its grammar: {text!r}")
        return text


def as_text(messages: Any) -> str:
    """Return a prompt as one readable text, a paragraph a message."""
    if isinstance(messages, str):
        return messages
    from langchain_core.messages import convert_to_messages

    if hasattr(messages, "to_messages"):
        messages = messages.to_messages()
    return "\n\n".join(f"{message.type}: {message.text}" for message in convert_to_messages(messages))
