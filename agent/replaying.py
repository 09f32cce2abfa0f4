"""Which transitions a batch is drawn from: parts of it uniformly, by recency, by surprise.

    recent        a density that falls with its age as age^(-2/3)
    surprising    as log(1 + nats above the least surprising one), under the model as it is at that step of the training

Prioritised replay (Schaul et al. 2016, arXiv 1511.05952) corrects by importance weights, for the mean it estimates
moves with the sampling. What a world model estimates is what follows a given state and action: drawing some of these
more often leaves that as it is. Only among different outcomes of the same ones are unlikely ones drawn too often; the
uniform part of a batch bounds by how much, and early stopping looks at a uniform held-out batch. So there is no
correction, and shares stay well below 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..world import tree
from ..world.model import Batch
from ..world.training import Trainer
from .learn import Experience, surprises
from .mind import Mind

Part = tuple[float, np.ndarray | None]
"""The share of a batch, and how likely each training transition is to be drawn for it, `[M]` (None: all alike)."""


class Parts:
    """Batches in parts, each drawn by weights of its own (`Source`)."""

    def __init__(self, experience: Experience, parts: Sequence[Part] = ()) -> None:
        self.experience = experience
        self.parts = [(share, weights) for share, weights in parts if share > 0 and (weights is None or weights.any())]

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        """`size` sequences, each part its share; the held-out ones are replay's own."""
        if held_out or not self.parts:
            return self.experience.batch(size, length, rng, held_out)
        whole = sum(share for share, _ in self.parts)
        edges = [round(size * sum(s for s, _ in self.parts[:i]) / whole) for i in range(len(self.parts) + 1)]
        drawn = [
            self.experience.batch(to - start, length, rng, weights=weights)
            for start, to, (_, weights) in zip(edges, edges[1:], self.parts, strict=False)
            if to > start
        ]
        return tree.concatenate([b for b in drawn if b is not None])

    def everything(self) -> Batch | None:
        return self.experience.everything()


class Prioritised(Parts):
    """The shares that a training's settings ask for. Surprise is measured anew every `refresh` steps of `trainer`, so
    that a training which is saved at such a step goes on as if it had never stopped."""

    def __init__(self, mind: Mind, experience: Experience, trainer: Trainer) -> None:
        super().__init__(experience)
        self.mind, self.trainer = mind, trainer

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        if not held_out and (not self.parts or self.trainer.steps_done % self.trainer.config.refresh == 0):
            self._weigh()
        return super().batch(size, length, rng, held_out)

    def _weigh(self) -> None:
        c, known = self.trainer.config, self.experience.replay.transitions()
        self.parts = [(1 - c.recent - c.surprising, None)]
        if c.recent:
            self.parts.append((c.recent, np.arange(len(known), 0, -1) ** (-2 / 3)))
        if c.surprising and len(known):
            nats = surprises(self.mind.learned, self.experience, known)
            self.parts.append((c.surprising, np.log1p(np.nan_to_num(nats - np.nanmin(nats)))))
