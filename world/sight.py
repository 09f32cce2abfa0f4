"""What a sensor that sees only a part of a grid world tells of it: the map is the belief, and is itself the features.

A partial view is put into a map of the same features as the whole world's, in which a cell that was never seen has the
value `unseen`. The map after a step follows from the map before it, the action and the new view, so that nothing is
kept but features: memory, checkpoints and copies of an environment hold it without knowing.

Three readings of two maps, `before` a step and `after` it: what the step changed is what `before` *with hindsight*
(a cell first seen now was the same before) and `after` tell apart; what could be expected is `after` with what was
first seen now *withheld*. N rows, W x H cells, a window of n x n with the sensor in the middle of its last row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .schema import Features, Grid

Row = Mapping[str, np.ndarray]
Follow = Callable[[Row, np.ndarray, Any], dict[str, Any]]
"""(the map before, the action `[A]`, the observation after it) -> the map after."""


@dataclass(frozen=True)
class Sight:
    """A sensor that shows a window of `window` x `window` cells ahead, on a map of `grid`.

    `unseen` is the code of the array `array` that says so of a cell. `opaque` says behind which known cells nothing is
    seen, `[N, W, H]`; None: it sees through everything. `follow` keeps the map.
    """

    grid: Grid
    array: str
    follow: Follow = field(repr=False, compare=False)
    window: int = 7
    unseen: int = 0
    opaque: Callable[[Features], Tensor] | None = field(default=None, repr=False, compare=False)

    def hidden(self, features: Features) -> Tensor:
        """The cells that were never seen, bool `[N, W, H]`."""
        return features[self.array] == self.unseen

    def hindsight(self, before: Row, after: Row) -> dict[str, np.ndarray]:
        """`before`, with what is seen now of cells that were not: they are taken to have been the same."""
        new = np.asarray(before[self.array]) == self.unseen
        return {k: np.where(new, after[k], v) if k in self.grid.arrays else v for k, v in before.items()}

    def withheld(self, before: Features, after: Features) -> dict[str, Tensor]:
        """`after`, without what `before` could not know."""
        new = self.hidden(before)
        return {k: torch.where(new, before[k], v) if k in self.grid.arrays else v for k, v in after.items()}

    def news(self, before: Features, after: Features) -> Tensor:
        """The cells that were first seen by the step, bool `[N, W, H]`."""
        return self.hidden(before) & ~self.hidden(after)

    def revealed(self, features: Features, worth: Tensor, clear: Tensor) -> Tensor:
        """What the sensor is expected to reveal from each row's pose: the `worth [W, H]` of the unseen cells it would
        see, `[N]`. Behind an unseen cell it sees with the chance `clear [W, H]` that it can be looked through.

        Sight spreads row by row from the sensor, to either side and ahead, as in MiniGrid's `process_vis`; of several
        ways to a cell the likeliest counts.
        """
        hidden, n = self.hidden(features), len(features[self.array])
        index = self.cells(features)                                                          # [N, n, n]
        on, at = index >= 0, index.clamp_min(0).flatten(1)
        fresh = hidden.flatten(1).gather(1, at).view(index.shape) & on
        chance = torch.where(fresh, clear.flatten()[at].view(index.shape), 1.0)
        if self.opaque is not None:
            known = self.opaque(features).flatten(1).gather(1, at).view(index.shape)
            chance = torch.where(on & ~fresh, (~known).float(), chance)
            chance[:, self.window // 2, -1] = 1.0  # it stands there
        chance = torch.where(on, chance, 0.0)
        seen = chance.new_zeros(index.shape) if self.opaque is not None else torch.ones_like(chance)
        if self.opaque is not None:
            self._spread(seen, chance)
        return (seen * fresh * worth.flatten()[at].view(index.shape)).view(n, -1).sum(1)

    def _spread(self, seen: Tensor, chance: Tensor) -> None:
        """Fill `seen [N, n, n]` with the chance that light comes from each cell to the sensor, given each cell's own
        `chance` to let it pass."""
        last, width = self.window - 1, range(self.window)
        seen[:, self.window // 2, last] = 1.0
        for j in reversed(width):
            for order, side in ((width[:-1], 1), (width[:0:-1], -1)):
                for i in order:
                    light = seen[:, i, j] * chance[:, i, j]
                    seen[:, i + side, j] = torch.maximum(seen[:, i + side, j], light)
                    if j:
                        seen[:, i + side, j - 1] = torch.maximum(seen[:, i + side, j - 1], light)
                        seen[:, i, j - 1] = torch.maximum(seen[:, i, j - 1], light)

    def cells(self, features: Features) -> Tensor:
        """The flat index of every cell of the window on the map, `[N, n, n]`; -1 off the map."""
        width, height = features[self.array].shape[1:]
        by = self._offsets.index_select(0, features[self.grid.heading or ""].long())          # [N, n, n, 2]
        x = features[self.grid.x].long()[:, None, None] + by[..., 0]
        y = features[self.grid.y].long()[:, None, None] + by[..., 1]
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return torch.where(inside, x * height + y, -1)

    @property
    def _offsets(self) -> Tensor:
        return torch.from_numpy(offsets(self.window, self.grid.steps))


def offsets(window: int, steps: tuple[tuple[int, int], ...]) -> np.ndarray:
    """(dx, dy) from the sensor to cell `[i, j]` of its window, for each heading: `[4, n, n, 2]`."""
    ahead = np.asarray(steps)[:, None, None]
    right = np.stack([-ahead[..., 1], ahead[..., 0]], -1)
    i, j = np.indices((window, window))
    return (i - window // 2)[None, ..., None] * right + (window - 1 - j)[None, ..., None] * ahead
