"""Everything that talks to a language model. Names are imported on first use, so that importing this stays light."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answering import Prediction
    from .budget import Usage
    from .calls import Gateway, GatewayConfig
    from .chat import chat_model
    from .embeddings import LocalEmbeddings
    from .failures import AnswerIncomplete, BudgetSpent, ModelTimeout, ModelUnavailable
    from .fewshot import FewShotTask
    from .local import LocalChatModel
    from .prices import Price
    from .record import Call, read_calls
    from .scripted import ScriptedChatModel
    from .selection import Demonstration
    from .sentences import split_sentences
    from .templates import render
    from .translation import Asking, Reading, propose, repair, translate
    from .weights import cache_folder, local_weights

_HOMES = {
    "AnswerIncomplete": "failures",
    "Asking": "translation",
    "BudgetSpent": "failures",
    "Call": "record",
    "Demonstration": "selection",
    "FewShotTask": "fewshot",
    "Gateway": "calls",
    "GatewayConfig": "calls",
    "LocalChatModel": "local",
    "LocalEmbeddings": "embeddings",
    "ModelTimeout": "failures",
    "ModelUnavailable": "failures",
    "Prediction": "answering",
    "Price": "prices",
    "Reading": "translation",
    "ScriptedChatModel": "scripted",
    "Usage": "budget",
    "cache_folder": "weights",
    "chat_model": "chat",
    "local_weights": "weights",
    "propose": "translation",
    "read_calls": "record",
    "render": "templates",
    "repair": "translation",
    "split_sentences": "sentences",
    "translate": "translation",
}
__all__ = [
    "AnswerIncomplete",
    "Asking",
    "BudgetSpent",
    "Call",
    "Demonstration",
    "FewShotTask",
    "Gateway",
    "GatewayConfig",
    "LocalChatModel",
    "LocalEmbeddings",
    "ModelTimeout",
    "ModelUnavailable",
    "Prediction",
    "Price",
    "Reading",
    "ScriptedChatModel",
    "Usage",
    "cache_folder",
    "chat_model",
    "local_weights",
    "propose",
    "read_calls",
    "render",
    "repair",
    "split_sentences",
    "translate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
