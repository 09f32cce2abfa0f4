"""Documents by meaning in the memory file, as a LangChain vector store. Filters come before ranking, which is exact."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from ...errors import UserError
from ..database import Database
from ..items.filters import Filter, checked, matches
from ..items.items import HasDatabase, Items, Stored
from ..items.meanings import Meanings
from ..items.plain import packed, unpacked
from ..notes.diversity import diverse
from ..notes.embedding import Embedder


class MemoryVectorStore(VectorStore):
    """Documents with plain metadata. Vectors of different embedding models are kept apart: opened with another one,
    the documents are embedded anew.

    Searches take `filter`, as in `filter={"page": {"$lt": 10}}` (`memory/items/filters.py`); a score is a cosine.
    """

    def __init__(
        self,
        memory: Database | HasDatabase | str | Path,
        embedding: Embeddings,
        name: str = "documents",
        *,
        model: str | None = None,
        source: str = "model",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`memory` is a `LongTerm`, its database or a path; `name` tells stores of one file apart; `model` names the
        embedding model, by default after its class; `source` says who writes through this object."""
        self.items = Items(memory, f"documents:{name}", source, clock)
        self._embedding = embedding
        self._embedder = Embedder(embedding, model)
        self._meanings = Meanings(self.items.database, f"documents:{name}:{self._embedder.model}")
        self._embed_missing()

    @property
    def embeddings(self) -> Embeddings:
        """The embedding model."""
        return self._embedding

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Store texts, all or none, and return their ids; one whose id is there takes its place.

        Raises `UserError` for metadata that is no plain data and for lists of other lengths.
        """
        texts = list(texts)
        keys = [id or str(uuid.uuid4()) for id in ids] if ids is not None else [str(uuid.uuid4()) for _ in texts]
        if len(keys) != len(texts) or len(metadatas or texts) != len(texts):
            raise UserError(f"{len(texts)} texts with {len(keys)} ids and {len(metadatas or texts)} metadatas; give "
                            "one of each a text")  # fmt: skip
        pairs = zip(texts, metadatas or [{}] * len(texts), strict=True)
        values = [packed({"text": text, "metadata": metadata}) for text, metadata in pairs]
        if not texts:
            return []
        vectors = self._embedder.texts(texts)
        with self.items.database.transaction():
            stored = [self.items.put((), key, value) for key, value in zip(keys, values, strict=True)]
            self._meanings.put_new(stored, vectors)
        return keys

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of these ids, in their order; unknown ones are left out."""
        found = self.items.get((), ids)
        return [_document(found[id]) for id in ids if id in found]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents and their vectors, where they are there; None deletes all."""
        with self.items.database.transaction():
            self._meanings.remove(self.items.delete((), self.items.keys() if ids is None else ids))
        return True

    def similarity_search(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The `k` documents nearest to a text, nearest first."""
        return [document for document, _ in self.similarity_search_with_score(query, k, filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The same, with their cosines."""
        found = self._nearest(self._embedder.query(query), k, filter)
        documents = self.items.by_id([id for id, _ in found])
        return [(_document(documents[id]), score) for id, score in found if id in documents]

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """The `k` documents nearest to a vector, nearest first."""
        return self._documents([id for id, _ in self._nearest(np.array(embedding, np.float32), k, filter)])

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """`k` of the `fetch_k` nearest documents that are unlike one another; `lambda_mult` from 0 (diverse) to 1."""
        vector = self._embedder.query(query).tolist()
        return self.max_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, filter)

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5,
        filter: Filter | None = None, **kwargs: Any,
    ) -> list[Document]:
        """The same, for a vector."""
        found = self._nearest(np.array(embedding, np.float32), fetch_k, filter)
        if not found:
            return []
        vectors = self._meanings.of([id for id, _ in found])
        worth = np.array([score for _, score in found])
        chosen = diverse(worth, vectors @ vectors.T, k, 1.0 - lambda_mult)
        return self._documents([found[i][0] for i in chosen])

    @classmethod
    def from_texts(
        cls, texts: list[str], embedding: Embeddings, metadatas: list[dict[str, Any]] | None = None, *,
        ids: list[str] | None = None, memory: Database | HasDatabase | str | Path | None = None, **options: Any,
    ) -> MemoryVectorStore:
        """A store in `memory` with these texts in it; `options` as the class takes them."""
        if memory is None:
            raise UserError("a vector store stands in a memory; give memory='notes.sqlite', or a LongTerm")
        store = cls(memory, embedding, **options)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return lambda cosine: min(1.0, max(0.0, cosine))

    def _nearest(self, query: np.ndarray, k: int, filter: Filter | None) -> list[tuple[int, float]]:
        if filter is None:
            return self._meanings.nearest(query, k)
        wanted = checked(filter)
        allowed = [item.id for item in self.items.under() if matches(unpacked(item.value)["metadata"], wanted)]
        return self._meanings.nearest(query, k, allowed)

    def _documents(self, ids: list[int]) -> list[Document]:
        found = self.items.by_id(ids)
        return [_document(found[id]) for id in ids if id in found]

    def _embed_missing(self) -> None:
        known = self._meanings.known()
        missing = [id for id in self.items.ids() if id not in known]
        for start in range(0, len(missing), 256):
            part = self.items.by_id(missing[start : start + 256])
            texts = [str(unpacked(item.value)["text"]) for item in part.values()]
            self._meanings.put_new(list(part), self._embedder.texts(texts))


def _document(item: Stored) -> Document:
    value = unpacked(item.value)
    return Document(id=item.key, page_content=value["text"], metadata=value["metadata"])
