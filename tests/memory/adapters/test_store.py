"""LangGraph's store: namespaces, filters, meaning, time to live; and langmem's tools and agents on it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langgraph")
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

from gedanken.errors import UserError
from gedanken.memory.adapters.store import MemoryStore
from gedanken.memory.database import Database
from gedanken.prompts import ScriptedChatModel


def letters(texts: list[str]) -> list[list[float]]:
    return [[float(text.count(letter)) + 1e-6 for letter in "abcd"] for text in texts]


async def aletters(texts: list[str]) -> list[list[float]]:
    await asyncio.sleep(0)
    return letters(texts)


@pytest.fixture
def store(database: Database) -> MemoryStore:
    return MemoryStore(database)


@pytest.fixture
def by_meaning(database: Database) -> MemoryStore:
    return MemoryStore(database, index={"dims": 4, "embed": letters, "fields": ["text", "more[*]"]})


def keys(found: Any) -> list[str]:
    return [item.key for item in found]


def test_an_item_is_put_read_changed_and_deleted(store: MemoryStore, database: Database) -> None:
    store.put(("users", "ada"), "likes", {"what": "keys", "deep": [{"n": 1.5}, None, True]})
    item = store.get(("users", "ada"), "likes")
    assert item is not None
    assert (item.namespace, item.key) == (("users", "ada"), "likes")
    assert item.value == {"what": "keys", "deep": [{"n": 1.5}, None, True]}
    assert item.created_at == item.updated_at
    store.put(("users", "ada"), "likes", {"what": "doors"})
    changed = store.get(("users", "ada"), "likes")
    assert changed is not None
    assert changed.value == {"what": "doors"}
    assert changed.created_at == item.created_at < changed.updated_at
    assert store.items.get(("users", "ada"), ["likes"])["likes"].source == "model"
    store.delete(("users", "ada"), "likes")
    store.delete(("users", "ada"), "likes")
    assert store.get(("users", "ada"), "likes") is None
    assert database.rows("SELECT count(*) FROM items") == [(0,)]


def test_it_survives_a_restart(tmp_path: Path) -> None:
    MemoryStore(tmp_path / "m.sqlite").put(("a",), "k", {"v": 1})
    again = MemoryStore(tmp_path / "m.sqlite").get(("a",), "k")
    assert again is not None
    assert again.value == {"v": 1}


@pytest.mark.parametrize("prefix", [
    ("users", "*"), ("*",), ("user",), ("users", "a%"), ("users", "_"), ("users\",\"a",), ("users", "a\",\"b"), ("[",),
    ("users", "A"), ("users,a",), ("\\",),
])  # fmt: skip
def test_no_label_reaches_into_another_namespace(store: MemoryStore, prefix: tuple[str, ...]) -> None:
    for namespace in (("users", "a"), ("users", "a", "b"), ("users", "b"), ("users2",)):
        store.put(namespace, "k", {})
    assert store.search(prefix) == []
    assert store.get(prefix, "k") is None
    store.put(prefix, "own", {})
    assert keys(store.search(prefix)) == ["own"]
    assert [n for n in store.list_namespaces() if n == prefix] == [prefix]
    store.delete(prefix, "own")
    assert len(store.search(())) == 4


def test_a_prefix_is_a_path_and_what_is_below_it(store: MemoryStore) -> None:
    for namespace in (("u",), ("u", "a"), ("u", "a", "b"), ("u", "ab"), ("v",)):
        store.put(namespace, "/".join(namespace), {})
    assert keys(store.search(("u", "a"))) == ["u/a/b", "u/a"]
    assert len(store.search(("u",))) == 4
    assert len(store.search(())) == 5


@pytest.mark.parametrize("namespace", [("a.b",), ("",), ("a\x00",), (1,)])
def test_operations_handed_over_directly_are_checked_too(store: MemoryStore, namespace: Any) -> None:
    for op in (GetOp(namespace, "k"), PutOp(namespace, "k", {}), SearchOp(namespace)):
        with pytest.raises(InvalidNamespaceError):
            store.batch([op])


@pytest.mark.parametrize(("key", "value", "says"), [
    ("k", {"x": object()}, r"k\.x is object"), ("k", {"x": float("nan")}, r"k\.x is nan"),
    ("k" * 1001, {}, "cannot be a key"),
    ("k\x00", {}, "cannot be a key"), ("k", [1], "keeps mappings"), ("k", {1: 2}, "k is dict"),
])  # fmt: skip
def test_what_cannot_be_kept_is_named(store: MemoryStore, key: str, value: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        store.put(("a",), key, value)
    with pytest.raises(UserError, match=says):
        store.batch([PutOp(("a",), "good", {}), PutOp(("a",), key, value)])
    assert store.search(()) == []


def test_halves_of_surrogates_and_nuls_are_mended(store: MemoryStore) -> None:
    store.put(("a",), "k", {"te\x00xt": "a\x00b\ud800"})
    item = store.get(("a",), "k")
    assert item is not None
    assert item.value == {"text": "ab�"}


def test_filters_offset_and_limit(store: MemoryStore) -> None:
    for n in range(6):
        store.put(("a",), str(n), {"n": n, "odd": bool(n % 2), "in": {"half": n // 2}})
    assert keys(store.search(("a",), filter={"n": {"$gte": 2}, "odd": True})) == ["5", "3"]
    assert keys(store.search(("a",), filter={"in": {"half": 0}})) == ["1", "0"]
    assert keys(store.search(("a",), limit=2, offset=1)) == ["4", "3"]
    assert keys(store.search(("a",), filter={"n": {"$lt": 5}}, limit=2, offset=3)) == ["1", "0"]
    assert store.search(("a",), limit=0) == []
    with pytest.raises(UserError, match="unknown operator"):
        store.search(("a",), filter={"n": {"$sql": "1"}})


def test_namespaces_are_listed_by_prefix_suffix_and_depth(store: MemoryStore) -> None:
    for namespace in (("docs", "ada", "v1"), ("docs", "bob", "v1"), ("docs", "bob", "v2"), ("cache",)):
        store.put(namespace, "k", {})
    assert len(store.list_namespaces()) == 4
    assert store.list_namespaces(prefix=("docs",), max_depth=2) == [("docs", "ada"), ("docs", "bob")]
    assert store.list_namespaces(suffix=("v1",)) == [("docs", "ada", "v1"), ("docs", "bob", "v1")]
    assert store.list_namespaces(prefix=("docs", "*", "v2")) == [("docs", "bob", "v2")]
    assert store.list_namespaces(prefix=("*",), suffix=("bob", "*"), limit=1, offset=1) == [("docs", "bob", "v2")]
    assert store.list_namespaces(prefix=("doc",)) == []
    direct = store.batch([ListNamespacesOp((MatchCondition("suffix", ("ada", "*")),))])
    assert direct == [[("docs", "ada", "v1")]]


def test_a_query_ranks_by_the_best_of_an_item_s_texts(by_meaning: MemoryStore, database: Database) -> None:
    by_meaning.put(("n",), "a", {"text": "a"})
    by_meaning.put(("n",), "b", {"text": "c", "more": ["cc", "ab"]})
    by_meaning.put(("n",), "plain", {"text": "b"}, index=False)
    by_meaning.put(("other",), "b", {"text": "b"})
    found = by_meaning.search(("n",), query="bbb")
    assert keys(found) == ["b", "a", "plain"]
    assert found[0].score == pytest.approx(0.5**0.5, abs=1e-3)
    assert found[2].score is None
    assert keys(by_meaning.search(("n",), query="b", limit=1, offset=1)) == ["a"]
    assert keys(by_meaning.search((), query="b", limit=1)) == ["b"]
    assert keys(by_meaning.search(("n",), query="a", filter={"text": {"$ne": "a"}}, limit=1)) == ["b"]
    assert database.rows("SELECT count(*) FROM vectors") == [(5,)]
    by_meaning.put(("n",), "b", {"text": "d"})  # fewer texts than before
    assert database.rows("SELECT count(*) FROM vectors") == [(3,)]
    by_meaning.delete(("n",), "b")
    assert database.rows("SELECT count(*) FROM vectors") == [(2,)]
    assert keys(by_meaning.search(("n",), query="d")) == ["a", "plain"]


async def test_the_async_half_does_the_same(database: Database) -> None:
    store = MemoryStore(database, index={"dims": 4, "embed": aletters})
    await asyncio.gather(*(store.aput(("n",), key, {"text": key}) for key in "abcd"))
    assert keys(await store.asearch(("n",), query="cc", limit=1)) == ["c"]
    item = await store.aget(("n",), "d")
    assert item is not None
    assert item.value == {"text": "d"}
    await store.adelete(("n",), "d")
    assert await store.alist_namespaces() == [("n",)]
    assert len(await store.asearch(("n",))) == 3


def test_what_outlives_its_time_is_gone(database: Database) -> None:
    now = [1_000.0]
    store = MemoryStore(database, ttl={"default_ttl": 10, "refresh_on_read": True}, clock=lambda: now[0])
    store.put(("a",), "short", {}, ttl=1)
    store.put(("a",), "default", {})
    store.put(("a",), "ever", {}, ttl=None)
    now[0] += 50
    assert store.get(("a",), "short") is not None  # read, and so alive for another minute
    now[0] += 50
    assert store.get(("a",), "short", refresh_ttl=False) is not None
    now[0] += 50
    assert store.get(("a",), "short") is None
    now[0] += 600
    assert keys(store.search(("a",))) == ["ever"]
    store.put(("b",), "k", {})
    assert database.rows("SELECT count(*) FROM items") == [(2,)]


def test_what_is_read_in_a_batch_is_as_before_it(store: MemoryStore) -> None:
    store.put(("a",), "k", {"v": 1})
    read, *rest = store.batch([GetOp(("a",), "k"), PutOp(("a",), "k", {"v": 2}), PutOp(("a",), "k", {"v": 3})])
    assert read.value == {"v": 1}  # type: ignore[union-attr]
    assert rest == [None, None]
    assert store.get(("a",), "k").value == {"v": 3}  # type: ignore[union-attr]


def test_a_model_neither_changes_nor_deletes_what_a_person_wrote(database: Database) -> None:
    MemoryStore(database, source="user").put(("a",), "name", {"is": "Ada"})
    model = MemoryStore(database)
    for change in (lambda: model.put(("a",), "name", {"is": "Eve"}), lambda: model.delete(("a",), "name")):
        with pytest.raises(UserError, match="written by a person"):
            change()
    assert model.get(("a",), "name").value == {"is": "Ada"}  # type: ignore[union-attr]


def test_langmem_s_tools_work_in_an_agent(by_meaning: MemoryStore) -> None:
    pytest.importorskip("langmem")
    pytest.importorskip("langchain")
    from langchain.agents import create_agent
    from langmem import create_manage_memory_tool, create_search_memory_tool

    namespace = ("memories", "{user}")
    model = ScriptedChatModel(answers=[
        {"name": "manage_memory", "args": {"content": "the red door is locked", "action": "create"}}, "Noted.",
        {"name": "search_memory", "args": {"query": "door"}}, "It is locked.",
        {"name": "search_memory", "args": {"query": "door"}}, "I know nothing.",
    ])  # fmt: skip
    agent = create_agent(
        model, tools=[create_manage_memory_tool(namespace), create_search_memory_tool(namespace)], store=by_meaning
    )

    def ask(text: str, user: str) -> list[Any]:
        config = {"configurable": {"user": user}}
        return list(agent.invoke({"messages": [("human", text)]}, config)["messages"])

    created = ask("The red door is locked.", "ada")[2].text
    assert re.fullmatch(r"created memory [0-9a-f-]{36}", created)
    assert "the red door is locked" in ask("Which door is locked?", "ada")[2].text
    assert "red door" not in ask("Which door is locked?", "eve")[2].text
    (item,) = by_meaning.search(("memories", "ada"))
    assert item.value == {"content": "the red door is locked"}
