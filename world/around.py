"""A world model around a world model: what it does not do itself, the inner one does."""

from __future__ import annotations

import torch
from torch import Tensor

from .model import Batch, Outcome, State, WorldModel
from .schema import Features


class Around:
    """The `inner` model as it is, over its own states; a subclass says what differs."""

    def __init__(self, model: WorldModel) -> None:
        self.inner = model
        self.schema, self.provides = model.schema, model.provides

    def initial(self, n: int) -> State:
        return self.inner.initial(n)

    def observe(self, state: State, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> State:
        return self.inner.observe(state, action, features, reset, rng)

    def step(self, state: State, action: Tensor, rng: torch.Generator | None = None) -> tuple[State, Outcome]:
        return self.inner.step(state, action, rng)

    def assimilate(self, state: State, features: Features, rows: Tensor, rng: torch.Generator | None = None) -> State:
        return self.inner.assimilate(state, features, rows, rng)

    def latent(self, state: State) -> Tensor:
        """What the inner model shows of its latent, `[N, Z]`, where it `provides` one."""
        return self.inner.latent(state)  # type: ignore[attr-defined]

    def decode(self, state: State) -> dict[str, Tensor]:
        return self.inner.decode(state)

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return self.inner.loss(batch, rng)
