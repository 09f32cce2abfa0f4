"""The cross-entropy method: draw action sequences, imagine them, refit to the best, draw again (Rubinstein 1999).

    repeat:  A ~ belief, N sequences, among them the elites kept from before
             E <- the best of A
             belief <- refit to E
    follow the first action of the best

With what iCEM adds (Pinneri et al. 2020, arXiv 2008.06389): coloured noise, elites kept from one iteration to the next
and, moved up by a step, from one plan to the next, fewer candidates in later iterations, and the mean among the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .shooting import Carry, Imagination, Shooting, ShootingConfig


@dataclass(frozen=True)
class CEMConfig(ShootingConfig):
    """A plan imagines `horizon * samples * iterations` transitions a state, fewer with `decay`."""

    iterations: int = 3
    elites: int = 16
    kept: int = 4  # elites that compete again, in the next iteration and, moved up, in the next plan
    decay: float = 1.0  # every iteration draws this factor fewer candidates, but twice the elites at least


class CEM(Shooting[CEMConfig]):
    """Plans by the cross-entropy method."""

    def __init__(self, config: CEMConfig | None = None) -> None:
        self.config = config or CEMConfig()

    def search(self, imagine: Imagination, rng: torch.Generator) -> Carry:
        c, belief = self.config, imagine.belief()
        kept = None if imagine.carry is None else imagine.carry.kept
        for n in imagine.rounds(c.samples, c.iterations, c.decay, least=2 * c.elites):
            actions = belief.sample(n, rng)
            if kept is not None:
                actions[:, :, : kept.shape[2]] = kept[:, :, :n]
            imagine(actions)
            elites, value = imagine.best(c.elites)
            belief = belief.refit(elites, shares(value))
            kept = elites[:, :, : c.kept]
        assert kept is not None
        return Carry(belief, kept, imagine.phase)


def shares(value: Tensor) -> Tensor:
    """Equal weights of the elites `[B, E]`, summing to one; a broken rollout is no elite unless all are."""
    honest = value.isfinite() + 1e-9
    return honest / honest.sum(1, keepdim=True)
