"""What unseen cells may hold: a categorical distribution a cell, counted from what cells turned out to hold.

p(v | c) = (n[c, v] + k p(v)) / (n[c] + k), where c is what was known to lie nearest the cell in the four directions
when it was first seen, and whether it was 1, 2 or more cells away, whichever way they are turned; p(v) is the smoothed
share of v among all cells that came into sight: a Dirichlet prior that many sights of a context outweigh. Without
experience every value is as likely.

V values, W x H cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..memory import Transitions
from .schema import Features, Schema

STRENGTH = 3.0
"""k, in sights of a cell."""
REACH, FAR = 6, 3
"""How far a context reaches; from FAR cells on, distances count as one."""
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
        context, value = _sights(schema, episodes)
        contexts, row = np.unique(context, return_inverse=True)
        counts = np.zeros((len(contexts), _size(schema)))
        np.add.at(counts, (row, value), 1)
        return Unseen(schema, contexts, counts)

    @property
    def marginal(self) -> Unseen:
        """The belief that forgets the contexts."""
        return replace(self, contexts=np.array([-1]), counts=self.counts.sum(0, keepdims=True))

    def foretold(self, episodes: Iterable[Transitions]) -> tuple[np.ndarray, np.ndarray]:
        """Of each cell that came into sight in these episodes the belief just before `[M, V]` and its value `[M]`."""
        context, value = _sights(self.schema, episodes)
        return self._p(context), value

    def surprise(self, episodes: Iterable[Transitions]) -> np.ndarray:
        """How surprising each cell of these episodes was when it came into sight: `[M]` bits."""
        p, value = self.foretold(episodes)
        return -np.log2(p[np.arange(len(value)), value])

    def chances(self, features: Features) -> Tensor:
        """The distribution of what every cell of one map `[1, ...]` holds: `[W, H, V]`, certain where it was seen."""
        sight = self.schema.sight
        assert sight is not None
        board, size = features[sight.array][0].numpy(), self.counts.shape[1]
        known = np.eye(size)[board.astype(np.int64)]
        p = self._p(_contexts(board, size, sight.unseen))
        return torch.from_numpy(np.where((board == sight.unseen)[..., None], p, known)).float()

    def _p(self, context: np.ndarray) -> np.ndarray:
        """The distribution of an unseen cell in each context: `[..., V]`."""
        sight, total = self.schema.sight, self.counts.sum(0)
        assert sight is not None
        free = np.arange(len(total)) != sight.unseen
        share = (total + free) / (total.sum() + free.sum())
        n = np.zeros((*context.shape, len(total)))
        if len(self.contexts):
            row = np.searchsorted(self.contexts, context).clip(max=len(self.contexts) - 1)
            n = self.counts[row] * (self.contexts[row] == context)[..., None]
        return (n + STRENGTH * share) / (n.sum(-1, keepdims=True) + STRENGTH)

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


def _size(schema: Schema) -> int:
    assert schema.sight is not None
    return schema.base[schema.sight.array].cardinality or 0


def _sights(schema: Schema, episodes: Iterable[Transitions]) -> tuple[np.ndarray, np.ndarray]:
    """Every cell that came into sight in some episodes: the context it was in before, and its value, `[M]` each."""
    sight = schema.sight
    assert sight is not None
    context, value = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for steps in episodes:
        for before, after in pairwise(steps.next_features[sight.array]):  # as it was known then, without hindsight
            new = (before == sight.unseen) & (after != sight.unseen)
            if new.any():
                context.append(_contexts(before, _size(schema), sight.unseen)[new])
                value.append(after[new].astype(np.int64))
    return np.concatenate(context), np.concatenate(value)


def _contexts(board: np.ndarray, size: int, unseen: int) -> np.ndarray:
    """A number for what lies nearest each cell in the four directions, the same for all eight ways to turn them:
    `[W, H]`. Off the board nothing is known."""
    width, height = board.shape
    wide = np.pad(board.astype(np.int64), REACH, constant_values=unseen)
    around = []
    for dx, dy in ((0, -1), (1, 0), (0, 1), (-1, 0)):
        nearest = np.zeros(board.shape, np.int64)
        for r in range(REACH, 0, -1):
            x, y = REACH + dx * r, REACH + dy * r
            value = wide[x: x + width, y: y + height]
            nearest = np.where(value != unseen, value + 1 + size * (min(r, FAR) - 1), nearest)
        around.append(nearest)
    powers = (FAR * size + 1) ** np.arange(4)
    return np.min([sum(around[k] * p for k, p in zip(turn, powers, strict=True)) for turn in _TURNS], axis=0)
