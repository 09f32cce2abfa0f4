"""How far a prediction is from what rules say, differentiable in its distributions: the consistency loss.

    v(s, a, p) = Σ_j [rule j fires] Σ_claims c  -log p(c)

Imagined steps need no data: a model that descends v predicts in time what it was told, and the corrections fade. Of
listed values p(c) is exact, by log-sum-exp over what is allowed; of a number that a rule bounds it is the normal's
cumulative distribution, of one that it sets half the squared distance in standard deviations. A claim with
probability P costs the divergence KL(P || p(c)); one with weight W costs W (1 - p(c)). Guards, operands and the
places that cells are read at are not differentiated; ties and derived features with a setter are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..distributions import Categorical, Distribution, Normal
from .codes import Rows
from .corrections import Choice, Claim, Measure
from .stage import Group, Stage, cell_of

_LEAST = -50.0  # log-probability below which a claim costs no more, so that what was ruled out stays finite


def violation(stage: Stage, features: Mapping[str, Distribution], rows: Rows, fired: Tensor, joint: Mapping[int, float]
              ) -> Tensor:
    """The violation of a stage's claims by `features`, `[N]`; `joint` are the probabilities of whole rules."""
    total = torch.zeros(rows.size)
    for group in (g for groups in (*stage.pose, *stage.seen) for g in groups):
        mine = fired.index_select(1, group.columns)
        if not bool(mine.any()):
            continue
        costs = _costs(group, features[group.target], rows, joint)                                         # [N, K]
        if costs is not None:
            total = total + torch.where(mine, costs, 0.0).sum(1)
    return total


def _costs(group: Group, own: Distribution, rows: Rows, joint: Mapping[int, float]) -> Tensor | None:
    index, every = group.place.index(rows), torch.arange(rows.size)
    if index is not None:
        own = cell_of(own, index)
    if isinstance(group.expert, Choice) and isinstance(own, Categorical):
        allowed = group.expert.allowed(group.expert.read(rows, every), rows.size)                          # [N, K, V]
        logp = own.logits.log_softmax(-1)[:, None]
        inside = _log_sum(logp, allowed)
        outside = _log_sum(logp, ~allowed)
        cost = _priced(group.claims, inside, outside, joint)
        # What no value satisfies, or every value does, teaches nothing.
        said = allowed.any(-1) & ~allowed.all(-1)
    elif isinstance(group.expert, Measure) and isinstance(own, Normal):
        cost, said = _of_real(group.expert, own, rows)
        cost = _priced(group.claims, -cost, None, joint)
    else:
        return None
    outside_board = (index < 0)[:, None] if index is not None else torch.zeros(1, 1, dtype=torch.bool)
    return torch.where(said & ~outside_board, cost, 0.0)


def _log_sum(logp: Tensor, where: Tensor) -> Tensor:
    return logp.masked_fill(~where, -1e4).logsumexp(-1).clamp_min(_LEAST)


def _of_real(expert: Measure, own: Normal, rows: Rows) -> tuple[Tensor, Tensor]:
    """-log p of each claim on a number, `[N, K]`, and where it says anything."""
    with torch.no_grad():
        low, high = expert.intervals(own, rows, torch.arange(rows.size))
        std = own.std[:, None]
    mean, said = own.mean[:, None], ~(low.isnan() | high.isnan())
    low, high = low.nan_to_num(nan=-torch.inf, neginf=-torch.inf), high.nan_to_num(nan=torch.inf, posinf=torch.inf)
    beyond = torch.relu(low - mean) + torch.relu(mean - high)
    distance = 0.5 * (beyond / std).square()
    bound = torch.where(expert.has_low, (mean - low.clamp_min(-1e30)) / std, (high.clamp_max(1e30) - mean) / std)
    return torch.where(expert.pins, distance, -torch.special.log_ndtr(bound)), said


def _priced(claims: tuple[Claim, ...], inside: Tensor, outside: Tensor | None, joint: Mapping[int, float]) -> Tensor:
    """The cost of claims by their strength, `[N, K]`, from log p(claim) and log p(not the claim)."""
    chance = torch.tensor([joint.get(c.column, c.strength[1] if c.strength[0] == "probability" else 1.0)
                           for c in claims])
    weight = torch.tensor([c.strength[1] if c.strength[0] == "weight" else 0.0 for c in claims])
    if outside is None:
        outside = torch.log(-torch.expm1(inside.clamp_max(-1e-6))).clamp_min(_LEAST)
    entropy = torch.special.entr(chance) + torch.special.entr(1 - chance)
    told = -chance * inside - (1 - chance) * outside - entropy
    return torch.where(weight > 0, weight * (1 - inside.exp()), told)
