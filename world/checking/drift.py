"""Drift: whether a rule's hit rate has changed, from a history so compact that nothing is ever counted again.

The history is at most 64 blocks of consecutive applications; when there are more, neighbours merge. Whenever a block
is full, every boundary between blocks is weighed as a change point: two rates, before and after, against the best
single one, mixed over boundaries with a prior:

    E_t = Σ_j w_j · B(h_j + 1, v_j + 1) B(h - h_j + 1, v - v_j + 1) / max_p p^h (1 - p)^v,    Σ_j w_j <= 1

Under a constant rate the numerator over its likelihood is a martingale and the denominator never smaller, so that E
is an e-process (universal inference, Wasserman, Ramdas & Balakrishnan 2020) and a false alarm at any time has a
probability of at most `ALPHA`, all changes together. After a change only what came since counts; a rule that holds again changes
once more, and recovers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.special import betaln, logsumexp, xlogy

ALPHA = 0.01
MOST = 64
LEAST = 8
"""Applications a block, at first and after a change."""
Count = int | float
Block = tuple[int, Count, Count]
"""How many applications, their hits and their violations (less where transitions carry weights)."""


class History(BaseModel):
    """A rule's applications since its rate last changed, in `blocks` from old to new (the last may not be full), and
    (hits, violations) `past`, of all that came before, and `before`, of the time just before the change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = LEAST
    blocks: tuple[Block, ...] = ()
    changes: int = 0
    past: tuple[Count, Count] = (0, 0)
    before: tuple[Count, Count] = (0, 0)

    def after(self, holds: Sequence[bool], weight: Sequence[float] | None = None, watch: bool = True) -> History:
        """The history with more applications, in time order; it does not matter how they are dealt out to calls.
        `watch` is whether to look for changes."""
        size, blocks, changes, past, before = self.size, list(self.blocks), self.changes, self.past, self.before
        start = 0
        while start < len(holds):
            n, h, v = blocks.pop() if blocks and blocks[-1][0] < size else (0, 0, 0)
            stop = min(start + size - n, len(holds))
            for k in range(start, stop):
                w: Count = 1 if weight is None else weight[k]
                h, v = (h + w, v) if holds[k] else (h, v + w)
            blocks.append((n + stop - start, h, v))
            start = stop
            if blocks[-1][0] < size:
                break
            j = _change(blocks, changes) if watch else 0
            if j:
                n, h, v = _sum(blocks[:j])
                is_sliver = n <= LEAST and changes    # a block that the last change fell into belongs to no time
                past, before = (past[0] + h, past[1] + v), before if is_sliver else (h, v)
                size, blocks, changes = LEAST, blocks[j:], changes + 1
            elif len(blocks) > MOST:
                blocks = [_sum(blocks[i : i + 2]) for i in range(0, len(blocks), 2)]
                size *= 2
        return History(size=size, blocks=tuple(blocks), changes=changes, past=past, before=before)


def _sum(blocks: Sequence[Block]) -> Block:
    return sum(b[0] for b in blocks), sum(b[1] for b in blocks), sum(b[2] for b in blocks)


def _change(blocks: Sequence[Block], changes: int) -> int:
    """The index of the block that a change came before, or 0 where there surely was none."""
    n, hits, violations = np.cumsum(np.array(blocks, float), 0).T
    if len(blocks) < 2 or not (violations[-1] > 0 and hits[-1] > 0):
        return 0
    h, v = hits[:-1], violations[:-1]
    gain = split_evidence(h, v, hits[-1] - h, violations[-1] - v)
    k = n[:-1] / LEAST + 1
    terms = gain - np.log(2.2 * k * np.log(k) ** 2)    # Σ 1 / (k log² k) over k = 2, 3, ... is 2.11
    limit = math.log((changes + 1) * (changes + 2) / ALPHA)
    return int(np.argmax(terms)) + 1 if logsumexp(terms) >= limit else 0


def split_evidence(h1: np.ndarray, v1: np.ndarray, h2: np.ndarray, v2: np.ndarray) -> np.ndarray:
    """The log e-value, in nats, of two different rates against the best single one."""
    h, v = h1 + h2, v1 + v2
    single = xlogy(h, h) + xlogy(v, v) - xlogy(h + v, h + v)
    return np.asarray(betaln(h1 + 1, v1 + 1) + betaln(h2 + 1, v2 + 1) - single)
