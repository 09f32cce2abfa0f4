"""One side of the split as chunks in order, and how sequences are drawn from it: what replay keeps in RAM."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .chunks import PIECE

Strategy = Literal["uniform", "recent", "surprising"]

ENTRY = np.dtype([
    ("piece", PIECE),
    ("place", np.int64),  # of its first record in RAM, where it is kept there
    ("held_out", np.bool_),
    ("known", np.int16), ("heat", np.float32), ("coldest", np.float32),  # known surprises (symlog): count, sum, least
])  # fmt: skip

UNIFORM_SHARE = 0.1  # of what is drawn by surprise, so that nothing is never seen again


def symlog(surprise: np.ndarray) -> np.ndarray:
    """sign(s) log(1 + |s|) (Hafner et al. 2023): one freak transition does not outweigh a memory."""
    return np.sign(surprise) * np.log1p(np.abs(surprise))


def entries(pieces: np.ndarray, surprise: np.ndarray) -> np.ndarray:
    """`ENTRY [E]` of pieces `[E]` and the surprise of their transitions end to end, in nats."""
    found = np.zeros(len(pieces), ENTRY)
    found["piece"] = pieces
    if len(pieces):
        starts = np.cumsum(pieces["length"], dtype=np.int64) - pieces["length"]
        known, heat = ~np.isnan(surprise), symlog(surprise)
        found["known"] = np.add.reduceat(known, starts, dtype=np.int16)
        found["heat"] = np.add.reduceat(np.where(known, heat, 0), starts)
        found["coldest"] = np.minimum.reduceat(np.where(known, heat, np.inf), starts)
    return found


@dataclass(frozen=True)
class Windows:
    """B stretches of at most T transitions, each inside a run: the rank of the first, and how many there are."""

    start: np.ndarray  # int64 [B]
    count: np.ndarray  # int64 [B]

    def ranks(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranks int64 `[B, length]`, past the end that of the last transition, and a mask of those that are not."""
        step = np.arange(length)
        return self.start[:, None] + np.minimum(step, self.count[:, None] - 1), step < self.count[:, None]


class Runs:
    """Chunks in order of (episode, time), cut into runs: where one does not go on from the one before. A *rank* counts
    transitions in this order."""

    def __init__(self, rows: np.ndarray) -> None:
        """`rows [E]` of `ENTRY` in that order."""
        self.rows = rows
        self.pieces = pieces = rows["piece"]
        length = pieces["length"].astype(np.int64)
        self.upto = np.cumsum(length)  # [E]: the rank after each piece
        self.starts = self.upto - length
        joined = pieces["joined"].copy()
        joined[:1] = False
        joined[1:] &= pieces["episode"][1:] == pieces["episode"][:-1]
        joined[1:] &= pieces["t"][1:] == pieces["t"][:-1] + length[:-1]
        self._run = np.cumsum(~joined) - 1
        self._run_starts = np.append(self.starts[~joined], len(self))
        self._newest = np.argsort(-pieces["last"], kind="stable")
        self._newest_upto = np.cumsum(length[self._newest])
        known = rows["known"].sum(dtype=np.int64)
        self._coldest = rows["coldest"].min(initial=np.inf) if known else 0.0
        heat = rows["heat"] - rows["known"] * self._coldest
        self._usual = heat.sum() / max(known, 1)  # what a transition without a surprise counts
        self._heat = np.cumsum(heat.clip(0.0) + (length - rows["known"]) * self._usual, dtype=np.float64)

    def __len__(self) -> int:
        """The number of transitions."""
        return int(self.upto[-1]) if len(self.upto) else 0

    def piece_of(self, rank: np.ndarray) -> np.ndarray:
        """Which piece each transition is in."""
        return np.searchsorted(self.upto, rank, side="right")

    @functools.cached_property
    def places(self) -> np.ndarray:
        """By rank, where each transition's record is in RAM, int64 `[M]`."""
        return np.arange(len(self)) + np.repeat(self.rows["place"] - self.starts, self.pieces["length"])

    def draw(
        self, batch: int, length: int, rng: np.random.Generator, strategy: Strategy, weights: np.ndarray | None,
        surprise: Callable[[np.ndarray], np.ndarray],
    ) -> Windows:  # fmt: skip
        """Each window holds a transition drawn from all alike; "recent": with a density that falls with its age x in
        (0, 1] as x**(-2/3); "surprising": nine in ten with a density that grows from 0 as the symlog of its surprise
        does (one without a surprise counts as an average one; `surprise` reads those of pieces), the tenth from all
        alike; or by `weights [M]` a rank, which sum to more than 0. It is moved inside its run where that is long
        enough."""
        u = rng.random(batch)
        if weights is not None:
            upto = weights.cumsum(dtype=np.float64)
            anchor = np.searchsorted(upto, u * upto[-1], side="right")
        elif strategy == "recent":
            anchor = self._by_age((u**3 * len(self)).astype(np.int64))
        elif strategy == "surprising" and self._heat[-1] > 0.0:
            anchor = self._by_surprise(u, surprise)
        else:
            anchor = (u * len(self)).astype(np.int64)
        run = self._run[self.piece_of(anchor)]
        first, end = self._run_starts[run], self._run_starts[run + 1]
        start = np.maximum(np.minimum(anchor - rng.integers(0, length, batch), end - length), first)
        return Windows(start, np.minimum(end - start, length))

    def _by_age(self, age: np.ndarray) -> np.ndarray:
        """The ranks of transitions by how many are newer; a chunk is as old as its newest transition."""
        k = np.searchsorted(self._newest_upto, age, side="right")
        piece = self._newest[k]
        return self.starts[piece] + self._newest_upto[k] - 1 - age

    def _by_surprise(self, u: np.ndarray, surprise: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """First a piece, then a transition in it, by what is left of the same random number."""
        anchor = (u / UNIFORM_SHARE * len(self)).astype(np.int64)
        by_heat = u >= UNIFORM_SHARE
        at = (u[by_heat] - UNIFORM_SHARE) / (1 - UNIFORM_SHARE) * self._heat[-1]
        piece = np.searchsorted(self._heat, at, side="right").clip(max=len(self._heat) - 1)
        begin = np.where(piece > 0, self._heat[piece - 1], 0.0)
        left = (at - begin) / (self._heat[piece] - begin).clip(1e-300)
        heat = symlog(surprise(self.pieces[piece])) - self._coldest
        upto = np.where(np.isnan(heat), self._usual, heat.clip(0.0)).cumsum(axis=1, dtype=np.float64)
        inside = (upto <= left[:, None] * upto[:, -1:]).sum(axis=1)
        anchor[by_heat] = self.starts[piece] + np.minimum(inside, self.pieces["length"][piece] - 1)
        return anchor
