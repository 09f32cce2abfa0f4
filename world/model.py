"""The seam between world models and everything that uses them: one protocol, three frozen dataclasses, one rollout.

Every paradigm answers to it (recurrent, slots, ensembles, simulators), refined or not: planners see only this page.
B sequences, T time steps, N rows, A action features, H horizon. Time-major inside, batch first in training data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from . import tree
from .distributions import Distribution
from .schema import Features, Schema
from .steps import Steps

State = Any
"""A tree of tensors (see `tree`) whose every leaf's first axis is N."""


@dataclass(frozen=True)
class Outcome:
    """What one imagined step brings. `cont` is the probability that the episode goes on; `feasible` is False where
    the step must not be taken; `uncertainty` is in nats; `fired` says which rules corrected the row, and `conflict`
    which of them lost there against a stronger one. `value` is what the state that the step leads to is worth, and
    `action_logits` what the model's policy would do there, of all M joint actions (`Schema.all_actions`)."""

    features: dict[str, Distribution]
    reward: Tensor  # [N]
    cont: Tensor  # [N]
    feasible: Tensor  # [N] bool
    uncertainty: Tensor  # [N]
    value: Tensor | None = None  # [N]
    action_logits: Tensor | None = None  # [N, M]
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
    "reward", "end", "uncertainty", "value", "policy", "stochastic", "exact" (it is the world itself), "local" (what an
    action does hangs on what is near a grid's pointer alone); "latent" where it has a further method
    `latent(state) -> [N, Z]`, numbers for a policy to read. Methods change nothing on the object.
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

    features: Features
    action: Tensor  # [H, N, A]
    reward: Tensor
    cont: Tensor
    feasible: Tensor
    uncertainty: Tensor
    alive: Tensor  # probability that the episode still ran before the step; rewards count times this
    value: Tensor | None = None  # what the state after the step is worth, where the model provides "value"

    @staticmethod
    def joined(parts: Sequence[Trajectory]) -> Trajectory:
        """Trajectories side by side, as `[H, N1 + N2 + ...]`."""
        features = {k: torch.cat([p.features[k] for p in parts], 1) for k in parts[0].features}
        return _trajectory(features, lambda *tensors: torch.cat(tensors, 1), *parts)

    def rows(self, index: Tensor) -> Trajectory:
        """The futures `index [M]` alone."""
        f = self.features
        features = f.rows(index) if isinstance(f, Steps) else {k: v[:, index] for k, v in f.items()}
        return _trajectory(features, lambda tensor: tensor[:, index], self)


def _trajectory(features: Features, change: Callable[..., Tensor], *parts: Trajectory) -> Trajectory:
    """A trajectory of `features` and of what `change` makes of the other fields of `parts`."""
    names = [f.name for f in fields(Trajectory) if f.name != "features" and getattr(parts[0], f.name) is not None]
    return Trajectory(features, **{name: change(*(getattr(p, name) for p in parts)) for name in names})


def begin(model: WorldModel, features: Features) -> State:
    """The state after observing `features [N, ...]` at the start of an episode."""
    n = next(iter(features.values())).shape[0]
    return model.observe(model.initial(n), None, features)


def rollout(model: WorldModel, state: State, actions: Tensor | Policy, horizon: int | None = None,
            rng: torch.Generator | None = None, max_rows: int = 65_536) -> Trajectory:
    """Imagine `horizon` steps from `state` (N rows) under `actions [H, N, A]` or a policy.

    Rows beyond `max_rows` are imagined in chunks, one after the other. Raises `ValueError` when a policy comes without
    a horizon.
    """
    if not isinstance(actions, Tensor) and horizon is None:
        raise ValueError("a policy needs a horizon: rollout(model, state, policy, horizon=12)")
    n = tree.size(state)
    if n > max_rows:
        rows = [slice(i, i + max_rows) for i in range(0, n, max_rows)]
        return Trajectory.joined([
            rollout(model, tree.tree_map(lambda leaf, r=r: leaf[r], state),
                    actions[:, r] if isinstance(actions, Tensor) else actions, horizon, rng, max_rows)
            for r in rows
        ])
    seen, taken, told = [model.decode(state)], [], []
    for t in range(len(actions) if isinstance(actions, Tensor) else int(horizon or 0)):
        action = actions[t] if isinstance(actions, Tensor) else actions(state, t)
        state, out = model.step(state, action, rng)
        # With `rng` the state holds the draw: drawing the features once more would tell of another future.
        seen.append(out.mode if rng is None else model.decode(state))
        taken.append(action)
        told.append((out.reward, out.cont, out.feasible, out.uncertainty, *(() if out.value is None else (out.value,))))
    reward, cont, feasible, uncertainty, *value = (torch.stack(x) for x in zip(*told, strict=True))
    alive = torch.cat([torch.ones_like(cont[:1]), cont[:-1]]).cumprod(0)
    return Trajectory(Steps(seen), actions if isinstance(actions, Tensor) else torch.stack(taken), reward, cont,
                      feasible, uncertainty, alive, *value)
