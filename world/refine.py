"""Refinement: a world model around a world model, whose every imagined step is corrected by rules.

    p~(x'|s, a) ∝ p_model(x'|s, a) · exp(Σ_j w_j e_j(s, a, x'))

in closed form a feature. The correction is assimilated into the inner model's latent state, so that it carries into
every later imagined step: overriding decoded features alone would be undone by the stale latent at the next one.
Planners never know whether a model is refined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from . import tree
from .model import Batch, Outcome, Reconsiders, State, WorldModel
from .rules.bounds import narrowed
from .rules.compile import Compiled
from .rules.nearby import is_near
from .rules.syntax import Rule
from .schema import Features

Assimilate = Literal["always", "fired", "never"]


@dataclass(frozen=True)
class RefinedState:
    """The inner model's state beside the features it stands for, as corrected: `features[name] [N, *shape]`."""

    inner: State
    features: dict[str, Tensor]


class Refined:
    """`model` corrected by `rules`. `assimilate` says on which rows the latent is conditioned on the corrected
    features: where a rule fired, always (the default: a fully observed latent then never drifts from what it
    decodes to), or never (to measure what that costs)."""

    def __init__(self, model: WorldModel, rules: Sequence[Rule] | Compiled, assimilate: Assimilate = "always") -> None:
        self.inner = model
        self.rules = rules if isinstance(rules, Compiled) else Compiled(model.schema, rules)
        self.schema = narrowed(model.schema, self.rules.rules)  # planners draw no action that is forbidden always
        self.assimilation = assimilate
        told = ({"reward"} if len(self.rules.rewards) else set()) | ({"end"} if self.rules.ends else set())
        self.provides = model.provides | told
        if not all(is_near(rule, model.schema) for rule in self.rules.rules):
            self.provides -= {"local"}

    def initial(self, n: int) -> RefinedState:
        inner = self.inner.initial(n)
        return RefinedState(inner, self.inner.decode(inner))

    def observe(
        self,
        state: RefinedState,
        action: Tensor | None,
        features: Features,
        reset: Tensor | None = None,
        rng: torch.Generator | None = None,
    ) -> RefinedState:
        return RefinedState(self.inner.observe(state.inner, action, features, reset, rng), dict(features))

    @torch.no_grad()
    def step(
        self, state: RefinedState, action: Tensor, rng: torch.Generator | None = None
    ) -> tuple[RefinedState, Outcome]:
        """The inner step, corrected and assimilated."""
        inner, predicted = self.inner.step(state.inner, action, rng)
        out = self.rules.correct(state.features, action, predicted, rng)
        assert out.fired is not None
        features = out.mode if rng is None else self._drawn(inner, predicted, out, rng)
        if self.assimilation != "never":
            rows = torch.ones(len(out.reward), dtype=torch.bool) if self.assimilation == "always" else out.fired.any(1)
            if self.assimilation == "fired" and (self.rules.always or rng is not None):
                rows = rows | tree.differ(features, self.inner.decode(inner))
            inner = self.inner.assimilate(inner, features, rows, rng)
            if isinstance(self.inner, Reconsiders):
                out = self.inner.reconsider(inner, out)
                out = self.rules.pay(state.features, action, features, out)
        return RefinedState(inner, features), out

    def _drawn(self, inner: State, predicted: Outcome, out: Outcome, rng: torch.Generator) -> dict[str, Tensor]:
        """The values the inner state was drawn with; anew those of features that a rule touched, where one fired."""
        drawn = self.inner.decode(inner)
        assert out.fired is not None
        rows = torch.ones_like(out.feasible) if self.rules.always else out.fired.any(1)
        return {k: drawn[k] if d is predicted.features[k] else tree.choose(rows, d.sample(rng), drawn[k])
                for k, d in out.features.items()}

    def assimilate(
        self, state: RefinedState, features: Features, rows: Tensor, rng: torch.Generator | None = None
    ) -> RefinedState:
        chosen = tree.choose(rows, {k: features[k] for k in state.features}, state.features)
        return RefinedState(self.inner.assimilate(state.inner, features, rows, rng), chosen)

    def latent(self, state: RefinedState) -> Tensor:
        """What the inner model shows of its latent, `[N, Z]`, where it `provides` one."""
        return self.inner.latent(state.inner)  # type: ignore[attr-defined]

    def decode(self, state: RefinedState) -> dict[str, Tensor]:
        return state.features

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return self.inner.loss(batch, rng)


def carried_over(state: State, old: WorldModel, new: WorldModel) -> State:
    """A state of `old` as one of `new`, another refinement of the same model: the belief stays, the rules change."""
    features, inner = old.decode(state), state.inner if isinstance(state, RefinedState) else state
    outer: Any = new
    while outer is not None:
        if isinstance(outer, Refined):
            return RefinedState(inner, features)
        outer = getattr(outer, "inner", None)
    return inner
