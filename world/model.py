"""The seam between world models and everything that uses them: one protocol, three frozen dataclasses, one rollout.

Every paradigm answers to it (recurrent, slots, ensembles, simulators), refined or not: planners see only this page.
B sequences, T time steps, N rows, A action features, H horizon. Time-major inside, batch first in training data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from . import tree
from .distributions import Distribution
from .schema import Features, Schema

State = Any
"""A tree of tensors (see `tree`) whose every leaf's first axis is N."""


@dataclass(frozen=True)
class Outcome:
    """What one imagined step brings. `cont` is the probability that the episode goes on; `feasible` is False where
    the step must not be taken; `uncertainty` is in nats; `fired` says which rules corrected the row, and `conflict`
    which of them lost there against a stronger one."""

    features: dict[str, Distribution]
    reward: Tensor  # [N]
    cont: Tensor  # [N]
    feasible: Tensor  # [N] bool
    uncertainty: Tensor  # [N]
    value: Tensor | None = None  # [N]
    action_logits: Tensor | None = None  # [N, A]
    fired: Tensor | None = None  # [N, R] bool
    conflict: Tensor | None = None  # [N, R] bool

    @cached_property
    def mode(self) -> dict[str, Tensor]:
        """The most likely next features, name -> `[N, *shape]`."""
        return {name: d.mode() for name, d in self.features.items()}


@dataclass(frozen=True)
class Batch:
    """Sequences from replay: features `[B, T + 1, *shape]`, action `[B, T, A]`, the rest `[B, T]`.

    `mask` is True where the transition is real (short episodes are padded at their end).
    """

    features: dict[str, Tensor]
    action: Tensor
    reward: Tensor
    terminated: Tensor
    mask: Tensor

    def features_at(self, t: int) -> dict[str, Tensor]:
        """The features at time t, `[B, *shape]`."""
        return {k: v[:, t] for k, v in self.features.items()}


@runtime_checkable
class WorldModel(Protocol):
    """A model of a world described by `schema`. `provides` names what it can do beyond stepping:
    "reward", "end", "uncertainty", "value", "policy", "stochastic", "exact" (it is the world itself); "latent" where it
    has a further method `latent(state) -> [N, Z]`, numbers for a policy to read. Methods change nothing on the object.
    """

    schema: Schema
    provides: frozenset[str]

    def initial(self, n: int) -> State:
        """The belief before anything was seen, N rows."""

    def observe(self, state: State, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> State:
        """Posterior: condition on the last action `[N, A]` (None at first) and the observed features `[N, ...]`;
        rows where `reset [N]` holds start anew."""

    def step(self, state: State, action: Tensor, rng: torch.Generator | None = None) -> tuple[State, Outcome]:
        """Prior: one imagined step under `action [N, A]`. Without `rng` the most likely step."""

    def assimilate(self, state: State, features: Features, rows: Tensor, rng: torch.Generator | None = None) -> State:
        """Condition an imagined state on corrected `features [N, ...]` where `rows [N]` holds."""

    def decode(self, state: State) -> dict[str, Tensor]:
        """The most likely features of a state, name -> `[N, *shape]`."""

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """Named losses whose sum is minimised."""


@runtime_checkable
class Reconsiders(Protocol):
    """What a model may offer that knows how reward and end hang on the next features: simulators do."""

    def reconsider(self, state: State, outcome: Outcome) -> Outcome:
        """`outcome` with the reward and the end of the step into `state` as it was assimilated."""


Policy = Callable[[State, int], Tensor]
"""(state, time) -> actions `[N, A]`."""


@dataclass(frozen=True)
class Trajectory:
    """Imagined futures, time-major: `features[name] [H + 1, N, *shape]` (the start included), the rest `[H, N]`."""

    features: dict[str, Tensor]
    action: Tensor  # [H, N, A]
    reward: Tensor
    cont: Tensor
    feasible: Tensor
    uncertainty: Tensor
    alive: Tensor  # probability that the episode still ran before the step; rewards count times this


def begin(model: WorldModel, features: Features) -> State:
    """The state after observing `features [N, ...]` at the start of an episode."""
    n = next(iter(features.values())).shape[0]
    return model.observe(model.initial(n), None, features)


def rollout(model: WorldModel, state: State, actions: Tensor | Policy, horizon: int | None = None,
            rng: torch.Generator | None = None, max_rows: int = 65_536) -> Trajectory:
    """Imagine `horizon` steps from `state` (N rows) under `actions [H, N, A]` or a policy.

    Memory is allocated once and the rows are split into chunks of at most `max_rows`. Raises `ValueError` when a
    policy comes without a horizon.
    """
    if isinstance(actions, Tensor):
        horizon = actions.shape[0]
    elif horizon is None:
        raise ValueError("a policy needs a horizon: rollout(model, state, policy, horizon=12)")
    n = tree.size(state)
    if n > max_rows:
        parts = [
            rollout(model, tree.take(state, rows), actions[:, rows] if isinstance(actions, Tensor) else actions,
                    horizon, rng, max_rows)
            for rows in torch.arange(n).split(max_rows)
        ]
        return Trajectory(
            {k: torch.cat([p.features[k] for p in parts], 1) for k in parts[0].features},
            *(torch.cat([getattr(p, k) for p in parts], 1)
              for k in ("action", "reward", "cont", "feasible", "uncertainty", "alive")),
        )
    start = model.decode(state)
    features = {k: v.new_empty(horizon + 1, *v.shape) for k, v in start.items()}
    for k, v in start.items():
        features[k][0] = v
    taken = torch.empty(horizon, n, len(model.schema.actions), dtype=model.schema.action_dtype)
    reward, cont, uncertainty, alive = torch.empty(4, horizon, n).unbind(0)
    feasible = torch.empty(horizon, n, dtype=torch.bool)
    running = torch.ones(n)
    for t in range(horizon):
        taken[t] = actions[t] if isinstance(actions, Tensor) else actions(state, t)
        state, out = model.step(state, taken[t], rng)
        # With `rng` the state holds the draw: drawing the features once more would tell of another future.
        for k, v in (out.mode if rng is None else model.decode(state)).items():
            features[k][t + 1] = v
        reward[t], cont[t], feasible[t], uncertainty[t] = out.reward, out.cont, out.feasible, out.uncertainty
        alive[t] = running
        running = running * out.cont
    return Trajectory(features, taken, reward, cont, feasible, uncertainty, alive)
