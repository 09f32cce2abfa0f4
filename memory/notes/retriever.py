"""Notes as a LangChain retriever; the one module of memory that imports LangChain, and only when it is asked for."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from .retrieval import Retrieval


class NoteRetriever(BaseRetriever):
    """The `k` best notes of a search with fixed options, as documents: the text, and in `metadata` why it was found.

    `invoke(query, k=3, kind="lesson")` overrides options for once."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retrieval: Retrieval
    k: int = 5
    options: dict[str, Any] = Field(default_factory=dict)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **once: Any
    ) -> list[Document]:
        return [
            Document(
                page_content=hit.note.text,
                metadata={
                    "id": hit.note.id,
                    "kind": hit.note.kind,
                    "source": hit.note.source,
                    "origin": hit.note.origin,
                    "tags": list(hit.note.tags),
                    "score": hit.score,
                    "relevance": hit.relevance,
                    "recency": hit.recency,
                    "importance": hit.importance,
                },
            )
            for hit in self.retrieval.search(query, **{"k": self.k, **self.options, **once})
        ]
