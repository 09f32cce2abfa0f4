"""Which action a tree search tries next: PUCT, and Gumbel's root with sequential halving.

Pure functions of the statistics of one node a row: `visits [B, A]`, mean returns `q [B, A]` (anything where there were
no visits), prior `logits [B, A]` (-inf where an action is ruled out). Each returns scores `[B, A]`; the best is tried.
PUCT is of AlphaZero and MuZero (Schrittwieser et al. 2020, arXiv 1911.08265, eq. 2); the rest is "Policy improvement by
planning with Gumbel" (Danihelka et al. 2022), with its authors' constants. B states, A actions.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


def puct(visits: Tensor, q: Tensor, logits: Tensor, low: Tensor, high: Tensor,
         c_init: float = 1.25, c_base: float = 19_652.0) -> Tensor:
    """Q + P sqrt(N) / (1 + n) (c_init + log((N + c_base + 1) / c_base)), Q moved to 0..1 by the least and the greatest
    return `low`, `high [B]` of the whole tree; an action never tried has Q = 0."""
    total = visits.sum(-1, keepdim=True)
    width = (high - low)[:, None]
    scaled = torch.where((visits > 0) & (width > 0), (q - low[:, None]) / width.clamp_min(1e-8), 0.0)
    c = c_init + torch.log((total + c_base + 1) / c_base)
    # At the first try every N is 0: one keeps the prior in play, as its authors' own code does.
    explore = logits.softmax(-1) * total.clamp_min(1).sqrt() / (1 + visits) * c
    return torch.where(logits.isneginf(), -torch.inf, scaled + explore)


def completed(visits: Tensor, q: Tensor, logits: Tensor, value: Tensor) -> Tensor:
    """The returns with those of untried actions filled in by v_mix (eq. 33): the node's own value estimate `[B]` and
    the tried actions' returns weighted by the prior, the more the more visits there are."""
    tried = visits > 0
    prior = logits.softmax(-1).clamp_min(torch.finfo(logits.dtype).tiny)
    weight = torch.where(tried, prior, 0.0)
    weighted = (weight * torch.where(tried, q, 0.0)).sum(-1) / weight.sum(-1).clamp_min(1e-30)
    total = visits.sum(-1)
    return torch.where(tried, q, ((value + total * weighted) / (1 + total))[:, None])


def improved(visits: Tensor, q: Tensor, logits: Tensor, value: Tensor, scale: float = 0.1,
             init: float = 50.0) -> Tensor:
    """Log-weights of the improved policy (eq. 11): logits + sigma(completed q), where sigma grows with the visits and q
    is moved to 0..1 among the actions of the node that are not ruled out. Where the returns are
    right, their softmax is no worse a policy than the prior.
    """
    full = completed(visits, q, logits, value)
    out = logits.isneginf()
    low = full.masked_fill(out, torch.inf).amin(-1, keepdim=True)
    high = full.masked_fill(out, -torch.inf).amax(-1, keepdim=True)
    unit = (full - low) / (high - low).clamp_min(1e-8)
    sigma = (init + visits.amax(-1, keepdim=True)) * scale * unit
    return torch.where(out, -torch.inf, logits + sigma)


def interior(visits: Tensor, weights: Tensor) -> Tensor:
    """Below the root: the action whose share of the visits lacks most behind the improved policy (eq. 14)."""
    share = visits / (1 + visits.sum(-1, keepdim=True))
    return torch.where(weights.isneginf(), -torch.inf, weights.softmax(-1) - share)


def halving(visits: Tensor, weights: Tensor, gumbel: Tensor, considered: int, simulations: int) -> Tensor:
    """At the root: the best by `gumbel [B, A]` + improved log-weights among the actions whose turn it is. The turn is
    read off the visits, so that a simulation that came to nothing costs no action its turn."""
    possible = ~weights.isneginf()
    done = visits.sum(-1).long().clamp(max=simulations - 1)
    turn = schedule(considered, simulations).to(visits.device)[possible.sum(-1).clamp(max=considered), done]
    ready = possible & (visits == turn[:, None])
    ready = torch.where(ready.any(-1, keepdim=True), ready, possible)  # an action was ruled out within its turn
    return torch.where(ready, gumbel + weights, -torch.inf)


@lru_cache(maxsize=64)
def schedule(considered: int, simulations: int) -> Tensor:
    """Sequential halving (Karnin et al. 2013): how many visits the action has whose turn is at simulation n, when m
    actions are considered, `[considered + 1, simulations]`. All m get equal visits, then the better half of them, and
    so on down to two."""
    return torch.tensor([_turns(m, simulations) for m in range(considered + 1)])


def _turns(m: int, simulations: int) -> list[int]:
    if m <= 1:
        return list(range(simulations))
    rounds, turns, visits, left = math.ceil(math.log2(m)), list[int](), [0] * m, m
    while len(turns) < simulations:
        for _ in range(max(1, simulations // (rounds * left))):
            turns += visits[:left]
            visits[:left] = [v + 1 for v in visits[:left]]
        left = max(2, left // 2)
    return turns[:simulations]
