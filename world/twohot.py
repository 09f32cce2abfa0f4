"""Numbers of any scale for networks to predict: symlog, and a distribution over exponentially spaced bins.

DreamerV3 (Hafner et al. 2023, arXiv 2301.04104, equations 1, 9 and 10): rewards and values are learned by
classification, so that the size of a target does not set that of its gradient. K bins; `...` is any leading shape.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def symlog(x: Tensor) -> Tensor:
    """sign(x) ln(1 + |x|): the identity near 0, a logarithm far from it."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """The inverse of `symlog`: sign(x) (exp(|x|) - 1)."""
    return x.sign() * x.abs().expm1()


class TwoHot(nn.Module):
    """A number as weights on the two bins around it, of K bins symexp(-reach) .. symexp(reach). K is odd, so that one
    bin is 0 and equal logits mean exactly 0. Numbers beyond the last bin count as the last."""

    bins: Tensor

    def __init__(self, count: int = 255, reach: float = 20.0) -> None:
        super().__init__()
        if count < 3 or count % 2 == 0:
            raise ValueError(f"{count} bins; give an odd number of at least 3, so that one of them is 0")
        # Mirrored rather than spaced from end to end: rounding must not tell a bin from its opposite.
        above = symexp(torch.linspace(0, reach, count // 2 + 1))
        self.register_buffer("bins", torch.cat([-above[1:].flip(0), above]), persistent=False)

    def encode(self, value: Tensor) -> Tensor:
        """Values `[...]` to weights `[..., K]` that sum to one and whose mean is the value."""
        lower, share = self._place(value)
        weights = self.bins.new_zeros(*value.shape, len(self.bins))
        weights.scatter_(-1, lower[..., None], (1 - share)[..., None])
        return weights.scatter_(-1, lower[..., None] + 1, share[..., None])

    def decode(self, logits: Tensor) -> Tensor:
        """Logits `[..., K]` to the mean of their distribution, `[...]`."""
        probability, half = logits.softmax(-1), len(self.bins) // 2
        # Opposite bins are subtracted first: summed one by one, the huge ones would drown the rest.
        odds = probability[..., half + 1:] - probability[..., :half].flip(-1)
        return (odds * self.bins[half + 1:]).sum(-1)

    def loss(self, logits: Tensor, value: Tensor) -> Tensor:
        """The cross entropy of logits `[..., K]` against values `[...]`, in nats: `[...]`."""
        lower, share = self._place(value)
        pair = torch.stack([lower, lower + 1], -1)
        low, high = logits.log_softmax(-1).gather(-1, pair).unbind(-1)
        return -(low * (1 - share) + high * share)

    def _place(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """The bin below each value and the share of the one above it, both `[...]`."""
        value = value.to(self.bins).contiguous()
        lower = (torch.searchsorted(self.bins, value, right=True) - 1).clamp(0, len(self.bins) - 2)
        below, above = self.bins[lower], self.bins[lower + 1]
        return lower, ((value - below) / (above - below)).clamp(0, 1)
