"""Retrieval: the notes that matter now, by relevance, recency and importance.

The score is that of Generative Agents (Park et al. 2023), each part kept from 0 to 1 and shown beside the sum, so
that a person can see why a note was remembered. Filters come before ranking, and ranking is exact. Relevance is a
convex combination of the cosine of embeddings and of BM25 over words, which keeps how near a note is where reciprocal
ranks forget it (Bruch et al. 2023, arXiv 2210.11934); without an embedding model it is BM25 alone.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...errors import UserError
from ..origin import Origin, origin_of
from ..text import clean, limited, name
from ..vectors import Vectors
from .catalogue import Catalogue
from .diversity import diverse
from .embedding import Embedder
from .notes import Link, Note, Notes
from .words import gist

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever

SAME = 0.95  # cosine from which two notes with the same numbers and negations say the same
_BATCH = 64  # notes embedded in one call
_POOL = 64  # notes that diversity chooses among, at least


class HasNotes(Protocol):
    """A memory with notes: `LongTerm`, `MemoryFile`."""

    note_table: Notes


@dataclass(frozen=True)
class Weights:
    """How much each part counts, not negative; `keywords` is the share of BM25 in relevance, from 0 to 1."""

    relevance: float = 1.0
    recency: float = 0.5
    importance: float = 0.5
    keywords: float = 0.3

    def __post_init__(self) -> None:
        for part, weight in vars(self).items():
            if not (math.isfinite(weight) and weight >= 0.0):
                raise UserError(f"the weight of {part} is {weight}; give a number of at least 0")
        if self.keywords > 1.0:
            raise UserError(f"the weight of keywords is {self.keywords}; give a share from 0 to 1")


@dataclass(frozen=True)
class Hit:
    """A note found: `score` is the weighted sum of relevance, recency and importance, each from 0 to 1."""

    note: Note
    score: float
    relevance: float
    recency: float  # 0.5 ** (age / half-life)
    importance: float
    similarity: float  # cosine, negative ones count as 0; 0 without embeddings
    keywords: float  # BM25 over that of the best match


class Retrieval:
    """Search over the notes of a memory. Vectors are made once a note and kept in the same file."""

    def __init__(
        self,
        memory: HasNotes,
        embeddings: Embeddings | None = None,
        model: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`model` names the embedding model: vectors of different models are kept apart (`embedding.py`)."""
        self._notes = memory.note_table
        self._embed = None if embeddings is None else Embedder(embeddings, model)
        self._clock = clock
        self._lock = threading.RLock()
        self._catalogue = Catalogue(self._notes.database)
        self.vectors = Vectors(self._notes.database, f"text:{self._embed.model if self._embed else None}")
        self._rows = np.zeros(0, np.int64)  # of each note in the matrix of vectors
        self._joined = (0, 0)  # the version of the catalogue when they were found

    def search(
        self,
        query: str,
        k: int = 5,
        kind: str | Iterable[str] | None = None,
        tags: str | Iterable[str] | None = None,
        weights: Weights | None = None,
        half_life_s: float = 86_400.0,
        *,
        source: str | Iterable[str] | None = None,
        origin: str | Iterable[str] | None = None,
        since: float | None = None,
        until: float | None = None,
        episode: int | Iterable[int] | None = None,
        superseded: bool = False,
        diversity: float = 0.0,
        counted: bool = True,
    ) -> list[Hit]:
        """The `k` best notes, best first (the newer first where equal), of those that pass every filter given:
        kinds, sources, origins, episodes they were made in, made from `since` to before `until` (seconds since 1970),
        all of `tags`; superseded ones only where asked for.

        `diversity` from 0 to 1 chooses by maximal marginal relevance: each next note loses so much for being like one
        chosen before (Carbonell & Goldstein 1998). Notes that are found count as recalled, unless not `counted`.
        Raises `UserError` for a `k`, half-life or diversity out of range, `GedankenError` where the embedding model
        fails.
        """
        if k < 1 or not half_life_s > 0.0:
            raise UserError(f"a search needs k >= 1 and half_life_s > 0, not {k} and {half_life_s}")
        if not 0.0 <= diversity <= 1.0:
            raise UserError(f"the diversity of a search is {diversity}; give a number from 0 to 1")
        weights = weights or Weights()
        query = limited(query)
        with self._lock:
            self.refresh()
            mask = self._catalogue.mask(kind, source, origin, since, until, episode, tags, superseded)
            rows = np.flatnonzero(mask)  # [M]; all that follows is of these
            if not len(rows):
                return []
            keywords = self._keywords(query, rows)
            similarity = self._similarity(query, rows)
            share = weights.keywords if self._embed else 1.0
            relevance = (1.0 - share) * similarity + share * keywords
            ages = np.maximum(0.0, self._clock() - self._catalogue.column("seen", rows)) / half_life_s
            recency = np.exp2(-ages.astype(np.float32))
            importance = self._catalogue.column("importance", rows)
            score = weights.relevance * relevance + weights.recency * recency + weights.importance * importance
            best = self._best(score, rows, k if diversity == 0.0 else max(4 * k, _POOL))
            ids = self._catalogue.column("id")[rows[best]].tolist()
            if diversity > 0.0:
                worth = score[best] / max(weights.relevance + weights.recency + weights.importance, 1e-12)
                chosen = diverse(worth, self._alikeness(rows[best], ids), k, diversity)
                best, ids = best[chosen], [ids[i] for i in chosen]
            if counted:
                self._notes.recalled(ids)
            notes = {note.id: note for note in self._notes.get(ids)}
            return [
                Hit(notes[id], float(score[i]), float(relevance[i]), float(recency[i]), notes[id].importance,
                    float(similarity[i]), float(keywords[i]))
                for i, id in zip(best, ids, strict=True)
                if id in notes
            ]  # fmt: skip

    def note(
        self,
        text: str,
        kind: str = "lesson",
        importance: float = 0.5,
        source: str = "agent",
        tags: Iterable[str] = (),
        episode: int | None = None,
        links: Iterable[Link] = (),
        origin: Origin | None = None,
    ) -> int:
        """Remember a text as `Notes.add` does, with near duplicates and echoes of what was recalled told by meaning
        too: by vectors, where numbers and negations agree. A person's words are kept as they are."""
        new = functools.partial(self._notes.add, text, kind, importance, source, tags, episode, links, origin)
        said_by = origin_of(name(source), origin)
        if self._embed is None or said_by == "person" or not clean(text):
            return new()
        with self._lock:
            self.refresh()
            vector = self._embed.texts([limited(text)])
            same_kind = self._catalogue.mask(kind, origin=(said_by, "person"))
            was_recalled = self._catalogue.mask(superseded=True) & (self._catalogue.column("recalled") > 0)
            rows = np.flatnonzero(same_kind | was_recalled)
            near = self._nearness(vector[0], rows)
            for i in self._best(near, rows, 8):
                (note,) = self._notes.get([int(self._catalogue.column("id")[rows[i]])])
                if near[i] >= SAME and gist(note.text).marks == gist(text).marks:
                    if same_kind[rows[i]] and note.origin == said_by:
                        self._notes.again(note.id, importance)
                    return note.id
            id = new()
            self.vectors.refresh()
            if self.vectors.rows(np.array([id]))[0] < 0:
                self.vectors.put([id], vector)
            return id

    def as_retriever(self, k: int = 5, kind: str | None = None, **search: Any) -> BaseRetriever:
        """The same search as a LangChain retriever; score, its parts, origin, kind, tags and id are in `metadata`."""
        from .retriever import NoteRetriever

        return NoteRetriever(retrieval=self, k=k, options={"kind": kind, **search})

    def refresh(self) -> None:
        """Take in what changed, in this process or another, and embed the notes that have no vector."""
        with self._lock:
            self._catalogue.refresh()
            if self._embed is None:
                return
            is_new = self._catalogue.version != self._joined
            if self.vectors.refresh() or is_new:
                ids, self._joined = self._catalogue.column("id"), self._catalogue.version
                self._rows = self.vectors.rows(ids)
                missing = ids[self._rows < 0].tolist()
                for start in range(0, len(missing), _BATCH):
                    notes = self._notes.get(missing[start : start + _BATCH])
                    if notes:
                        self.vectors.put([note.id for note in notes], self._embed.texts([note.text for note in notes]))
                if missing:
                    self.vectors.refresh()
                    self._rows = self.vectors.rows(ids)

    def _keywords(self, query: str, rows: np.ndarray) -> np.ndarray:
        """BM25 of each of the notes at `rows [M]` over that of the best of them, `[M]`, from 0 to 1."""
        ids, bm25 = self._notes.match(query)
        found = self._catalogue.rows(ids)
        at = np.minimum(np.searchsorted(rows, found), len(rows) - 1)
        counts = (rows[at] == found) & (bm25 > 0.0)
        scores = np.zeros(len(rows), np.float32)
        if counts.any():
            scores[at[counts]] = bm25[counts] / bm25[counts].max()
        return scores

    def _similarity(self, query: str, rows: np.ndarray) -> np.ndarray:
        """The cosine of each of the notes at `rows [M]` with the query, `[M]`, from 0 to 1."""
        if self._embed is None or not query:
            return np.zeros(len(rows), np.float32)
        return np.clip(self._nearness(self._embed.query(query), rows), 0.0, 1.0)

    def _nearness(self, vector: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The cosine of each of the notes at `rows [M]` with a vector, `[M]`; 0 for one that has no vector yet."""
        at = self._rows[rows]
        return np.where(at >= 0, self.vectors.similarity(vector, at), 0.0)

    def _best(self, score: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
        """The indices of the `k` highest scores `[M]` of the notes at `rows [M]`, best first, the newer where equal."""
        least = np.partition(score, len(score) - k)[len(score) - k] if len(score) > k else -np.inf
        best = np.flatnonzero(score >= least)
        return best[np.lexsort((-self._catalogue.column("id")[rows[best]], -score[best]))][:k]

    def _alikeness(self, rows: np.ndarray, ids: Sequence[int]) -> np.ndarray:
        """How alike the notes are, `[M, M]`: the cosine of their vectors, or the share of words they have in common."""
        if self._embed:
            vectors = self.vectors.matrix[self._rows[rows]]
            return np.clip(vectors @ vectors.T, 0.0, 1.0)
        texts = {note.id: set(gist(note.text).tokens) for note in self._notes.get(ids)}
        said = [texts.get(id, set()) for id in ids]
        return np.array([[len(a & b) / max(1, len(a | b)) for b in said] for a in said])
