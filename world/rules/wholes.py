"""Claims that a whole array stays as it was, and how a value is made likelier whatever kind of feature it is of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..distributions import Board, Distribution, Normal, encode
from ..schema import Feature
from .claims import Claim
from .codes import Rows


class Whole:
    """Claims that a whole array stays as it was."""

    def __init__(self, claims: Sequence[Claim]) -> None:
        self.value = claims[0].atom.operands[0].run
        self.columns = torch.tensor([c.column for c in claims])
        self.is_hard = torch.tensor([c.strength[0] == "hard" for c in claims])
        self.weights = torch.tensor([c.strength[1] if c.strength[0] == "weight" else 0.0 for c in claims])

    def correct(self, own: Distribution, fired: Tensor, rows: Rows) -> Distribution:
        """Correct the array where claims `fired [N, K]`."""
        value, weight = self.value(rows), fired.float() @ self.weights
        if bool((weight > 0).any()):
            own = likelier(own, weight > 0, value, weight)
        return own.set((fired & self.is_hard).any(1), value)


def likelier(own: Distribution, where: Tensor, value: Tensor, weight: Tensor) -> Distribution:
    """Make `value [N, *shape]` likelier by `weight [N]`, on the rows `where [N]`."""
    wide = weight.view(-1, *[1] * (value.dim() - 1))
    if isinstance(own, Normal):
        return own.fuse(where, value, scale(own.feature) / wide.clamp_min(1e-30).sqrt())
    if isinstance(own, Board):
        return own.tilt(where, value, weight)
    return own.tilt(where, F.one_hot(encode(own.feature, value), own.logits.shape[-1]) * wide[..., None])


def scale(feature: Feature) -> float:
    """A hundredth of the feature's range: what a soft equality without a tolerance means."""
    span = feature.high - feature.low
    return 0.01 * span if span < float("inf") else 0.01
