"""Prompts of different lengths in one batch: padded on the left, so that the next tokens of all follow at once."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

from ..failures import ModelTimeout
from .roomy import is_roomy, roomy_cache


class Batch(Protocol):
    """Prompts under way; `logits` `[B, V]` are those of their next tokens."""

    logits: Sequence[torch.Tensor]

    def step(self, tokens: Sequence[int], rows: Sequence[int]) -> None:
        """Go on with these of the rows, with a token each."""


class SideBySide:
    """Rows that share a prefix and are computed together.

    Args:
        model: a causal model of transformers.
        cache: of the prefix, one row; taken over.
        start: the prefix's tokens.
        rests: the tokens that follow it, at least one a row.
        chunk: how many columns are read at once.
        deadline: monotonic time.

    Raises:
        ModelTimeout: the deadline passed between two chunks.
    """

    @torch.inference_mode()
    def __init__(
        self, model: Any, cache: Any, start: int, rests: Sequence[list[int]], chunk: int, deadline: float | None
    ) -> None:
        self._model, self._cache = model, cache
        width = max(map(len, rests))
        pads = torch.tensor([width - len(rest) for rest in rests])  # [B]
        tokens = torch.tensor([[0] * (width - len(rest)) + rest for rest in rests])  # [B, L]
        columns = torch.arange(start + width)
        is_pad = (columns >= start) & (columns < start + pads[:, None])  # [B, P + L]
        self._mask = (~is_pad).long()
        self._places = list(range(len(rests)))  # the row of the cache where each of ours is
        if start:
            cache.batch_repeat_interleave(len(rests))
        for at in range(0, width, chunk):
            if deadline is not None and time.monotonic() > deadline:
                raise ModelTimeout(f"the model was stopped by its time limit after {start + at} tokens of the prompts")
            part = tokens[:, at : at + chunk]
            self._feed(part, self._mask[:, : start + at + part.shape[1]])

    @torch.inference_mode()
    def step(self, tokens: Sequence[int], rows: Sequence[int]) -> None:
        """Go on with these of the rows, with a token each. Rows that are over are computed with the others until they
        are half of all, and then left out."""
        self._places = [self._places[row] for row in rows]
        if 2 * len(self._places) <= len(self._mask):
            chosen = torch.tensor(self._places)
            self._cache.batch_select_indices(chosen.to(self._model.device))
            self._mask, self._places = self._mask[chosen], list(range(len(rows)))
        fed = torch.zeros(len(self._mask), 1, dtype=torch.long)
        fed[self._places, 0] = torch.tensor(tokens)
        self._mask = torch.cat([self._mask, torch.ones_like(fed)], dim=1)
        self._feed(fed, self._mask)

    def _feed(self, tokens: torch.Tensor, mask: torch.Tensor) -> None:
        device = self._model.device
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        output = self._model(
            input_ids=tokens.to(device),
            attention_mask=mask.to(device),
            position_ids=positions.to(device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache = output.past_key_values
        self.logits = output.logits[self._places, -1].float().cpu()


class OneByOne:
    """Rows that are computed one after the other, each with a cache of its own."""

    def __init__(self, read: Sequence[tuple[torch.Tensor, Any]], step: Callable[[int, Any], tuple[torch.Tensor, Any]]
                 ) -> None:
        self.logits: Sequence[torch.Tensor] = [logits for logits, _ in read]
        self._caches = [cache for _, cache in read]
        self._step = step

    def step(self, tokens: Sequence[int], rows: Sequence[int]) -> None:
        """Go on with these of the rows, with a token each."""
        stepped = [self._step(token, self._caches[row]) for token, row in zip(tokens, rows, strict=True)]
        self.logits, self._caches = [logits for logits, _ in stepped], [cache for _, cache in stepped]


def takes_padding(model: Any) -> bool:
    """Whether a model can be told where its tokens stand, and attends to all before them."""
    return "position_ids" in inspect.signature(type(model).forward).parameters and is_roomy(roomy_cache(model))
