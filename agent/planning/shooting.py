"""What the shooting planners share: sequences are drawn, imagined from where the agent stands, scored, and the best is
followed for one step.

A planner is its `search`: it draws candidates and hands them to an `Imagination`, which says what they are worth and
keeps account of what that costs. Actions may be held for `repeat` steps, which makes a plan reach further for the same
number of choices. States are planned for together, in chunks of at most `max_rows` imagined rows, so that memory is
bounded whatever the batch.

Letters: B states, N candidates a state, P sampled futures a candidate, H steps, K planned actions, A action features.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from ...world import tree
from ...world.model import State, Trajectory, WorldModel, rollout
from ...world.schema import Schema
from .objective import Objective
from .plan import Budget, Plan, joined, rank_nan_last
from .sequences import Belief, BeliefConfig, widest

MOST_ACTIONS = 64
"""Discrete worlds with more joint actions than this are not asked which of them are feasible before they are drawn."""


@dataclass(frozen=True)
class ShootingConfig(BeliefConfig):
    """Sizes of the search; a round of candidates imagines `horizon * samples * max(particles, 1)` steps a state."""

    horizon: int = 20
    samples: int = 128
    repeat: int = 1  # steps that each planned action is held
    particles: int = 0  # sampled futures a candidate (for chancy worlds); 0: the most likely future only
    tail: float = 1.0  # share of the worst of them that risk is averaged over (CVaR); 1: over all
    max_rows: int = 65_536

    @property
    def length(self) -> int:
        """Planned actions K: enough to cover the horizon wherever in the first one the plan begins."""
        return -(-(self.horizon + self.repeat - 1) // self.repeat)


@dataclass(frozen=True)
class Carry:
    """What a plan leaves for the next one: its belief, its best sequences `[K, B, E, A]`, and how many steps of the
    first planned action are already behind."""

    belief: Belief
    kept: Tensor
    phase: int = 0

    def advanced(self, repeat: int) -> Carry:
        """The carry one step later."""
        if self.phase + 1 < repeat:
            return replace(self, phase=self.phase + 1)
        return Carry(self.belief.shifted(), torch.cat([self.kept[1:], self.kept[-1:]]))


@dataclass
class Imagination:
    """Scores candidates from B states for one plan, within a budget, and remembers the last round."""

    model: WorldModel
    state: State
    objective: Objective
    rng: torch.Generator
    config: ShootingConfig
    budget: Budget
    carry: Carry | None  # as it stands now
    spent: int = 0  # imagined transitions a state
    statistics: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        c = self.config
        self.began, self.phase = time.perf_counter(), 0 if self.carry is None else self.carry.phase
        self.rows, self.device = tree.size(self.state), tree.leaves(self.state)[0].device
        self.particles, limit = max(c.particles, 1), self.budget.transitions
        self.allowed = self._allowed()
        # Two candidates at least: a single one is no choice.
        most = c.horizon if limit is None else (limit - self.spent) // (2 * self.particles)
        self.horizon = max(1, min(c.horizon, most))
        self.actions: Tensor
        self.value: Tensor
        self.futures: Trajectory

    def belief(self) -> Belief:
        """Where the search begins: the last plan one step later, else all that is possible."""
        if self.carry is not None:
            return self.carry.belief
        return widest(self.model.schema, self.config, self.config.length, self.rows, self.device)

    def affords(self, transitions: int) -> bool:
        """Whether the budget allows so many more transitions a state."""
        return self.budget.transitions is None or self.spent + transitions <= self.budget.transitions

    def rounds(self, samples: int, iterations: int, decay: float = 1.0, least: int = 1,
               reserve: int = 0) -> Iterator[int]:
        """How many candidates to draw, a round after the other, while the budget lasts (one round at least): divided
        by `decay` each round, down to `least`; `reserve` more can be imagined after the last round. A round begins
        only if one as long as the last fits into the seconds."""
        each, limit, seconds = self.horizon * self.particles, self.budget.transitions, self.budget.seconds
        for i in range(iterations):
            lap, n = time.perf_counter(), min(samples, max(least, int(samples / decay**i)))
            if limit is not None and not i:
                n = max(1, min(n, (limit - self.spent) // each - reserve))
            if i and not self.affords((n + reserve) * each):
                return
            yield n
            now = time.perf_counter()
            if seconds is not None and 2 * now - lap - self.began > seconds:
                return

    def __call__(self, actions: Tensor) -> Tensor:
        """What the candidates `[K, B, N, A]` are worth, NaN below everything: `[B, N]`. First actions that the model
        says cannot be taken are changed in place for one that can."""
        n, many = actions.shape[2], self.particles
        if self.allowed is not None:
            self._permit(actions[0], self.allowed)
        held = self._held(actions).flatten(1, 2)
        starts = self.state if n * many == 1 else tree.repeat(self.state, n * many)
        chance = self.rng if self.config.particles else None
        self.futures = rollout(self.model, starts, held if many == 1 else held.repeat_interleave(many, 1),
                               rng=chance, max_rows=self.config.max_rows)
        worth = self.objective.worth(self.futures, many, self.config.tail).view(self.rows, n)
        self.actions, self.value = actions, rank_nan_last(worth)
        self.spent += n * many * self.horizon
        if not self.statistics:
            self.statistics = {"rounds": 0.0, "candidates": float(n), "first_value": self.value.amax(1).mean().item()}
        self.statistics["rounds"] += 1
        return self.value

    def best(self, count: int) -> tuple[Tensor, Tensor]:
        """The best `count` candidates of the last round, best first, `[K, B, E, A]`, and their values `[B, E]`."""
        top, index = self.value.topk(min(count, self.value.shape[1]), 1)
        return self.actions.gather(2, index[None, :, :, None].expand(len(self.actions), -1, -1,
                                                                     self.actions.shape[3])), top

    def plan(self, carry: Carry) -> Plan:
        """The best candidate of the last round as a plan."""
        value, index = self.value.max(1)
        row = (torch.arange(self.rows, device=self.device) * self.value.shape[1] + index) * self.particles
        best = self.futures.rows(row)
        broken = float(self.value.isneginf().float().mean())
        return Plan(best.action[0], best.action, value, self.objective.reached(best), dict(best.features),
                    self.spent * self.rows, time.perf_counter() - self.began, carry,
                    self.statistics | {"broken": broken})

    def _held(self, actions: Tensor) -> Tensor:
        """Planned actions `[K, ...]` as they are taken step by step, `[H, ...]`."""
        k = self.config.repeat
        steps = actions if k == 1 else actions.repeat_interleave(k, 0)
        return steps[self.phase : self.phase + self.horizon]

    def _allowed(self) -> Tensor | None:
        """Which joint actions can be taken now, `[B, M]`; None where all can, or where asking costs too much."""
        schema = self.model.schema
        if not schema.discrete_actions:
            return None
        every = schema.all_actions(self.device)
        m = len(every)
        if m > MOST_ACTIONS or not self.affords(10 * m):
            return None
        _, out = self.model.step(tree.repeat(self.state, m), every.repeat(self.rows, 1))
        self.spent += m
        feasible = out.feasible.view(self.rows, m)
        return None if bool(feasible.all()) else feasible | ~feasible.any(1, keepdim=True)

    def _permit(self, first: Tensor, allowed: Tensor) -> None:
        """Replace first actions `[B, N, A]` that cannot be taken by ones that can, drawn evenly."""
        schema = self.model.schema
        sizes = torch.tensor([a.cardinality or 1 for a in schema.actions], device=self.device)
        strides = sizes.flip(0).cumprod(0).roll(1).index_fill(0, torch.tensor([0], device=self.device), 1).flip(0)
        joint = (first * strides).sum(-1)
        other = torch.multinomial(allowed.float(), joint.shape[1], replacement=True, generator=self.rng)
        first.copy_(schema.all_actions(self.device)[torch.where(allowed.gather(1, joint), joint, other)])


C = TypeVar("C", bound=ShootingConfig)


class Shooting(Generic[C]):
    """A `Planner` by its `search`. The carry holds one `Carry` for each chunk of states."""

    commits = False
    config: C

    def unfit(self, schema: Schema) -> str | None:
        """Any action that is a number or one of countably many values will do."""
        endless = [a.name for a in schema.actions if a.is_discrete and a.cardinality is None]
        return f"the action '{endless[0]}' of '{schema.name}' has no bounds; give it low and high" if endless else None

    def initial(self, n: int) -> tuple[Carry, ...] | None:
        """None: the first plan begins with the widest belief, whatever the actions are."""
        return None

    @torch.no_grad()
    def plan(self, model: WorldModel, state: State, objective: Objective, carry: Any,
             rng: torch.Generator, budget: Budget | None = None) -> Plan:
        """Plan for each of the B states, within `budget.transitions` a state and `budget.seconds` in all."""
        c, rows, began, budget = self.config, tree.size(state), time.perf_counter(), budget or Budget()
        size = max(1, c.max_rows // (c.samples * max(c.particles, 1)))
        plans: list[Plan] = []
        for i, first in enumerate(range(0, rows, size)):
            part = slice(first, first + size)
            before = None if carry is None else carry[i].advanced(c.repeat)
            seconds = None
            if budget.seconds is not None:  # what is left, shared among the states that are left
                seconds = (budget.seconds - time.perf_counter() + began) * min(1.0, size / (rows - first))
            imagine = Imagination(model, state if rows <= size else tree.tree_map(lambda x, p=part: x[p], state),
                                  objective if rows <= size else objective.rows(part), rng, c,
                                  replace(budget, seconds=seconds), before)
            plans.append(imagine.plan(self.search(imagine, rng)))
        return replace(joined(plans), carry=tuple(p.carry for p in plans), seconds=time.perf_counter() - began)

    def search(self, imagine: Imagination, rng: torch.Generator) -> Carry:
        """Imagine candidates, round after round; the best of the last round is the plan. Returns what to carry on."""
        raise NotImplementedError
