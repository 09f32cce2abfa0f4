"""Chat models and embeddings pass LangChain's own suites; their unit suites are in test_scripted and test_local.

What a model of 135 million parameters cannot do is marked so, with the reason.
"""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from gedanken.prompts import LocalChatModel, LocalEmbeddings, ScriptedChatModel

VALUES: dict[str, Any] = {"integer": 3, "number": 3.0, "boolean": True}


def cooperative(messages: list[BaseMessage], options: dict[str, Any]) -> Any:
    """Calls the first tool it is offered, with arguments of its schema, texts from the question; else greets."""
    tools = options.get("tools")
    if not tools or isinstance(messages[-1], ToolMessage):
        return "Hello there."
    offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    name = options.get("tool_choice") if options.get("tool_choice") in offered else next(iter(offered))
    schema = offered[name]
    args = {key: schema["properties"][key] for key in schema.get("required", [])}
    return {"name": name, "args": {key: VALUES.get(part.get("type"), messages[-1].text) for key, part in args.items()}}


class TestScripted(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[ScriptedChatModel]:
        return ScriptedChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"answers": cooperative}


@pytest.mark.slow
class TestLocal(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[LocalChatModel]:
        return LocalChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "local", "max_tokens": 256}


class TestEmbeddings(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[LocalEmbeddings]:
        return LocalEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {}


class TestEmbeddingsAtWork(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[LocalEmbeddings]:
        return LocalEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {}
