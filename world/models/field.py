"""What happens anywhere on the board by itself: one gated rule for every cell, of itself and the eight around it.

Stones that fall, fire that spreads, things that walk about. The rule is shared over cells, so that it runs on a board
of any size, and it acts only where the data show that cells change far from every pointer: elsewhere nothing is
computed.
N rows, C = W x H cells, D latent width, S scalars.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .mechanisms import Mechanism, Mechanisms

_AROUND = tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1))
_HERE = _AROUND.index((0, 0))


@dataclass(frozen=True)
class Moving:
    """While learning: the field's `gates [1, 1, 9 + S]`, and the cells `which [N, M]` that are wanted (None: all), or
    the whole `board [N, C, D]` that it makes, if that is known."""

    gates: Tensor | None = None
    which: Tensor | None = None
    board: Tensor | None = None


class Field(nn.Module):
    """A cellular rule. It reads nine cells, on which the pointers leave a mark, and the scalars; it writes a change."""

    is_on: Tensor
    near: Tensor

    def __init__(self, shape: tuple[int, ...], scalars: int, pointers: int, width: int, hidden: int) -> None:
        super().__init__()
        self.mechanisms = Mechanisms(1, 1, len(_AROUND) + scalars, width, hidden, width)
        self.mark = nn.Parameter(torch.randn(pointers, width))
        self.outside = nn.Parameter(torch.randn(width))
        self.register_buffer("is_on", torch.tensor(False))
        self.register_buffer("near", _neighbours(shape), persistent=False)

    def reads(self, cells: Tensor, scalars: Tensor, at: Tensor, which: Tensor | None = None) -> Tensor:
        """What the cells `which [N, M]` (None: all) read: `[N, M, 9 + S, D]`; the pointers stand on `at [N, P]`."""
        n, c, d = cells.shape
        marked = cells.scatter_add(1, at[..., None].expand(-1, -1, d), self.mark.expand(n, -1, -1))
        board = torch.cat([marked, self.outside.expand(n, 1, d)], 1)
        if which is None:
            near = board.index_select(1, self.near.flatten()).view(n, c, -1, d)
        else:
            at = self.near[which].flatten(1)[..., None].expand(-1, -1, d)
            near = board.gather(1, at).view(n, which.shape[1], -1, d)
        return torch.cat([near, scalars[:, None].expand(-1, near.shape[1], -1, -1)], 2)

    def forward(self, cells: Tensor, scalars: Tensor, at: Tensor, gates: Tensor, average: Tensor | None = None,
                which: Tensor | None = None) -> Tensor:
        """The latents `[N, M, D]` of the cells `which` (None: all) a step later, as far as they change alone."""
        reads = self.reads(cells, scalars, at, which)
        action = torch.zeros(reads.shape[0] * reads.shape[1], dtype=torch.int64, device=cells.device)
        before = cells if which is None else cells.gather(1, which[..., None].expand(-1, -1, cells.shape[-1]))
        return before + self.mechanisms(reads.flatten(0, 1), action, gates, average).view_as(before)

    def graph(self, features: tuple[str, ...], scalars: list[str]) -> tuple[Mechanism, ...]:
        """Its mechanism: whatever is done, a `cell` depends on the cells at these offsets."""
        near = ["cell" if at == _HERE else f"cell[{x:+d}, {y:+d}]" for at, (x, y) in enumerate(_AROUND)]
        return self.mechanisms.graph([""], [("cell", features)], [*near, *scalars])


def _neighbours(shape: tuple[int, ...]) -> Tensor:
    """The flat indices of the nine cells at and around each of `W x H`, `[C, 9]`; C where that is off the board."""
    if not shape:
        return torch.zeros(0, len(_AROUND), dtype=torch.int64)
    width, height = shape
    x, y = torch.meshgrid(torch.arange(width), torch.arange(height), indexing="ij")
    dx, dy = torch.tensor(_AROUND).unbind(1)
    i, j = x.reshape(-1, 1) + dx, y.reshape(-1, 1) + dy
    inside = (i >= 0) & (i < width) & (j >= 0) & (j < height)
    return torch.where(inside, i * height + j, width * height)
