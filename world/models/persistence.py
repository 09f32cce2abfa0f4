"""The world model that knows nothing: everything stays as it is. Refined, it is what rules alone can say."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import tree
from ..distributions import CERTAIN, Board, Categorical, Distribution, Normal, encode
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
        features: dict[str, Distribution] = {}
        for f in self.schema.features:
            value = state[f.name]
            if not f.cardinality:
                features[f.name] = Normal(f, value.float(), torch.full(value.shape, 1e-3))
            elif f.shape:
                codes = encode(f, value).flatten(1).to(value.dtype)
                features[f.name] = Board(
                    f, codes, torch.zeros(n, 0, dtype=torch.int64), torch.zeros(n, 0, f.cardinality)
                )
            else:
                features[f.name] = Categorical(f, F.one_hot(encode(f, value), f.cardinality) * CERTAIN)
        ok = torch.ones(n, dtype=torch.bool)
        return state, Outcome(features, torch.zeros(n), torch.ones(n), ok, torch.zeros(n))

    def assimilate(self, state: State, features: Features, rows: Tensor, rng: torch.Generator | None = None) -> State:
        return tree.choose(rows, {k: features[k] for k in state}, state)

    def decode(self, state: State) -> dict[str, Tensor]:
        return state

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {}
