"""The seam between planners and everything else: a budget in, a plan out, the carry in between.

A planner sees a world model (refined or not) and an objective, and knows neither. B states are planned for at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from ...world.model import State, WorldModel
from ...world.schema import Schema
from .objective import Objective


@dataclass(frozen=True)
class Budget:
    """What a plan may cost: imagined transitions a state, and wall-clock seconds (None: no limit)."""

    transitions: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """The action to take now, the sequence it begins, what that is worth, and what it cost to find.

    `reached` says whether the sequence attains the objective (a goal or a reward); where it is False the sequence is
    the best that was found. `imagined` are the most likely features along the sequence `[H + 1, B, ...]`, and
    `transitions` were imagined for all B states together.
    """

    action: Tensor  # [B, A]
    sequence: Tensor  # [H, B, A]
    value: Tensor  # [B]
    reached: Tensor  # [B] bool
    imagined: dict[str, Tensor]
    transitions: int
    seconds: float
    carry: Any = None
    statistics: dict[str, float] = field(default_factory=dict)


class Planner(Protocol):
    """Plans actions in imagination. All state between calls is in the carry; planning never changes the object.

    `commits` says whether a plan is followed as far as the world does (search), or made anew at every step (shooting).
    """

    commits: bool

    def unfit(self, schema: Schema) -> str | None:
        """Why this planner cannot plan in a world of `schema`, and what to use instead; None where it can."""

    def initial(self, n: int) -> Any:
        """The carry before the first plan of an episode, for `n` states."""

    def plan(self, model: WorldModel, state: State, objective: Objective, carry: Any,
             rng: torch.Generator, budget: Budget | None = None) -> Plan:
        """Plan for each of the B states in `state`."""


def rank_nan_last(value: Tensor) -> Tensor:
    """Values with NaN below everything, so that a broken rollout never wins."""
    return torch.where(value.isnan(), torch.full_like(value, -torch.inf), value)


def joined(plans: Sequence[Plan]) -> Plan:
    """Plans for several states as one; shorter sequences repeat their last action. Carries are left to the caller."""
    if len(plans) == 1:
        return plans[0]
    longest = max(len(p.sequence) for p in plans)

    def padded(values: list[Tensor], length: int) -> Tensor:
        return torch.cat([torch.cat([v, v[-1:].expand(length - len(v), *v.shape[1:])]) for v in values], 1)

    return Plan(
        torch.cat([p.action for p in plans]),
        padded([p.sequence for p in plans], longest),
        torch.cat([p.value for p in plans]),
        torch.cat([p.reached for p in plans]),
        {k: padded([p.imagined[k] for p in plans], longest + 1) for k in plans[0].imagined},
        sum(p.transitions for p in plans),
        sum(p.seconds for p in plans),
        statistics={k: sum(p.statistics[k] for p in plans) / len(plans) for k in plans[0].statistics},
    )
