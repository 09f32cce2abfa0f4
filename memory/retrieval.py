"""Retrieval: the notes that matter now, by relevance, recency and importance.

The score is that of Generative Agents (Park et al. 2023), each part kept from 0 to 1 and shown beside the sum, so
that a person can see why a note was remembered. Without an embedding model, relevance is BM25 over words.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GedankenError, UserError
from .long_term import LongTerm
from .notes import Note
from .text import clean

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever

_BATCH = 64  # notes embedded in one call


@dataclass(frozen=True)
class Weights:
    """How much each part counts; not negative."""

    relevance: float = 1.0
    recency: float = 0.5
    importance: float = 0.5

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            if not (math.isfinite(weight) and weight >= 0.0):
                raise UserError(f"the weight of {name} is {weight}; give a number of at least 0")


@dataclass(frozen=True)
class Hit:
    """A note found: `score` is the weighted sum of the three parts, each from 0 to 1."""

    note: Note
    score: float
    relevance: float  # cosine, negative ones count as 0; or BM25 over that of the best match
    recency: float  # 0.5 ** (age / half-life)
    importance: float


class Retrieval:
    """Search over the notes of a long-term memory. Vectors are made once a note and kept in the same file."""

    def __init__(
        self,
        memory: LongTerm,
        embeddings: Embeddings | None = None,
        model: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`model` names the embedding model: vectors of different models are kept apart. By default it is the name
        of the class and of its `model_name` or `model`, where it has one."""
        self._memory = memory
        self._embeddings = embeddings
        self._model = model or _name(embeddings)
        self._clock = clock
        self._revision: tuple[int, float] | None = None
        self._notes: list[Note] = []
        self._vectors: dict[int, np.ndarray] = {}
        self._matrix = np.zeros((0, 0), np.float32)  # [notes, D], rows of length 1 (or 0)

    def search(
        self,
        query: str,
        k: int = 5,
        kind: str | None = None,
        tags: Iterable[str] | None = None,
        weights: Weights | None = None,
        half_life_s: float = 86_400.0,
    ) -> list[Hit]:
        """The `k` best notes, best first (the newer first where equal); of `kind`, and with all of `tags`, where given.

        Raises `UserError` for a `k` or half-life that is not positive, `GedankenError` where the embedding model
        fails.
        """
        if k < 1 or not half_life_s > 0.0:
            raise UserError(f"a search needs k >= 1 and half_life_s > 0, not {k} and {half_life_s}")
        weights = weights or Weights()
        query = clean(query)
        self._refresh()
        wanted = {clean(tag) for tag in ([tags] if isinstance(tags, str) else tags or ())}
        of_kind = None if kind is None else clean(kind)
        rows = [
            i
            for i, note in enumerate(self._notes)
            if (of_kind is None or note.kind == of_kind) and wanted <= set(note.tags)
        ]
        if not rows:
            return []
        notes = [self._notes[i] for i in rows]
        relevance = self._relevance(query, rows)
        age_s = np.maximum(0.0, self._clock() - np.array([note.seen for note in notes]))
        recency = np.exp2(-age_s / half_life_s)
        importance = np.array([note.importance for note in notes])
        score = weights.relevance * relevance + weights.recency * recency + weights.importance * importance
        best = np.lexsort((-np.array([note.id for note in notes]), -score))[:k]
        return [
            Hit(notes[i], float(score[i]), float(relevance[i]), float(recency[i]), float(importance[i])) for i in best
        ]

    def as_retriever(self, k: int = 5, kind: str | None = None, **search: Any) -> BaseRetriever:
        """The same search as a LangChain retriever; score, its parts, kind, tags and id are in `metadata`."""
        from .retriever import NoteRetriever

        return NoteRetriever(retrieval=self, options={"k": k, "kind": kind, **search})

    def _relevance(self, query: str, rows: list[int]) -> np.ndarray:
        """From 0 to 1 for each of the notes at `rows`."""
        embeddings = self._embeddings
        if embeddings is None:
            found = self._memory.note_table.match(query)
            scores = np.array([found.get(self._notes[i].id, 0.0) for i in rows])
            return np.maximum(scores, 0.0) / max(scores.max(), 1e-12)
        if not query:
            return np.zeros(len(rows))
        vector = _unit(self._checked(lambda: [embeddings.embed_query(query)], 1))[0]
        if len(vector) != self._matrix.shape[1]:
            raise GedankenError(
                f"embedding model '{self._model}' gives {len(vector)} numbers for a query, "
                f"{self._matrix.shape[1]} for a note; give models of different sizes different names: "
                "Retrieval(memory, embeddings, model=...)"
            )
        return np.clip(self._matrix[rows] @ vector, 0.0, 1.0).astype(np.float64)

    def _refresh(self) -> None:
        """Read the notes again where any were added, in this process or another, and embed those without a vector."""
        revision = self._memory.note_table.revision()
        if revision == self._revision:
            return
        notes = self._memory.notes()
        if self._embeddings is not None:
            self._embed_missing(notes, self._embeddings)
            size = len(self._vectors[notes[0].id]) if notes else 0
            self._matrix = np.array([self._vectors[note.id] for note in notes], np.float32).reshape(len(notes), size)
        self._notes = notes
        self._revision = revision

    def _embed_missing(self, notes: list[Note], embeddings: Embeddings) -> None:
        if any(note.id not in self._vectors for note in notes):
            self._vectors |= {id: _unit(v[None])[0] for id, v in self._memory.note_table.vectors(self._model).items()}
        missing = [note for note in notes if note.id not in self._vectors]
        for start in range(0, len(missing), _BATCH):
            part = missing[start : start + _BATCH]
            embed = functools.partial(embeddings.embed_documents, [note.text for note in part])
            vectors = self._checked(embed, len(part))
            sizes = {vectors.shape[1], *(len(v) for v in list(self._vectors.values())[:1])}
            if len(sizes) > 1:
                raise GedankenError(
                    f"embedding model '{self._model}' gave vectors of {sorted(sizes)} numbers; give models of "
                    "different sizes different names: Retrieval(memory, embeddings, model=...)"
                )
            fresh = dict(zip((note.id for note in part), vectors, strict=True))
            self._memory.note_table.keep_vectors(self._model, fresh)
            self._vectors |= dict(zip(fresh, _unit(vectors), strict=True))

    def _checked(self, embed: Callable[[], list[list[float]]], count: int) -> np.ndarray:
        """Vectors float32 `[count, D]` from the embedding model, checked."""
        try:
            vectors = np.asarray(embed(), np.float32)
        except Exception as error:
            raise GedankenError(
                f"embedding model '{self._model}' failed ({type(error).__name__}: {error}); mend it, or search by "
                "words with Retrieval(memory)"
            ) from error
        if vectors.ndim != 2 or len(vectors) != count or not np.isfinite(vectors).all():
            raise GedankenError(
                f"embedding model '{self._model}' gave no {count} finite vectors (shape {vectors.shape}); mend it, or "
                "search by words with Retrieval(memory)"
            )
        return vectors


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Rows `[N, D]` scaled to length 1; zero rows stay zero."""
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _name(embeddings: Any) -> str:
    model = getattr(embeddings, "model_name", None) or getattr(embeddings, "model", None)
    return type(embeddings).__name__ + (f":{model}" if isinstance(model, str) else "")
