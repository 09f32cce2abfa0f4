"""How much the neighbours count beside a model: what held-out transitions say of both.

Deleted interpolation (Jelinek and Mercer 1980): a mixture is weighed such that data which neither was made of are
likeliest, apart for every output and for how near the nearest is. Numbers are weighed by the squared error
of the blended mean (stacking: Breiman 1996). A gain below a price in nats is taken for chance: then the weight is 0.

n held-out rows, B distances, G groups of outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..distributions import FLOOR, Categorical, Normal, encode
from ..model import Outcome
from ..schema import Features
from .reading import OTHER_ACTION, Situation
from .recall import Mixing, Recalled, at

_GRID = torch.linspace(0, 1, 11)
_SAME = 1e-3
"""Squared distance up to which a neighbour is the same situation."""
_ACTED = OTHER_ACTION**2 / 2
"""Squared distance from which on something else was done there."""
_BANDS = 5
"""The same, near, farther, far, and where something else was done."""


@dataclass(frozen=True)
class Weights:
    """The neighbours' `share [B, G]` where the nearest is at up to so many squared distances, `edges [B - 1]`."""

    edges: Tensor
    share: Tensor

    @property
    def has_any(self) -> bool:
        return bool(self.share.any())

    def at(self, distance: Tensor) -> Tensor:
        """The shares `[N, G]` of rows whose nearest is at `distance [N]`."""
        return self.share[torch.bucketize(distance.contiguous(), self.edges)]


def weigh(mixing: Mixing, out: Outcome, recalled: Recalled, now: Situation, after: Features, reward: Tensor,
          ended: Tensor, scale: Tensor, price: float) -> Weights:
    """The best weights on n transitions to `after [n, ...]`, of which a model says `out`. Errors far below `scale
    [R + 1]` (the usual changes of the reals, and of the reward) are as good as none."""
    apart = recalled.distance[(recalled.distance > _SAME) & (recalled.distance < _ACTED)]
    cuts = apart.quantile(torch.tensor([1 / 3, 2 / 3])) if len(apart) else torch.tensor([1.0, 2.0])
    edges = torch.cat([torch.tensor([_SAME]), cuts, torch.tensor([_ACTED])])
    bucket = torch.bucketize(recalled.distance.contiguous(), edges)
    model, past, group = _chances(mixing, out, recalled, now, after, ended)
    errors = _errors(mixing, out, recalled, after, reward)
    count = torch.bincount(bucket, minlength=_BANDS).float()
    score = torch.stack([_of_codes(model, past, group, bucket, w, len(mixing.groups))
                         + _of_reals(*errors, bucket, count, w, scale, len(mixing.groups)) for w in _GRID.tolist()])
    best, which = score.max(0)
    share = torch.where(best - score[0] > price, _GRID[which], 0.0)
    for b in (2, 1, 0):  # at a distance that was not seen it is as a little farther away
        share[b] = torch.where(count[b] > 0, share[b], share[b + 1])
    return Weights(edges, share)


def _chances(mixing: Mixing, out: Outcome, recalled: Recalled, now: Situation, after: Features, ended: Tensor,
             ) -> tuple[Tensor, Tensor, Tensor]:
    """The probability that the model and the neighbours gave what came, `[n, codes]` each, and each code's group."""
    model: list[Tensor] = []
    past: list[Tensor] = []
    group: list[int] = []

    def add(name: str, p: Tensor, q: Tensor, wanted: Tensor, real: Tensor | None = None) -> None:
        floored = [(1 - FLOOR) * x.gather(-1, wanted[..., None])[..., 0] + FLOOR / x.shape[-1] for x in (p, q)]
        if real is not None:
            floored = [torch.where(real, x, 1.0) for x in floored]
        for x, to in zip(floored, (model, past), strict=True):
            to.append(x.flatten(1))
        group.extend([mixing.group(name)] * model[-1].shape[1])

    n = len(ended)
    for f in mixing.reading.layout.discrete:
        d, wanted = out.features[f.name], encode(f, after[f.name]).view(n, -1)
        assert isinstance(d, Categorical)
        add(f.name, d.logits.softmax(-1).view(n, wanted.shape[1], -1), mixing.probabilities(f, recalled), wanted)
    for f in mixing.reading.arrays:
        wanted = encode(f, after[f.name]).flatten(1).gather(1, now.index.clamp_min(0))
        add(f.name, at(out.features[f.name], now.index), mixing.probabilities(f, recalled), wanted, now.index >= 0)
    went = mixing.reading.pointer.after((recalled.moves + 1e-9).log(), now.x, now.y, now.dx, now.dy)
    for x, y in mixing.poses:
        for name in (x, y):
            d, e = out.features[name], went[name]
            assert isinstance(d, Categorical)
            assert isinstance(e, Categorical)
            add(x, d.logits.softmax(-1)[:, None], e.logits.softmax(-1)[:, None],
                encode(d.feature, after[name])[:, None])
    over, ended_then = (torch.stack([1 - p, p], -1)[:, None] for p in (1 - out.cont, recalled.ended))
    add("end", over, ended_then, ended.long()[:, None])
    return torch.cat(model, 1), torch.cat(past, 1), torch.tensor(group)


def _errors(mixing: Mixing, out: Outcome, recalled: Recalled, after: Features, reward: Tensor,
            ) -> tuple[Tensor, Tensor, Tensor]:
    """How far the model and the neighbours are off, `[n, R + 1]` each, the reward last, and each number's group."""
    n, layout, said = len(reward), mixing.reading.layout, []
    for f in layout.real:
        d = out.features[f.name]
        assert isinstance(d, Normal)
        said.append(d.mean.reshape(n, -1))
    truth = torch.cat([*(after[f.name].reshape(n, -1).float() for f in layout.real), reward[:, None]], 1)
    group = [mixing.group(f.name) for f, size in zip(layout.real, layout.real_sizes, strict=True) for _ in range(size)]
    model = torch.cat([*said, out.reward[:, None]], 1) - truth
    past = torch.cat([recalled.reals, recalled.reward[:, None]], 1) - truth
    return model, past, torch.tensor([*group, mixing.group("reward")])


def _of_codes(model: Tensor, past: Tensor, group: Tensor, bucket: Tensor, w: float, groups: int) -> Tensor:
    """Log-likelihood `[B, G]` of the mixture."""
    each = torch.zeros(_BANDS, model.shape[1]).index_add_(0, bucket, torch.lerp(model, past, w).log())
    return torch.zeros(_BANDS, groups).index_add_(1, group, each)


def _of_reals(model: Tensor, past: Tensor, group: Tensor, bucket: Tensor, count: Tensor, w: float, scale: Tensor,
              groups: int) -> Tensor:
    """Log-likelihood `[B, G]` of the blended means under normals of the best spread, up to a constant."""
    squares = torch.zeros(_BANDS, model.shape[1]).index_add_(0, bucket, torch.lerp(model, past, w).square())
    mean = squares / count.clamp_min(1)[:, None] + (0.05 * scale).square()
    return torch.zeros(_BANDS, groups).index_add_(1, group, -0.5 * count[:, None] * mean.log())
