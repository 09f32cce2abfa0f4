"""Answers of chat models as a LangChain cache, in the memory file: `set_llm_cache(MemoryCache(memory))`.

Answers are plain JSON, and come back as the message and generation classes named here, never as any other. The
question is kept as a digest.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict
from langchain_core.outputs import ChatGeneration, Generation

from ...errors import UserError
from ..database import Database
from ..items.items import HasDatabase, Items
from ..items.plain import packed, unpacked


class MemoryCache(BaseCache):
    """What was answered before. Keeps the `most` newest answers; one that is no plain data is not kept."""

    def __init__(
        self,
        memory: Database | HasDatabase | str | Path,
        name: str = "answers",
        most: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`memory` is a `LongTerm`, its database or a path; `name` tells caches of one file apart."""
        self.items = Items(memory, f"cache:{name}", clock=clock)
        self.most = most

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The answer kept for a prompt and a model's settings, or None."""
        key = _digest(prompt, llm_string)
        found = self.items.get((), [key]).get(key)
        return None if found is None else [_generation(part) for part in unpacked(found.value)]

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep an answer."""
        try:
            value = packed([_plain(generation) for generation in return_val])
        except UserError:  # an object in its metadata: the model is asked again another time
            return
        with self.items.database.transaction():
            self.items.put((), _digest(prompt, llm_string), value)
            self.items.trim(self.most)

    def clear(self, **kwargs: Any) -> None:
        """Forget all answers."""
        self.items.clear()


def _digest(*parts: str) -> str:
    return hashlib.blake2b("".join(f"{len(part)}:{part}" for part in parts).encode(errors="surrogatepass")).hexdigest()


def _plain(generation: Generation) -> dict[str, Any]:
    message: BaseMessage | None = getattr(generation, "message", None)
    return {
        "text": generation.text,
        "info": generation.generation_info,
        "message": None if message is None else message_to_dict(message),
    }


def _generation(part: dict[str, Any]) -> Generation:
    if part["message"] is None:
        return Generation(text=part["text"], generation_info=part["info"])
    messages: Sequence[BaseMessage] = messages_from_dict([part["message"]])
    return ChatGeneration(message=messages[0], generation_info=part["info"])
