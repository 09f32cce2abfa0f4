"""The code of vector features as slots: each number and each code of packed rows becomes D numbers, ready to be gated.

N rows, R real numbers, C codes, D width, S = R + C slots.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..schema import Feature
from .layout import Layout


class VectorCode(nn.Module):
    """Encodes what `Layout(features)` packs. Reals are scaled by `fit`; integers keep their order."""

    mean: Tensor
    std: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, features: tuple[Feature, ...], width: int) -> None:
        super().__init__()
        self.layout = Layout(features)
        r = self.layout.reals
        self.weight, self.shift = (nn.Parameter(torch.randn(r + self.layout.codes, width)) for _ in range(2))
        self.table = nn.Parameter(torch.randn(self.layout.places, width))
        for name, value in (("mean", 0.0), ("std", 1.0), ("least", -torch.inf), ("most", torch.inf)):
            self.register_buffer(name, torch.full((r,), value))

    @property
    def slots(self) -> int:
        """S, how many there are."""
        return self.layout.reals + self.layout.codes

    @torch.no_grad()
    def fit(self, reals: Tensor, is_first: bool) -> None:
        """Take the scale (at first) and the range (always) from `reals [M, R]`; what never varies keeps its scale."""
        if not reals.numel():
            return
        if is_first:
            std = reals.std(0, correction=0)
            self.mean.copy_(reals.mean(0))
            self.std.copy_(torch.where(std > 1e-6, std, self.std))
        self.least.copy_(reals.amin(0) if is_first else self.least.minimum(reals.amin(0)))
        self.most.copy_(reals.amax(0) if is_first else self.most.maximum(reals.amax(0)))

    def forward(self, reals: Tensor, codes: Tensor) -> Tensor:
        """Packed rows `[N, R]`, `[N, C]` to slots `[N, S, D]`. Beyond what was seen a net is asked about its edge."""
        known = torch.maximum(torch.minimum(reals, self.most), self.least)
        rank = 2 * codes / (self.layout.count - 1).clamp_min(1) - 1
        numbers = torch.cat([(known - self.mean) / self.std, rank * self.layout.ordered], -1)[..., None]
        # The first number is the value itself; the others bend, so that squares and waves need few hidden units.
        slots = torch.cat([numbers, F.silu(numbers * self.weight + self.shift)[..., 1:]], -1)
        tables = F.pad(self.table[codes + self.layout.base], (0, 0, self.layout.reals, 0))
        return slots + tables
