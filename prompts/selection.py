"""Choosing demonstrations for one input: fixed, random, nearest or diverse, within a length budget.

A demonstration is never its own query: one whose input is the query (but for case and spaces) is left out, so that
an evaluation on the demonstrations themselves is honest.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from ..errors import UserError

Selection = Literal["fixed", "random", "nearest", "diverse"]


class Demonstration(NamedTuple):
    """An input with the output that is right for it."""

    input: str
    output: str | int | float | bool


@dataclass(frozen=True)
class Selector:
    """Chooses up to `count` demonstrations a query; the best stands last, next to the query.

    `similarity` is a LangChain retriever or embeddings, needed by "nearest" and "diverse". A retriever's document
    stands for the demonstration whose input is its text, or brings its own in `metadata["output"]`.
    """

    demonstrations: Sequence[Demonstration]
    selection: Selection = "fixed"
    count: int = 4
    budget_chars: int | None = None
    seed: int = 0
    similarity: Any = None
    diversity: float = 0.5
    """Of "diverse", 0..1: how much being unlike the ones already chosen weighs against being like the query."""
    _index: dict[str, Demonstration] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._index.update({same(d.input): d for d in self.demonstrations})
        embeds, retrieves = self._embeds, hasattr(self.similarity, "invoke")
        if self.selection == "nearest" and not (embeds or retrieves):
            raise UserError("selection 'nearest' needs similarity: a LangChain retriever or embeddings")
        if self.selection == "diverse" and not embeds:
            raise UserError("selection 'diverse' needs similarity: LangChain embeddings")

    def select(self, query: str) -> list[Demonstration]:
        """Return the demonstrations for a query, the best last.

        Raises:
            UserError: a retriever brought a document that is no demonstration.
        """
        ranked = {
            "fixed": self._fixed,
            "random": self._random,
            "nearest": self._nearest if self._embeds else self._retrieved,
            "diverse": self._diverse,
        }[self.selection](query)
        chosen: list[Demonstration] = []
        left = self.budget_chars
        for demonstration in ranked:
            length = len(demonstration.input) + len(str(demonstration.output))
            if left is not None and length > left:
                continue  # a shorter one may still fit
            left = None if left is None else left - length
            chosen.append(demonstration)
            if len(chosen) == self.count:
                break
        return chosen if self.selection == "fixed" else chosen[::-1]

    def _others(self, query: str) -> list[int]:
        return [n for n, d in enumerate(self.demonstrations) if same(d.input) != same(query)]

    def _fixed(self, query: str) -> list[Demonstration]:
        return [self.demonstrations[n] for n in self._others(query)]

    def _random(self, query: str) -> list[Demonstration]:
        # The draw depends on the query and not on how many came before it.
        digest = hashlib.sha256(f"{self.seed}:{query}".encode()).digest()
        others = self._others(query)
        random.Random(digest).shuffle(others)
        return [self.demonstrations[n] for n in others]

    def _retrieved(self, query: str) -> list[Demonstration]:
        found = []
        for document in self.similarity.invoke(query):
            if same(document.page_content) == same(query):
                continue
            if "output" in document.metadata:
                found.append(Demonstration(document.page_content, document.metadata["output"]))
            elif same(document.page_content) in self._index:
                found.append(self._index[same(document.page_content)])
            else:
                raise UserError(
                    f"the retriever found {document.page_content[:60]!r}, which is no demonstration of the task and "
                    "has no metadata['output']"
                )
        return found

    def _nearest(self, query: str) -> list[Demonstration]:
        others = self._others(query)
        likeness = self._vectors[others] @ self._embedded(query)
        return [self.demonstrations[others[n]] for n in np.argsort(-likeness, kind="stable")]

    def _diverse(self, query: str) -> list[Demonstration]:
        """Maximal marginal relevance (Carbonell & Goldstein 1998)."""
        others = self._others(query)
        vectors = self._vectors[others]  # [N, D]
        relevance = vectors @ self._embedded(query)  # [N]
        redundancy = np.zeros(len(others))
        order: list[int] = []
        while len(order) < len(others):
            gain = (1 - self.diversity) * relevance - self.diversity * redundancy
            gain[order] = -np.inf
            best = int(np.argmax(gain))
            likeness = vectors @ vectors[best]
            redundancy = np.maximum(redundancy, likeness) if order else likeness
            order.append(best)
        return [self.demonstrations[others[n]] for n in order]

    @property
    def _embeds(self) -> bool:
        return hasattr(self.similarity, "embed_documents")

    @cached_property
    def _vectors(self) -> np.ndarray:
        texts = [demonstration.input for demonstration in self.demonstrations]
        vectors = np.asarray(self.similarity.embed_documents(texts), dtype=float).reshape(len(texts), -1)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)

    def _embedded(self, query: str) -> np.ndarray:
        vector = np.asarray(self.similarity.embed_query(query), dtype=float)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)


def same(text: str) -> str:
    """Return what two texts share that differ only in case and spaces."""
    return " ".join(text.casefold().split())
