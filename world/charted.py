"""A world model on a map with unseen cells: no step is imagined that would need to know them.

An unseen cell is neither empty nor a wall. A sensor shows a cell before one can stand on it, so nothing is lost by
planning within what is known, and by looking where that ends (`agent/exploring.py`).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .around import Around
from .model import Outcome, State, WorldModel
from .schema import Features
from .sight import Sight


class Charted(Around):
    """`model` with steps infeasible that lead onto an unseen cell, or that change what is seen and what not."""

    def __init__(self, model: WorldModel, sight: Sight) -> None:
        super().__init__(model)
        self.sight = sight

    def step(self, state: State, action: Tensor, rng: torch.Generator | None = None) -> tuple[State, Outcome]:
        before = self.inner.decode(state)
        after, out = self.inner.step(state, action, rng)
        return after, replace(out, feasible=out.feasible & self._is_known(before, out.mode))

    def _is_known(self, before: Features, after: Features) -> Tensor:
        grid, hidden = self.sight.grid, self.sight.hidden(before)
        height = hidden.shape[2]
        at = (after[grid.x].long() * height + after[grid.y].long()).clamp(0, hidden[0].numel() - 1)
        blind = hidden.flatten(1).gather(1, at[:, None])[:, 0]
        return ~blind & (hidden == self.sight.hidden(after)).flatten(1).all(1)
