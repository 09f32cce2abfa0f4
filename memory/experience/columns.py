"""Records kept in RAM as columns, while they are few: what replay gathers its sequences from."""

from __future__ import annotations

from typing import Any

import numpy as np

from .record import Layout, Transitions


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
            room = np.empty((max(size, 2 * len(self._room)), *self._room.shape[1:]), self._room.dtype)
            room[: self._size] = self.values
            self._room = room
        self._room[self._size : size] = values
        self._size = size

    def truncate(self, size: int) -> None:
        """Forget all but the first `size` rows."""
        self._size = size


class Columns:
    """Records by place, in which chunks lie end to end: a transition leads from the state at its place to the next."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self.states = {c.name: Growing(c.dtype, c.shape) for c in layout.features}
        self.action = Growing(layout.action.dtype, layout.action.shape)
        self.reward = Growing(np.float32)
        self.terminated = Growing(bool)
        self.truncated = Growing(bool)

    def __len__(self) -> int:
        return len(self.reward.values)

    def extend(self, records: np.ndarray) -> None:
        """Add records `[K]` at the end."""
        for i, column in enumerate(self.states.values()):
            column.extend(records["step"][f"f{i}"])
        self.action.extend(records["step"]["action"])
        for name in ("reward", "terminated", "truncated"):
            getattr(self, name).extend(records[name])

    def truncate(self, size: int) -> None:
        """Forget all but the first `size` records."""
        for column in (*self.states.values(), self.action, self.reward, self.terminated, self.truncated):
            column.truncate(size)

    def transitions(self, place: np.ndarray, episode: np.ndarray, t: np.ndarray) -> Transitions:
        """The transitions at `place [M]`, copied."""
        states = {name: column.values for name, column in self.states.items()}
        return Transitions(
            features={name: values.take(place, axis=0) for name, values in states.items()},
            action=self.action.values.take(place, axis=0),
            reward=self.reward.values.take(place),
            terminated=self.terminated.values.take(place),
            truncated=self.truncated.values.take(place),
            next_features={name: values.take(place + 1, axis=0) for name, values in states.items()},
            episode=episode,
            t=t,
        )
