"""Bytes by key in the memory file, as LangChain's key-value store: for `CacheBackedEmbeddings`, document stores, ..."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from langchain_core.stores import BaseStore

from ...errors import UserError
from ..database import Database
from ..items.items import HasDatabase, Items


class ByteStore(BaseStore[str, bytes]):
    """Bytes by key. Keys are compared letter by letter; `%`, `_` and `*` in a prefix are these characters."""

    def __init__(
        self,
        memory: Database | HasDatabase | str | Path,
        name: str = "bytes",
        source: str = "model",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`memory` is a `LongTerm`, its database or a path; `name` tells stores of one file apart; `source` says who
        writes through this object."""
        self.items = Items(memory, f"bytes:{name}", source, clock)

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values, None where a key has none."""
        found = self.items.get((), keys)
        return [found[key].value if key in found else None for key in keys]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Store values, all or none. Raises `UserError` for a value that is no bytes, and as `Items.put` does."""
        with self.items.database.transaction():
            for key, value in key_value_pairs:
                if not isinstance(value, bytes):
                    raise UserError(f"the value of {key!r} is {type(value).__name__}; a ByteStore keeps bytes")
                self.items.put((), key, value)

    def mdelete(self, keys: Sequence[str]) -> None:
        """Delete keys, where they are there."""
        self.items.delete((), keys)

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """The keys in order; those that begin with `prefix`, where given."""
        yield from self.items.keys((), prefix or "")
