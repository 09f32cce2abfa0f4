"""Shortest walks over the poses of one scene, breadth-first over what the model said of walking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .asked import Asked
from .places import Scene

FAR = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Walks:
    """The walks from `start`: `steps [P]` (FAR: none), the pose before and the action that `came` from it `[P]`;
    `poses [R]` are those that are reached, the nearest first, with their answers `rows [R]`, `leads [R, A]`."""

    start: int
    steps: np.ndarray
    before: np.ndarray
    came: np.ndarray
    poses: np.ndarray
    rows: np.ndarray
    leads: np.ndarray

    def to(self, pose: int) -> tuple[list[int], list[int]]:
        """The poses passed (the first is `start`, `pose` is not among them) and the actions taken."""
        poses, actions = [], []
        while pose != self.start:
            actions.append(int(self.came[pose]))
            pose = int(self.before[pose])
            poses.append(pose)
        return poses[::-1], actions[::-1]


def walks(asked: Asked, scene: Scene, start: int) -> Walks:
    """All shortest walks from the pose `start`. Kinds of places not met before are asked for: those that border on what
    is known, and at once those that look as if one came there too."""
    places = asked.places
    keys = places.keys(scene)
    rows = asked.find(keys)
    while True:
        found = _spread(asked, rows, start)
        if not (rows[found] == -1).any():
            break
        likely = np.zeros(len(rows), bool)
        likely.reshape(-1, places.headings)[_likely(asked, scene, found)] = True
        likely[found] = True
        strange = np.flatnonzero(likely & (rows == -1))
        wanted, first = np.unique(keys[strange], return_index=True)
        if not asked.ask(scene, strange[first], wanted):
            rows[rows < 0] = -2  # the budget is spent: these places stay unknown
            break
        rows = asked.find(keys)
    return restricted(asked, rows, start, None)


def _likely(asked: Asked, scene: Scene, found: np.ndarray) -> np.ndarray:
    """Cells `[C]` that hold what cells one comes to hold, and hang together with them."""
    places = asked.places
    _, content = np.unique(scene.cells, axis=0, return_inverse=True)
    stood = np.unique(found // places.headings)
    alike = np.isin(content.ravel(), content.ravel()[stood])
    inside = np.zeros(places.cells + 1, bool)
    inside[stood] = True
    count = 0
    while count < (count := int(inside.sum())):
        inside[:-1] |= alike & inside[places.near].any(1)
    cells: np.ndarray = inside[:-1]
    return cells


def _spread(asked: Asked, rows: np.ndarray, start: int) -> np.ndarray:
    """The poses reached over known places, with the unknown ones they border on."""
    seen = np.zeros(len(rows), bool)
    seen[start] = True
    edge = np.array([start])
    while len(edge := edge[rows[edge] >= 0]):
        to = asked.leads(rows[edge], edge)[asked.walks[rows[edge]]]
        to = to[to >= 0]
        edge = np.unique(to[~seen[to]])
        seen[edge] = True
    return np.flatnonzero(seen)


def restricted(asked: Asked, rows: np.ndarray, start: int, allowed: np.ndarray | None) -> Walks:
    """The walks that only take steps that are `allowed [P, A]` (None: all), over answers `rows [P]` (below 0: none)."""
    p = len(rows)
    steps, before, came = np.full(p, FAR, np.int32), np.full(p, -1, np.int32), np.full(p, -1, np.int32)
    steps[start] = 0
    edge, layers, leads, d = np.array([start]), [], [], 0
    while len(edge := edge[rows[edge] >= 0]):
        to = asked.leads(rows[edge], edge)
        layers.append(edge)
        leads.append(to)
        can = asked.walks[rows[edge]] & (to >= 0)
        if allowed is not None:
            can &= allowed[edge]
        i, a = np.nonzero(can)
        reached = to[i, a]
        fresh = steps[reached] == FAR
        i, a, reached = i[fresh], a[fresh], reached[fresh]
        d += 1
        # Of several ways into one pose the last written wins: turned round, the first.
        steps[reached] = d
        before[reached[::-1]], came[reached[::-1]] = edge[i[::-1]], a[::-1]
        edge = np.unique(reached)
    poses = np.concatenate(layers) if layers else np.zeros(0, np.int64)
    a_count = asked.walks.shape[1]
    return Walks(start, steps, before, came, poses, rows[poses],
                 np.concatenate(leads) if leads else np.zeros((0, a_count), np.int64))
