"""Bytes by key: LangChain's own suites, prefixes, and limits."""

from __future__ import annotations

import pytest
from langchain_tests.integration_tests import BaseStoreAsyncTests, BaseStoreSyncTests

from gedanken.errors import UserError
from gedanken.memory.adapters.key_value import ByteStore
from gedanken.memory.database import Database
from gedanken.memory.items import items


class TestSync(BaseStoreSyncTests[bytes]):
    @pytest.fixture
    def kv_store(self, database: Database) -> ByteStore:
        return ByteStore(database)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"one", b"", b"\x00\xff"


class TestAsync(BaseStoreAsyncTests[bytes]):
    @pytest.fixture
    async def kv_store(self, database: Database) -> ByteStore:
        return ByteStore(database)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"one", b"", b"\x00\xff"


def test_a_prefix_has_no_wildcards(database: Database) -> None:
    store = ByteStore(database)
    store.mset([(key, b"") for key in ("a%b", "axb", "a_c", "A%d", "*")])
    assert list(store.yield_keys(prefix="a%")) == ["a%b"]
    assert list(store.yield_keys(prefix="a_")) == ["a_c"]
    assert list(store.yield_keys(prefix="*")) == ["*"]
    assert list(store.yield_keys(prefix="' OR 1=1 --")) == []
    assert len(list(store.yield_keys())) == 5


def test_stores_of_one_file_do_not_see_each_other(database: Database) -> None:
    ByteStore(database, "a").mset([("key", b"1")])
    assert ByteStore(database, "b").mget(["key"]) == [None]
    assert list(ByteStore(database, "").yield_keys()) == []


@pytest.mark.parametrize("key", ["", "a\x00b", "\ud800", "x" * 1_001])
def test_a_key_that_cannot_be_one_is_refused(database: Database, key: str) -> None:
    with pytest.raises(UserError, match="cannot be a key"):
        ByteStore(database).mset([(key, b"")])


def test_all_are_stored_or_none(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "LARGEST", 10)
    store = ByteStore(database)
    with pytest.raises(UserError, match="11 bytes; an item holds at most 10"):
        store.mset([("a", b"1"), ("b", b"x" * 11)])
    with pytest.raises(UserError, match="keeps bytes"):
        store.mset([("a", b"1"), ("b", "text")])  # type: ignore[list-item]
    assert list(store.yield_keys()) == []


def test_what_a_person_wrote_is_theirs(database: Database) -> None:
    person, model = ByteStore(database, source="user"), ByteStore(database)
    person.mset([("name", b"Ada")])
    for change in (lambda: model.mset([("name", b"Eve")]), lambda: model.mdelete(["name"])):
        with pytest.raises(UserError, match="written by a person"):
            change()
    assert model.mget(["name"]) == [b"Ada"]
    assert model.items.get((), ["name"])["name"].source == "user"
    person.mset([("name", b"Ada L.")])
    person.mdelete(["name"])
    assert database.rows("SELECT count(*) FROM items") == [(0,)]
