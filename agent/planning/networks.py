"""Small networks for planners that learn, and how they are first set: from an explicit generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def mlp(inputs: int, width: int, layers: int, outputs: int, rng: torch.Generator, scale: float) -> nn.Sequential:
    """`layers` of Linear, LayerNorm and SiLU, and a last Linear whose first weights are scaled by `scale` (0: its
    outputs are 0 at first)."""
    parts: list[nn.Module] = []
    for k in range(layers):
        parts += [nn.Linear(width if k else inputs, width), nn.LayerNorm(width), nn.SiLU()]
    made = nn.Sequential(*parts, nn.Linear(width if layers else inputs, outputs))
    for part in made:
        if isinstance(part, nn.Linear):
            nn.init.trunc_normal_(part.weight, std=1 / math.sqrt(part.in_features), generator=rng)
            part.weight.data.mul_(scale if part is made[-1] else 1.0)
            nn.init.zeros_(part.bias)
    return made


@torch.no_grad()
def follow(slow: nn.Module, fast: nn.Module, rate: float) -> None:
    """Move the weights of `slow` by `rate` towards those of `fast`: an exponential moving average."""
    torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), rate)


def step(optimiser: torch.optim.Optimizer, losses: dict[str, Tensor], clip: float) -> dict[str, float]:
    """One step down the sum of the losses, the gradient's norm clipped; the losses as numbers."""
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    weights = [p for group in optimiser.param_groups for p in group["params"]]
    nn.utils.clip_grad_norm_(weights, clip)
    optimiser.step()
    return {name: loss.item() for name, loss in losses.items()}
