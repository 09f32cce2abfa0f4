"""Everything that talks to a language model. Names are imported on first use, so that importing this stays light."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chat import chat_model
    from .embeddings import LocalEmbeddings
    from .failures import AnswerIncomplete, BudgetSpent, ModelTimeout, ModelUnavailable
    from .fewshot import FewShotTask
    from .gateway.budget import Usage
    from .gateway.gateway import Gateway, GatewayConfig
    from .gateway.prices import Price
    from .gateway.record import Call, read_calls
    from .local.model import LocalChatModel
    from .local.weights import cache_folder, local_weights
    from .scripted import ScriptedChatModel
    from .sentences import split_sentences
    from .tasks.answering import Prediction
    from .tasks.selection import Demonstration
    from .templates import render
    from .translation import Asking, Reading, propose, repair, translate

_HOMES = {
    "AnswerIncomplete": "failures",
    "Asking": "translation",
    "BudgetSpent": "failures",
    "Call": "gateway.record",
    "Demonstration": "tasks.selection",
    "FewShotTask": "fewshot",
    "Gateway": "gateway.gateway",
    "GatewayConfig": "gateway.gateway",
    "LocalChatModel": "local.model",
    "LocalEmbeddings": "embeddings",
    "ModelTimeout": "failures",
    "ModelUnavailable": "failures",
    "Prediction": "tasks.answering",
    "Price": "gateway.prices",
    "Reading": "translation",
    "ScriptedChatModel": "scripted",
    "Usage": "gateway.budget",
    "cache_folder": "local.weights",
    "chat_model": "chat",
    "local_weights": "local.weights",
    "propose": "translation",
    "read_calls": "gateway.record",
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
