"""The cache of answers: LangChain's own suites, and what it must never keep or bring back."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call
from langchain_core.outputs import ChatGeneration, Generation
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

from gedanken.memory.adapters.cache import MemoryCache
from gedanken.memory.database import Database


class TestSync(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, database: Database) -> MemoryCache:
        return MemoryCache(database)


class TestAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, database: Database) -> MemoryCache:
        return MemoryCache(database)


def test_a_whole_message_comes_back_as_it_was(database: Database) -> None:
    message = AIMessage(
        [{"type": "text", "text": "Ünïcode 🗝"}], id="m1", response_metadata={"model_name": "x"},
        tool_calls=[tool_call(name="recall", args={"query": "doors"}, id="c1")],
        usage_metadata=UsageMetadata(input_tokens=1, output_tokens=2, total_tokens=3),
    )  # fmt: skip
    MemoryCache(database).update("p", "m", [ChatGeneration(message=message, generation_info={"why": "stop"})])
    (found,) = MemoryCache(database).lookup("p", "m") or ()
    assert isinstance(found, ChatGeneration)
    assert found.message == message
    assert found.generation_info == {"why": "stop"}
    MemoryCache(database).update("p", "m", [ChatGeneration(message=AIMessageChunk("a"))])
    assert isinstance((MemoryCache(database).lookup("p", "m") or [None])[0], ChatGeneration)


def test_questions_that_run_together_alike_are_two(database: Database) -> None:
    cache = MemoryCache(database)
    cache.update("ab", "c", [Generation(text="one")])
    assert cache.lookup("a", "bc") is None
    assert MemoryCache(database, "other").lookup("ab", "c") is None


def test_it_survives_a_restart_and_a_model_uses_it(tmp_path: Path) -> None:
    model = FakeListChatModel(responses=["first", "second"], cache=MemoryCache(tmp_path / "m.sqlite"))
    assert model.invoke("hello").content == "first"
    again = FakeListChatModel(responses=["first", "second"], i=1, cache=MemoryCache(tmp_path / "m.sqlite"))
    assert again.invoke("hello").content == "first"
    assert again.invoke([HumanMessage("another")]).content == "second"


def test_only_the_newest_are_kept(database: Database) -> None:
    now = iter(range(100))
    cache = MemoryCache(database, most=3, clock=lambda: float(next(now)))
    for i in range(6):
        cache.update(str(i), "m", [Generation(text=str(i))])
    assert [bool(cache.lookup(str(i), "m")) for i in range(6)] == [False] * 3 + [True] * 3


def test_what_is_no_plain_data_is_not_kept_and_the_question_stands_nowhere(database: Database) -> None:
    cache = MemoryCache(database)
    cache.update("p", "m", [Generation(text="x", generation_info={"object": object()})])
    assert cache.lookup("p", "m") is None
    cache.update("my secret question", "m", [Generation(text="nul \x00 and \ud800")])
    assert (cache.lookup("my secret question", "m") or [])[0].text == "nul  and �"
    assert not any("secret" in str(row) for row in database.rows("SELECT * FROM items"))
