"""Novelty of states (width-based search, Lipovetzky & Geffner 2012): does a state show a value never seen before?

Searching novel states first cuts the space of what merely recombines: everything that can be reached with the key in
hand is looked at before what can be reached with the key dropped in each of a hundred places.
"""

from __future__ import annotations

import math

import numpy as np

from ...world.schema import Features, Schema

BUCKETS = 1024
"""Values of an unbounded number that are told apart."""


class Novelty:
    """Remembers, for one search, which values each feature has taken; a pointer's pose counts as one feature.

    States are told apart by a partition (how much of the task is done): what was seen in one is new in another.
    """

    def __init__(self, schema: Schema) -> None:
        grid = schema.grid
        pose = (grid.x, grid.y, *([grid.heading] if grid.heading else [])) if grid else ()
        self.pose = [schema.base[n] for n in pose]
        self.others = [f for f in schema.features if f.name not in pose]
        sizes = [f.cardinality or BUCKETS for f in self.others for _ in range(math.prod(f.shape))]
        sizes.append(math.prod(f.cardinality or 1 for f in self.pose))
        lows = [f.offset for f in self.others for _ in range(math.prod(f.shape))]
        self.sizes = np.array(sizes)
        # Where the flag of a feature's value 0 stands.
        self.first = np.cumsum(self.sizes) - self.sizes - np.array([*lows, 0])
        self.unbounded = np.flatnonzero([not f.cardinality for f in self.others for _ in range(math.prod(f.shape))])
        self.seen = np.zeros((1, int(self.sizes.sum())), bool)
        self.partitions: dict[int, int] = {}

    def __call__(self, features: Features, partition: np.ndarray) -> np.ndarray:
        """Whether each of N states (partition keys `[N]`) shows a new value; they are remembered: `[N]` bool."""
        if (partition == partition[0]).all():
            keys, inverse = partition[:1], np.zeros(len(partition), np.int64)
        else:
            keys, inverse = np.unique(partition, return_inverse=True)
        rows = np.array([self.partitions.setdefault(key, len(self.partitions)) for key in keys.tolist()])[inverse]
        while len(self.partitions) > len(self.seen):
            self.seen = np.concatenate([self.seen, np.zeros_like(self.seen)])
        index = self._flags(features)
        index += (rows * self.seen.shape[1])[:, None]
        flat = self.seen.reshape(-1)
        novel = ~flat[index].all(1)
        flat[index] = True
        return novel

    def _flags(self, features: Features) -> np.ndarray:
        """Where the flag of each feature's present value stands, `[N, atoms]`."""
        n = len(next(iter(features.values())))
        flags = np.empty((n, len(self.sizes)), np.int64)
        at = 0
        for f in self.others:
            value = features[f.name].numpy().reshape(n, -1)
            flags[:, at : at + value.shape[1]] = value
            at += value.shape[1]
        flags[:, at] = 0
        for f in self.pose:
            flags[:, at] = flags[:, at] * (f.cardinality or 1) + features[f.name].numpy() - f.offset
        if len(self.unbounded):
            flags[:, self.unbounded] %= BUCKETS
        flags += self.first
        return flags
