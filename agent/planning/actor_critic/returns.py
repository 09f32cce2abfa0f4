"""Returns of imagined futures, and the scale by which advantages of any task become comparable."""

from __future__ import annotations

import torch
from torch import Tensor


def lambda_returns(gain: Tensor, discount: Tensor, value: Tensor, lam: float) -> Tensor:
    """R_t = g_t + d_t ((1 - lam) v_{t+1} + lam R_{t+1}), R_H = v_H (arXiv 2301.04104, equation 5).

    Gains and discounts `[H, N]` (the discount includes the probability of going on), values `[H + 1, N]`; `[H, N]`.
    """
    returns, following = torch.empty_like(gain), value[-1]
    for t in reversed(range(len(gain))):
        following = gain[t] + discount[t] * ((1 - lam) * value[t + 1] + lam * following)
        returns[t] = following
    return returns


class ReturnScale:
    """S = max(1, EMA(95th percentile - 5th percentile)) of the returns (equation 7): large returns are scaled down,
    small ones not up, since that would make noise of sparse rewards. The average begins at the first returns seen."""

    def __init__(self, rate: float = 0.01) -> None:
        self.rate = rate
        self.spread: Tensor | None = None

    def update(self, returns: Tensor) -> Tensor:
        """Take in returns `[...]` and give the scale, a scalar."""
        low, high = torch.quantile(returns.flatten(), returns.new_tensor([0.05, 0.95]))
        now = high - low
        self.spread = now if self.spread is None else torch.lerp(self.spread, now, self.rate)
        return self.spread.clamp_min(1.0)
