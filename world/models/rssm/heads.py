"""What is read off a state: the next features, the reward, whether the episode goes on.

Three heads of one hidden layer share a fused first projection. The features' head sees the features before the step:
real ones are predicted as a change (its symlog, in units of the usual change), discrete ones as keep or replace. The
heads of reward and end see the features the step leads to. All three see the latent, so that what no feature shows
counts too. Letters as in `dynamics`; U units; R reals, C codes, V places of the features (see `Layout`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...twohot import TwoHot, symexp
from ..layout import Layout
from .config import RSSMConfig
from .layers import Lookup, Norm, Reader


class _Zero(nn.Linear):
    """A linear layer that starts at zero."""

    def reset_parameters(self) -> None:
        for p in self.parameters():
            nn.init.zeros_(p)


class Heads(nn.Module):
    """The heads; every output layer starts at zero."""

    def __init__(self, config: RSSMConfig, layout: Layout) -> None:
        super().__init__()
        self.config, self.layout, c = config, layout, config
        self.read_deter = nn.Linear(c.deter, 3 * c.units)
        self.read_stoch = Lookup(torch.full((c.latents,), c.classes), 3 * c.units)
        self.read_before = Reader(layout, c.units)
        self.read_after = Reader(layout, 2 * c.units, 2 * layout.reals)
        self.features_norm, self.outlook_norm = Norm(c.units), Norm(2, c.units)
        self.features = _Zero(c.units, 2 * layout.reals + layout.places + 3 * layout.codes)
        self.twohot = TwoHot()
        self.reward = _Zero(c.units, len(self.twohot.bins))
        self.cont = _Zero(c.units, 1)

    def read(self, deter: Tensor, stoch: Tensor) -> tuple[Tensor, Tensor]:
        """The part of the hidden layers that reads `deter [N, D]`; `stoch [N, 3 U]` is the read of the latents. The
        features' head `[N, U]`, and those of reward and end `[N, 2 U]`."""
        units = self.config.units
        features, outlook = (self.read_deter(deter) + stoch).split([units, 2 * units], -1)
        return features, outlook

    def predict(self, part: Tensor, seen: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """From the features' part `[N, U]` and the features before the step (`seen [N, R]` scaled, `codes [N, C]`):
        the symlog of the change and its spread `[N, R]`, the logits `[N, V]`, and the hidden units `[N, U]`."""
        r, v, c = self.layout.reals, self.layout.places, self.layout.codes
        hidden = self.features_norm(part + self.read_before(seen, codes))
        move, spread, logits, bonus = self.features(hidden).split([r, r, v, 3 * c], -1)
        spread = F.softplus(spread - 1) + self.config.least_std
        return move, spread, logits + self.layout.moved(codes, bonus.unflatten(-1, (3, c))), hidden

    def outlook(self, part: Tensor, seen: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """From their part `[N, 2 U]` and the features after the step: two-hot logits of the reward `[N, bins]`, and
        the logit of going on `[N]`. Squares of the real features help with costs and limits."""
        read = self.read_after(torch.cat([seen, seen.square()], -1), codes)
        reward, cont = self.outlook_norm((part + read).unflatten(-1, (2, -1))).unbind(-2)
        return self.reward(reward), self.cont(cont)[..., 0]


def moved(reals: Tensor, move: Tensor, spread: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation `[N, R]` of real features, in their own units, from the normal of the symlog of their
    change in units of `change [R]` (the deviation to first order)."""
    far = symexp(move)
    return reals + change * far, change * spread * (1 + far.abs())
