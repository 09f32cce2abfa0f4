"""What the models of feature vectors share: packed features in their usual scales, in and out of a network.

Letters: R real numbers, C codes, V one-hot places (the sum of the codes' cardinalities).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError
from ..model import Batch
from ..schema import Features, Schema
from .layout import Layout


class Scaled(nn.Module):
    """A network over the features and actions of `schema`, with buffers for the scales of what it reads and predicts.

    `mean`, `std`, `least` and `most` are of the values, `change` is the usual change a step, all `[R]`.
    `beyond` is how far outside the range that was seen a network is still asked, as a share of that range.
    """

    beyond = 0.0
    mean: Tensor
    std: Tensor
    change: Tensor
    least: Tensor
    most: Tensor
    reward_mean: Tensor
    reward_std: Tensor

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.images = [f for f in schema.features if f.is_image]
        self.layout = Layout(tuple(f for f in schema.features if not f.is_image))
        self.schema, self.act_layout = schema, Layout(schema.actions)
        scales = {"mean": 0.0, "std": 1.0, "change": 1.0, "least": -math.inf, "most": math.inf}
        for name, value in scales.items():
            self.register_buffer(name, torch.full((self.layout.reals,), value))
        self.register_buffer("reward_mean", torch.zeros(()))
        self.register_buffer("reward_std", torch.ones(()))

    @property
    def seen_size(self) -> int:
        """The width of `seen`: R + V."""
        return self.layout.reals + self.layout.places

    @property
    def act_size(self) -> int:
        """The width of `act`."""
        return self.act_layout.reals + self.act_layout.places

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
        """Take the scales of values, changes and rewards, and the range of values, from `features [B, T + 1, *shape]`
        where `mask [B, T]` holds; `reward [B, T]`. What never moves keeps the scale it has."""
        if self.layout.reals:
            values, changes = self._moves(features, mask)
            std, change = values.std(0, correction=0), changes.std(0, correction=0)
            self.mean.copy_(values.mean(0))
            self.least.copy_(values.amin(0))
            self.most.copy_(values.amax(0))
            self.std.copy_(torch.where(std > 1e-6, std, self.std))
            self.change.copy_(torch.where(change > 1e-6, change, 1e-2 * self.std))
        if reward is not None:
            paid = reward.to(self.reward_mean) if mask is None else reward.to(self.reward_mean)[mask]
            self.reward_mean.copy_(paid.mean())
            # What always paid the same is predicted closely: a planner would chase the noise of a wider scale.
            self.reward_std.copy_(paid.std(correction=0).clamp_min(0.03))

    def _moves(self, features: Features, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The real features of all real steps `[M, R]`, and their changes."""
        reals, _ = self.layout.pack(features)
        real = torch.ones(reals.shape[0], reals.shape[1] - 1, dtype=torch.bool) if mask is None else mask
        return reals[torch.cat([real[:, :1], real], 1)], (reals[:, 1:] - reals[:, :-1])[real]

    def seen(self, reals: Tensor, codes: Tensor) -> Tensor:
        """What a network reads of packed features: reals in their scale, codes one-hot, `[..., R + V]`."""
        return torch.cat([self.scaled(reals), self.layout.onehot(codes)], -1)

    def scaled(self, reals: Tensor) -> Tensor:
        """Real features `[..., R]` in standard deviations from their mean, within the range that was seen."""
        # Beyond what was seen, the nets are asked about its edge: their own extrapolation is three times further off
        # (CartPole after random data, one step at four times its usual speeds).
        room = self.beyond * (self.most - self.least) if self.beyond else 0.0
        known = torch.maximum(torch.minimum(reals, self.most + room), self.least - room)
        return (known - self.mean) / self.std

    def blind(self, name: str) -> None:
        """Raise `UserError` where the schema has images, which the model called `name` cannot see."""
        if self.images:
            raise UserError(f"the {name} cannot see the image '{self.images[0].name}'; use model='rssm'")

    def act(self, action: Tensor) -> Tensor:
        """Actions `[..., A]` as a network reads them: numbers with bounds scaled to -1 .. 1, codes one-hot."""
        low, high = self.act_layout.low, self.act_layout.high
        if self.schema.discrete_actions:
            return self.act_layout.onehot(action.long())
        if any(a.is_discrete for a in self.schema.actions):
            is_code = torch.tensor([a.is_discrete for a in self.schema.actions], device=action.device)
            codes = self.act_layout.onehot(action[..., is_code].long())
            action = action[..., ~is_code]
        else:
            codes = action[..., :0]
        scaled = torch.where((high - low).isfinite(), 2 * (action - low) / (high - low) - 1, action)
        return torch.cat([scaled, codes], -1)

    def chosen(self, odds: Tensor) -> Tensor:
        """The codes `[N, C]` that logits `[N, V]` favour."""
        parts = zip(self.layout.split(odds), self.layout.code_sizes, strict=True)
        best = [part.argmax(-1).reshape(len(part), size) for part, size in parts]
        return torch.cat([*best, self.layout.base.new_empty(len(odds), 0)], -1)

    def surprise(self, logits: Tensor, codes: Tensor) -> Tensor:
        """Cross entropy of `codes [N, C]` under `logits [N, V]`, summed over the codes: `[N]`."""
        total = self.mean.new_zeros(len(codes))
        parts = zip(self.layout.split(logits), codes.split(self.layout.code_sizes, -1), strict=True)
        for odds, wanted in parts:
            nats = F.cross_entropy(odds.reshape(-1, odds.shape[-1]), wanted.flatten(), reduction="none")
            total = total + nats.view(wanted.shape).sum(-1)
        return total


def bce(logit: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy of each, in nats."""
    return F.binary_cross_entropy_with_logits(logit, target, reduction="none")
