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
    """Encodes what `Layout(features)` packs. Integers keep their order."""

    def __init__(self, features: tuple[Feature, ...], width: int) -> None:
        super().__init__()
        self.layout = Layout(features)
        self.slots = self.layout.reals + self.layout.codes
        self.weight, self.shift = (nn.Parameter(torch.randn(self.slots, width)) for _ in range(2))
        self.table = nn.Parameter(torch.randn(self.layout.places, width))

    def forward(self, scaled: Tensor, codes: Tensor) -> Tensor:
        """Reals in their scale `[N, R]` and codes `[N, C]` to slots `[N, S, D]`."""
        rank = 2 * codes / (self.layout.count - 1).clamp_min(1) - 1
        numbers = torch.cat([scaled, rank * self.layout.ordered], -1)[..., None]
        # The first number is the value itself; the others bend, so that squares and waves need few hidden units.
        slots = torch.cat([numbers, F.silu(numbers * self.weight + self.shift)[..., 1:]], -1)
        return slots + F.pad(self.table[codes + self.layout.base], (0, 0, self.layout.reals, 0))
