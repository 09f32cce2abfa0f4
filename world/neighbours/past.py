"""The past as rows to search: exact nearest neighbours by one matrix product, what happened there beside them.

M rows kept, at most so many; N rows asked about; k neighbours. What a discrete world has shown often is kept once, with
how often.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .. import tree
from .reading import Events

_MOST_DISTANCES = 2**23
"""As many are in RAM at once."""
_SHARP = 0.1
"""How fast codes that differ lose against those that agree: e^-10 for one."""


@dataclass(frozen=True)
class Past:
    """`key [M, D]`, what happened (`events`), and how often, `times [M]`; the squares of the keys are kept."""

    key: Tensor
    square: Tensor
    events: Events
    times: Tensor
    has_reals: bool

    def __len__(self) -> int:
        return len(self.key)

    def nearest(self, key: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The k nearest of each row `[N, D]`, nearest first: squared distances and indices, `[N, k]` each. Exact."""
        k, found = min(k, len(self)), []
        for rows in key.split(max(1, _MOST_DISTANCES // len(self))):
            found.append(torch.addmm(self.square, rows, self.key.T, alpha=-2).topk(k, largest=False))
        distance, index = (torch.cat(x) for x in zip(*found, strict=True))
        return (distance + key.square().sum(1, keepdim=True)).clamp_min_(0), index

    def shares(self, distance: Tensor, index: Tensor) -> Tensor:
        """How much each neighbour counts, `[N, k]`, of 1: as often as it came, less if farther. Among numbers
        the bandwidth is the neighbours' own distance; codes that agree leave those that do not next to nothing."""
        width = distance.mean(1, keepdim=True) + 1e-12 if self.has_reals else _SHARP
        return ((distance[:, :1] - distance) / width + self.times[index].log()).softmax(1)

    def of(self, index: Tensor) -> Events:
        """What happened at `index`, of any shape."""
        return tree.tree_map(lambda x: x[index], self.events)


def past(key: Tensor, events: Events, has_reals: bool) -> Past:
    """The rows `[M, D]` and what happened, each once where all of it is countable."""
    times = torch.ones(len(key))
    if not has_reals and len(key):
        columns = torch.cat([key * 8, events.codes, events.moves, events.reward[:, None] * 1e4,
                             events.ended[:, None]], 1).round().to(torch.int32)
        _, place, count = torch.unique(columns, dim=0, return_inverse=True, return_counts=True)
        order = place.argsort(stable=True)
        first = order[torch.cat([count.new_zeros(1), count.cumsum(0)[:-1]])]
        key, events, times = key[first], tree.tree_map(lambda x: x[first], events), count.float()
    return Past(key, key.square().sum(1), events, times, has_reals)
