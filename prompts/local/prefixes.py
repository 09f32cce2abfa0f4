"""Reading prompts: in chunks of fixed size, keeping what was read of the last few.

A chunk's keys and values depend on the tokens up to its end and on nothing else, so a prompt that shares its first
chunks with an earlier one reads only the rest, and the numbers are those of a fresh reading, bit for bit. Prompts that
are read together share the chunks that they all begin with, and the rest is one padded batch (`side_by_side.py`).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch

from ..failures import ModelTimeout
from .roomy import is_roomy, roomy_cache
from .side_by_side import Batch, OneByOne, SideBySide, takes_padding

CHUNK = 128
KEPT = 4

Layers = list[tuple[torch.Tensor, torch.Tensor]]  # keys and values of each layer, [1, heads, tokens, size]


class PrefixCache:
    """Reads prompts for one model, and remembers the whole chunks of the last `KEPT` of them."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._kept: OrderedDict[tuple[int, ...], Layers] = OrderedDict()
        self._lock = threading.Lock()

    @torch.inference_mode()
    def read(self, prompt: list[int], deadline: float | None = None) -> tuple[torch.Tensor, Any]:
        """Return the logits `[V]` that follow the prompt, and the model's cache, the caller's own.

        Raises:
            ModelTimeout: the deadline (monotonic time) passed between two chunks.
        """
        whole = (len(prompt) - 1) // CHUNK * CHUNK  # at least one token is left to read for the logits
        cache = self._read_chunks(prompt[:whole], deadline)
        ids = torch.tensor([prompt[whole:]], device=self.model.device)
        output = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return output.logits[0, -1].float().cpu(), output.past_key_values

    @torch.inference_mode()
    def step(self, token: int, cache: Any) -> tuple[torch.Tensor, Any]:
        """Return the logits `[V]` after one more token, and the cache with it."""
        ids = torch.tensor([[token]], device=self.model.device)
        output = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
        return output.logits[0, -1].float().cpu(), output.past_key_values

    def read_together(self, prompts: Sequence[list[int]], deadline: float | None = None) -> Batch:
        """Return the prompts as a batch, read and ready for their next tokens; of a model that takes no padding, as
        they are one by one.

        Raises:
            ModelTimeout: the deadline passed.
        """
        if len(prompts) < 2 or not takes_padding(self.model):
            return OneByOne([self.read(prompt, deadline) for prompt in prompts], self.step)
        shared = reduce(lambda one, other: one[: _shared_chunks(one, other)], prompts)
        shared = shared[: (min(map(len, prompts)) - 1) // CHUNK * CHUNK]
        cache = self._read_chunks(shared, deadline)
        return SideBySide(self.model, cache, len(shared), [p[len(shared) :] for p in prompts], CHUNK, deadline)

    @torch.inference_mode()
    def _read_chunks(self, prefix: Sequence[int], deadline: float | None) -> Any:
        """Return a cache filled with a run of whole chunks, read as far as they are not known, and remember them."""
        cache, known = self._recall(tuple(prefix))
        for start in range(known, len(prefix), CHUNK):
            if deadline is not None and time.monotonic() > deadline:
                raise ModelTimeout(f"the model was stopped by its time limit after {start} tokens of the prompt")
            ids = torch.tensor([prefix[start : start + CHUNK]], device=self.model.device)
            cache = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).past_key_values
        if known < len(prefix):
            self._keep(tuple(prefix), cache)
        return cache

    def _recall(self, prefix: tuple[int, ...]) -> tuple[Any, int]:
        """Return a new cache filled with the longest known run of whole chunks, and its length in tokens."""
        layers: Layers = []
        with self._lock:
            best = max(self._kept, key=lambda known: _shared_chunks(known, prefix), default=())
            if length := _shared_chunks(best, prefix):
                layers = self._kept[best]
                self._kept.move_to_end(best)
        cache = roomy_cache(self.model)
        for index, (keys, values) in enumerate(layers):
            cache.update(keys[:, :, :length], values[:, :, :length], index)
        return cache, length

    def _keep(self, prefix: tuple[int, ...], cache: Any) -> None:
        if not prefix or not is_roomy(cache):
            return  # sliding windows and recurrent states cannot be cut at a chunk
        end = len(prefix)
        kept = [(layer.keys[:, :, :end].clone(), layer.values[:, :, :end].clone()) for layer in cache.layers]
        with self._lock:
            self._kept[prefix] = kept
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)


def _shared_chunks(one: Sequence[int], other: Sequence[int]) -> int:
    """Return the number of tokens in the whole chunks that two prompts begin with."""
    length, end = 0, min(len(one), len(other)) // CHUNK * CHUNK
    while length < end and one[length : length + CHUNK] == other[length : length + CHUNK]:
        length += CHUNK
    return length
