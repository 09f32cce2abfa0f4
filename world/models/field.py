"""What happens anywhere on the board by itself: one gated rule for every cell, of itself and the eight around it.

Stones that fall, fire that spreads, things that walk about. The rule is shared over cells, so that it runs on a board
of any size, and it acts only where the data show that cells change far from every pointer: elsewhere nothing is
computed.
N rows, C = W x H cells, D latent width, S scalars.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .mechanisms import Mechanism, Mechanisms

_AROUND = tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1))
_HERE = _AROUND.index((0, 0))


class Field(nn.Module):
    """A cellular rule. It reads nine cells, on which the pointers leave a mark, and the scalars; it writes a change."""

    is_on: Tensor

    def __init__(self, scalars: int, pointers: int, width: int, hidden: int) -> None:
        super().__init__()
        self.mechanisms = Mechanisms(1, 1, len(_AROUND) + scalars, width, hidden, width)
        self.mark = nn.Parameter(torch.randn(pointers, width))
        self.outside = nn.Parameter(torch.randn(width))
        self.register_buffer("is_on", torch.tensor(False))

    def reads(self, cells: Tensor, scalars: Tensor, at: Tensor, shape: tuple[int, ...]) -> Tensor:
        """What every cell reads: `[N, C, 9 + S, D]`; the pointers stand on the cells `at [N, P]`."""
        n, c, d = cells.shape
        marked = cells.scatter_add(1, at[..., None].expand(-1, -1, d), self.mark.expand(n, -1, -1))
        width, height = shape
        board = self.outside.expand(n, width + 2, height + 2, d).clone()
        board[:, 1:-1, 1:-1] = marked.view(n, width, height, d)
        near = [board[:, 1 + x:1 + x + width, 1 + y:1 + y + height].reshape(n, c, d) for x, y in _AROUND]
        return torch.cat([torch.stack(near, 2), scalars[:, None].expand(-1, c, -1, -1)], 2)

    def forward(self, cells: Tensor, scalars: Tensor, at: Tensor, shape: tuple[int, ...], gates: Tensor,
                average: Tensor | None = None) -> Tensor:
        """The latents `[N, C, D]` of all cells a step later, as far as they change by themselves."""
        reads = self.reads(cells, scalars, at, shape).flatten(0, 1)
        action = torch.zeros(len(reads), dtype=torch.int64, device=reads.device)
        return cells + self.mechanisms(reads, action, gates, average).view_as(cells)

    def graph(self, features: tuple[str, ...], scalars: list[str]) -> tuple[Mechanism, ...]:
        """Its mechanism: whatever is done, a `cell` depends on the cells at these offsets."""
        near = ["cell" if at == _HERE else f"cell[{x:+d}, {y:+d}]" for at, (x, y) in enumerate(_AROUND)]
        return self.mechanisms.graph([""], [("cell", features)], [*near, *scalars])
