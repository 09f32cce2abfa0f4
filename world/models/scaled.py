"""Models of real features in the units of the data: how far a value is from the usual one, and what a usual change is.

The scales are taken from all the data before the first training, and kept from then on: later data only widen the
range of what was seen. R real numbers in packed rows (see `layout`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..model import Batch
from ..schema import Features
from .layout import Layout


class Scaled(nn.Module):
    """A module with the `mean`, `std`, usual `change` a step, `least` and `most` of every real feature, each `[R]`."""

    mean: Tensor
    std: Tensor
    change: Tensor
    least: Tensor
    most: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        scales = {"mean": 0.0, "std": 1.0, "change": 1.0, "least": -math.inf, "most": math.inf}
        for name, value in scales.items():
            self.register_buffer(name, torch.full((layout.reals,), value))

    def prepare(self, everything: Batch, is_first: bool) -> None:
        """Before the first training, take the scales from the data; later ones keep them and only widen the range."""
        if is_first:
            self.fit_normaliser(everything.features, everything.mask, everything.reward)
        elif self.layout.reals:
            values, _ = self._moves(everything.features, everything.mask)
            self.least.copy_(self.least.minimum(values.amin(0)))
            self.most.copy_(self.most.maximum(values.amax(0)))

    def settle(self, everything: Batch) -> None:
        """Nothing is left to decide when training ends."""

    @torch.no_grad()
    def fit_normaliser(self, features: Features, mask: Tensor | None = None, reward: Tensor | None = None) -> None:
        """Take the scales of values and changes, and the range of values, from `features [B, T + 1, *shape]` where
        `mask [B, T]` holds. What never moves keeps the scale it has. `reward [B, T]` is for models that scale it."""
        if self.layout.reals:
            values, changes = self._moves(features, mask)
            std, change = values.std(0, correction=0), changes.std(0, correction=0)
            self.mean.copy_(values.mean(0))
            self.least.copy_(values.amin(0))
            self.most.copy_(values.amax(0))
            self.std.copy_(torch.where(std > 1e-6, std, self.std))
            self.change.copy_(torch.where(change > 1e-6, change, 1e-2 * self.std))

    def scaled(self, reals: Tensor) -> Tensor:
        """Real features `[..., R]` in standard deviations from their mean, within the range that was seen."""
        # Beyond what was seen, the nets are asked about its edge: their own extrapolation is three times further off
        # (CartPole after random data, one step at four times its usual speeds).
        return (torch.maximum(torch.minimum(reals, self.most), self.least) - self.mean) / self.std

    def _moves(self, features: Features, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The real features of all real steps `[M, R]`, and their changes."""
        reals, _ = self.layout.pack(features)
        real = torch.ones(reals.shape[0], reals.shape[1] - 1, dtype=torch.bool) if mask is None else mask
        return reals[torch.cat([real[:, :1], real], 1)], (reals[:, 1:] - reals[:, :-1])[real]
