"""The poses of a board, and what is near each: the cell stood on, the four beside it, the heading and all scalars.

C cells, K headings, P = C K poses, F arrays, S scalars. A pose's code is `cell * K + heading`, a cell's `x * H + y`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ....world.schema import Schema

NEAR = ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1))
"""The cells that belong to a place, relative to the one stood on."""
_WEIGHTS = np.random.default_rng(1).integers(0, 2**63, 256, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


@dataclass(frozen=True)
class Scene:
    """The world but for the pose: `cells [C, F]` and `scalars [S]`, int64, the features' own values."""

    cells: np.ndarray
    scalars: np.ndarray

    @property
    def key(self) -> bytes:
        return self.cells.tobytes() + self.scalars.tobytes()


class Places:
    """The geometry of a schema's grid."""

    def __init__(self, schema: Schema) -> None:
        grid = schema.grid
        assert grid is not None
        self.schema, self.grid = schema, grid
        self.arrays = [schema.base[name] for name in grid.arrays]
        pose = {grid.x, grid.y, grid.heading}
        self.scalars = [f for f in schema.features if f.name not in pose and f not in self.arrays]
        self.shape: tuple[int, ...] = self.arrays[0].shape
        self.cells = int(np.prod(self.shape))
        self.headings = (schema.base[grid.heading].cardinality or 1) if grid.heading else 1
        x, y = np.divmod(np.arange(self.cells), self.shape[1])
        i, j = x[:, None] + [dx for dx, _ in NEAR], y[:, None] + [dy for _, dy in NEAR]
        inside = (i >= 0) & (i < self.shape[0]) & (j >= 0) & (j < self.shape[1])
        self.near = np.where(inside, i * self.shape[1] + j, self.cells)  # [C, 5], C: off the board

    def read(self, features: Mapping[str, Tensor]) -> tuple[list[Scene], np.ndarray]:
        """The scenes and the poses `[N]` of features `[N, ...]`."""
        cells = torch.stack([features[f.name].flatten(1).long() for f in self.arrays], -1).numpy()
        n = len(cells)
        scalars = (torch.stack([features[f.name].long() for f in self.scalars], -1).numpy() if self.scalars
                   else np.zeros((n, 0), np.int64))
        return [Scene(cells[k], scalars[k]) for k in range(n)], self.poses(features)

    def poses(self, features: Mapping[str, Tensor]) -> np.ndarray:
        """The codes of the poses `[N]`; -1 off the board."""
        grid = self.grid
        x, y = features[grid.x].long().numpy(), features[grid.y].long().numpy()
        heading = features[grid.heading].long().numpy() if grid.heading else 0
        inside = (x >= 0) & (x < self.shape[0]) & (y >= 0) & (y < self.shape[1])
        return np.where(inside, (x * self.shape[1] + y) * self.headings + heading, -1)

    def features(self, scene: Scene, poses: np.ndarray, cells: np.ndarray | None = None,
                 scalars: np.ndarray | None = None) -> dict[str, Tensor]:
        """Features of a scene seen from `poses [N]`, or of N scenes, `cells [N, C, F]` and `scalars [N, S]`. One scene
        is not copied for every pose."""
        n, grid = len(poses), self.grid
        out: dict[str, Tensor] = {}
        for i, f in enumerate(self.arrays):
            values = torch.from_numpy(scene.cells[None, :, i] if cells is None else cells[:, :, i]).to(f.dtype)
            out[f.name] = values.expand(n, -1).view(n, *f.shape)
        for i, f in enumerate(self.scalars):
            values = torch.from_numpy(scene.scalars[None, i] if scalars is None else scalars[:, i]).to(f.dtype)
            out[f.name] = values.expand(n)
        at, heading = np.divmod(poses, self.headings)
        x, y = np.divmod(at, self.shape[1])
        pose = {grid.x: x, grid.y: y} | ({grid.heading: heading} if grid.heading else {})
        out |= {name: torch.from_numpy(v).to(self.schema.base[name].dtype) for name, v in pose.items()}
        return {f.name: out[f.name] for f in self.schema.features}

    def keys(self, scene: Scene) -> np.ndarray:
        """What kind of place each pose is, `[P]` uint64: equal where all that is near is equal."""
        content = _mixed((scene.cells.astype(np.uint64) + np.uint64(1)) * _WEIGHTS[: scene.cells.shape[1]])
        content = np.append(content, np.uint64(0))
        around = _mixed(content[self.near] * _WEIGHTS[10:15])  # [C]
        scalars = (scene.scalars.astype(np.uint64) + np.uint64(1)) * _WEIGHTS[20 : 20 + len(scene.scalars)]
        headings = np.arange(1, self.headings + 1, dtype=np.uint64) * _WEIGHTS[15]
        keys = around[:, None] * _WEIGHTS[16] + headings + scalars.sum(dtype=np.uint64)
        return (keys ^ (keys >> np.uint64(29))).ravel()


def _mixed(parts: np.ndarray) -> np.ndarray:
    """The hashes of rows, `[..., n] -> [...]`."""
    word = parts ^ (parts >> np.uint64(31))
    total = (word * _WEIGHTS[30]).sum(-1, dtype=np.uint64)
    mixed: np.ndarray = total ^ (total >> np.uint64(27))
    return mixed
