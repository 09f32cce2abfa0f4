"""The cross-entropy method: sample action sequences, imagine them, refit to the best, again (Rubinstein 1999).

With iCEM's additions (Pinneri et al. 2020, arXiv 2008.06389): elites are kept between iterations and between plans,
and the plan of the step before, shifted by one, is where the next begins. Continuous actions are drawn from normals
truncated to their bounds, discrete ones from a categorical a step. With `iterations=1` and no carry this is random
shooting.

Letters: B states, N candidates a state, K elites, H horizon, A action features, V values of an action.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...world import tree
from ...world.model import State, WorldModel, rollout
from ...world.schema import Schema
from .objective import Objective
from .plan import Budget, Plan, rank_nan_last


@dataclass(frozen=True)
class CEMConfig:
    """`smoothing` is the share of the old belief kept at a refit, `spread` the first standard deviation and
    `least_spread` the smallest, both as a share of the action's range."""

    horizon: int = 16
    samples: int = 256
    elites: int = 24
    iterations: int = 4
    kept: int = 6  # elites carried to the next iteration and, shifted, to the next plan
    smoothing: float = 0.2
    spread: float = 0.5
    least_spread: float = 0.02
    warmth: float = 0.5  # how much of the last plan's discrete probabilities the next one starts with
    particles: int = 0  # sampled futures a candidate, averaged; 0: the one most likely future


@dataclass(frozen=True)
class Gaussian:
    """Continuous sequences: `mean` and `std [H, B, A]`, truncated to `low` and `high [A]`."""

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor

    @staticmethod
    def widest(schema: Schema, horizon: int, n: int, like: Tensor, spread: float) -> Gaussian:
        """Centred on the bounds; an action without bounds is centred on 0 and has a range of 2."""
        low, high = (like.new_tensor([getattr(a, side) for a in schema.actions]) for side in ("low", "high"))
        bounded = (low + high).isfinite()
        mean = torch.where(bounded, (low + high) / 2, torch.zeros_like(low).clamp(low, high))
        std = spread * torch.where(bounded, high - low, torch.full_like(low, 2.0))
        return Gaussian(mean.repeat(horizon, n, 1), std.repeat(horizon, n, 1), low, high)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` sequences a state, `[H, B, N, A]`, by the inverse of the cumulative distribution."""
        mean, std = self.mean[:, :, None], self.std[:, :, None]
        bottom, top = (torch.special.ndtr((edge - mean) / std) for edge in (self.low, self.high))
        u = torch.empty(*mean.shape[:2], n, mean.shape[3], device=mean.device).uniform_(1e-6, 1 - 1e-6, generator=rng)
        drawn = mean + std * torch.special.ndtri(bottom + u * (top - bottom))
        return torch.maximum(torch.minimum(drawn, self.high), self.low)

    def refit(self, elites: Tensor, weight: Tensor, first: Gaussian, config: CEMConfig) -> Gaussian:
        """Towards the mean and spread of `elites [H, B, K, A]` with `weight [B, K]` (which sums to one)."""
        share = weight[..., None]
        mean = (elites * share).sum(2)
        std = ((elites - mean[:, :, None]).square() * share).sum(2).sqrt()
        least = first.std * (config.least_spread / config.spread)
        return replace(self, mean=mean.lerp(self.mean, config.smoothing),
                       std=torch.maximum(std.lerp(self.std, config.smoothing), least))

    def shifted(self, first: Gaussian, config: CEMConfig) -> Gaussian:
        """The belief one step later: the mean moved up, the spread as at first."""
        return replace(first, mean=torch.cat([self.mean[1:], first.mean[-1:]]))


@dataclass(frozen=True)
class Discrete:
    """Sequences of codes: `probs [H, B, A, V]`, zero at codes an action does not have."""

    probs: Tensor

    @staticmethod
    def widest(schema: Schema, horizon: int, n: int, like: Tensor, spread: float) -> Discrete:
        """Every code of every action equally likely."""
        counts = torch.tensor([a.cardinality or 1 for a in schema.actions], device=like.device)
        valid = torch.arange(int(counts.max()), device=like.device) < counts[:, None]
        return Discrete((valid / counts[:, None]).repeat(horizon, n, 1, 1))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` sequences a state, `[H, B, N, A]` int64."""
        h, b, a, v = self.probs.shape
        codes = torch.multinomial(self.probs.view(-1, v), n, replacement=True, generator=rng)
        return codes.view(h, b, a, n).transpose(2, 3)

    def refit(self, elites: Tensor, weight: Tensor, first: Discrete, config: CEMConfig) -> Discrete:
        """Towards how often each code occurs among `elites [H, B, K, A]` with `weight [B, K]` (which sums to one)."""
        each = weight[None, :, None].expand(*elites.shape[:2], elites.shape[3], -1)
        often = torch.zeros_like(self.probs).scatter_add_(3, elites.transpose(2, 3), each)
        return Discrete(often.lerp(self.probs, config.smoothing))

    def shifted(self, first: Discrete, config: CEMConfig) -> Discrete:
        """The belief one step later, part of the way back to even odds."""
        return Discrete(torch.cat([first.probs[-1:].lerp(p, config.warmth) for p in (self.probs[1:],)] + [first.probs[-1:]]))


@dataclass(frozen=True)
class Carry:
    """What one plan leaves for the next: its belief, and its best sequences `[H, B, K, A]`."""

    belief: Gaussian | Discrete
    elites: Tensor


class CEM:
    """Shooting with a belief over action sequences that narrows on the best (`Planner`)."""

    def __init__(self, config: CEMConfig | None = None) -> None:
        self.config = config or CEMConfig()

    def initial(self, n: int) -> Carry | None:
        """None: the first plan starts from the widest belief."""
        return None

    @torch.no_grad()
    def plan(self, model: WorldModel, state: State, objective: Objective, carry: Carry | None,
             rng: torch.Generator, budget: Budget | None = None) -> Plan:
        c, schema, began = self.config, model.schema, time.perf_counter()
        budget = budget or Budget()
        n, iterations, horizon, particles = c.samples, c.iterations, c.horizon, max(c.particles, 1)
        if budget.transitions is not None:
            n = max(1, min(n, budget.transitions // (horizon * particles)))
            iterations = max(1, min(iterations, budget.transitions // (horizon * particles * n)))
        rows = tree.size(state)
        like = next(x for x in tree.leaves(state) if True)
        like = torch.empty(0, device=like.device)
        kind = Discrete if schema.discrete_actions else Gaussian
        first = kind.widest(schema, horizon, rows, like, c.spread)
        belief = first if carry is None else carry.belief.shifted(first, c)
        kept = None if carry is None else torch.cat([carry.elites[1:], carry.elites[-1:]])
        repeated = tree.repeat(state, n * particles)
        best = None
        used = 0
        for i in range(iterations):
            t0 = time.perf_counter()
            cand = belief.sample(n, rng)
            if kept is not None:
                k = min(kept.shape[2], n)
                cand = torch.cat([kept[:, :, :k], cand[:, :, k:]], 2)
            cand = schema.clamp(cand)
            acts = cand.repeat_interleave(particles, 2).flatten(1, 2)
            fut = rollout(model, repeated, acts, rng=rng if c.particles else None)
            value = rank_nan_last(objective(fut)).view(rows, n, particles).mean(-1)
            used += n * particles * horizon
            top, index = value.topk(min(c.elites, n), 1)
            gi = index[None, :, :, None].expand(horizon, -1, -1, cand.shape[-1])
            elites = cand.gather(2, gi)
            w = (top > -torch.inf).float(); w = w / w.sum(1, keepdim=True).clamp_min(1)
            w = torch.where(w.sum(1, keepdim=True) > 0, w, torch.full_like(w, 1 / w.shape[1]))
            belief = belief.refit(elites, w, first, c)
            kept = elites[:, :, :c.kept]
            one = (torch.arange(rows) * n + index[:, 0]) * particles
            futb = tree.tree_map(lambda leaf: leaf[:, one], fut)
            v = top[:, 0]
            if best is None: best, bv = futb, v
            else:
                better = v > bv
                best = tree.tree_map(lambda a, b: torch.where(better.view(1, -1, *[1] * (a.dim() - 2)), a, b), futb, best)
                bv = torch.maximum(v, bv)
            now = time.perf_counter()
            if budget.seconds is not None and now - began + (now - t0) > budget.seconds: break
        return Plan(best.action[0], best.action, bv, torch.zeros(rows, dtype=torch.bool), best.features, used, time.perf_counter() - began, Carry(belief, kept), {"iterations": i + 1.0, "elite_value": top.mean().item()})
