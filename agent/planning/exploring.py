"""What a look is worth: the bits that unseen cells in view are expected to tell, as a term of an objective.

bits(s) = sum over unseen cells c of P(c is visible from s's pose) * H(what c holds), in bits: the information gain of
the look, of cells taken as independent. Any planner that heeds what an objective reaches can pursue it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...world.schema import Features
from ...world.sight import Sight
from ...world.unseen import Unseen
from .objective import Memoryless, Transition


@dataclass(frozen=True)
class Exploring(Memoryless):
    """Reached where a look is expected to tell at least `least` bits; each bit is worth `weight`. `worth [W, H]` bits
    a cell and `clear [W, H]`, the chance to see through it, are those of the present map."""

    sight: Sight
    worth: Tensor
    clear: Tensor
    least: float = 1.0
    weight: float = 0.01

    @staticmethod
    def on(unseen: Unseen, features: Features, least: float = 1.0) -> Exploring:
        """The term for one map `[1, ...]`."""
        sight = unseen.schema.sight
        assert sight is not None
        return Exploring(sight, *unseen.worth(features), least)

    def bits(self, features: Features) -> Tensor:
        """What a look from each row's pose is expected to tell, `[N]`."""
        return self.sight.revealed(features, self.worth, self.clear)

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]:
        bits = self.bits(step.next)
        return carry, self.weight * bits * step.alive, (bits >= self.least) & step.feasible

    def most(self, features: Features) -> float:
        """A bound on what a look from any known cell of one map `[1, ...]` tells: as if nothing were in the way."""
        sight = replace(self.sight, opaque=None)
        known = (~sight.hidden(features))[0].nonzero()
        headings = len(sight.grid.steps) if sight.grid.heading else 1
        n = len(known) * headings
        poses = {k: v.expand(n, *v.shape[1:]) for k, v in features.items() if k in sight.grid.arrays}
        x, y = known.repeat_interleave(headings, 0).unbind(1)
        poses |= {sight.grid.x: x, sight.grid.y: y}
        if sight.grid.heading:
            poses[sight.grid.heading] = torch.arange(headings).repeat(len(known))
        return float(sight.revealed(poses, self.worth, self.clear).max())


def matters(sight: Sight, before: Features, after: Features, share: float = 0.1) -> bool:
    """Whether a step brought something into sight that is worth planning anew for: a value that at most a `share` of
    the known cells of the map `[1, ...]` have."""
    new = after[sight.array][sight.news(before, after)].long()
    if not len(new):
        return False
    known = after[sight.array][~sight.hidden(after)].long().bincount()
    return bool((known[new] <= share * known.sum()).any())
