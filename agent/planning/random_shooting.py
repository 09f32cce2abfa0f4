"""Random shooting (Rao 2009; Nagabandi et al. 2018, arXiv 1708.02596): draw sequences, imagine them, follow the best.

    A ~ even odds, N sequences, and the last plan moved up by a step
    follow the first action of the best

The baseline of every other planner, and hard to beat where a few choices decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .sequences import widest
from .shooting import Carry, Imagination, Shooting, ShootingConfig


@dataclass(frozen=True)
class RandomShootingConfig(ShootingConfig):
    """As many sequences as CEM draws in all its rounds."""

    samples: int = 384


class RandomShooting(Shooting[RandomShootingConfig]):
    """Plans by random shooting."""

    def __init__(self, config: RandomShootingConfig | None = None) -> None:
        self.config = config or RandomShootingConfig()

    def search(self, imagine: Imagination, rng: torch.Generator) -> Carry:
        c = self.config
        belief = widest(imagine.model.schema, c, c.length, imagine.rows, imagine.device)
        for n in imagine.rounds(c.samples, iterations=1):
            actions = belief.sample(n, rng)
            if imagine.carry is not None:
                actions[:, :, :1] = imagine.carry.kept
            imagine(actions)
        return Carry(belief, imagine.best(1)[0], imagine.phase)
