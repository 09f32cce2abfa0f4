"""A world model that says what the states it imagines are worth and what to do there: advice for other planners.

`Advised` wraps any world model, as refinement does: a tree search then has its priors and a shooting planner its
bootstrap, from whatever actor-critic was trained. `Guided` makes one planner of a planner and its advisor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ....world import tree
from ....world.model import Batch, Outcome, State, WorldModel
from ....world.schema import Features, Schema
from ....world.training import Progress, Source
from ..objective import Carry, Objective, Transition
from ..plan import Budget, Plan, Planner
from .planner import ActorCritic
from .policy import Policy


@dataclass(frozen=True)
class AdvisedState:
    """The inner model's state, and how far the objective is: N rows."""

    inner: State
    carry: Carry


class Advised:
    """`model` with the value of every imagined next state under `objective` and, for discrete actions, what the policy
    would do there (`Outcome.value`, `Outcome.action_logits`)."""

    def __init__(self, model: WorldModel, advisor: ActorCritic, objective: Objective) -> None:
        self.inner, self.advisor, self.objective = model, advisor, objective
        self.schema = model.schema
        self.provides = model.provides | {"value"} | ({"policy"} if model.schema.discrete_actions else set())

    def enter(self, state: State) -> AdvisedState:
        """A state of the inner model, with the objective where it begins (or was resumed)."""
        return AdvisedState(state, self.objective.start(self.inner.decode(state)))

    def policy(self, state: AdvisedState) -> Policy:
        """What the advisor would do in each of N states."""
        return self.advisor.policy(self.inner, state.inner, state.carry)

    def advice(self, state: AdvisedState) -> tuple[Tensor, Tensor | None]:
        """The values `[N]` of N states, and the logits of all joint actions `[N, M]` in the order of
        `Schema.all_actions` (None for continuous ones)."""
        logits = self.policy(state).joint() if self.schema.discrete_actions else None
        return self.advisor.values(self.inner, state.inner, state.carry), logits

    def initial(self, n: int) -> AdvisedState:
        return self.enter(self.inner.initial(n))

    def observe(self, state: AdvisedState, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> AdvisedState:
        """The posterior of the inner model. The objective goes on as if the step had paid nothing."""
        inner = self.inner.observe(state.inner, action, features, reset, rng)
        if action is None:
            return self.enter(inner)
        one = torch.ones(len(action))
        carry = self._advanced(state, action, features, Outcome({}, 0 * one, one, one > 0, 0 * one))
        return AdvisedState(inner, carry if reset is None else tree.choose(reset, self.enter(inner).carry, carry))

    @torch.no_grad()
    def step(self, state: AdvisedState, action: Tensor, rng: torch.Generator | None = None
             ) -> tuple[AdvisedState, Outcome]:
        inner, out = self.inner.step(state.inner, action, rng)
        after = AdvisedState(inner, self._advanced(state, action, self.inner.decode(inner), out))
        value, logits = self.advice(after)
        return after, replace(out, value=value, action_logits=logits)

    def assimilate(self, state: AdvisedState, features: Features, rows: Tensor,
                   rng: torch.Generator | None = None) -> AdvisedState:
        return replace(state, inner=self.inner.assimilate(state.inner, features, rows, rng))

    def latent(self, state: AdvisedState) -> Tensor:
        return self.inner.latent(state.inner)  # type: ignore[attr-defined]

    def decode(self, state: AdvisedState) -> dict[str, Tensor]:
        return self.inner.decode(state.inner)

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return self.inner.loss(batch, rng)

    def _advanced(self, state: AdvisedState, action: Tensor, following: Features, out: Outcome) -> Carry:
        if not any(c.numel() for c in state.carry):
            return state.carry
        now = self.inner.decode(state.inner)
        return self.objective.advance(state.carry, Transition(
            now, action, following, out.reward, out.cont, out.feasible, out.uncertainty, torch.ones_like(out.reward),
            0))[0]


class Guided:
    """A planner that plans in a model advised by an actor-critic, which learns in imagination: `Guided(MCTS())`."""

    def __init__(self, planner: Planner, advisor: ActorCritic | None = None) -> None:
        self.planner, self.advisor = planner, advisor or ActorCritic()
        self.commits = planner.commits

    def unfit(self, schema: Schema) -> str | None:
        return self.planner.unfit(schema) or self.advisor.unfit(schema)

    def initial(self, n: int) -> Any:
        return self.planner.initial(n)

    def plan(self, model: WorldModel, state: State, objective: Objective, carry: Any, rng: torch.Generator,
             budget: Budget | None = None) -> Plan:
        """The planner's own plan; before the advisor has learned anything, without advice."""
        if self.advisor.learned is None:
            return self.planner.plan(model, state, objective, carry, rng, budget)
        advised = Advised(model, self.advisor, objective)
        return self.planner.plan(advised, advised.enter(state), objective, carry, rng, budget)

    def improve(self, model: WorldModel, replay: Source, objective: Objective, rng: torch.Generator,
                steps: int | None = None, progress: Callable[[Progress], None] | None = None) -> dict[str, float]:
        return self.advisor.improve(model, replay, objective, rng, steps, progress)

    def state_dict(self) -> dict[str, Any]:
        return self.advisor.state_dict()

    def load_state_dict(self, state: dict[str, Any], schema: Schema) -> None:
        self.advisor.load_state_dict(state, schema)
