"""Space: masks of cells, and what stands in a relation to them; whole boards at a time, no loop over rows or cells.

N rows; a mask is bool `[N, *cells]`. One of its first two axes of cells grows `down`wards (1: the second, as in
`[x, y]`; 0: the first, as in `[row, column]`), the other one to the right.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["first", "half_plane", "one_cell", "related"]

_SIGNS = {"left_of": -1, "right_of": 1, "above": -1, "below": 1}


def related(mask: Tensor, relation: str, steps: int | None, down: int = 1) -> Tensor:
    """The cells `[N, *cells]` that stand in a relation of `syntax.Relation` to some cell of the mask."""
    if relation == "near":
        return _grown(mask, steps or 1)
    if relation == "next_to":
        return _neighbours(mask)
    is_upright = relation in ("above", "below")
    axis, sign = 1 if mask.dim() == 2 else 1 + (down if is_upright else 1 - down), _SIGNS[relation]
    return _beyond(mask, axis, sign) if steps is None else _along(mask, axis, sign, steps)


def first(mask: Tensor) -> Tensor:
    """The first true column of `[N, cells]` as a number, NaN where there is none."""
    return torch.where(mask.any(1), mask.byte().argmax(1).float(), torch.nan)


def one_cell(x: Tensor, y: Tensor, size: Sequence[int]) -> Tensor:
    """The cell at `x [N]`, `y [N]`, as a mask `[N, W, H]`; none where that is off the board."""
    column, row = _offsets(x, y, size)
    return (column == 0) & (row == 0)


def half_plane(x: Tensor, y: Tensor, towards: Tensor, size: Sequence[int]) -> Tensor:
    """The cells `[N, W, H]` whose offset from (x, y) has a positive part along `towards [N, 2]`."""
    column, row = _offsets(x, y, size)
    dx, dy = towards.to(column.dtype).unbind(1)
    return column * dx[:, None, None] > row * -dy[:, None, None]


def _offsets(x: Tensor, y: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """How far each column `[N, W, 1]` and each row `[N, 1, H]` is from a place."""
    columns, rows = (torch.arange(n, dtype=torch.int16, device=x.device) for n in size)
    return columns[:, None] - x.short()[:, None, None], rows - y.short()[:, None, None]


def _shifted(mask: Tensor, out: Tensor, axis: int, by: int) -> None:
    """Add to `out` the mask moved by so many cells along an axis; what leaves the board is gone."""
    left = mask.shape[axis] - abs(by)
    if left > 0:
        out.narrow(axis, max(by, 0), left).logical_or_(mask.narrow(axis, max(-by, 0), left))


def _neighbours(mask: Tensor, start: Tensor | None = None) -> Tensor:
    """The neighbours of a mask's cells along every axis, and `start`."""
    out = torch.zeros_like(mask) if start is None else start
    for axis in range(1, mask.dim()):
        _shifted(mask, out, axis, 1)
        _shifted(mask, out, axis, -1)
    return out


def _grown(mask: Tensor, steps: int) -> Tensor:
    for _ in range(min(steps, sum(mask.shape[1:]))):
        mask = _neighbours(mask, mask.clone())
    return mask


def _along(mask: Tensor, axis: int, sign: int, steps: int) -> Tensor:
    """The cells at most so many steps from one of the mask, along the axis in the sign's direction."""
    out = torch.zeros_like(mask)
    for by in range(1, min(steps, mask.shape[axis] - 1) + 1):
        _shifted(mask, out, axis, sign * by)
    return out


def _beyond(mask: Tensor, axis: int, sign: int) -> Tensor:
    """The cells that lie farther along an axis, in the sign's direction, than some cell of the mask."""
    others = [k for k in range(1, mask.dim()) if k != axis]
    lines = mask.sum(others) > 0 if others else mask                                                # [N, S]
    size = lines.shape[1]
    at = torch.arange(size, device=mask.device)
    if sign > 0:
        found = at > torch.where(lines, at, size).amin(1, keepdim=True)
    else:
        found = at < torch.where(lines, at, -1).amax(1, keepdim=True)
    return found.view(-1, *(size if k == axis else 1 for k in range(1, mask.dim()))).expand_as(mask)
