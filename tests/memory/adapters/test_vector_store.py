"""Documents by meaning: LangChain's own suite, filters, diversity, other processes and other models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from gedanken.errors import GedankenError, UserError
from gedanken.memory.adapters.vector_store import MemoryVectorStore
from gedanken.memory.database import Database
from gedanken.memory.items.filters import OPERATORS


class Letters(Embeddings):
    """A vector of how often each of a few letters stands in a text."""

    def __init__(self, letters: str = "abcd") -> None:
        self.model = letters

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [float(text.count(letter)) for letter in self.model]


class TestSuite(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, database: Database) -> MemoryVectorStore:  # type: ignore[override]
        return MemoryVectorStore(database, self.get_embeddings())


@pytest.fixture
def store(database: Database) -> MemoryVectorStore:
    store = MemoryVectorStore(database, Letters())
    store.add_texts(
        ["aa", "ab", "b", "c"],
        [{"n": 1, "kind": "x"}, {"n": 2, "kind": "y"}, {"n": 3, "tags": ["p"]}, {"n": None, "place": {"room": "hall"}}],
        ids=["1", "2", "3", "4"],
    )
    return store


def found(store: MemoryVectorStore, filter: Any, query: str = "a", k: int = 9) -> list[str]:
    return sorted(str(d.id) for d in store.similarity_search(query, k, filter=filter))


@pytest.mark.parametrize(("filter", "ids"), [
    ({}, "1234"), ({"n": 2}, "2"), ({"n": {"$gt": 1}}, "23"), ({"n": {"$gte": 1, "$lt": 3}}, "12"),
    ({"n": {"$lte": 1}}, "1"), ({"n": {"$ne": 2}}, "134"), ({"n": {"$in": [1, 3]}}, "13"),
    ({"n": {"$nin": [1, 3]}}, "24"), ({"kind": {"$exists": True}}, "12"), ({"n": None}, "4"), ({"n": True}, ""),
    ({"tags": ["p"]}, "3"), ({"place": {"room": "hall"}}, "4"), ({"place": {"room": {"$eq": "cellar"}}}, ""),
    ({"n": 2, "kind": "x"}, ""), ({"n' OR 1=1 --": 1}, ""), ({"kind": {"$gt": 1}}, ""),
])  # fmt: skip
def test_filters_come_before_ranking(store: MemoryVectorStore, filter: Any, ids: str) -> None:
    assert found(store, filter) == list(ids)
    if ids:
        assert len(store.similarity_search("a", 1, filter=filter)) == 1


@pytest.mark.parametrize(("filter", "says"), [
    ({"n": {"$where": "1"}}, r"unknown operator '\$where'; there are \$eq"),
    ({"n": {"$gtt": 1}}, r"did you mean '\$gt"), ({"$or": []}, "name of a field"), (lambda d: True, "a mapping"),
    ({"n": {"$in": 3}}, "takes a list"), ("n = 1", "a mapping"),
])  # fmt: skip
def test_a_filter_is_one_of_a_few_operators(store: MemoryVectorStore, filter: Any, says: str) -> None:
    assert "$where" not in OPERATORS
    with pytest.raises(UserError, match=says):
        store.similarity_search("a", filter=filter)


def test_scores_are_cosines(store: MemoryVectorStore) -> None:
    (first, one), (second, half) = store.similarity_search_with_score("a", k=2)
    assert (first.id, second.id) == ("1", "2")
    assert one == pytest.approx(1.0)
    assert half == pytest.approx(0.5**0.5)
    assert store.similarity_search_with_relevance_scores("a", k=1)[0][1] == pytest.approx(1.0)
    assert store.similarity_search_by_vector([0, 0, 1, 0], k=1)[0].id == "4"
    assert store.similarity_search("a", k=0) == []
    with pytest.raises(GedankenError, match="different sizes"):
        store.similarity_search_by_vector([1.0])


def test_diverse_ones_are_unlike_one_another(database: Database) -> None:
    store = MemoryVectorStore.from_texts(["aab", "aabb", "aaab", "aac"], Letters(), memory=database)
    assert {d.page_content for d in store.max_marginal_relevance_search("aab", k=2, lambda_mult=0.3)} == {"aab", "aac"}
    assert store.max_marginal_relevance_search("aab", k=1, filter={"x": 1}) == []
    retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 3})
    assert len(retriever.invoke("a")) == 3
    with pytest.raises(UserError, match="stands in a memory"):
        MemoryVectorStore.from_texts(["a"], Letters())


def test_what_is_deleted_is_gone_with_its_vectors(store: MemoryVectorStore, database: Database) -> None:
    store.delete(["1", "9"])
    assert found(store, None) == ["2", "3", "4"]
    assert database.rows("SELECT count(*) FROM vectors") == [(3,)]
    store.delete()
    assert found(store, None) == []
    assert database.rows("SELECT (SELECT count(*) FROM vectors), (SELECT count(*) FROM items)") == [(0, 0)]


def test_another_process_is_seen_and_another_model_embeds_anew(tmp_path: Path) -> None:
    first, second = (MemoryVectorStore(tmp_path / "m.sqlite", Letters()) for _ in range(2))
    first.add_texts(["aa"])
    assert [d.page_content for d in second.similarity_search("a")] == ["aa"]
    first.add_texts(["bb", "ab"])
    assert len(second.similarity_search("a")) == 3
    other = MemoryVectorStore(tmp_path / "m.sqlite", Letters("ab"))
    assert other.similarity_search_with_score("b", k=1)[0][0].page_content == "bb"


def test_all_are_stored_or_none(store: MemoryVectorStore) -> None:
    with pytest.raises(UserError, match=r"metadata\.object is object"):
        store.add_texts(["x", "y"], [{}, {"object": object()}])
    with pytest.raises(UserError, match="one of each a text"):
        store.add_texts(["x"], ids=["1", "2"])
    assert len(found(store, None)) == 4


def test_a_failing_model_is_named(database: Database) -> None:
    class Broken(DeterministicFakeEmbedding):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            raise ConnectionError("down")

    with pytest.raises(GedankenError, match="'Broken' failed"):
        MemoryVectorStore(database, Broken(size=3)).add_texts(["x"])
