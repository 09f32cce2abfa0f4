"""Choosing a chat model by one line of text, and a chat model that follows a script, for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, PrivateAttr

from ..errors import UserError, nearest

PROVIDERS = (
    "anthropic", "azure_openai", "bedrock", "cohere", "deepseek", "fireworks", "google_genai", "google_vertexai",
    "groq", "huggingface", "mistralai", "ollama", "openai", "together", "xai",
)  # fmt: skip
FORMS = "'local', 'local:<folder or Hugging Face name>', or '<provider>:<model>' as in 'openai:gpt-4o-mini'"


def chat_model(spec: str | BaseChatModel | None) -> BaseChatModel | None:
    """Return the chat model that `spec` names.

    None stays None, and a chat model itself. "local" is the embedded one, "local:<name>" any causal model of a folder
    or the Hugging Face hub, "<provider>:<model>" any that LangChain's `init_chat_model` knows.

    Raises:
        UserError: the text has no such form, or the provider's package is not installed.
    """
    if spec is None or isinstance(spec, BaseChatModel):
        return spec
    if not isinstance(spec, str):
        raise UserError(f"a chat model is given as text or as a LangChain chat model, not {type(spec).__name__}")
    provider, colon, name = (part.strip() for part in spec.partition(":"))
    if provider == "local" and bool(colon) == bool(name):
        from .local import LocalChatModel

        return LocalChatModel(model=name or "local")
    if not provider or not name:
        raise UserError(f"'{spec}' names no chat model{nearest(spec, ('local', *PROVIDERS))}; give {FORMS}")
    return _hosted(spec, provider, name)


def _hosted(spec: str, provider: str, name: str) -> BaseChatModel:
    try:
        init_chat_model = import_module("langchain.chat_models").init_chat_model
    except ImportError as error:
        raise UserError(
            f"chat model '{spec}' needs LangChain and the provider's package: "
            f"`pip install langchain langchain-{provider.replace('_', '-')}`{_near_provider(provider)}"
        ) from error
    try:
        model: BaseChatModel = init_chat_model(name, model_provider=provider)
    except ImportError as error:
        raise UserError(f"chat model '{spec}': {error}") from error
    except Exception as error:  # a provider's own complaints: unknown names, missing keys
        near = _near_provider(provider)
        raise UserError(f"chat model '{spec}' cannot be made: {error}{near}; give {FORMS}") from error
    return model


def _near_provider(provider: str) -> str:
    return "" if provider in PROVIDERS else nearest(provider, ("local", *PROVIDERS))


class ScriptedChatModel(BaseChatModel):
    """A chat model that answers from a script, the same every time; for tests and examples.

    `answers` is a list, given one by one (an exception in it is raised), or a function of the messages.

    Raises:
        UserError: the list has no answer left.
    """

    answers: Sequence[str | Exception] | Callable[[list[BaseMessage]], str] = Field(default_factory=list)
    delay_s: float = 0.0
    """Seconds before each answer."""
    model: str = "scripted"

    _given: int = PrivateAttr(default=0)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "gedanken-scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        time.sleep(self.delay_s)
        answer = self.answers(messages) if callable(self.answers) else self._next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        for end in stop or []:
            answer = answer.split(end, 1)[0]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=answer))])

    def _next(self, answers: Sequence[str | Exception]) -> str | Exception:
        with self._lock:
            if self._given >= len(answers):
                raise UserError(f"the script has {len(answers)} answers, and one more was asked for")
            self._given += 1
            return answers[self._given - 1]
