"""What the neighbours of N rows say came next, and its mixture with what a model says.

N rows, k neighbours, R reals, S codes, K cells around, V values, G groups of outputs that share a weight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..distributions import Board, Categorical, Distribution, Normal
from ..model import Outcome
from ..schema import Feature
from .past import Past
from .reading import Events, Reading, Situation

_LEAST = 1e-9


@dataclass(frozen=True)
class Recalled:
    """`reals [N, R]` and their `std`; `odds [N, places]` of the codes; `moves [N, P, 5]`; `reward [N]`, the share that
    `ended [N]`; the squared distance of the nearest, `distance [N]`; `events [N, k]` and their `shares [N, k]`."""

    reals: Tensor
    std: Tensor
    odds: Tensor
    moves: Tensor
    reward: Tensor
    ended: Tensor
    distance: Tensor
    events: Events
    shares: Tensor


def recall(reading: Reading, past: Past, now: Situation, key: Tensor, k: int, least: Tensor) -> Recalled:
    """What followed the k nearest, as a distribution; `least [R]` is the smallest std of a real."""
    distance, index = past.nearest(key, k)
    shares, events = past.shares(distance, index), past.of(index)
    reals, codes = reading.happened(now, events)
    mean = (shares[..., None] * reals).sum(1)
    std = ((shares[..., None] * (reals - mean[:, None]).square()).sum(1) + least.square()).sqrt()
    places = (codes + reading.base).flatten(1)
    odds = shares.new_zeros(len(shares), reading.places).scatter_add_(
        1, places, shares[..., None].expand_as(codes).flatten(1))
    moves = (F.one_hot(events.moves, 5) * shares[..., None, None]).sum(1)
    return Recalled(mean, std, odds, moves, (shares * events.reward).sum(1), (shares * events.ended).sum(1),
                    distance[:, 0], events, shares)


class Mixing:
    """Puts a model's outcome and what was recalled together, each output by its own weight."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.poses = [(p.x, p.y) for p in reading.pointer.poses]
        self.discrete = [*reading.layout.discrete, *reading.arrays]
        apart = [f.name for f in (*reading.layout.real, *self.discrete)]
        self.groups = [*apart, *(x for x, _ in self.poses), "reward", "end"]
        sizes = [*reading.layout.code_sizes, *[reading.pointer.count] * len(reading.arrays)]
        self.slices, at = {}, 0
        for f, size in zip(self.discrete, sizes, strict=True):
            width = size * ((f.cardinality or 0) + 1)
            self.slices[f.name], at = slice(at, at + width), at + width

    def group(self, name: str) -> int:
        """The column of an output's weight."""
        return self.groups.index(name)

    def probabilities(self, f: Feature, recalled: Recalled) -> Tensor:
        """What was recalled of a discrete feature, or of the cells around: `[N, *, V]`."""
        values = f.cardinality or 0
        return recalled.odds[:, self.slices[f.name]].view(len(recalled.odds), -1, values + 1)[..., :values]

    def __call__(self, out: Outcome, recalled: Recalled, now: Situation, weight: Tensor) -> Outcome:
        """The mixture, `weight [N, G]` being the neighbours' share. A mixture of normals becomes the normal with its
        mean and variance."""
        features, column = dict(out.features), {name: weight[:, i] for i, name in enumerate(self.groups)}
        for f, mean, std in zip(self.reading.layout.real, *(
                x.split(self.reading.layout.real_sizes, 1) for x in (recalled.reals, recalled.std)), strict=True):
            features[f.name] = _normal(f, out.features[f.name], mean, std, column[f.name])
        for f in self.reading.layout.discrete:
            features[f.name] = _categorical(f, out.features[f.name], self.probabilities(f, recalled), column[f.name])
        for f in self.reading.arrays:
            features[f.name] = _board(f, out.features[f.name], self.probabilities(f, recalled), now.index,
                                      column[f.name])
        if self.poses:
            went = self.reading.pointer.after((recalled.moves + _LEAST).log(), now.x, now.y, now.dx, now.dy)
            for x, y in self.poses:
                for name in (x, y):
                    d = went[name]
                    assert isinstance(d, Categorical)
                    features[name] = _categorical(d.feature, out.features[name], d.logits.softmax(-1)[:, None],
                                                  column[x])
        paid, end = column["reward"], column["end"]
        return replace(out, features=features, reward=torch.lerp(out.reward, recalled.reward, paid),
                       cont=torch.lerp(out.cont, 1 - recalled.ended, end))


def at(d: Distribution, index: Tensor) -> Tensor:
    """The probabilities of the cells `index [N, K]` of a board's distribution: `[N, K, V]`."""
    if isinstance(d, Board):
        if d.index.shape == index.shape and torch.equal(d.index, index):
            return d.logits.softmax(-1)
        p = F.one_hot(d.known.long().gather(1, index.clamp_min(0)), d.logits.shape[-1]).to(d.logits.dtype)
        same = (index[:, :, None] == d.index[:, None]) & (index >= 0)[:, :, None]
        touched = same.to(p.dtype) @ d.logits.softmax(-1)
        return torch.where(same.any(2)[..., None], touched, p)
    assert isinstance(d, Categorical)
    logits = d.logits.flatten(1, -2)
    return logits.gather(1, index.clamp_min(0)[..., None].expand(-1, -1, logits.shape[-1])).softmax(-1)


def _categorical(f: Feature, d: Distribution, recalled: Tensor, weight: Tensor) -> Distribution:
    assert isinstance(d, Categorical)
    p = torch.lerp(d.logits.softmax(-1), recalled.view_as(d.logits), weight.view(-1, *[1] * (d.logits.dim() - 1)))
    return Categorical(f, p.clamp_min(_LEAST).log())


def _board(f: Feature, d: Distribution, recalled: Tensor, index: Tensor, weight: Tensor) -> Distribution:
    p = torch.lerp(at(d, index), recalled, weight[:, None, None]).clamp_min(_LEAST).log()
    if isinstance(d, Board):
        if d.index.shape[1] == 0 or (d.index.shape == index.shape and torch.equal(d.index, index)):
            return Board(f, d.known, index, p)
        elsewhere = d.index.masked_fill((d.index[:, :, None] == index[:, None]).any(2), -1)
        return Board(f, d.known, torch.cat([index, elsewhere], 1), torch.cat([p, d.logits], 1))
    assert isinstance(d, Categorical)
    logits = d.logits.flatten(1, -2)
    wide = F.pad(logits, (0, 0, 0, 1))  # cells off the board go to a row that is cut off again
    where = torch.where(index >= 0, index, logits.shape[1])[..., None].expand_as(p)
    return Categorical(f, wide.scatter(1, where, p)[:, :-1].view_as(d.logits))


def _normal(f: Feature, d: Distribution, mean: Tensor, std: Tensor, weight: Tensor) -> Distribution:
    assert isinstance(d, Normal)
    w, mean, std = weight.view(-1, *[1] * (d.mean.dim() - 1)), mean.view_as(d.mean), std.view_as(d.mean)
    variance = torch.lerp(d.std.square(), std.square(), w) + w * (1 - w) * (d.mean - mean).square()
    mixed = torch.lerp(d.mean, mean, w)
    return Normal(f, mixed.round() if f.is_discrete else mixed, variance.sqrt())
