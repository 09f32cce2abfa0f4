"""What a model's spread is worth: scaled on held-out transitions, so that a stated share of outcomes falls inside.

Split-conformal prediction (Vovk et al. 2005; normalised scores: Lei et al. 2018): the score of an outcome is its
distance from the predicted mean over the predicted std; the scale is the score that the stated share of held-out
outcomes keeps to. It holds for transitions that come as the held-out ones did, whatever the model; where the agent goes
somewhere new, the std grows with the model's disagreement, and the interval with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UserError
from .distributions import Normal
from .model import Batch, Outcome, WorldModel, begin


@dataclass(frozen=True)
class Calibration:
    """Half the width of each real feature's interval in predicted stds, for a `share` of outcomes inside."""

    share: float
    scale: dict[str, float]

    def intervals(self, outcome: Outcome) -> dict[str, tuple[Tensor, Tensor]]:
        """Where each real feature lies next, low and high, `[N, *shape]` each."""
        return {name: (d.mean - self.scale[name] * d.std, d.mean + self.scale[name] * d.std)
                for name, d in outcome.features.items() if isinstance(d, Normal)}


def calibrate(model: WorldModel, held_out: Batch, share: float = 0.9) -> Calibration:
    """The scales from sequences `[B, T]` that the model was not trained on, one step ahead; infinite where they are too
    few to say. Raises `UserError` for a share that is not between 0 and 1."""
    if not 0.0 < share < 1.0:
        raise UserError(f"the share of outcomes in an interval is {share}; give one between 0 and 1, like 0.9")
    scale = {}
    for name, score in scores(model, held_out).items():
        rank = math.ceil((len(score) + 1) * share)
        scale[name] = math.inf if rank > len(score) else float(score.sort().values[rank - 1])
    return Calibration(share, scale)


def coverage(model: WorldModel, calibration: Calibration, batch: Batch) -> dict[str, float]:
    """The share of each real feature's outcomes that fall into its interval."""
    return {name: float((score <= calibration.scale[name]).float().mean())
            for name, score in scores(model, batch).items()}


@torch.no_grad()
def scores(model: WorldModel, batch: Batch) -> dict[str, Tensor]:
    """How many predicted stds each outcome is from its mean, a real feature `[M * its size]`."""
    now, after = ({k: v[:, s][batch.mask] for k, v in batch.features.items()} for s in (slice(-1), slice(1, None)))
    _, out = model.step(begin(model, now), batch.action[batch.mask])
    return {name: ((after[name] - d.mean).abs() / d.std).flatten()
            for name, d in out.features.items() if isinstance(d, Normal)}
