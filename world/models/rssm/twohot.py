"""Numbers of any size as a choice among bins, and the symmetric logarithm that spaces them.

Hafner et al. 2023 (arXiv 2301.04104 v2), equations 2, 8 and 9: the bins are symexp(-20 .. 20); a target is spread over
the two nearest, in proportion to its distance from the other; a prediction is the mean bin.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def symlog(x: Tensor) -> Tensor:
    """sign(x) log(1 + abs(x))."""
    return x.sign() * x.abs().log1p()


def symexp(x: Tensor) -> Tensor:
    """The inverse of `symlog`."""
    return x.sign() * x.abs().expm1()


class TwoHot(nn.Module):
    """A distribution over an odd number of `bins`."""

    values: Tensor

    def __init__(self, bins: int = 255) -> None:
        super().__init__()
        upper = symexp(torch.linspace(0, 20, bins // 2 + 1))
        self.register_buffer("values", torch.cat([-upper.flip(0)[:-1], upper]), persistent=False)

    def mean(self, logits: Tensor) -> Tensor:
        """The expected value `[...]` of `logits [..., bins]`. Summed from the middle outwards, so that what is as
        likely on both sides cancels exactly: a head that begins at zero predicts zero."""
        probs, half = logits.softmax(-1), len(self.values) // 2
        return (probs[..., half + 1 :] - probs[..., :half].flip(-1)) @ self.values[half + 1 :]

    def encode(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """The bin below each value, and the share `[...]` of the bin above it; beyond the last bins, those."""
        below = (torch.bucketize(value, self.values, right=True) - 1).clamp(0, len(self.values) - 2)
        low, high = self.values[below], self.values[below + 1]
        return below, ((value - low) / (high - low)).clamp(0, 1)

    def loss(self, logits: Tensor, value: Tensor) -> Tensor:
        """Cross entropy with the two-hot `value [...]`: `[...]`."""
        below, share = self.encode(value)
        nats = -logits.log_softmax(-1).gather(-1, torch.stack([below, below + 1], -1))
        return (1 - share) * nats[..., 0] + share * nats[..., 1]
