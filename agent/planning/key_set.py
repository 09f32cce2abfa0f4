"""A set of 64-bit keys that grows: which states a search has met, and in how few steps.

Open addressing with linear probing in one array (Knuth 1973, 6.4), for whole batches of keys at once; the array doubles
when it is half full, so that what a batch costs does not grow with what was met before.
"""

from __future__ import annotations

import numpy as np

_EMPTY = np.int64(0)
_MOST = np.iinfo(np.int32).max


class KeySet:
    """Keys (int64, a hash already) with the least number each was added with."""

    def __init__(self, room: int = 4_096) -> None:
        self.count = 0
        self._clear(room)

    def __len__(self) -> int:
        return self.count

    def add(self, keys: np.ndarray, number: np.ndarray) -> np.ndarray:
        """Add keys `[N]` with numbers `[N]`. True where a key is new, or comes with a lesser number than ever before;
        of equal keys in one call, for the first with the least number only: `[N]` bool."""
        keys = np.where(keys == _EMPTY, np.int64(1), keys)
        while 2 * (self.count + len(keys)) > len(self.keys):
            self._double()
        order = np.lexsort((number, keys))
        ordered = keys[order]
        first = np.ones(len(keys), bool)
        first[1:] = ordered[1:] != ordered[:-1]
        chosen = order[first]
        fresh = np.zeros(len(keys), bool)
        fresh[chosen] = self._put(keys[chosen], number[chosen])
        return fresh

    def _put(self, keys: np.ndarray, number: np.ndarray) -> np.ndarray:
        """Distinct keys; whether each is new or has a lesser number."""
        better, pending = np.zeros(len(keys), bool), np.arange(len(keys))
        slot = keys & self.mask
        while len(pending):
            wanted, at = keys[pending], slot[pending]
            empty = self.keys[at] == _EMPTY
            self.keys[at[empty]] = wanted[empty]  # of several that want one slot the last gets it
            there = self.keys[at] == wanted
            mine, found = pending[there], at[there]
            better[mine] = number[mine] < self.least[found]
            self.least[found] = np.minimum(self.least[found], number[mine])
            self.count += int((empty & there).sum())
            pending = pending[~there]
            slot[pending] = (slot[pending] + 1) & self.mask
        return better

    def _clear(self, room: int) -> None:
        self.mask = np.int64(room - 1)
        self.keys = np.full(room, _EMPTY)
        self.least = np.full(room, _MOST, np.int32)

    def _double(self) -> None:
        keys, least = self.keys[self.keys != _EMPTY], self.least[self.keys != _EMPTY]
        self.count = 0
        self._clear(2 * len(self.keys))
        self._put(keys, least)
