"""The world model that knows nothing: everything stays as it is. Refined, it is what rules alone can say."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import tree
from ..distributions import certain
from ..model import Batch, Outcome
from ..schema import Features, Schema

State = dict[str, Tensor]


class Persistence:
    """Predicts no change, no reward and no end. Its state is the features themselves."""

    provides: frozenset[str] = frozenset()

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def initial(self, n: int) -> State:
        return {f.name: torch.full((n, *f.shape), f.offset, dtype=f.dtype) for f in self.schema.features}

    def observe(
        self,
        state: State,
        action: Tensor | None,
        features: Features,
        reset: Tensor | None = None,
        rng: torch.Generator | None = None,
    ) -> State:
        return dict(features)

    def step(self, state: State, action: Tensor, rng: torch.Generator | None = None) -> tuple[State, Outcome]:
        n = len(action)
        features = {f.name: certain(f, state[f.name]) for f in self.schema.features}
        ok = torch.ones(n, dtype=torch.bool)
        return state, Outcome(features, torch.zeros(n), torch.ones(n), ok, torch.zeros(n))

    def assimilate(self, state: State, features: Features, rows: Tensor, rng: torch.Generator | None = None) -> State:
        return tree.choose(rows, {k: features[k] for k in state}, state)

    def decode(self, state: State) -> dict[str, Tensor]:
        return state

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {}
