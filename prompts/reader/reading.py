"""Preparing questions for the network: tokens, items' embeddings, links and numbers, padded into one batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .codec import Codec
from .items import Item
from .links import CHANNELS, links, words
from .network import MAX_OUTPUT, Question
from .numerals import FORMS, numerals

MAX_TOKENS = 128


@dataclass(frozen=True)
class Prepared:
    """One sentence beside its world, not yet padded; `codec` turns rule lines into ids and back."""

    codec: Codec
    tokens: np.ndarray
    """`[L]` word pieces, cut at `MAX_TOKENS`."""
    items: Tensor
    """`[M, described]`."""
    types: np.ndarray
    owners: np.ndarray
    links: np.ndarray
    """`[L, M, CHANNELS]`."""
    places: np.ndarray
    forms: np.ndarray

    def encoded(self, line: str) -> list[int] | None:
        """The ids of a rule line; None where they cannot be written of this sentence."""
        try:
            ids = self.codec.encode([line])
        except ValueError:
            return None
        return ids if len(ids) < MAX_OUTPUT - 1 else None


class Preparer:
    """Prepares sentences with a frozen sentence encoder (of sentence-transformers): its word pieces, its embeddings."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self.tokenizer = encoder.tokenizer.backend_tokenizer
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        table = encoder[0].auto_model.embeddings.word_embeddings.weight.detach().float().numpy()
        self._table = table - table.mean(0)
        self._described: dict[str, np.ndarray] = {}
        self.vector = lru_cache(maxsize=100_000)(self._vector)

    def prepare(self, sentence: str, items: Sequence[Item]) -> Prepared:
        found = numerals(sentence)
        encoded = self.tokenizer.encode(sentence)
        spans = encoded.offsets[:MAX_TOKENS]
        ids = np.array(encoded.ids[:MAX_TOKENS])
        by_word = links(sentence, items, self.vector)
        by_token = np.zeros((len(ids), len(items), CHANNELS), np.float32)
        places = np.zeros(len(found), np.int64)
        at = words(sentence)
        w = 0
        for t, (start, end) in enumerate(spans):
            if start == end:
                continue
            while w < len(at) and at[w][1] <= start:
                w += 1
            if w < len(at) and at[w][0] < end:
                by_token[t] = by_word[w]
            for k, number in enumerate(found):
                if start < number.end:
                    places[k] = t
        index = {x.name: i for i, x in enumerate(items) if x.kind != "value"}
        owners = np.array([index.get(x.owner, i) if x.kind == "value" else i for i, x in enumerate(items)], np.int64)
        return Prepared(Codec(items, found), ids, self.described(items), np.array([x.type for x in items], np.int64),
                        owners, by_token, places, np.array([FORMS.index(n.form) for n in found], np.int64))

    def described(self, items: Sequence[Item]) -> Tensor:
        """The items' embeddings `[M, described]`: of the label, and of all that is known."""
        texts = [t for x in items for t in (x.label, x.text)]
        new = [t for t in dict.fromkeys(texts) if t not in self._described]
        if new:
            vectors = self.encoder.encode(new, batch_size=64, show_progress_bar=False, convert_to_numpy=True)
            self._described.update(zip(new, vectors, strict=True))
        return torch.as_tensor(np.stack([self._described[t] for t in texts]).reshape(len(items), -1))

    def _vector(self, word: str) -> np.ndarray:
        ids = self.tokenizer.encode(word, add_special_tokens=False).ids
        mean = self._table[ids].mean(0) if ids else self._table[0]
        return mean / max(float(np.linalg.norm(mean)), 1e-6)


def collate(prepared: Sequence[Prepared]) -> Question:
    """Pad into one batch."""
    b = len(prepared)
    length = max(len(p.tokens) for p in prepared)
    m = max(len(p.types) for p in prepared)
    k = max([len(p.places) for p in prepared] + [1])
    width = prepared[0].items.shape[1]
    q = Question(torch.zeros(b, length, dtype=torch.long), torch.zeros(b, m, width),
                 torch.full((b, m), -1), torch.full((b, m), -1), torch.zeros(b, length, m, CHANNELS),
                 torch.zeros(b, k, dtype=torch.long), torch.full((b, k), -1))
    for i, p in enumerate(prepared):
        n, items, numbers = len(p.tokens), len(p.types), len(p.places)
        q.tokens[i, :n] = torch.from_numpy(p.tokens)
        q.items[i, :items] = p.items
        q.types[i, :items] = torch.from_numpy(p.types)
        q.owners[i, :items] = torch.from_numpy(p.owners)
        q.links[i, :n, :items] = torch.from_numpy(p.links)
        q.places[i, :numbers] = torch.from_numpy(p.places)
        q.forms[i, :numbers] = torch.from_numpy(p.forms)
    return q
