"""What a planner maximises: return, progress of goals, preferences; less the risk of what shall not happen.

An objective scores imagined transitions and knows nothing of how they were made. It works step by step (`advance`,
for search) and over whole trajectories (`__call__`, for shooting), from one carry. Terms compose by addition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from ...world.model import Trajectory
from ...world.schema import Features
from .subgoals import Subgoals

Carry = tuple[Tensor, ...]


@dataclass(frozen=True)
class Transition:
    """One imagined transition of N rows, `t` steps ahead (0 is the first)."""

    now: Features
    action: Tensor  # [N, A]
    next: Features
    reward: Tensor  # [N]
    cont: Tensor  # [N]
    feasible: Tensor  # [N] bool
    uncertainty: Tensor  # [N]
    alive: Tensor  # [N]
    t: int


class Term(Protocol):
    """One part of an objective. `advance` returns the new carry, the gain `[N]`, and whether the row has reached
    what this term is after `[N]`."""

    def start(self, features: Features) -> Tensor:
        """The carry `[N, ...]` at the first state."""

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]: ...

    def progress(self, carry: Tensor) -> Tensor:
        """How many milestones are behind the rows, `[N]`."""


class Memoryless:
    """A term that looks at one transition at a time: its carry is empty, it has no milestones."""

    def start(self, features: Features) -> Tensor:
        return torch.zeros(next(iter(features.values())).shape[0], 0)

    def progress(self, carry: Tensor) -> Tensor:
        return torch.zeros(len(carry))


@dataclass(frozen=True)
class Objective:
    """The sum of its terms. An infeasible step costs `infeasible`, more than anything can be worth; a step that costs
    more than `unacceptable` (one that breaks a limit) reaches nothing. `subgoals` are hints for a search, and worth
    nothing in themselves."""

    terms: Sequence[Term]
    discount: float = 0.99
    infeasible: float = 1e3
    unacceptable: float = 50.0
    carried: Carry | None = None
    subgoals: Subgoals | None = None

    def start(self, features: Features) -> Carry:
        """The carry at the first of N states: where the terms begin, or where they already are (`resumed`)."""
        if self.carried is None:
            return tuple(term.start(features) for term in self.terms)
        n = len(next(iter(features.values())))
        return tuple(c.repeat_interleave(n // len(c), 0) for c in self.carried)

    def resumed(self, carry: Carry) -> Objective:
        """The same objective from `carry` (of B states) on; candidates of one state stand next to each other."""
        return replace(self, carried=carry)

    def advance(self, carry: Carry, step: Transition) -> tuple[Carry, Tensor, Tensor]:
        """Score one transition: the new carry, the gain `[N]` (discounted), and what was reached `[N]` bool."""
        gain = torch.where(step.feasible, 0.0, -self.infeasible)
        reached = torch.zeros_like(step.feasible)
        carries = []
        for term, own in zip(self.terms, carry, strict=True):
            new, value, done = term.advance(own, step)
            carries.append(new)
            gain = gain + value
            reached = reached | done
        return tuple(carries), gain * self.discount**step.t, reached & (gain > -self.unacceptable)

    def key(self, carry: Carry) -> tuple[Tensor, ...]:
        """What of the carry tells two otherwise equal states apart: goals that are further or less far."""
        return tuple(term.progress(own) for term, own in zip(self.terms, carry, strict=True) if own.numel())

    def progress(self, carry: Carry) -> Tensor:
        """How much of the goals is reached, summed over the terms: `[N]`."""
        parts = [term.progress(own) for term, own in zip(self.terms, carry, strict=True)]
        return torch.stack(parts).sum(0) if parts else torch.zeros(())

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """The value of each imagined future, `[N]`."""
        features = {k: v[0] for k, v in trajectory.features.items()}
        carry = self.start(features)
        total = torch.zeros(trajectory.reward.shape[1])
        for t in range(trajectory.reward.shape[0]):
            following = {k: v[t + 1] for k, v in trajectory.features.items()}
            step = Transition(features, trajectory.action[t], following, trajectory.reward[t], trajectory.cont[t],
                              trajectory.feasible[t], trajectory.uncertainty[t], trajectory.alive[t], t)
            carry, gain, _ = self.advance(carry, step)
            total += gain
            features = following
        return total


@dataclass(frozen=True)
class Return(Memoryless):
    """The predicted rewards, each times the probability that the episode still runs. Reached by a reward above
    `target` (a sparse task's goal)."""

    target: float = 0.5

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]:
        return carry, step.reward * step.alive, step.reward * step.alive > self.target


@dataclass(frozen=True)
class Survival(Memoryless):
    """The probability that the episode goes on, a weight a step: an end that pays nothing is to be put off."""

    weight: float = 1.0

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]:
        return carry, self.weight * step.alive * step.cont, torch.zeros_like(step.feasible)


@dataclass(frozen=True)
class Curiosity(Memoryless):
    """The model's uncertainty, worth `weight` a nat (negative: a penalty)."""

    weight: float = 0.1

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]:
        return carry, self.weight * step.alive * step.uncertainty, torch.zeros_like(step.feasible)
