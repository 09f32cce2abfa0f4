"""Novelty of states (width-based search, Lipovetzky & Geffner 2012): does a state show a value never seen before?

Searching novel states first cuts the space of what merely recombines: everything that can be reached with the key in
hand is looked at before what can be reached with the key dropped in each of a hundred places.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ...world.schema import Features, Schema

BUCKETS = 1024
"""Values of an unbounded number that are told apart."""


class Novelty:
    """Remembers, for one search, which values each feature has taken; a pointer's pose counts as one feature.

    States are told apart by a partition (how much of the task is done): what was seen in one is new in another.
    """

    def __init__(self, schema: Schema) -> None:
        grid = schema.grid
        self.pose = (grid.x, grid.y, *([grid.heading] if grid.heading else [])) if grid else ()
        self.names = [f.name for f in schema.features if f.name not in self.pose]
        self.schema = schema
        parts: list[int] = []
        for name in self.names:
            f = schema.base[name]
            parts += [f.cardinality or BUCKETS] * int(torch.tensor(f.shape).prod())
        pose = [schema.base[n].cardinality or 1 for n in self.pose]
        self.pose_sizes = pose
        sizes = torch.tensor([*parts, int(torch.tensor(pose).prod()) if pose else 1])
        self.offsets = F.pad(sizes.cumsum(0), (1, 0))[:-1]
        self.size = int(sizes.sum())
        self.seen = torch.zeros(0, self.size, dtype=torch.bool)
        self.partitions: dict[int, int] = {}

    def __call__(self, features: Features, partition: Tensor) -> Tensor:
        """Whether each of N states (partition keys `[N]`) shows a new value; they are remembered: `[N]` bool."""
        keys, inverse = partition.unique(return_inverse=True)
        for key in keys.tolist():
            self.partitions.setdefault(key, len(self.partitions))
        if len(self.partitions) > len(self.seen):
            self.seen = F.pad(self.seen, (0, 0, 0, len(self.partitions) - len(self.seen)))
        rows = torch.tensor([self.partitions[k] for k in keys.tolist()])[inverse]
        index = self._atoms(features) + (rows * self.size)[:, None]
        flat = self.seen.view(-1)
        novel = ~flat[index]
        flat[index] = True
        return novel.any(1)

    def _atoms(self, features: Features) -> Tensor:
        """The index of each feature's present value, `[N, atoms]`."""
        columns = [features[n].flatten(1) if features[n].dim() > 1 else features[n][:, None] for n in self.names]
        known = [self.schema.base[n] for n in self.names]
        columns = [(c.long() - f.offset).remainder(f.cardinality or BUCKETS)
                   for f, c in zip(known, columns, strict=True)]
        pose = torch.zeros(len(next(iter(features.values()))), dtype=torch.int64)
        for name, size in zip(self.pose, self.pose_sizes, strict=True):
            pose = pose * size + features[name].long() - self.schema.base[name].offset
        return torch.cat([*columns, pose[:, None]], 1) + self.offsets
