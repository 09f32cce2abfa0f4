"""Counting tokens as a model does, where it can without a network; else four characters a token."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from .gateway.attempts import estimate_tokens

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

log = logging.getLogger(__name__)


def counter(model: BaseChatModel | None) -> Callable[[str], int]:
    """How many tokens a text has for `model`.

    LangChain's own default is GPT-2's tokenizer, fetched from the network and not the model's: it is not asked. A model
    that fails to count is asked once only.
    """
    if model is None or not _has_tokenizer(model):
        return estimate_tokens
    counts: Callable[[str], int] = model.get_num_tokens

    def count(text: str) -> int:
        nonlocal counts
        try:
            return int(counts(text))
        except Exception as error:  # whatever a provider's client raises, a missing file of its tokenizer for one
            log.warning("the language model cannot count tokens (%s): four characters each are counted", error)
            counts = estimate_tokens
            return estimate_tokens(text)

    return count


def _has_tokenizer(model: BaseChatModel) -> bool:
    from langchain_core.language_models.base import BaseLanguageModel

    own = (getattr(type(model), name) is not getattr(BaseLanguageModel, name)
           for name in ("get_num_tokens", "get_token_ids"))
    return getattr(model, "custom_get_token_ids", None) is not None or any(own)
