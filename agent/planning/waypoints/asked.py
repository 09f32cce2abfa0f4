"""What the world model says of every action at every kind of place, asked once each: a table, grown as it is needed.

That what an action does hangs on what is near alone is a guess, right for models that look around their pointer
(`world/models/slots.py`). It is checked: changes far away are noticed here, and a plan is imagined once more before it
counts. M kinds of places, A actions; the rest as in `places.py`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ....world import tree
from ....world.model import Outcome, State, WorldModel
from .places import NEAR, Places, Scene

MAX_ROWS = 2_048
"""As many steps are imagined at once at most: beyond, the boards no longer fit the cache."""


class Asked:
    """The answers of `model` around the imagined `state` (one row), at most `limit` transitions."""

    def __init__(self, model: WorldModel, places: Places, state: State, limit: int) -> None:
        self.model, self.places, self.state, self.left = model, places, state, limit
        self.actions = model.schema.all_actions()
        self.spent, self.is_local = 0, True
        a, f, s = len(self.actions), len(places.arrays), len(places.scalars)
        self.keys = np.zeros(0, np.uint64)  # sorted; `row` says where each key's answers stand
        self.row = np.zeros(0, np.int64)
        self.shift = np.zeros((0, a, 2), np.int64)  # of the position
        self.heading = np.zeros((0, a), np.int64)
        self.cells = np.zeros((0, a, len(NEAR), f), np.int64)  # near, after the action
        self.scalars = np.zeros((0, a, s), np.int64)
        self.numbers = np.zeros((0, a, 4), np.float32)  # reward, cont, feasible, uncertainty
        self.walks = np.zeros((0, a), bool)
        self.deeds = np.zeros((0, a), bool)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """Where the answers for `keys [N]` stand, -1 for those not asked yet."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        at = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.row[at], -1)

    def ask(self, scene: Scene, poses: np.ndarray, keys: np.ndarray) -> bool:
        """Imagine every action at `poses [N]` of distinct new `keys [N]`; False where the budget does not allow it."""
        each = len(self.actions)
        if len(poses) * each > self.left:
            return False
        self.left -= len(poses) * each
        self.spent += len(poses) * each
        for part in np.array_split(np.arange(len(poses)), -(-len(poses) * each // MAX_ROWS)):
            self._note(scene, poses[part], *self.imagine(scene, poses[part], self.actions))
        new = np.arange(len(self.row), len(self.row) + len(keys))
        keys, row = np.append(self.keys, keys), np.append(self.row, new)
        order = np.argsort(keys)
        self.keys, self.row = keys[order], row[order]
        return True

    def imagine(self, scene: Scene, poses: np.ndarray, actions: Tensor) -> tuple[dict[str, Tensor], Outcome]:
        """One step of each of `actions [A]` from each of `poses [N]`: features after and outcome, `[N A]` rows."""
        n, features = len(poses), self.places.features(scene, poses)
        state = tree.repeat(self.state, n)
        state = self.model.assimilate(state, features, torch.ones(n, dtype=torch.bool))
        _, out = self.model.step(tree.repeat(state, len(actions)), actions.repeat(n, 1))
        return out.mode, out

    def _note(self, scene: Scene, poses: np.ndarray, after: dict[str, Tensor], out: Outcome) -> None:
        places, a, n = self.places, len(self.actions), len(poses)
        at = poses // places.headings
        cells = torch.stack([after[f.name].flatten(1) for f in places.arrays], -1)
        differ = (cells != torch.from_numpy(scene.cells).to(cells.dtype)).any(-1).view(n, a, -1).numpy()  # [n, A, C]
        near = places.near[at]  # [n, 5]
        wide = np.pad(differ, ((0, 0), (0, 0), (0, 1)))
        changed_near = np.take_along_axis(wide, near[:, None].repeat(a, 1), 2)
        feasible = out.feasible.view(n, a).numpy()
        if ((differ.sum(-1) != changed_near.sum(-1)) & feasible).any():
            self.is_local = False
        padded = np.pad(cells.view(n, a, places.cells, -1).numpy().astype(np.int64), ((0, 0), (0, 0), (0, 1), (0, 0)))
        local = np.take_along_axis(padded, near[:, None, :, None].repeat(a, 1), 2)
        scalars = (torch.stack([after[f.name].long() for f in places.scalars], -1).view(n, a, -1).numpy()
                   if places.scalars else np.zeros((n, a, 0), np.int64))
        to = places.poses(after).reshape(n, a)
        here = np.stack(np.divmod(at, places.shape[1]), -1)  # [n, 2]
        there = np.stack(np.divmod(to // places.headings, places.shape[1]), -1)
        numbers = torch.stack([out.reward.float(), out.cont.float(), out.feasible.float(), out.uncertainty.float()], -1)
        goes_on = (out.cont > 0.5).view(n, a).numpy()
        changes = changed_near.any(-1) | (scalars != scene.scalars).any(-1)
        possible, moves = feasible & (to >= 0), to != poses[:, None]
        self._append("shift", there - here[:, None])
        self._append("heading", to % places.headings)
        self._append("cells", local)
        self._append("scalars", scalars)
        self._append("numbers", numbers.view(n, a, 4).numpy())
        self._append("walks", possible & goes_on & ~changes & moves)
        self._append("deeds", possible & (changes | ~goes_on))

    def _append(self, name: str, values: np.ndarray) -> None:
        setattr(self, name, np.concatenate([getattr(self, name), values]))

    def leads(self, rows: np.ndarray, poses: np.ndarray) -> np.ndarray:
        """Where every action leads from `poses [N]` with answers `rows [N]`: poses `[N, A]`, -1 off the board."""
        places = self.places
        x, y = np.divmod(poses // places.headings, places.shape[1])
        x, y = x[:, None] + self.shift[rows, :, 0], y[:, None] + self.shift[rows, :, 1]
        inside = (x >= 0) & (x < places.shape[0]) & (y >= 0) & (y < places.shape[1])
        return np.where(inside, (x * places.shape[1] + y) * places.headings + self.heading[rows], -1)

    def done(self, scene: Scene, rows: np.ndarray, poses: np.ndarray, actions: np.ndarray,
             ) -> tuple[np.ndarray, np.ndarray]:
        """The cells `[N, C, F]` and scalars `[N, S]` after one action each (their codes `[N]`) at `poses [N]`."""
        near = self.places.near[poses // self.places.headings]
        wide = np.concatenate([scene.cells, scene.cells[:1] * 0])[None].repeat(len(poses), 0)
        wide[np.arange(len(poses))[:, None], near] = self.cells[rows, actions]
        return wide[:, :-1], self.scalars[rows, actions]
