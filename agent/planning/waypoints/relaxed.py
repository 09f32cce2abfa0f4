"""Landmarks of a relaxed plan: which cells must have changed for the goal to be a walk away, whatever else they cost.

Layer by layer every cell that one deed would open is taken to be open from then on (delete relaxation: Bonet & Geffner
2001; the first relaxed plan's deeds are the helpful ones, Hoffmann & Nebel 2001), until something that the objective
is after can be walked to. The changed cells on that walk are the landmarks. Deeds that change least go first: a door
that opens is still a door, a thing that was taken is gone, and with it perhaps what is wanted. C cells, F arrays.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .asked import Asked
from .places import Scene
from .walks import Walks, walks

LAYERS = 16

Wanted = Callable[[Scene, Walks], np.ndarray]
"""(a scene, the walks in it) -> the poses at which something brings the objective nearer, the nearest first."""


def landmarks(asked: Asked, scene: Scene, start: int, wanted: Wanted) -> tuple[np.ndarray, np.ndarray] | None:
    """The cells `[L]` to be changed, in the order of the walk, and to what, `[L, F]`; None where no walk is found."""
    places, cells = asked.places, scene.cells.copy()
    for _ in range(LAYERS):
        now = Scene(cells.copy(), scene.scalars)
        walked = walks(asked, now, start)
        if not len(walked.poses):
            return None
        if len(goal := wanted(now, walked)):
            way = np.array([*walked.to(int(goal[0]))[0], int(goal[0])]) // places.headings
            changed = (now.cells != scene.cells).any(-1)
            passed = np.array(list(dict.fromkeys(way[changed[way]].tolist())), np.int64)
            return passed, now.cells[passed]
        if not _opened(asked, scene, walked, cells):
            return None
    return None


def _opened(asked: Asked, scene: Scene, walked: Walks, cells: np.ndarray) -> bool:
    """Change `cells` that cannot be walked on yet as deeds would that change least; whether there were any."""
    places = asked.places
    i, k = np.nonzero(asked.deeds[walked.rows])
    rows, near = walked.rows[i], places.near[walked.poses[i] // places.headings]             # [D], [D, 5]
    wide = np.concatenate([cells, cells[:1] * 0])
    differ = wide[near] != asked.cells[rows, k]                                              # [D, 5, F]
    trodden = np.zeros(len(wide), bool)
    trodden[walked.poses // places.headings] = trodden[-1] = True
    same_cells = np.append((cells == scene.cells).all(-1), False)
    fresh = differ.any(-1) & ~trodden[near] & same_cells[near]
    cost = differ.sum((1, 2)) + 10 * (asked.scalars[rows, k] != scene.scalars).any(-1)
    use = fresh.any(-1)
    if not use.any():
        return False
    for d in np.flatnonzero(use & (cost == cost[use].min())):
        at = near[d, fresh[d]]
        cells[at] = asked.cells[rows[d], k[d]][fresh[d]]
    return True
