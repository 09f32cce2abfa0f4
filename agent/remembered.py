"""A world model that does not try again what has failed.

Where the world departs from what was imagined, replanning with the same model proposes the same step. This wrapper
marks the remembered state-action pairs infeasible, until the model has learned from them.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..world.around import Around
from ..world.fingerprint import fingerprint
from ..world.model import Outcome, State, WorldModel
from ..world.schema import Features


class Failures:
    """State-action pairs whose outcome was not what was imagined."""

    def __init__(self) -> None:
        self.keys = torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, features: Features, action: Tensor) -> None:
        """Remember one row: features `[1, ...]`, action `[1, A]`."""
        self.keys = torch.cat([self.keys, fingerprint(features, action)]).unique()

    def clear(self) -> None:
        self.keys = self.keys[:0]


class Remembered(Around):
    """`model` with the `failures` infeasible; all else passes through."""

    def __init__(self, model: WorldModel, failures: Failures) -> None:
        super().__init__(model)
        self.failures = failures

    def step(self, state: State, action: Tensor, rng: torch.Generator | None = None) -> tuple[State, Outcome]:
        after, out = self.inner.step(state, action, rng)
        if len(self.failures):
            failed = torch.isin(fingerprint(self.inner.decode(state), action), self.failures.keys)
            out = replace(out, feasible=out.feasible & ~failed)
        return after, out
