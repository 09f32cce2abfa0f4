"""LangGraph's store on the memory file: for `create_agent(store=...)`, langmem's tools, and any graph.

A namespace is a path of labels, matched label by label: a prefix is exactly that path and what is below it, and only
`list_namespaces` knows `*`, which stands for one label. A value is plain JSON, kept with who wrote it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    ensure_embeddings,
    get_text_at_path,
    validate_op_namespace,
)

from ...errors import UserError
from ..database import Database
from ..items.filters import checked, matches
from ..items.items import HasDatabase, Items, Namespace, Stored
from ..items.meanings import PARTS, Meanings
from ..items.plain import packed, plain, unpacked
from ..notes.embedding import Embedder

Vectors = Mapping[str, np.ndarray]


class MemoryStore(BaseStore):
    """Items by namespace and key. With an `index` a search takes a `query`, ranked by meaning, what was not embedded
    last; without one the newest come first.

    Items past their time to live are never returned, and deleted with the next write.
    """

    supports_ttl = True

    def __init__(
        self,
        memory: Database | HasDatabase | str | Path,
        *,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        name: str = "store",
        model: str | None = None,
        source: str = "model",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`memory` is a `LongTerm`, its database or a path; `index` and `ttl` are LangGraph's; `name` tells stores of
        one file apart; `model` names the embedding model, by default after its class; `source` says who writes through
        this object: what a person wrote, a model neither overwrites nor deletes."""
        self.items = Items(memory, f"store:{name}", source, clock)
        self.ttl_config = ttl
        self.index_config = index
        self._embedder = Embedder(ensure_embeddings(index["embed"]), model) if index else None
        made_by = self._embedder.model if self._embedder else ""
        self._meanings = Meanings(self.items.database, f"store:{name}:{made_by}")

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Run operations: what is read is as it was before, what is written all or none, the last of a key counts.

        Raises LangGraph's `InvalidNamespaceError`, `UserError` for a filter, key or value that cannot be one.
        """
        listed = _checked(ops)
        texts, queries = self._texts(listed), self._queries(listed)
        embed = self._embedder
        vectors = dict(zip(texts, embed.texts(texts), strict=True)) if embed and texts else {}
        return self._run(listed, vectors, {query: embed.query(query) for query in queries} if embed else {})

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """`batch`, awaited: the embedding model by its async methods, the file in a thread."""
        listed = _checked(ops)
        texts, queries = self._texts(listed), self._queries(listed)
        embed = self._embedder
        vectors = dict(zip(texts, await embed.atexts(texts), strict=True)) if embed and texts else {}
        asked = {query: await embed.aquery(query) for query in queries} if embed else {}
        return await asyncio.to_thread(self._run, listed, vectors, asked)

    # --- reading ----------------------------------------------------------------------------------------------------

    def _run(self, ops: Sequence[Op], vectors: Vectors, queries: Vectors) -> list[Result]:
        results: list[Result] = [None] * len(ops)
        for i, op in enumerate(ops):
            if isinstance(op, GetOp):
                results[i] = self._get(op)
            elif isinstance(op, SearchOp):
                results[i] = self._search(op, queries.get(op.query or ""))
            elif isinstance(op, ListNamespacesOp):
                results[i] = self._list(op)
        puts = {(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}
        if puts:
            with self.items.database.transaction():
                self._meanings.remove(self.items.sweep())
                for op in puts.values():
                    self._put(op, vectors)
        return results

    def _get(self, op: GetOp) -> Item | None:
        found = self.items.get(op.namespace, [op.key]).get(op.key)
        if found is None:
            return None
        if op.refresh_ttl:
            self.items.touch([found])
        return Item(**_parts(found))

    def _search(self, op: SearchOp, query: np.ndarray | None) -> list[SearchItem]:
        limit, offset = max(op.limit, 0), max(op.offset, 0)
        found: list[tuple[Stored, float | None]]
        if query is not None:
            ranked = self._ranked(op, query)[offset : offset + limit]
            items = self.items.by_id([id for id, _ in ranked])
            found = [(items[id], score) for id, score in ranked if id in items]
        elif op.filter:
            found = [(item, None) for item in self._filtered(op)[offset : offset + limit]]
        else:
            found = [(item, None) for item in self.items.under(op.namespace_prefix, limit, offset)]
        if op.refresh_ttl:
            self.items.touch(item for item, _ in found)
        return [SearchItem(**_parts(item), score=score) for item, score in found]

    def _filtered(self, op: SearchOp) -> list[Stored]:
        wanted = op.filter or {}
        return [item for item in self.items.under(op.namespace_prefix) if matches(unpacked(item.value), wanted)]

    def _ranked(self, op: SearchOp, query: np.ndarray) -> list[tuple[int, float | None]]:
        """Ids with cosines, the best first, and after them those that have no vector, the newest first."""
        allowed = [item.id for item in self._filtered(op)] if op.filter else self.items.ids(op.namespace_prefix)
        near = self._meanings.nearest(query, len(allowed), allowed)
        scored = {id for id, _ in near}
        return [*near, *((id, None) for id in sorted(allowed, reverse=True) if id not in scored)]

    def _list(self, op: ListNamespacesOp) -> list[Namespace]:
        conditions = op.match_conditions or ()
        found = {namespace[: op.max_depth] for namespace in self.items.namespaces()
                 if all(_fits(namespace, condition) for condition in conditions)}  # fmt: skip
        return sorted(found)[max(op.offset, 0) :][: max(op.limit, 0)]

    # --- writing ----------------------------------------------------------------------------------------------------

    def _put(self, op: PutOp, vectors: Vectors) -> None:
        if op.value is None:
            self._meanings.remove(self.items.delete(op.namespace, [op.key]))
            return
        ttl_s = None if op.ttl is None else op.ttl * 60.0
        id = self.items.put(op.namespace, op.key, packed(op.value), ttl_s)
        self._meanings.put(id, np.array([vectors[text] for text in self._texts([op])], np.float32))

    def _texts(self, ops: Sequence[Op]) -> list[str]:
        """What is embedded of the items that are put, each text once."""
        found: dict[str, None] = {}
        for op in ops:
            if isinstance(op, PutOp) and op.value is not None and op.index is not False and self.index_config:
                fields = self.index_config.get("fields") or ["$"] if op.index is None else op.index
                texts = [text for field in fields for text in get_text_at_path(op.value, field)]
                found |= dict.fromkeys(texts[:PARTS])
        return list(found)

    def _queries(self, ops: Sequence[Op]) -> set[str]:
        return {op.query for op in ops if isinstance(op, SearchOp) and op.query}


def _checked(ops: Iterable[Op]) -> list[Op]:
    """The operations, their values plain."""
    listed = []
    for op in ops:
        validate_op_namespace(op)
        if isinstance(op, SearchOp) and op.filter:
            checked(op.filter)
        if isinstance(op, PutOp) and op.value is not None:
            if not isinstance(op.value, Mapping):
                raise UserError(f"the value of {op.key!r} is {type(op.value).__name__}; a store keeps mappings")
            op = op._replace(value=plain(op.value, op.key))
        listed.append(op)
    return listed


def _fits(namespace: Namespace, condition: MatchCondition) -> bool:
    """Whether a namespace begins, or ends, with a path, in which `*` is any one label."""
    wanted = tuple(condition.path)
    part = namespace[: len(wanted)] if condition.match_type == "prefix" else namespace[-len(wanted) :] if wanted else ()
    return len(part) == len(wanted) and all(w in ("*", label) for w, label in zip(wanted, part, strict=True))


def _parts(item: Stored) -> dict[str, Any]:
    return {
        "namespace": item.namespace,
        "key": item.key,
        "value": unpacked(item.value),
        "created_at": datetime.fromtimestamp(item.created, UTC),
        "updated_at": datetime.fromtimestamp(item.updated, UTC),
    }
