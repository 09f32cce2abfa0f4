"""A key-value cache with room to grow: a new token is written into it, where transformers' own copies all before it."""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 128


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer, `[B, heads, tokens, size]`, as views of longer buffers."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append `[B, heads, new tokens, size]`; returns all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._buffers is None or not self._is_in(self._buffers[0], end):
            self._buffers = _longer(self.keys, key_states, start, end), _longer(self.values, value_states, start, end)
        keys, values = self._buffers
        keys[:, :, start:end], values[:, :, start:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def _is_in(self, buffer: torch.Tensor, end: int) -> bool:
        """Whether the keys are still a view of the buffer (rows may have been repeated or chosen), and more fit."""
        return end <= buffer.shape[-2] and self.keys.data_ptr() == buffer.data_ptr()


def _longer(old: torch.Tensor, new: torch.Tensor, start: int, end: int) -> torch.Tensor:
    batch, heads, _, size = new.shape
    buffer = new.new_empty(batch, heads, end + ROOM, size)
    if start:
        buffer[:, :, :start] = old
    return buffer


def roomy_cache(model: Any) -> DynamicCache:
    """An empty cache for a model, with room in every layer that attends to all before it."""
    cache = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def is_roomy(cache: Any) -> bool:
    """Whether every layer is one that attends to all before it, so that the cache can be cut at any token."""
    layers = getattr(cache, "layers", [])
    return bool(layers) and all(type(layer) is RoomyLayer for layer in layers)
