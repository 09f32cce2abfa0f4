"""What a model says of one next feature: a factored distribution that rules can correct in closed form.

`Categorical` for categories, booleans and bounded integers; `Board` for an array of which a step touches few cells
(everywhere else it is known); `Normal` for real features. Corrections return a new distribution: `set` a value on
some rows, `tilt` by log weights; `clip`, `fuse` and `lean` for real ones. What `set` and `clip` rule out, no weight
brings back. V is the feature's number
of values, K the number of touched cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from .schema import Feature

FLOOR = 0.01
"""Share of the uniform mixed into a categorical before it is tilted or scored: a confident model is never certain."""
CERTAIN = 30.0
"""Logit of a known value: beyond every weight, finite in float32."""


@dataclass(frozen=True)
class Categorical:
    """Independent categoricals, `logits [N, *shape, V]`; a value's code is the value less the feature's offset."""

    feature: Feature
    logits: Tensor

    @cached_property
    def codes(self) -> Tensor:
        """The most likely codes, `[N, *shape]` int64."""
        return self.logits.argmax(-1)

    def mode(self) -> Tensor:
        """The most likely value, `[N, *shape]` of the feature's type."""
        return decode(self.feature, self.codes)

    def sample(self, rng: torch.Generator | None) -> Tensor:
        """One draw a factor, `[N, *shape]`, by inverse transform (several times faster than Gumbel's trick)."""
        below = self.logits.softmax(-1).cumsum(-1)
        at = below[..., -1:] * torch.rand(below.shape[:-1], generator=rng, device=below.device)[..., None]
        return decode(self.feature, (below <= at).sum(-1).clamp_max_(below.shape[-1] - 1))

    def log_probs(self) -> Tensor:
        """Normalised log-probabilities with the floor mixed in, `[N, *shape, V]`."""
        v = self.logits.shape[-1]
        return torch.log((1 - FLOOR) * self.logits.softmax(-1) + FLOOR / v)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of a whole value `[N, *shape]`, summed over the factors: `[N]`."""
        picked = self.log_probs().gather(-1, encode(self.feature, value)[..., None])[..., 0]
        return picked.flatten(1).sum(1) if picked.dim() > 1 else picked

    def entropy(self) -> Tensor:
        """Entropy summed over the factors, in nats: `[N]`."""
        terms = _entropy(self.logits)
        return terms.flatten(1).sum(1) if terms.dim() > 1 else terms

    def set(self, rows: Tensor, value: Tensor) -> Categorical:
        """Certain of `value [N, *shape]` on `rows [N]`: every other value is ruled out."""
        wanted = F.one_hot(encode(self.feature, value), self.logits.shape[-1]).bool()
        certain = torch.zeros_like(self.logits).masked_fill(~wanted, -math.inf)
        return replace(self, logits=torch.where(_wide(rows, self.logits), certain, self.logits))

    def tilt(self, rows: Tensor, bonus: Tensor) -> Categorical:
        """Product with an expert: add log weights `bonus [N, *shape, V]` on `rows`."""
        return replace(self, logits=torch.where(_wide(rows, self.logits), self.possible() + bonus, self.logits))

    def possible(self) -> Tensor:
        """Log-probabilities with the floor mixed into all values that are not ruled out, `[N, *shape, V]`."""
        return floored(self.logits)[0].log()


@dataclass(frozen=True)
class Board:
    """An array known everywhere but at K touched cells: `known` codes `[N, C]`, `index [N, K]`, `logits [N, K, V]`.

    Reads like a `Categorical` over the whole array at a fraction of its cost. An index of -1 touches nothing.
    """

    feature: Feature
    known: Tensor
    index: Tensor
    logits: Tensor

    @cached_property
    def codes(self) -> Tensor:
        """The most likely codes, `[N, C]` in the dtype of `known`."""
        best = self.logits.argmax(-1).to(self.known.dtype)
        # Touched cells off the board go to an extra column that is cut off again.
        wide = F.pad(self.known, (0, 1))
        wide.scatter_(1, torch.where(self.index >= 0, self.index, self.known.shape[1]), best)
        return wide[:, :-1]

    def mode(self) -> Tensor:
        return decode(self.feature, self.codes).view(-1, *self.feature.shape)

    def sample(self, rng: torch.Generator | None) -> Tensor:
        noise = torch.empty_like(self.logits).exponential_(generator=rng).log()
        return replace(self, logits=self.logits.log_softmax(-1) - noise).mode()

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of a whole array `[N, *shape]`: touched cells by their logits, others by the floor: `[N]`."""
        v = self.logits.shape[-1]
        wanted = encode(self.feature, value).flatten(1)
        at = self.index.clamp_min(0)
        logp = torch.log((1 - FLOOR) * self.logits.softmax(-1) + FLOOR / v)
        touched = logp.gather(-1, wanted.gather(1, at)[..., None])[..., 0].masked_fill(self.index < 0, 0.0).sum(1)
        wrong = (self.known != wanted).float()
        wrong.scatter_(1, at, torch.where(self.index >= 0, 0.0, wrong.gather(1, at)))
        return touched + wrong.sum(1) * math.log(FLOOR / v)

    def entropy(self) -> Tensor:
        return _entropy(self.logits).masked_fill(self.index < 0, 0.0).sum(1)

    def tilt(self, rows: Tensor, value: Tensor, weight: Tensor) -> Board:
        """Make the whole array `value [N, *shape]` likelier by `weight [N]` nats a touched cell, on `rows`."""
        wanted = encode(self.feature, value).flatten(1).gather(1, self.index.clamp_min(0))
        bonus = F.one_hot(wanted, self.logits.shape[-1]) * weight[:, None, None]
        logits = Categorical(self.feature, self.logits).tilt(rows, bonus).logits
        return replace(self, logits=logits)

    def set(self, rows: Tensor, value: Tensor) -> Board:
        """Certain of the whole array `value [N, *shape]` on `rows [N]`."""
        codes = encode(self.feature, value).flatten(1).to(self.known.dtype)
        return replace(
            self,
            known=torch.where(rows[:, None], codes, self.known),
            index=torch.where(rows[:, None], torch.full_like(self.index, -1), self.index),
        )

    def cell(self, index: Tensor) -> Categorical:
        """The distribution of one cell a row, `index [N]` (off the board: of the first cell)."""
        at = index.clamp_min(0)
        known = self.known.gather(1, at[:, None])[:, 0].long()
        certain = F.one_hot(known, self.logits.shape[-1]).to(self.logits.dtype) * CERTAIN
        match = (self.index == index[:, None]) & (index >= 0)[:, None]
        touched = self.logits.masked_fill(~match[..., None], 0.0).sum(1)
        return Categorical(replace(self.feature, shape=()), torch.where(match.any(1)[:, None], touched, certain))

    def with_cell(self, index: Tensor, cell: Categorical) -> Board:
        """Put a cell's distribution back (off the board: nothing). An untouched cell stays known where the
        distribution is certain, and is touched from now on where it is not."""
        match = (self.index == index[:, None]) & (index >= 0)[:, None]
        logits = torch.where(match[..., None], cell.logits[:, None], self.logits)
        missing = (index >= 0) & ~match.any(1)
        unsure = missing & (cell.logits.softmax(-1).amax(-1) < 1 - 1e-6)
        if bool(unsure.any()):
            more = torch.where(unsure, index, -1)[:, None]
            logits = torch.cat([logits, cell.logits[:, None]], 1)
            return replace(self, logits=logits, index=torch.cat([self.index, more], 1)).with_cell(
                torch.where(unsure, -1, index), cell)
        known = self.known.scatter(1, index.clamp_min(0)[:, None], torch.where(
            missing, cell.codes.to(self.known.dtype), self.known.gather(1, index.clamp_min(0)[:, None])[:, 0])[:, None])
        return replace(self, logits=logits, known=known)


@dataclass(frozen=True)
class Normal:
    """Independent normals: `mean` and `std`, both `[N, *shape]`, in the feature's own unit. `low` and `high`, where a
    rule gave bounds, hold for the mean and for every draw; an unbounded integer is rounded."""

    feature: Feature
    mean: Tensor
    std: Tensor
    low: Tensor | None = None
    high: Tensor | None = None

    def mode(self) -> Tensor:
        return self._typed(self.mean)

    def sample(self, rng: torch.Generator | None) -> Tensor:
        drawn = self.mean + self.std * torch.empty_like(self.mean).normal_(generator=rng)
        return self._typed(drawn if self.low is None else drawn.clamp(self.low, self.high))

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.mean) / self.std
        terms = -0.5 * z.square() - self.std.log() - 0.5 * math.log(2 * math.pi)
        return terms.flatten(1).sum(1) if terms.dim() > 1 else terms

    def entropy(self) -> Tensor:
        terms = self.std.log() + 0.5 * math.log(2 * math.pi * math.e)
        return terms.flatten(1).sum(1) if terms.dim() > 1 else terms

    def set(self, rows: Tensor, value: Tensor) -> Normal:
        """Certain of `value` on `rows` (its spread shrinks to a thousandth); earlier bounds are lifted there."""
        wide = _wide(rows, self.mean)
        low, high = (None, None) if self.low is None or self.high is None else (
            self.low.masked_fill(wide, -math.inf), self.high.masked_fill(wide, math.inf))
        return Normal(self.feature, torch.where(wide, value.to(self.mean.dtype), self.mean),
                      torch.where(wide, self.std * 1e-3, self.std), low, high)

    def clip(self, rows: Tensor, low: Tensor | float, high: Tensor | float) -> Normal:
        """Move the mean into `[low, high]` on `rows`, and keep every draw there. Where earlier bounds exclude these,
        the last word counts."""
        wide = _wide(rows, self.mean)
        least = torch.where(wide, low, -math.inf).to(self.mean.dtype).expand_as(self.mean)
        most = torch.where(wide, high, math.inf).to(self.mean.dtype).expand_as(self.mean)
        if self.low is not None and self.high is not None:
            least, most = self.low.clamp(least, most), self.high.clamp(least, most)
        return replace(self, mean=self.mean.clamp(least, most), low=least, high=most)

    def fuse(self, rows: Tensor, value: Tensor, std: Tensor | float) -> Normal:
        """Product with the expert `Normal(value, std)`: the precision-weighted mean, on `rows`."""
        mine, theirs = self.std.pow(-2), std ** -2
        return self._moved(rows, (mine * self.mean + theirs * value) / (mine + theirs), (mine + theirs).rsqrt())

    def lean(self, rows: Tensor, bound: Tensor, sign: Tensor | int, weight: Tensor | float) -> Normal:
        """Product with the expert that adds `weight` below `bound` (`sign` -1) or above it (+1), on `rows`.

        The normal with the mean and variance of the exact product, from the moments of a half-truncated normal.
        """
        z = -sign * (bound - self.mean) / self.std  # with the sign turned, what is likelier lies below z
        density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
        odds = torch.as_tensor(weight, dtype=z.dtype).clamp_max(80.0).expm1()
        ratio = density / (1 / odds + torch.special.ndtr(z))
        variance = (1 - z * ratio - ratio.square()).clamp_min(1e-6)
        return self._moved(rows, self.mean + sign * self.std * ratio, self.std * variance.sqrt())

    def _moved(self, rows: Tensor, mean: Tensor, std: Tensor) -> Normal:
        wide = _wide(rows, self.mean)
        mean = torch.where(wide, mean, self.mean)
        return replace(self, mean=mean if self.low is None else mean.clamp(self.low, self.high),
                       std=torch.where(wide, std, self.std))

    def _typed(self, value: Tensor) -> Tensor:
        f = self.feature
        return value.round().clamp(f.low, f.high).to(f.dtype) if f.is_discrete else value


Distribution = Categorical | Board | Normal


def certain(feature: Feature, value: Tensor) -> Distribution:
    """The distribution of a feature known to have `value [N, *shape]`; a number is known to a thousandth."""
    if not feature.cardinality:
        return Normal(feature, value.float(), torch.full(value.shape, 1e-3))
    if not feature.shape:
        return Categorical(feature, F.one_hot(encode(feature, value), feature.cardinality) * CERTAIN)
    codes, none = encode(feature, value).flatten(1).to(value.dtype), torch.zeros(len(value), 0, dtype=torch.int64)
    return Board(feature, codes, none, torch.zeros(len(value), 0, feature.cardinality))


def floored(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities with the floor mixed into all values that are not ruled out, and without it, both `[..., V]`."""
    possible = (logits > -math.inf).to(logits.dtype)
    p = logits.softmax(-1)
    return (1 - FLOOR) * p + possible * (FLOOR / possible.sum(-1, keepdim=True)), p


def take(distribution: Distribution, index: Tensor) -> Distribution:
    """The rows `index [M]` of a distribution (repeats allowed)."""
    d = distribution
    if isinstance(d, Categorical):
        return Categorical(d.feature, d.logits.index_select(0, index))
    if isinstance(d, Board):
        return Board(d.feature, *(x.index_select(0, index) for x in (d.known, d.index, d.logits)))
    low, high = (None if b is None else b.index_select(0, index) for b in (d.low, d.high))
    return Normal(d.feature, d.mean.index_select(0, index), d.std.index_select(0, index), low, high)


def encode(feature: Feature, value: Tensor) -> Tensor:
    """Values to codes, int64, clamped to the codes there are."""
    codes = value.long() - feature.offset
    return codes.clamp(0, feature.cardinality - 1) if feature.cardinality else codes


def decode(feature: Feature, codes: Tensor) -> Tensor:
    """Codes to values of the feature's own type."""
    return (codes + feature.offset).to(feature.dtype) if feature.offset else codes.to(feature.dtype)


def _entropy(logits: Tensor) -> Tensor:
    """Entropy of the last axis, in nats; what is ruled out adds nothing."""
    logp = logits.log_softmax(-1)
    return -(logp.exp() * logp).masked_fill(logp == -math.inf, 0.0).sum(-1)


def _wide(rows: Tensor, like: Tensor) -> Tensor:
    return rows.view(*rows.shape, *[1] * (like.dim() - rows.dim()))
