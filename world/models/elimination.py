"""Backward elimination of gates: what no data ask for must not be read, it would decide where the data never went."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_OBVIOUS = 25.0
"""By how many prices a read must be missed for it not to be tried without."""


def eliminate(gates: Tensor, cost: Callable[[Tensor], Tensor], price: Tensor | float) -> Tensor:
    """Close gates `[A, O, R]` while that is cheap; return which were closed, bool of the same shape.

    `cost(gates)` gives the nats each action's outputs cost over all data, `[A, O]`. Each round closes, for every action
    and output, the read that is missed least, if that costs less than `price` (one, or `[A, O]`).
    """
    closed = torch.zeros_like(gates, dtype=torch.bool)
    price = torch.as_tensor(price).expand(gates.shape[:2])[..., None]
    while True:
        gates = gates.masked_fill(closed, 0.0)
        missed = _missed(gates, cost)
        least, read = missed.min(-1, keepdim=True)
        closing = torch.zeros_like(closed).scatter_(-1, read, least < price)
        if not closing.any():
            return closed
        closed |= closing


def eliminate_refitting(gates: Tensor, cost: Callable[[Tensor], Tensor], price: Tensor | float,
                        refit: Callable[[Tensor], None]) -> Tensor:
    """The same, but what is left is trained on (`refit(gates)`) before it is asked what a closed gate cost.

    A network that once leaned on a proxy misses it, until the cause itself has taken its place. Every gate is tried
    once, the least missed first; one that the data do ask for is opened again.
    """
    closed, needed = torch.zeros(2, *gates.shape, dtype=torch.bool).unbind(0)
    price = torch.as_tensor(price).expand(gates.shape[:2])[..., None]
    while True:
        refit(gates)
        base, missed = cost(gates), _missed(gates, cost)
        needed |= (missed > _OBVIOUS * price) & (gates != 0)
        least, read = missed.masked_fill(needed, torch.inf).min(-1, keepdim=True)
        trying = torch.zeros_like(closed).scatter_(-1, read, least < torch.inf)
        if not trying.any():
            return closed
        less = gates.masked_fill(trying, 0.0)
        refit(less)
        is_missed = (cost(less) - base)[..., None] > price
        needed |= trying & is_missed
        closed |= trying & ~is_missed
        gates = gates.masked_fill(closed, 0.0)


def _missed(gates: Tensor, cost: Callable[[Tensor], Tensor]) -> Tensor:
    """What closing each gate alone would cost, `[A, O, R]`; infinite where it is closed."""
    base, missed = cost(gates), torch.full_like(gates, torch.inf)
    for read in (gates != 0).flatten(0, 1).any(0).nonzero()[:, 0].tolist():
        less = gates.clone()
        less[..., read] = 0.0
        missed[..., read] = cost(less) - base
    return missed.masked_fill(gates == 0, torch.inf)
