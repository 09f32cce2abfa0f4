"""A world model on trial: the rows that the checks of `checks.py` try it on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from . import tree
from .model import State, WorldModel, begin
from .schema import Feature, Features, Schema


@dataclass
class Trial:
    """A model, and the rows it is tried on."""

    model: WorldModel
    seed: int
    rows: int
    given: Features | None

    @property
    def schema(self) -> Schema:
        return self.model.schema

    def rng(self) -> torch.Generator:
        """The same randomness every time."""
        return torch.Generator().manual_seed(self.seed)

    @cached_property
    def features(self) -> dict[str, Tensor]:
        """Where it is tried from, `[N, *shape]`."""
        if self.given is None:
            return random_features(self.schema, self.rows, self.rng())
        given = {f.name: self.given[f.name] for f in self.schema.features}
        index = torch.arange(self.rows) % len(next(iter(given.values())))
        return tree.take(given, index)

    @cached_property
    def action(self) -> Tensor:
        """One action a row, `[N, A]`."""
        return random_actions(self.schema, (self.rows,), self.rng())

    def begun(self) -> State:
        """The state after observing the features."""
        return begin(self.model, {k: v.clone() for k, v in self.features.items()})

    @cached_property
    def elsewhere(self) -> dict[str, Tensor]:
        """Other features that can be, `[N, *shape]`: those of another row, or of two steps later."""
        other = {k: v.roll(1, 0) for k, v in self.features.items()}
        if self.given is None or bool(tree.differ(other, self.features).any()):
            return other
        state = self.begun()
        for _ in range(2):
            state, _ = self.model.step(state, self.action)
        return self.model.decode(state)


def random_features(schema: Schema, n: int, rng: torch.Generator) -> dict[str, Tensor]:
    """Features within the schema's bounds, `[N, *shape]`; what has no bounds lies near 0."""
    def drawn(f: Feature) -> Tensor:
        if f.cardinality:
            return (torch.randint(f.cardinality, (n, *f.shape), generator=rng) + f.offset).to(f.dtype)
        low, high = (b if math.isfinite(b) else d for b, d in ((f.low, min(-1.0, f.high)), (f.high, max(1.0, f.low))))
        value = low + (high - low) * torch.rand(n, *f.shape, generator=rng)
        return value.round().to(f.dtype) if f.is_discrete else value

    return {f.name: drawn(f) for f in schema.features}


def random_actions(schema: Schema, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Actions within their bounds, `[*shape, A]`."""
    columns = [torch.randint(a.cardinality, shape, generator=rng).double() if a.cardinality
               else a.low + (a.high - a.low) * torch.rand(shape, generator=rng).double() for a in schema.actions]
    return torch.stack(columns, -1).to(schema.action_dtype)
