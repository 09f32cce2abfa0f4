"""Beliefs over action sequences, which shooting planners draw from and refit: normals for continuous actions, odds for
discrete ones, both side by side where a world has both.

Draws may be correlated in time. Noise whose power falls with frequency as `1 / f^colour` (Pinneri et al. 2020, arXiv
2008.06389) keeps to a direction for a while, where white noise trembles on the spot; at `colour=0` it is white. The
odds of any one step are the same at every colour.

Letters: K planned actions, B states, N candidates a state, A action features, V values of a discrete action.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from ...world.schema import Feature, Schema


@dataclass(frozen=True)
class BeliefConfig:
    """How wide a belief begins, how narrow it may become, and how its draws hang together."""

    spread: float = 0.5  # first standard deviation, as a share of the action's range
    least_spread: float = 0.02  # the smallest one
    warmth: float = 0.5  # share of the last plan in the first belief of the next, of discrete actions
    smoothing: float = 0.2  # share of the old belief in a refit
    colour: float = 0.0  # 0: every planned action on its own; 2: a random walk's noise


class Belief(Protocol):
    """A belief over sequences of K actions, for each of B states."""

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` sequences for each state, `[K, B, N, A]`."""

    def likeliest(self) -> Tensor:
        """The most likely sequence, `[K, B, A]`."""

    def refit(self, elites: Tensor, weight: Tensor) -> Belief:
        """Towards `elites [K, B, E, A]` with `weight [B, E]`, which sums to one."""

    def shifted(self) -> Belief:
        """The belief one planned action later."""


def widest(schema: Schema, config: BeliefConfig, length: int, n: int, device: torch.device) -> Belief:
    """The belief before anything is known: sequences of `length` actions for each of `n` states."""
    is_discrete = torch.tensor([a.is_discrete for a in schema.actions], device=device)
    codes = [a for a in schema.actions if a.is_discrete]
    amounts = [a for a in schema.actions if not a.is_discrete]
    if not codes:
        return Gaussian.widest(amounts, config, length, n, device)
    if not amounts:
        return Discrete.widest(codes, config, length, n, device)
    return Mixed(Gaussian.widest(amounts, config, length, n, device),
                 Discrete.widest(codes, config, length, n, device), is_discrete)


@dataclass(frozen=True)
class Gaussian:
    """Continuous actions: `mean` and `std [K, B, A]`, draws clamped to `low` and `high [A]`. An action without bounds
    is first looked for around 0, in a range of 2: its `middle` and `width [A]`."""

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor
    middle: Tensor
    width: Tensor
    config: BeliefConfig

    @staticmethod
    def widest(actions: list[Feature], config: BeliefConfig, length: int, n: int, device: torch.device) -> Gaussian:
        low, high = (torch.tensor([getattr(a, side) for a in actions], dtype=torch.float32, device=device)
                     for side in ("low", "high"))
        middle, width = (low + high) / 2, high - low
        middle = torch.where(middle.isfinite(), middle, torch.zeros_like(middle).clamp(low, high))
        width = torch.where(width.isfinite(), width, 2.0)
        blank = torch.zeros(length, n, len(actions), device=device)
        return Gaussian(blank + middle, blank + config.spread * width, low, high, middle, width, config)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        k, b, a = self.mean.shape
        drawn = noise((k, b, n, a), self.config.colour, rng, self.mean.device)
        drawn.mul_(self.std[:, :, None]).add_(self.mean[:, :, None])
        return drawn.clamp_(self.low, self.high)

    def likeliest(self) -> Tensor:
        return self.mean

    def refit(self, elites: Tensor, weight: Tensor) -> Gaussian:
        c, share = self.config, weight[..., None]
        mean = (elites * share).sum(2)
        std = (elites - mean[:, :, None]).square_().mul_(share).sum(2).sqrt_()
        return replace(self, mean=mean.lerp_(self.mean, c.smoothing),
                       std=std.lerp_(self.std, c.smoothing).clamp_min_(c.least_spread * self.width))

    def shifted(self) -> Gaussian:
        mean = torch.cat([self.mean[1:], self.middle.expand_as(self.mean[:1])])
        return replace(self, mean=mean, std=(self.config.spread * self.width).expand_as(self.std))


@dataclass(frozen=True)
class Discrete:
    """Codes: `probs [K, B, A, V]`, and `even [A, V]`, the odds at first (zero at codes an action does not have)."""

    probs: Tensor
    even: Tensor
    config: BeliefConfig

    @staticmethod
    def widest(actions: list[Feature], config: BeliefConfig, length: int, n: int, device: torch.device) -> Discrete:
        counts = torch.tensor([a.cardinality or 1 for a in actions], device=device)
        even = (torch.arange(int(counts.max()), device=device) < counts[:, None]) / counts[:, None]
        return Discrete(even.repeat(length, n, 1, 1), even, config)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        # A race of exponential clocks, one a value at the rate of its probability: the first to ring is the draw.
        # Clocks made from coloured noise ring alike at neighbouring steps, and each by itself is as it should be.
        k, b, a, v = self.probs.shape
        if self.config.colour:
            waits = -torch.special.log_ndtr(noise((k, b, n, a, v), self.config.colour, rng, self.probs.device))
        else:
            waits = torch.empty(k, b, n, a, v, device=self.probs.device).exponential_(generator=rng)
        return (self.probs[:, :, None] / waits.clamp_min_(1e-30)).argmax(-1)

    def likeliest(self) -> Tensor:
        return self.probs.argmax(-1)

    def refit(self, elites: Tensor, weight: Tensor) -> Discrete:
        codes = elites.transpose(2, 3)
        often = torch.zeros_like(self.probs).scatter_add(3, codes, weight[None, :, None].expand(codes.shape))
        return replace(self, probs=often.lerp(self.probs, self.config.smoothing))

    def shifted(self) -> Discrete:
        even = self.even.expand_as(self.probs)
        return replace(self, probs=torch.cat([even[1:].lerp(self.probs[1:], self.config.warmth), even[:1]]))


@dataclass(frozen=True)
class Mixed:
    """Continuous and discrete actions side by side, as floats: `is_discrete [A]` says which column is which."""

    continuous: Gaussian
    discrete: Discrete
    is_discrete: Tensor

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self._joined(self.continuous.sample(n, rng), self.discrete.sample(n, rng))

    def likeliest(self) -> Tensor:
        return self._joined(self.continuous.likeliest(), self.discrete.likeliest())

    def refit(self, elites: Tensor, weight: Tensor) -> Mixed:
        return replace(self, continuous=self.continuous.refit(elites[..., ~self.is_discrete], weight),
                       discrete=self.discrete.refit(elites[..., self.is_discrete].long(), weight))

    def shifted(self) -> Mixed:
        return replace(self, continuous=self.continuous.shifted(), discrete=self.discrete.shifted())

    def _joined(self, amounts: Tensor, codes: Tensor) -> Tensor:
        out = amounts.new_empty(*amounts.shape[:-1], len(self.is_discrete))
        out[..., ~self.is_discrete] = amounts
        out[..., self.is_discrete] = codes.to(amounts)
        return out


def noise(shape: tuple[int, ...], colour: float, rng: torch.Generator, device: torch.device) -> Tensor:
    """Standard normal noise whose first axis is time, with power `1 / f^colour`."""
    white = torch.empty(shape, device=device).normal_(generator=rng)
    if not colour:
        return white
    return (colouring(shape[0], colour).to(device) @ white.view(shape[0], -1)).view(shape)


@lru_cache(maxsize=64)
def colouring(length: int, colour: float) -> Tensor:
    """The matrix `[K, K]` that makes white noise coloured, of unit variance at every step: the Cholesky factor of the
    autocovariance that belongs to the power spectrum.

    The spectrum is that of a period twice as long, so that the end of a sequence does not know of its beginning, as
    it does where a sequence is one period (Timmer & Koenig 1995)."""
    power = torch.arange(length + 1, dtype=torch.float64).clamp_min(1.0) ** -colour
    covariance = torch.fft.irfft(power, n=2 * length)[:length]
    covariance = covariance / covariance[0]
    at = torch.arange(length)
    matrix = covariance[(at[:, None] - at).abs()] + 1e-9 * torch.eye(length, dtype=torch.float64)
    return torch.linalg.cholesky(matrix).float()
