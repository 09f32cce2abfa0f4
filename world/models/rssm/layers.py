"""The small parts: a norm with its activation, and linear maps of codes that never write a one-hot row.

Letters: N rows, C codes, V one-hot places (the sum of the codes' cardinalities).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layout import Layout


class Norm(nn.Module):
    """RMSNorm over the last axis, then SiLU. `shape` may have axes in front: parts that are normalised each."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(F.rms_norm(x, x.shape[-1:], eps=1e-4) * self.scale)


class Lookup(nn.Module):
    """The linear map of one-hot codes, weight `[V, width]`. Looking rows up costs a hundredth of multiplying by the
    one-hot rows that they stand for; `dense` multiplies, for rows that gradients flow through."""

    base: Tensor

    def __init__(self, counts: Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("base", counts.cumsum(0) - counts, persistent=False)
        places = int(counts.sum())
        self.weight = nn.Parameter(torch.randn(places, width) / max(len(counts), 1) ** 0.5)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes `[..., C]` to `[..., width]`."""
        return F.embedding_bag((codes + self.base).flatten(0, -2), self.weight, mode="sum").unflatten(
            0, codes.shape[:-1])

    def dense(self, onehot: Tensor) -> Tensor:
        """Rows `[..., V]` to `[..., width]`."""
        return onehot @ self.weight


class Reader(nn.Module):
    """The linear map of packed features (see `Layout`): `numbers [..., R]` and `codes [..., C]` to `[..., width]`."""

    def __init__(self, layout: Layout, width: int, reals: int | None = None) -> None:
        super().__init__()
        reals = layout.reals if reals is None else reals
        self.weight = nn.Parameter(torch.randn(width, reals) / max(reals, 1) ** 0.5)
        self.codes = Lookup(layout.count, width) if layout.codes else None

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        read = F.linear(numbers, self.weight)
        return read if self.codes is None else read + self.codes(codes)
