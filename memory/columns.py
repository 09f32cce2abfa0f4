"""Transitions kept in RAM in order of arrival, as columns that grow; what replay gathers its sequences from."""

from __future__ import annotations

from typing import Any

import numpy as np

from .record import FLAT, Layout, Transitions


class Growing:
    """One column `[N, ...]` that grows at the end; its room doubles, so that appending is cheap on average."""

    def __init__(self, dtype: Any, shape: tuple[int, ...] = ()) -> None:
        self._room = np.empty((0, *shape), dtype)
        self._size = 0

    @property
    def values(self) -> np.ndarray:
        """The filled part, a view."""
        return self._room[: self._size]

    def extend(self, values: np.ndarray) -> None:
        size = self._size + len(values)
        if size > len(self._room):
            self.reserve(max(size, 2 * len(self._room)))
        self._room[self._size : size] = values
        self._size = size

    def reserve(self, size: int) -> None:
        """Make room for `size` rows at least."""
        if size > len(self._room):
            room = np.empty((size, *self._room.shape[1:]), self._room.dtype)
            room[: self._size] = self.values
            self._room = room


class Columns:
    """Every transition seen so far, by arrival. `states[name]` is `[N, 2, ...]`: before the action, and after."""

    def __init__(self, layout: Layout) -> None:
        self.states = {c.name: Growing(c.dtype, (2, *c.shape)) for c in layout.features}
        self.action = Growing(layout.action.dtype, layout.action.shape)
        self.reward = Growing(np.float32)
        self.terminated = Growing(bool)
        self.truncated = Growing(bool)
        self.episode = Growing(np.int64)
        self.t = Growing(np.int64)

    def __len__(self) -> int:
        return len(self.reward.values)

    def reserve(self, size: int) -> None:
        """Make room for `size` transitions, so that a long file is read without copying what was read."""
        for column in (*self.states.values(), *(getattr(self, name) for name in FLAT)):
            column.reserve(size)

    def keys(self, start: int = 0) -> np.ndarray:
        """(episode, time) as one number each, int64, of the transitions from place `start` on."""
        return (self.episode.values[start:] << 32) | self.t.values[start:]

    def extend(self, arrived: Transitions) -> None:
        for name, column in self.states.items():
            column.extend(np.stack([arrived.features[name], arrived.next_features[name]], axis=1))
        for name in FLAT:
            getattr(self, name).extend(getattr(arrived, name))

    def take(self, index: np.ndarray) -> Transitions:
        """The transitions that arrived at places `index` `[M]`, copied."""
        states = {name: column.values[index] for name, column in self.states.items()}
        flat: dict[str, Any] = {name: getattr(self, name).values[index] for name in FLAT}
        return Transitions(
            features={name: np.ascontiguousarray(pair[:, 0]) for name, pair in states.items()},
            next_features={name: np.ascontiguousarray(pair[:, 1]) for name, pair in states.items()},
            **flat,
        )

    def follows(self, later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
        """Whether `later[i]` starts, bit for bit, where `earlier[i]` of the same episode ended; bool `[M]`."""
        if not len(later):
            return np.zeros(0, bool)
        joined = self.episode.values[later] == self.episode.values[earlier]
        joined &= ~(self.terminated.values[earlier] | self.truncated.values[earlier])
        for column in self.states.values():
            pairs = column.values
            joined &= (_bytes(pairs[later, 0]) == _bytes(pairs[earlier, 1])).all(axis=1)
        return joined


def _bytes(values: np.ndarray) -> np.ndarray:
    """The bytes of each row, uint8 `[N, bytes]`: unlike floats, they are equal where both are NaN."""
    return np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)
