"""Rules teach the model: the consistency loss on imagined steps, which needs no data.

    L = w · mean over (s, a) of  v(s, a, p_model(.|s, a)) + (r_model - r_told)^2 - log p_model(end, where told)

v is `Compiled.violation`, the cross entropy of what the rules say. Half the states come from replay with random
actions, half are legal states steered to where the rules apply (`checking.sampling`), seen or not. A model that
descends L predicts in time what it was told, and the correction fades; a rule that the data contradict stops teaching,
and the data have the last word. Rules are evaluated on the CPU, so a model is taught there.

The gradient comes through the model's own `step`: `torch.no_grad()`, which decorates it, keeps the function below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import UserError
from .checking.sampling import sampled
from .model import Batch, Outcome, WorldModel, begin
from .rules.compile import Compiled
from .rules.syntax import Always, End, Expect, Reward

TEACHING = (Expect, Always, Reward, End)
"""The statements that say how the world behaves."""


@dataclass(frozen=True)
class TeachingConfig:
    """`rows` imagined steps a gradient step; `weight` of the consistency loss."""

    rows: int = 64
    weight: float = 1.0


def differentiable(model: WorldModel) -> Callable[..., tuple[Any, Outcome]]:
    """The model's `step` with gradients. Raises `UserError` where it has none."""
    step = getattr(type(model).step, "__wrapped__", None)
    if step is None:
        raise UserError(f"'{type(model).__name__}' cannot be taught by rules: its `step` is not a function under "
                        "@torch.no_grad(), so that no gradient comes through it")
    return lambda state, action: step(model, state, action)


def consistency(model: WorldModel, rules: Compiled, batch: Batch, rng: torch.Generator, config: TeachingConfig
                ) -> dict[str, Tensor]:
    """The loss by name, empty where no rule says how the world behaves. `batch` gives the replayed states."""
    telling = [r for r in rules.rules if isinstance(r.statement, TEACHING)]
    if not telling or not config.weight:
        return {}
    draw = torch.Generator().manual_seed(int(torch.randint(2**62, (1,), generator=rng, device=rng.device)))
    steered = sampled(telling, rules.schema, config.rows, draw)
    half = config.rows // 2
    b, t = (torch.randint(n, (half,), generator=draw) for n in batch.mask.shape)
    now = {k: torch.cat([v[b, t].cpu(), steered.now[k][half:]]) for k, v in batch.features.items()}
    assert steered.action is not None
    action = steered.action
    _, out = differentiable(model)(begin(model, now), action)
    corrected = rules.correct(now, action, out)
    cost = rules.violation(now, action, out) + (out.reward - corrected.reward).square()
    ended = (corrected.cont == 0) & (out.cont > 0)
    cost = cost - torch.where(ended, torch.log1p(-out.cont.clamp_max(1 - 1e-6)), 0.0)
    return {"consistency": config.weight * cost.mean()}
