"""What unseen cells may hold: a categorical distribution a cell, counted from what cells turned out to hold.

p(v | c) = (n[c, v] + k p(v)) / (n[c] + k), where c is what the four neighbours of the cell were known to hold when it
was first seen, whichever way they are turned, and p(v) the smoothed share of v among all cells that came into sight:
a Dirichlet prior that many sights of a context outweigh. Without experience every value is as likely.
V values, W x H cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..memory import Transitions
from .schema import Features, Schema

STRENGTH = 20.0
"""k, in sights of a cell."""
_TURNS = [np.roll(order, k) for order in ([0, 1, 2, 3], [0, 3, 2, 1]) for k in range(4)]


@dataclass(frozen=True)
class Unseen:
    """The belief over unseen cells of a `schema` with a sight, from `counts [C, V]` by `contexts [C]` (sorted)."""

    schema: Schema
    contexts: np.ndarray
    counts: np.ndarray

    @staticmethod
    def of(schema: Schema, episodes: Iterable[Transitions] = ()) -> Unseen:
        """Counted from whole episodes, their steps in order: what the map before a step did not know and the map after
        it does."""
        sight = schema.sight
        assert sight is not None
        context, value = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        size = schema.base[sight.array].cardinality or 0
        for steps in episodes:
            maps = steps.next_features[sight.array]  # as they were known then: what came before has hindsight
            for before, after in pairwise(maps):
                new = (before == sight.unseen) & (after != sight.unseen)
                if new.any():
                    context.append(_contexts(before, size)[new])
                    value.append(after[new].astype(np.int64))
        contexts, row = np.unique(np.concatenate(context), return_inverse=True)
        counts = np.zeros((len(contexts), size))
        np.add.at(counts, (row, np.concatenate(value)), 1)
        return Unseen(schema, contexts, counts)

    def chances(self, features: Features) -> Tensor:
        """The distribution of what every cell of one map `[1, ...]` holds: `[W, H, V]`, certain where it was seen."""
        sight = self.schema.sight
        assert sight is not None
        board = features[sight.array][0].numpy()
        size = self.counts.shape[1]
        free = np.arange(size) != sight.unseen
        total = self.counts.sum(0)
        share = (total + free) / (total.sum() + free.sum())
        context, n = _contexts(board, size), np.zeros((*board.shape, size))
        if len(self.contexts):
            row = np.searchsorted(self.contexts, context).clip(max=len(self.contexts) - 1)
            n = self.counts[row] * (self.contexts[row] == context)[..., None]
        p = (n + STRENGTH * share) / (n.sum(-1, keepdims=True) + STRENGTH)
        known = np.eye(size)[board.astype(np.int64)]
        return torch.from_numpy(np.where((board == sight.unseen)[..., None], p, known)).float()

    def worth(self, features: Features) -> tuple[Tensor, Tensor]:
        """Of one map `[1, ...]`: how many bits the sight of each cell is worth (its entropy), and the chance that one
        sees through it, `[W, H]` each."""
        p = self.chances(features)
        return -torch.xlogy(p, p).sum(-1) / math.log(2), p @ self._clear

    @property
    def _clear(self) -> Tensor:
        """Which values can be looked through, `[V]`, where nothing else is known of the cell."""
        sight, size = self.schema.sight, self.counts.shape[1]
        assert sight is not None
        if sight.opaque is None:
            return torch.ones(size)
        arrays = {k: torch.zeros(size, 1, 1, dtype=torch.int16) for k in sight.grid.arrays}
        arrays[sight.array] = torch.arange(size, dtype=torch.int16).view(-1, 1, 1)
        return (~sight.opaque(arrays)).float().view(-1)


def _contexts(board: np.ndarray, size: int) -> np.ndarray:
    """A number for what the four neighbours of every cell hold, the same for all eight ways to turn them: `[W, H]`.
    Off the board nothing is known."""
    wide = np.pad(board.astype(np.int64), 1)
    around = [wide[1:-1, :-2], wide[2:, 1:-1], wide[1:-1, 2:], wide[:-2, 1:-1]]
    powers = size ** np.arange(4)
    return np.min([sum(around[k] * p for k, p in zip(turn, powers, strict=True)) for turn in _TURNS], axis=0)
