"""Backward elimination of gates: what no data ask for must not be read, it would decide where the data never went."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def eliminate(gates: Tensor, cost: Callable[[Tensor], Tensor], price: Tensor | float) -> Tensor:
    """Close gates `[A, O, R]` while that is cheap; return which were closed, bool of the same shape.

    `cost(gates)` gives the nats each action's outputs cost over all data, `[A, O]`. Each round closes, for every action
    and output, the read that is missed least, if that costs less than `price` (one, or `[A, O]`).
    """
    closed = torch.zeros_like(gates, dtype=torch.bool)
    price = torch.as_tensor(price).expand(gates.shape[:2])[..., None]
    while True:
        gates = gates.masked_fill(closed, 0.0)
        base = cost(gates)
        extra = torch.full_like(gates, torch.inf)
        for read in (gates != 0).flatten(0, 1).any(0).nonzero()[:, 0].tolist():
            extra[..., read] = cost(_without(gates, read)) - base
        least, read = extra.masked_fill(gates == 0, torch.inf).min(-1, keepdim=True)
        closing = torch.zeros_like(closed).scatter_(-1, read, least < price)
        if not closing.any():
            return closed
        closed |= closing


def _without(gates: Tensor, read: int) -> Tensor:
    """The gates with one read closed everywhere."""
    less = gates.clone()
    less[..., read] = 0.0
    return less
