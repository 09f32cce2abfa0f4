"""What the agent is told about its own behaviour, as terms of the objective: goals, limits, preferences.

A goal (`achieve A then B within n steps`) compiles to a small automaton (`automaton`) whose state is carried along
imagined trajectories and advanced by what is observed. A limit (`avoid`, `maintain`) is kept with a margin taken from
the model's own held-out error; a preference is worth its weight on every step on which it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from ..world.model import Batch, WorldModel, begin, rollout
from ..world.rules.evaluate import Rows, robustness, truth
from ..world.rules.syntax import Achieve, Avoid, Expression, Maintain, Not, Prefer
from ..world.schema import Features, Schema
from .automaton import Automaton, Moment
from .planning.objective import Memoryless, Transition


@dataclass(frozen=True)
class Goal:
    """`achieve`: worth 1 in all, spread evenly over its milestones; what can no longer be reached costs as much."""

    schema: Schema
    statement: Achieve

    @cached_property
    def automaton(self) -> Automaton:
        return Automaton.of(self.statement)

    def start(self, features: Features) -> Tensor:
        return self.automaton.begun(Moment.of(self.schema, features))

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]:
        """Reached by the step that completes the last milestone."""
        new = self.automaton.advanced(carry, Moment.of(self.schema, step.next, step.now, step.action))
        gain = (self.progress(new) - self.progress(carry)) / self.automaton.root.size
        lost = (self.failed(new) & ~self.failed(carry)).float()
        return new, (gain - lost) * step.alive, self.done(new) & ~self.done(carry)

    def progress(self, carry: Tensor) -> Tensor:
        """How many milestones are behind, `[N]`."""
        return self.automaton.root.progress(carry)

    def done(self, carry: Tensor) -> Tensor:
        """Whether every milestone is behind, `[N]`."""
        return self.automaton.root.done(carry)

    def failed(self, carry: Tensor) -> Tensor:
        """Whether it can no longer be reached: a deadline is over, what was to be kept is not. `[N]`"""
        return self.automaton.root.failed(carry)

    def key(self, carry: Tensor) -> Tensor:
        """What of the carry tells two otherwise equal states apart: a number, `[N]`."""
        return self.automaton.key(carry)

    def wanted(self, carry: Tensor) -> tuple[Expression, ...]:
        """The conditions and events that would advance some row of the carry `[N, K]` now."""
        return tuple(self.automaton.root.wanted(carry))


@dataclass(frozen=True)
class Limit(Memoryless):
    """`avoid` or `maintain`: the condition that must hold of every state, with a margin for each step ahead.

    `margins [H]` are in the unit of the compared quantity; beyond the last one the last is used. A state inside the
    margin costs `penalty`, unless the limit is soft (`with weight`): then it costs the weight.
    """

    is_risk: ClassVar[bool] = True

    schema: Schema
    condition: Expression
    text: str
    margins: tuple[float, ...] = (0.0,)
    penalty: float = 100.0

    @staticmethod
    def of(schema: Schema, statement: Avoid | Maintain, text: str, margins: tuple[float, ...] = (0.0,)) -> Limit:
        keep = statement.condition if isinstance(statement, Maintain) else Not(operand=statement.condition)
        return Limit(schema, keep, text, margins, statement.weight if statement.weight is not None else 100.0)

    def slack(self, features: Features) -> Tensor:
        """How far each state is inside the limit, `[N]`; negative where it is broken, be it by a hair."""
        rows = Rows(self.schema, features)
        distance = robustness(self.condition, rows)
        # On the very bound the distance is 0 whether `>` or `>=` was said.
        return torch.where(truth(self.condition, rows), distance, distance.clamp_max(-1e-6))

    def margin(self, t: int) -> float:
        """The margin `t` steps after the next."""
        return self.margins[min(t, len(self.margins) - 1)]

    def holds(self, features: Features) -> Tensor:
        """Whether the limit is kept, without a margin: `[N]`."""
        return truth(self.condition, Rows(self.schema, features))

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]:
        margin = torch.tensor(self.margins)[torch.as_tensor(step.t).clamp_max(len(self.margins) - 1)]
        slack = self.slack(step.next)
        # Inside the margin it costs more the deeper, so that from a bad place the way out is still seen.
        depth = (margin - slack).clamp_min(0)
        broken = (slack < margin).float() * self.penalty + depth.clamp_max(self.penalty)
        return carry, -broken * step.alive, torch.zeros_like(step.feasible)


@dataclass(frozen=True)
class Preference(Memoryless):
    """`prefer`: worth `weight` on every imagined step on which the condition holds."""

    schema: Schema
    statement: Prefer

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]:
        weight = 0.1 if self.statement.weight is None else self.statement.weight
        holds = truth(self.statement.condition, Rows(self.schema, step.next))
        return carry, weight * step.alive * holds, torch.zeros_like(step.feasible)


@torch.no_grad()
def margins(model: WorldModel, limit: Limit, held_out: Batch, violation: float = 0.01) -> tuple[float, ...]:
    """The margin for each step ahead: the split-conformal quantile (Vovk et al. 2005) of how much nearer the limit
    truth is than the open-loop prediction, so that a share of at most `violation` of held-out predictions that keep
    the margin break the limit. `held_out` are sequences `[B, T]` the model was not trained on. Those count that begin
    within the limit and are predicted to stay there: how wrong the model is about what has broken it long since (a
    lander that tumbles) is no matter. Where there is none, all do."""
    start = begin(model, held_out.features_at(0))
    begins = limit.slack(held_out.features_at(0)) >= 0
    future = rollout(model, start, held_out.action.transpose(0, 1))
    out: list[float] = []
    for t in range(held_out.action.shape[1]):
        real = held_out.mask[:, t]
        if not real.any():
            break
        predicted = limit.slack({k: v[t + 1] for k, v in future.features.items()})
        relevant = real & begins & (predicted >= 0)
        apart = predicted - limit.slack(held_out.features_at(t + 1))
        excess = apart[relevant if relevant.any() else real].sort().values
        rank = min(len(excess), -int(-(len(excess) + 1) * (1 - violation) // 1))
        # Errors only grow along a rollout; where few sequences last that long, the estimate before still holds.
        out.append(max(0.0, *out[-1:], float(excess[rank - 1])))
    return tuple(out) or (0.0,)
