"""Learned switches: which inputs an output may read, as L0-penalised hard-concrete gates (Louizos et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STRETCH_LOW, STRETCH_HIGH, TEMPERATURE = -0.1, 1.1, 2 / 3
CLOSED = -12.0
"""The `log_alpha` of a gate that is closed for good."""


class Gates(nn.Module):
    """Gates in [0, 1] of any shape, that training can close for good.

    `forward(rng)` draws them (with a generator) or gives their fixed value (without); `open_probability` is what the
    L0 penalty sums (equation 12 of the paper).
    """

    def __init__(self, *shape: int, start: float = 2.0) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.full(shape, start))

    def forward(self, rng: torch.Generator | None = None) -> Tensor:
        if rng is None:
            soft = self.log_alpha.sigmoid()
        else:
            u = torch.empty_like(self.log_alpha).uniform_(1e-6, 1 - 1e-6, generator=rng)
            soft = ((u.log() - (-u).log1p() + self.log_alpha) / TEMPERATURE).sigmoid()
        return (soft * (STRETCH_HIGH - STRETCH_LOW) + STRETCH_LOW).clamp(0, 1)

    def open_probability(self) -> Tensor:
        shift = TEMPERATURE * torch.log(torch.tensor(-STRETCH_LOW / STRETCH_HIGH))
        return (self.log_alpha - shift).sigmoid()
