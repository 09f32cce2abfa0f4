"""How far a prediction is from what rules say, differentiable in its distributions: the consistency loss.

    v(s, a, p) = Σ_j [rule j fires] Σ_claims c  -log p(c)

Imagined steps need no data: a model that descends v predicts in time what it was told, and the corrections fade. Of
listed values p(c) is exact, by log-sum-exp over what is allowed; of a number that a rule bounds it is the normal's
cumulative distribution, of one that it sets half the squared distance in standard deviations. A claim with
probability P costs the divergence KL(P || p(c)); one with weight W costs W (1 - p(c)). Guards, operands and the
places that cells are read at are not differentiated; ties and derived features with a setter are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..distributions import Categorical, Distribution, Normal
from .choices import Choices
from .claims import Claim
from .codes import Rows
from .quantities import Quantities
from .stage import Stage, read_places

_LEAST = -50.0  # log-probability below which a claim costs no more, so that what was ruled out stays finite


def violation(stage: Stage, features: Mapping[str, Distribution], rows: Rows, fired: Tensor, joint: Mapping[int, float]
              ) -> Tensor:
    """The violation of a stage's claims by `features`, `[N]`; `joint` are the probabilities of whole rules."""
    total = torch.zeros(rows.size)
    for groups, expert in (part for each in (*stage.pose, *stage.seen) for part in each.parts):
        own, _, mine = read_places(groups, expert, features, rows, fired)
        if not bool(mine.any()):
            continue
        if isinstance(expert, Choices):
            costs, said = _of_listed(expert, own, rows, joint)  # type: ignore[arg-type]
        else:
            mine = mine & expert.is_there.flatten()
            costs, said = _of_numbers(expert, own, rows, joint)  # type: ignore[arg-type]
        total = total + torch.where(mine & said, costs, 0.0).sum(1)
    return total


def _of_listed(expert: Choices, own: Sequence[Categorical], rows: Rows, joint: Mapping[int, float]
               ) -> tuple[Tensor, Tensor]:
    """What each claim costs and whether it says anything, both `[N, K]`."""
    codes, table = expert.lines(rows)
    line = expert.first + codes[:, expert.reader]
    allowed = table.allowed[line]                                                                          # [N, K, V]
    excluded = ~allowed & expert.is_value[expert.place]
    logp = expert.stacked(own).log_softmax(-1)[:, expert.place]
    # What no value satisfies, or every value does, teaches nothing.
    said = table.says[line] & allowed.any(-1) & excluded.any(-1)
    return _priced(expert.claims, _log_sum(logp, allowed), _log_sum(logp, excluded), joint), said


def _log_sum(logp: Tensor, where: Tensor) -> Tensor:
    return logp.masked_fill(~where, -1e4).logsumexp(-1).clamp_min(_LEAST)


def _of_numbers(expert: Quantities, own: Sequence[Normal], rows: Rows, joint: Mapping[int, float]
                ) -> tuple[Tensor, Tensor]:
    """What each claim costs and whether it says anything, both `[N, G * K]`."""
    stacked = expert.stacked(own)
    with torch.no_grad():
        low, high = expert.intervals(own, rows)                                                            # [G, K, N]
        std = stacked.std[:, None]
    mean, said = stacked.mean[:, None], ~(low.isnan() | high.isnan())
    low, high = low.nan_to_num(nan=-torch.inf, neginf=-torch.inf), high.nan_to_num(nan=torch.inf, posinf=torch.inf)
    beyond = torch.relu(low - mean) + torch.relu(mean - high)
    distance = 0.5 * (beyond / std).square()
    bound = torch.where(expert.has_low, (mean - low.clamp_min(-1e30)) / std, (high.clamp_max(1e30) - mean) / std)
    inside = -torch.where(expert.pins, distance, -torch.special.log_ndtr(bound)).flatten(0, 1).t()
    return _priced(expert.claims, inside, None, joint), said.flatten(0, 1).t()


def _priced(claims: Sequence[Claim], inside: Tensor, outside: Tensor | None, joint: Mapping[int, float]) -> Tensor:
    """The cost of claims by their strength, `[N, K]`, from log p(claim) and log p(not the claim)."""
    chance = torch.tensor([joint.get(c.column, c.strength[1] if c.strength[0] == "probability" else 1.0)
                           for c in claims])
    weight = torch.tensor([c.strength[1] if c.strength[0] == "weight" else 0.0 for c in claims])
    if outside is None:
        outside = torch.log(-torch.expm1(inside.clamp_max(-1e-6))).clamp_min(_LEAST)
    entropy = torch.special.entr(chance) + torch.special.entr(1 - chance)
    told = -chance * inside - (1 - chance) * outside - entropy
    return torch.where(weight > 0, weight * (1 - inside.exp()), told)
