"""Reading prompts: in chunks of fixed size, keeping what was read of the last few.

A chunk's keys and values depend on the tokens up to its end and on nothing else, so a prompt that shares its first
chunks with an earlier one reads only the rest, and the numbers are those of a fresh reading, bit for bit.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any

import torch

from .failures import ModelTimeout

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
        cache, known = self._recall(tuple(prompt[:whole]))
        for start in range(known, len(prompt), CHUNK):
            if deadline is not None and time.monotonic() > deadline:
                raise ModelTimeout(f"the model was stopped by its time limit after {start} tokens of the prompt")
            ids = torch.tensor([prompt[start : start + CHUNK]], device=self.model.device)
            output = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
        self._keep(tuple(prompt[:whole]), cache)
        return output.logits[0, -1].float().cpu(), cache

    @torch.inference_mode()
    def step(self, token: int, cache: Any) -> tuple[torch.Tensor, Any]:
        """Return the logits `[V]` after one more token, and the cache with it."""
        ids = torch.tensor([[token]], device=self.model.device)
        output = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
        return output.logits[0, -1].float().cpu(), output.past_key_values

    def _recall(self, prefix: tuple[int, ...]) -> tuple[Any, int]:
        """Return a new cache filled with the longest known run of whole chunks, and its length in tokens."""
        from transformers import DynamicCache

        best, length = None, 0
        with self._lock:
            for known, layers in self._kept.items():
                shared = _shared_chunks(known, prefix)
                if shared > length:
                    best, length = layers, shared
        cache = DynamicCache(config=self.model.config)
        for index, (keys, values) in enumerate(best or []):
            cache.update(keys[:, :, :length], values[:, :, :length], index)
        return cache, length

    def _keep(self, prefix: tuple[int, ...], cache: Any) -> None:
        from transformers.cache_utils import DynamicLayer

        layers = getattr(cache, "layers", [])
        if not prefix or not all(type(layer) is DynamicLayer for layer in layers):
            return  # sliding windows and recurrent states cannot be cut at a chunk
        end = len(prefix)
        kept = [(layer.keys[:, :, :end].clone(), layer.values[:, :, :end].clone()) for layer in layers]
        with self._lock:
            self._kept[prefix] = kept
            self._kept.move_to_end(prefix)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)


def _shared_chunks(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Return the number of tokens in the whole chunks that two prompts begin with."""
    length = 0
    while length < min(len(one), len(other)) and one[length : length + CHUNK] == other[length : length + CHUNK]:
        length += CHUNK
    return length
