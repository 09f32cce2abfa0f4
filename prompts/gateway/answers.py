"""Answers kept in any LangChain cache, by the model, the prompt and the options that they came from.

Only what would be answered alike is kept: the likeliest answer, or one drawn from a seed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.caches import BaseCache
    from langchain_core.language_models import BaseChatModel

log = logging.getLogger(__name__)
FLEETING = ("timeout", "request_timeout", "default_request_timeout", "max_retries")

Key = tuple[str, str]


class Answers:
    """What a model answered before.

    Args:
        cache: where answers are kept; None keeps none.
        model: the model that is asked.
        redact: takes the secrets out of a text; an answer that holds one is not kept.
    """

    def __init__(self, cache: BaseCache | None, model: BaseChatModel | None, redact: Callable[[str], str]) -> None:
        self.cache, self.redact = cache, redact
        self.model = model

    def key(self, messages: Any, wanted: Mapping[str, Any]) -> Key | None:
        """The key of a question, or None where its answer is not to be kept: where it is sampled without a seed, or
        the prompt holds a secret.

        `wanted` are the options asked for; what is not asked for is as the model has it.
        """
        if self.cache is None or self.model is None:
            return None
        chosen = {**{name: getattr(self.model, name, None) for name in ("temperature", "seed")}, **wanted}
        if chosen["temperature"] != 0 and chosen["seed"] is None:
            return None
        from langchain_core.load import dumps
        from langchain_core.messages import convert_to_messages

        if hasattr(messages, "to_messages"):
            messages = messages.to_messages()
        elif isinstance(messages, str):
            messages = [messages]
        prompt = dumps([message.model_copy(update={"id": None}) for message in convert_to_messages(messages)])
        described = {"type": self.model._llm_type, "model": _identity(self.model), "options": chosen}
        if self.redact(prompt) != prompt:  # two that differ in a secret alone would be one
            return None
        return prompt, self.redact(json.dumps(described, sort_keys=True, default=str))

    def find(self, key: Key | None) -> str | None:
        """The answer kept under a key."""
        if key is None or self.cache is None:
            return None
        try:
            kept = self.cache.lookup(*key)
        except Exception as error:  # whatever a cache raises: asking anew is always right
            log.warning("cannot look into the cache of answers: %s", error)
            return None
        return kept[0].text if kept else None

    def keep(self, key: Key | None, answer: str) -> None:
        """Keep an answer under a key."""
        if key is None or self.cache is None or self.redact(answer) != answer:
            return
        from langchain_core.messages import AIMessage
        from langchain_core.outputs import ChatGeneration

        try:
            self.cache.update(*key, [ChatGeneration(message=AIMessage(content=answer))])
        except Exception as error:  # the answer is worth more than its copy
            log.warning("cannot keep an answer in the cache: %s", error)


def _identity(model: BaseChatModel) -> dict[str, Any]:
    """What tells a model from others: its name, its own parameters, where it is reached, its plain settings."""
    named = {name: getattr(model, name, None) for name in ("model", "model_name", "base_url", "openai_api_base")}
    fields = {name: getattr(model, name, None) for name in type(model).model_fields}
    plain = {name: value for name, value in fields.items() if isinstance(value, str | int | float | bool)}
    own = {**plain, **model._identifying_params}
    return {**named, **{name: value for name, value in own.items() if name not in FLEETING}}
