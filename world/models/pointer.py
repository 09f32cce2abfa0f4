"""The pointer into a grid: which cells lie around it in the frame of its heading, and where a move takes it.

N rows, K = 5 cells around: here, ahead, right, behind, left (y grows downwards).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..distributions import Categorical, Distribution
from ..schema import Features, Schema

AROUND = ("here", "ahead", "right", "behind", "left")


class Pointer:
    """The geometry of a schema's grid; without one there is nothing around and nothing moves."""

    def __init__(self, schema: Schema) -> None:
        self.schema, self.grid = schema, schema.grid
        steps: tuple[tuple[int, int], ...] = ((0, 0),)
        if self.grid:
            self.shape = schema.base[self.grid.arrays[0]].shape
            steps = self.grid.steps if self.grid.heading else self.grid.steps[:1]
        self.count = len(AROUND) if self.grid else 0
        self.frames = torch.tensor([[(0, 0), (x, y), (-y, x), (-x, -y), (y, -x)] for x, y in steps])

    def read(self, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Position x and y and heading, `[N]` each, int64."""
        if self.grid is None:
            zero = torch.zeros(len(next(iter(features.values()))), dtype=torch.int64)
            return zero, zero, zero
        x, y = features[self.grid.x].long(), features[self.grid.y].long()
        return x, y, features[self.grid.heading].long() if self.grid.heading else torch.zeros_like(x)

    def around(self, x: Tensor, y: Tensor, heading: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Flat indices `[N, K]` of the cells around (-1 off the board) and their offsets dx, dy."""
        if self.grid is None:
            nothing = torch.zeros(len(heading), 0, dtype=torch.int64)
            return nothing, nothing, nothing
        width, height = self.shape
        dx, dy = self.frames[heading].unbind(-1)
        i, j = x[:, None] + dx, y[:, None] + dy
        inside = (i >= 0) & (i < width) & (j >= 0) & (j < height)
        return torch.where(inside, i * height + j, -1), dx, dy

    def after(self, move: Tensor, x: Tensor, y: Tensor, dx: Tensor, dy: Tensor) -> dict[str, Distribution]:
        """The distributions of the position after a move with logits `[N, K]` over the cells around."""
        if self.grid is None:
            return {}
        p = move.softmax(-1)
        out: dict[str, Distribution] = {}
        for name, at, by in ((self.grid.x, x, dx), (self.grid.y, y, dy)):
            f = self.schema.base[name]
            size = f.cardinality or 0
            goes = (at[:, None] + by - f.offset).clamp(0, size - 1)
            out[name] = Categorical(f, p.new_full((len(p), size), 1e-6).scatter_add_(1, goes, p).log())
        return out
