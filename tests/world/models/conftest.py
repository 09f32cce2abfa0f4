"""Training on single transitions at hand, as the agent's own trainer does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from gedanken.world import tree
from gedanken.world.model import Batch
from gedanken.world.training import Trainer, TrainingConfig


@dataclass(frozen=True)
class Lived:
    """A `Source` of the same rows for training and for looking at what is held out."""

    rows: Batch

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch:
        return tree.take(self.rows, torch.randint(len(self.rows.action), (size,), generator=rng))

    def everything(self) -> Batch:
        return self.rows


@pytest.fixture(scope="session")
def train() -> Callable[..., Any]:
    """`train(model, batch, steps)`: the model, trained on `batch` and settled."""

    def run(model: Any, batch: Batch, steps: int, size: int = 128) -> Any:
        Trainer(model, TrainingConfig(batch=size, length=1, rate=1e-2, check_every=10_000)).run(Lived(batch), steps)
        return model

    return run


@pytest.fixture(scope="session")
def single() -> Callable[..., Batch]:
    """`single(now, action, after, reward, ended)`: transitions `[N, ...]` as a batch."""

    def make(now: dict[str, Tensor], action: Tensor, after: dict[str, Tensor], reward: Tensor | None = None,
             ended: Tensor | None = None) -> Batch:
        n = len(action)
        reward = torch.zeros(n) if reward is None else reward
        ended = torch.zeros(n, dtype=torch.bool) if ended is None else ended
        return Batch({k: torch.stack([now[k], after[k]], 1) for k in now}, action[:, None, None], reward[:, None],
                     ended[:, None], torch.ones(n, 1, dtype=torch.bool))

    return make
