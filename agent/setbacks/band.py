"""Departures of numbers: what came lies beyond the learned model's own spread, made as wide as held-out data ask.

Rules correct what is imagined, and may be wrong: the band lies around what they make of a step, but is as wide as the
learned model alone is unsure. So a false rule cannot widen the band that finds it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...world.calibration import calibrate
from ...world.distributions import Normal
from ...world.model import Outcome, State, WorldModel
from ...world.refine import Refined, RefinedState
from ...world.schema import Features

if TYPE_CHECKING:
    from ..learn import Experience
    from ..mind import Mind

SHARE = 0.9
"""The share of held-out outcomes that the interval holds of which a band is a multiple."""
TIMES = 3.0
"""Half the width of a band in halves of that interval. Of normal errors one in a million is outside."""
LEAST = 0.1
"""Of a feature's usual change: nothing nearer than that is a departure."""
ROWS = 512


@dataclass(frozen=True)
class Band:
    """How far each real feature may come out from what was imagined: `scale` predicted stds, `least` in its unit."""

    scale: dict[str, float]
    least: dict[str, float]

    @staticmethod
    def of(model: WorldModel, experience: Experience) -> Band | None:
        """From transitions held out from training (from all where too few are); None in a world without numbers."""
        if all(f.kind != "real" for f in model.schema.features):
            return None
        rng = torch.Generator().manual_seed(0)
        batch = experience.batch(ROWS, 1, rng, held_out=True) or experience.batch(ROWS, 1, rng)
        if batch is None:
            return None
        scale = calibrate(model, batch, SHARE).scale
        steps = {name: batch.features[name].diff(dim=1)[batch.mask] for name in scale}
        return Band({name: TIMES * x for name, x in scale.items()},
                    {name: LEAST * float(x.square().mean().sqrt()) for name, x in steps.items()})

    def widths(self, predicted: Outcome) -> dict[str, Tensor]:
        """Half the width of each real feature's band, `[N, *shape]`."""
        return {name: (d.std * self.scale[name]).clamp_min(self.least[name])
                for name, d in predicted.features.items() if isinstance(d, Normal) and name in self.scale}


def alone(mind: Mind, belief: State, action: Tensor) -> Outcome | None:
    """What the learned model alone expects of a step; None where no rules are around it."""
    refined = refined_of(mind.imagining)
    if refined is None or not isinstance(belief, RefinedState):
        return None
    with torch.no_grad():
        return refined.inner.step(belief.inner, action)[1]


def widths(mind: Mind, belief: State, action: Tensor, predicted: Outcome) -> dict[str, Tensor]:
    """Half the width of each real feature's band for N steps that were `predicted` from `belief`, `[N, *shape]`."""
    if mind.band is None:
        return {}
    is_ruled = predicted.fired is not None and bool(predicted.fired.any())
    return mind.band.widths((alone(mind, belief, action) if is_ruled else None) or predicted)


def departed(mind: Mind, belief: State, predicted: Outcome, action: Tensor, after: Features) -> Tensor:
    """Which of N steps left the band around what was imagined, in any real feature: `[N]` bool."""
    found = torch.zeros(len(action), dtype=torch.bool)
    for name, width in widths(mind, belief, action, predicted).items():
        found |= ((predicted.mode[name] - after[name]).abs() > width).reshape(len(action), -1).any(1)
    return found


def refined_of(model: WorldModel) -> Refined | None:
    """The refinement inside a model, however it is wrapped."""
    inner: object = model
    while inner is not None and not isinstance(inner, Refined):
        inner = getattr(inner, "inner", None)
    return inner
