"""What a planner maximises: return, progress of goals, preferences; less the risk of what shall not happen.

An objective scores imagined transitions and knows nothing of how they were made. It works step by step (`advance`,
for search) and over whole trajectories (`worth`, for shooting), from one carry. Terms compose by addition; those that
look at one transition at a time score all `H * N` transitions of a trajectory at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from ...world.model import Trajectory
from ...world.schema import Features
from ...world.steps import View
from .subgoals import Subgoals

Carry = tuple[Tensor, ...]
_NOTHING = torch.zeros(0)


@dataclass(frozen=True)
class Transition:
    """One imagined transition of N rows, `t` steps ahead (0 is the first): of all rows, or `[N]`."""

    now: Features
    action: Tensor  # [N, A]
    next: Features
    reward: Tensor  # [N]
    cont: Tensor  # [N]
    feasible: Tensor  # [N] bool
    uncertainty: Tensor  # [N]
    alive: Tensor  # [N]
    t: int | Tensor


class Term(Protocol):
    """One part of an objective. `advance` returns the new carry, the gain `[N]`, and whether the row has reached
    what this term is after `[N]`."""

    def start(self, features: Features) -> Tensor:
        """The carry `[N, ...]` at the first state."""

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]: ...

    def progress(self, carry: Tensor) -> Tensor:
        """How many milestones are behind the rows, `[N]`."""

    def key(self, carry: Tensor) -> Tensor:
        """What of the carry tells two otherwise equal states apart: a number, `[N]`."""


class Memoryless:
    """A term that looks at one transition at a time: its carry is empty, it has no milestones. A term that `is_risk`
    costs what shall not happen; of chancy futures, its worst may count instead of its average."""

    is_risk: ClassVar[bool] = False

    def start(self, features: Features) -> Tensor:
        return torch.zeros(next(iter(features.values())).shape[0], 0)

    def progress(self, carry: Tensor) -> Tensor:
        return torch.zeros(len(carry))

    def key(self, carry: Tensor) -> Tensor:
        return torch.zeros(len(carry))


@dataclass(frozen=True)
class Objective:
    """The sum of its terms. An infeasible step costs `infeasible`, more than anything can be worth; a step that costs
    more than `unacceptable` (one that breaks a limit) reaches nothing. Where the model provides a value, it stands for
    the return beyond the end of a trajectory, unless `bootstrap` is False. `subgoals` are hints for a search, and worth
    nothing in themselves."""

    terms: Sequence[Term]
    discount: float = 0.99
    infeasible: float = 1e3
    unacceptable: float = 50.0
    bootstrap: bool = True
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
        return tuple(term.key(own) for term, own in zip(self.terms, carry, strict=True) if own.numel())

    def progress(self, carry: Carry) -> Tensor:
        """How much of the goals is reached, summed over the terms: `[N]`."""
        parts = [term.progress(own) for term, own in zip(self.terms, carry, strict=True)]
        return torch.stack(parts).sum(0) if parts else torch.zeros(())

    def rows(self, part: slice) -> Objective:
        """The same objective for some of the B states it was resumed for."""
        return self if self.carried is None else replace(self, carried=tuple(c[part] for c in self.carried))

    def worth(self, trajectory: Trajectory, particles: int = 1, tail: float = 1.0) -> Tensor:
        """The value of each candidate, `[N / particles]`: `particles` futures of one candidate stand side by side.

        Gains are averaged over them. So are risks at `tail=1`, which makes them expected violations; a smaller tail
        averages the worst share of the futures alone (CVaR, Rockafellar & Uryasev 2000).
        """
        gain, risk, _ = self._scores(trajectory)
        factors = self.discount ** torch.arange(len(gain), dtype=gain.dtype, device=gain.device)
        total = factors @ gain
        if self.bootstrap and trajectory.value is not None:
            last = trajectory.alive[-1] * trajectory.cont[-1]
            total = total + self.discount ** len(gain) * last * trajectory.value[-1]
        if particles > 1:
            total = total.view(-1, particles).mean(1)
        if risk is None:
            return total
        worst = max(1, round(tail * particles))
        return total + (factors @ risk).view(-1, particles).topk(worst, largest=False).values.mean(1)

    def reached(self, trajectory: Trajectory) -> Tensor:
        """Whether each future attains the objective at some step, `[N]`."""
        gain, risk, reached = self._scores(trajectory)
        return (reached & ((gain if risk is None else gain + risk) > -self.unacceptable)).any(0)

    def _scores(self, trajectory: Trajectory) -> tuple[Tensor, Tensor | None, Tensor]:
        """What every step gains, what it risks (None: no term is a risk), and whether it reaches what a term is after,
        `[H, N]` each."""
        gain, risk = torch.where(trajectory.feasible, 0.0, -self.infeasible), None
        reached, whole = torch.zeros_like(trajectory.feasible), _whole(trajectory)
        for k, term in enumerate(self.terms):
            if isinstance(term, Memoryless):
                value, done = (x.view(gain.shape) for x in term.advance(_NOTHING, whole)[1:])
            else:
                carry, steps = self.start(_at(trajectory, 0).now)[k], []
                for t in range(len(gain)):
                    carry, *step = term.advance(carry, _at(trajectory, t))
                    steps.append(step)
                value, done = (torch.stack(x) for x in zip(*steps, strict=True))
            reached = reached | done
            if isinstance(term, Memoryless) and term.is_risk:
                risk = value if risk is None else risk + value
            else:
                gain = gain + value
        return gain, risk, reached


def _at(trajectory: Trajectory, t: int) -> Transition:
    """The transition at time t of a trajectory, N rows."""
    a = trajectory
    return Transition(View(a.features, lambda v: v[t]), a.action[t], View(a.features, lambda v: v[t + 1]), a.reward[t],
                      a.cont[t], a.feasible[t], a.uncertainty[t], a.alive[t], t)


def _whole(trajectory: Trajectory) -> Transition:
    """All transitions of a trajectory as `H * N` rows."""
    a = trajectory
    horizon, n = a.reward.shape
    return Transition(View(a.features, lambda v: v[:-1].flatten(0, 1)), a.action.flatten(0, 1),
                      View(a.features, lambda v: v[1:].flatten(0, 1)), a.reward.flatten(), a.cont.flatten(),
                      a.feasible.flatten(), a.uncertainty.flatten(), a.alive.flatten(),
                      torch.arange(horizon)[:, None].expand(-1, n).flatten())


@dataclass(frozen=True)
class Return(Memoryless):
    """The predicted rewards, each times the probability that the episode still runs. Reached by a reward above
    `target` (a sparse task's goal)."""

    target: float = 0.5

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]:
        paid = step.reward * step.alive
        return carry, paid, paid > self.target


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
