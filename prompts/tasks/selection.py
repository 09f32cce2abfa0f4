"""Choosing demonstrations for one input: fixed, random, nearest or diverse, within a length budget.

A demonstration is never its own query: one whose input is the query, or a near copy of it (the same numbers and nearly
the same letters), is left out, so that an evaluation on the demonstrations themselves is honest.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from ...errors import UserError

Selection = Literal["fixed", "random", "nearest", "diverse"]
Order = Literal["best_last", "best_first"]
NEAR_COPY = 0.8
NOTED = "\n=> "


class Demonstration(NamedTuple):
    """An input with the output that is right for it."""

    input: Any
    output: Any


@dataclass(frozen=True)
class Selector:
    """Chooses up to `count` demonstrations a query; by default the best stands last, next to the query.

    `similarity` is a LangChain retriever or embeddings, needed by "nearest" and "diverse". A retriever's document
    stands for the demonstration whose input is its text, brings its output in `metadata["output"]`, or is a note of
    both, "INPUT" and "=> OUTPUT" on a line of its own (`noted`), as an agent's memory keeps it.
    """

    demonstrations: Sequence[Demonstration]
    selection: Selection = "fixed"
    count: int = 4
    budget: int | None = None
    """Of the length of all demonstrations chosen, as `length` measures it."""
    length: Callable[[str], int] = len
    seed: int = 0
    similarity: Any = None
    diversity: float = 0.5
    """Of "diverse", 0..1: how much being unlike the ones already chosen weighs against being like the query."""
    order: Order = "best_last"
    """Of all but "fixed", which keeps the order of the list."""
    write: Callable[[Any], str] = str
    """The text of an output."""
    read: Callable[[str], Any] = str
    """The output of such a text; ValueError where it is none."""
    _index: dict[str, Demonstration] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._index.update({same(d.input): d for d in self.demonstrations})
        embeds, retrieves = self._embeds, hasattr(self.similarity, "invoke")
        if self.selection == "nearest" and not (embeds or retrieves):
            raise UserError("selection 'nearest' needs similarity: a LangChain retriever or embeddings")
        if self.selection == "diverse" and not embeds:
            raise UserError("selection 'diverse' needs similarity: LangChain embeddings")

    def select(self, query: str, length: Callable[[str], int] | None = None) -> list[Demonstration]:
        """Return the demonstrations for a query, in the order they are shown; `length` in the place of the usual one.

        Raises:
            UserError: a retriever brought a document that is no demonstration.
        """
        if self.count == 0:
            return []
        measure = length or self.length
        ranked = {
            "fixed": self._fixed,
            "random": self._random,
            "nearest": self._nearest if self._embeds else self._retrieved,
            "diverse": self._diverse,
        }[self.selection](query)
        chosen: list[Demonstration] = []
        left = self.budget
        for demonstration in ranked:
            if len(chosen) == self.count:
                break
            if left is not None:
                size = measure(demonstration.input) + measure(self.write(demonstration.output))
                if size > left:
                    continue  # a shorter one may still fit
                left -= size
            chosen.append(demonstration)
        return chosen if self.selection == "fixed" or self.order == "best_first" else chosen[::-1]

    def _others(self, query: str) -> list[int]:
        asked = Fingerprint.of(query)
        return [n for n, known in enumerate(self._fingerprints) if not known.is_near(asked)]

    def _fixed(self, query: str) -> list[Demonstration]:
        return [self.demonstrations[n] for n in self._others(query)]

    def _random(self, query: str) -> list[Demonstration]:
        # The draw depends on the query and not on how many came before it.
        digest = hashlib.sha256(f"{self.seed}:{query}".encode()).digest()
        others = self._others(query)
        random.Random(digest).shuffle(others)
        return [self.demonstrations[n] for n in others]

    def _retrieved(self, query: str) -> list[Demonstration]:
        found = [self._of_document(document) for document in self.similarity.invoke(query)]
        asked = Fingerprint.of(query)
        return [one for one in found if one is not None and not Fingerprint.of(one.input).is_near(asked)]

    def _of_document(self, document: Any) -> Demonstration | None:
        text = document.page_content
        if "output" in document.metadata:
            return Demonstration(text, document.metadata["output"])
        if same(text) in self._index:
            return self._index[same(text)]
        if NOTED in text:
            shown, output = text.rsplit(NOTED, 1)
            try:
                return Demonstration(shown, self.read(output))
            except ValueError:
                return None  # a note of another task
        raise UserError(
            f"the retriever found {text[:60]!r}, which is no demonstration of the task, has no metadata['output'] and "
            "no line that begins with '=> '"
        )

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
        # With a budget a long one may be passed over, and any may be wanted; without, the first `count` are enough.
        while len(order) < (len(others) if self.budget is not None else min(self.count, len(others))):
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
    def _fingerprints(self) -> list[Fingerprint]:
        return [Fingerprint.of(demonstration.input) for demonstration in self.demonstrations]

    @cached_property
    def _vectors(self) -> np.ndarray:
        texts = [demonstration.input for demonstration in self.demonstrations]
        vectors = np.asarray(self.similarity.embed_documents(texts), dtype=float).reshape(len(texts), -1)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)

    def _embedded(self, query: str) -> np.ndarray:
        vector = np.asarray(self.similarity.embed_query(query), dtype=float)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)


@dataclass(frozen=True)
class Fingerprint:
    """What near copies of a text share: its words, its numbers, and nearly all runs of three letters."""

    words: str
    numbers: tuple[str, ...]
    runs: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Fingerprint:
        """The fingerprint of a text; case, spaces and the marks at the ends of words do not count."""
        words = same(re.sub(r"[.,;:!?'\"]+(?=\s|$)", "", text)) or same(text)
        return cls(words, tuple(re.findall(r"\d+", words)), frozenset(words[n : n + 3] for n in range(len(words))))

    def is_near(self, other: Fingerprint) -> bool:
        """Whether two texts are the same, or one is a near copy of the other (Jaccard index of their runs)."""
        if self.words == other.words:
            return True
        small, large = sorted((len(self.runs), len(other.runs)))
        if self.numbers != other.numbers or small < NEAR_COPY * large:
            return False
        return len(self.runs & other.runs) >= NEAR_COPY * len(self.runs | other.runs)


def noted(demonstration: Demonstration, write: Callable[[Any], str] = str) -> str:
    """Return a demonstration as the text of a note that a retriever may find."""
    return f"{demonstration.input}{NOTED}{write(demonstration.output)}"


def same(text: str) -> str:
    """Return what two texts share that differ only in case and spaces."""
    return " ".join(text.casefold().split())
