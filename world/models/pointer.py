"""The pointers into a grid: which cells lie around each in the frame of its heading, and where a move takes it.

N rows, P pointers (the agent's first), K = 5 P cells around them: here, ahead, right, behind, left (y grows downwards).
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
        self.poses = self.grid.poses if self.grid else ()
        steps: tuple[tuple[int, int], ...] = ((0, 0),)
        self.shape: tuple[int, ...] = ()
        if self.grid:
            self.shape = schema.base[self.grid.arrays[0]].shape
            steps = self.grid.steps
        self.count = len(AROUND) * len(self.poses)
        self.frames = torch.tensor([[(0, 0), (x, y), (-y, x), (-x, -y), (y, -x)] for x, y in steps])
        own = [AROUND if pose is self.poses[0] else [f"{name} of {pose.x}" for name in AROUND] for pose in self.poses]
        self.names = [name for names in own for name in names]

    def read(self, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Positions x and y and headings (0 where a pointer does not turn), `[N, P]` each, int64."""
        nothing = torch.zeros(len(next(iter(features.values()))), 0, dtype=torch.int64)
        columns = [(features[p.x].long(), features[p.y].long(),
                    features[p.heading].long() if p.heading else torch.zeros_like(features[p.x].long()))
                   for p in self.poses]
        x, y, heading = (torch.stack(c, 1) for c in zip(*columns, strict=True)) if columns else [nothing] * 3
        return x, y, heading

    def around(self, x: Tensor, y: Tensor, heading: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Flat indices `[N, K]` of the cells around (-1 off the board) and their offsets dx, dy `[N, P, 5]`."""
        if self.grid is None:
            nothing = torch.zeros(len(heading), 0, dtype=torch.int64)
            return nothing, nothing, nothing
        width, height = self.shape
        dx, dy = self.frames[heading].unbind(-1)
        i, j = x[..., None] + dx, y[..., None] + dy
        inside = (i >= 0) & (i < width) & (j >= 0) & (j < height)
        return torch.where(inside, i * height + j, -1).flatten(1), dx, dy

    def after(self, move: Tensor, x: Tensor, y: Tensor, dx: Tensor, dy: Tensor) -> dict[str, Distribution]:
        """The distributions of the positions after moves with logits `[N, P, 5]` over the cells around."""
        p = move.softmax(-1)
        out: dict[str, Distribution] = {}
        for k, pose in enumerate(self.poses):
            for name, at, by in ((pose.x, x, dx), (pose.y, y, dy)):
                f = self.schema.base[name]
                size = f.cardinality or 0
                goes = (at[:, k, None] + by[:, k] - f.offset).clamp(0, size - 1)
                out[name] = Categorical(f, p.new_full((len(p), size), 1e-6).scatter_add_(1, goes, p[:, k]).log())
        return out

    def draw(self, move: Tensor, x: Tensor, y: Tensor, dx: Tensor, dy: Tensor, rng: torch.Generator,
             ) -> dict[str, Tensor]:
        """Positions drawn after such moves, x and y together: what slips ahead or aside never slips across."""
        to = (move - torch.empty_like(move).exponential_(generator=rng).log()).argmax(-1, keepdim=True)  # [N, P, 1]
        out = {}
        for k, pose in enumerate(self.poses):
            for name, at, by in ((pose.x, x, dx), (pose.y, y, dy)):
                f = self.schema.base[name]
                goes = at[:, k] + by[:, k].gather(1, to[:, k])[:, 0]
                out[name] = goes.clamp(f.offset, f.offset + (f.cardinality or 0) - 1).to(f.dtype)
        return out


def gather(cells: Tensor, index: Tensor, outside: Tensor) -> Tensor:
    """The latents `[N, K, D]` of the cells `index [N, K]`, `outside [D]` where that is off the board."""
    found = cells.gather(1, index.clamp_min(0)[..., None].expand(-1, -1, cells.shape[-1]))
    return torch.where((index >= 0)[..., None], found, outside)


def scatter(cells: Tensor, index: Tensor, wrote: Tensor) -> Tensor:
    """Put K written latents back into `[N, C, D]`; those off the board are dropped."""
    if not index.shape[1]:
        return cells
    at = index.clamp_min(0)[..., None].expand_as(wrote)
    # Off the board a zero is added to the first cell, so that no two writes compete for one place.
    change = (wrote - cells.gather(1, at)) * (index >= 0)[..., None]
    return cells.scatter_add(1, at, change)


def beside(index: Tensor, cells: int) -> Tensor:
    """Which of C cells lie around a pointer: bool `[N, C]`."""
    found = torch.zeros(len(index), cells, device=index.device)
    return found.scatter_add(1, index.clamp_min(0), (index >= 0).float()) > 0


def once(index: Tensor) -> Tensor:
    """`index [N, K]` with a cell that lies around several pointers named only the first time, then -1."""
    if index.shape[1] <= len(AROUND):
        return index
    same = index[:, :, None] == index[:, None, :]
    return index.masked_fill(same.tril(-1).any(-1), -1)
