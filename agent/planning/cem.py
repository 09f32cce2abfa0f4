"""The cross-entropy method: draw action sequences, imagine them, refit to the best, draw again (Rubinstein 1999).

With what iCEM adds (Pinneri et al. 2020, arXiv 2008.06389): the best sequences are kept from one iteration to the
next and from one plan to the next, and a plan begins where the one before it ended, moved up by a step. Continuous
actions come from normals truncated to their bounds, discrete ones from a categorical a step. `iterations=1` and no
carry is random shooting.

Letters: B states, N candidates a state, K elites, H horizon, A action features, V values of a discrete action.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from ...errors import UserError
from ...world import tree
from ...world.model import State, Trajectory, WorldModel, rollout
from ...world.schema import Schema
from .objective import Objective, Transition
from .plan import Budget, Plan, rank_nan_last


@dataclass(frozen=True)
class CEMConfig:
    """Sizes of the search; a plan imagines `horizon * samples * iterations` transitions a state."""

    horizon: int = 20
    samples: int = 128
    iterations: int = 3
    elites: int = 16
    kept: int = 4  # elites that compete again, in the next iteration and, moved up, in the next plan
    smoothing: float = 0.2  # share of the old belief in a refit
    spread: float = 0.5  # first standard deviation, as a share of the action's range
    least_spread: float = 0.02  # the smallest one
    warmth: float = 0.5  # share of the last plan in the first belief of the next, of discrete actions
    particles: int = 0  # sampled futures a candidate, averaged (for chancy worlds); 0: the most likely future only


class Sequences(Protocol):
    """A belief over action sequences."""

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` sequences for each state, `[H, B, N, A]`."""

    def refit(self, elites: Tensor, weight: Tensor, config: CEMConfig) -> Sequences:
        """Towards `elites [H, B, K, A]` with `weight [B, K]`, which sums to one."""

    def shifted(self, config: CEMConfig) -> Sequences:
        """The belief one step later."""


@dataclass(frozen=True)
class Gaussian:
    """Continuous actions: `mean` and `std [H, B, A]`, truncated to `low` and `high [A]`. An action without bounds is
    first looked for around 0, in a range of 2."""

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor

    @staticmethod
    def widest(schema: Schema, config: CEMConfig, n: int, device: torch.device) -> Gaussian:
        low, high = (torch.tensor([getattr(a, side) for a in schema.actions], dtype=torch.float32, device=device)
                     for side in ("low", "high"))
        blank = torch.zeros(config.horizon, n, len(schema.actions), device=device)
        empty = Gaussian(blank, blank, low, high)
        return replace(empty, mean=blank + empty.middle, std=blank + config.spread * empty.width)

    @property
    def middle(self) -> Tensor:
        centre = (self.low + self.high) / 2
        return torch.where(centre.isfinite(), centre, torch.zeros_like(centre).clamp(self.low, self.high))

    @property
    def width(self) -> Tensor:
        width = self.high - self.low
        return torch.where(width.isfinite(), width, torch.full_like(width, 2.0))

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        # By the inverse of the cumulative distribution between the bounds: no draw is thrown away.
        mean, std = self.mean[:, :, None], self.std[:, :, None]
        bottom, top = (torch.special.ndtr((edge - mean) / std) for edge in (self.low, self.high))
        u = torch.rand(*mean.shape[:2], n, mean.shape[3], generator=rng, device=mean.device)
        drawn = mean + std * torch.special.ndtri((bottom + u * (top - bottom)).clamp(1e-6, 1 - 1e-6))
        return drawn.clamp(self.low, self.high)

    def refit(self, elites: Tensor, weight: Tensor, config: CEMConfig) -> Gaussian:
        share = weight[..., None]
        mean = (elites * share).sum(2)
        std = ((elites - mean[:, :, None]).square() * share).sum(2).sqrt()
        return replace(self, mean=mean.lerp(self.mean, config.smoothing),
                       std=std.lerp(self.std, config.smoothing).maximum(config.least_spread * self.width))

    def shifted(self, config: CEMConfig) -> Gaussian:
        mean = torch.cat([self.mean[1:], self.middle.expand_as(self.mean[:1])])
        return replace(self, mean=mean, std=(config.spread * self.width).expand_as(self.std))


@dataclass(frozen=True)
class Discrete:
    """Codes: `probs [H, B, A, V]`, and `even [A, V]`, the odds at first (zero at codes an action does not have)."""

    probs: Tensor
    even: Tensor

    @staticmethod
    def widest(schema: Schema, config: CEMConfig, n: int, device: torch.device) -> Discrete:
        counts = torch.tensor([a.cardinality or 1 for a in schema.actions], device=device)
        even = (torch.arange(int(counts.max()), device=device) < counts[:, None]) / counts[:, None]
        return Discrete(even.repeat(config.horizon, n, 1, 1), even)

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        codes = torch.multinomial(self.probs.flatten(0, 2), n, replacement=True, generator=rng)
        return codes.view(*self.probs.shape[:3], n).transpose(2, 3)

    def refit(self, elites: Tensor, weight: Tensor, config: CEMConfig) -> Discrete:
        codes = elites.transpose(2, 3)
        often = torch.zeros_like(self.probs).scatter_add(3, codes, weight[None, :, None].expand(codes.shape))
        return replace(self, probs=often.lerp(self.probs, config.smoothing))

    def shifted(self, config: CEMConfig) -> Discrete:
        even = self.even.expand_as(self.probs)
        return replace(self, probs=torch.cat([even[1:].lerp(self.probs[1:], config.warmth), even[:1]]))


@dataclass(frozen=True)
class Carry:
    """What a plan leaves for the next one: its belief, and its best sequences `[H, B, K, A]`."""

    belief: Sequences
    elites: Tensor


class CEM:
    """Plans by the cross-entropy method (`Planner`), for all B states at once."""

    commits = False

    def __init__(self, config: CEMConfig | None = None) -> None:
        self.config = config or CEMConfig()

    def unfit(self, schema: Schema) -> str | None:
        if schema.discrete_actions or not any(a.is_discrete for a in schema.actions):
            return None
        return f"'{schema.name}' mixes discrete and continuous actions, which CEM cannot plan; use one kind"

    def initial(self, n: int) -> Carry | None:
        """None: the first plan begins with the widest belief, whatever the actions are."""
        return None

    @torch.no_grad()
    def plan(self, model: WorldModel, state: State, objective: Objective, carry: Carry | None,
             rng: torch.Generator, budget: Budget | None = None) -> Plan:
        """Plan for each of the B states. Within `budget.transitions` there are fewer iterations, then fewer candidates
        (at least one); another iteration begins only if one like the last fits into `budget.seconds`."""
        c, schema, budget, began = self.config, model.schema, budget or Budget(), time.perf_counter()
        if reason := self.unfit(schema):
            raise UserError(reason)
        rows, device, futures_each = tree.size(state), tree.leaves(state)[0].device, max(c.particles, 1)
        n, iterations = c.samples, c.iterations
        if budget.transitions is not None:
            n = max(1, min(n, budget.transitions // (c.horizon * futures_each)))
            iterations = min(iterations, max(1, budget.transitions // (c.horizon * futures_each * n)))
        belief: Sequences = _widest(schema, c, rows, device) if carry is None else carry.belief.shifted(c)
        kept = None if carry is None else torch.cat([carry.elites[1:], carry.elites[-1:]])
        starts, each = tree.repeat(state, n * futures_each), torch.arange(rows, device=device)
        best, best_value, first_value, done = None, torch.full((rows,), -torch.inf, device=device), 0.0, 0
        while True:
            lap = time.perf_counter()
            actions = schema.clamp(belief.sample(n, rng))  # [H, B, N, A]
            if kept is not None:
                actions[:, :, : kept.shape[2]] = kept[:, :, :n]
            futures = rollout(model, starts, actions.repeat_interleave(futures_each, 2).flatten(1, 2),
                              rng=rng if c.particles else None)
            value = rank_nan_last(objective(futures).view(rows, n, futures_each).mean(-1))  # [B, N]
            top, index = value.topk(min(c.elites, n), 1)
            elites = actions.gather(2, index[None, :, :, None].expand(c.horizon, -1, -1, actions.shape[3]))
            honest = top.isfinite() | ~top.isfinite().any(1, keepdim=True)  # a broken rollout is no elite
            belief = belief.refit(elites, honest / honest.sum(1, keepdim=True), c)
            kept, winner = elites[:, :, : c.kept], (each * n + index[:, 0]) * futures_each
            found = tree.tree_map(lambda leaf, w=winner: leaf[:, w], futures)
            best = found if best is None else _better(top[:, 0] > best_value, found, best)
            best_value, done = best_value.maximum(top[:, 0]), done + 1
            first_value = first_value if done > 1 else best_value.mean().item()
            now = time.perf_counter()
            if done == iterations or (budget.seconds is not None and 2 * now - lap - began > budget.seconds):
                break
        statistics = {"iterations": float(done), "candidates": float(n), "first_value": first_value,
                      "elite_value": top.mean().item(), "broken": float(value.isneginf().float().mean())}
        return Plan(best.action[0], best.action, best_value, _reached(objective, best), best.features,
                    done * n * futures_each * c.horizon, now - began, Carry(belief, kept), statistics)


def _widest(schema: Schema, config: CEMConfig, n: int, device: torch.device) -> Sequences:
    if schema.discrete_actions:
        return Discrete.widest(schema, config, n, device)
    return Gaussian.widest(schema, config, n, device)


def _better(rows: Tensor, new: Trajectory, old: Trajectory) -> Trajectory:
    """`new` on the rows `[B]` that are true; trajectories are time-major."""
    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(rows.view(1, -1, *[1] * (a.dim() - 2)), a, b)

    return tree.tree_map(pick, new, old)


def _reached(objective: Objective, best: Trajectory) -> Tensor:
    """Whether the best future attains the objective at some step, `[B]`."""
    steps: list[dict[str, Any]] = [{k: v[t] for k, v in best.features.items()} for t in range(len(best.action) + 1)]
    carry = objective.start(steps[0])
    reached = torch.zeros_like(best.feasible[0])
    for t in range(len(best.action)):
        carry, _, here = objective.advance(carry, Transition(
            steps[t], best.action[t], steps[t + 1], best.reward[t], best.cont[t], best.feasible[t], best.uncertainty[t],
            best.alive[t], t))
        reached = reached | here
    return reached
