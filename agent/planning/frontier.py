"""The nodes of a graph search for B problems at once, and which of them are still open.

A node's numbers are columns of numpy (small arrays, many small operations); its state is a row of tensors. Both are
kept in arrays that double when they are full, so that a batch costs what it adds and not what is there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...world import tree

BROKEN = 1e9
"""What it adds to the priority that the way to a node breaks a limit."""

COLUMNS: dict[str, Any] = {"problem": np.int32, "parent": np.int64, "action": np.int32, "depth": np.int32,
                           "value": np.float64, "priority": np.float64, "toll": np.int32,
                           "broken": np.bool_, "key": np.int64}


class Nodes:
    """M nodes: `columns[name] [M]`, `rows` (a tree of tensors, M rows), `marks [M, R]` (milestones passed, bool)."""

    def __init__(self, rows: Any, room: int = 1_024) -> None:
        self.count, self.room = 0, room
        self._columns = {name: np.zeros(room, kind) for name, kind in COLUMNS.items()}
        self._rows = tree.tree_map(lambda leaf: leaf.new_empty(room, *leaf.shape[1:]), rows)
        self._marks: np.ndarray | None = None

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name][: self.count]

    def rows(self, index: np.ndarray) -> Any:
        """The states (and what else is kept with them) of nodes `index [N]`."""
        return tree.take(self._rows, torch.from_numpy(index))

    def marks(self, index: np.ndarray) -> np.ndarray:
        """The milestones on the way to nodes `index [N]`: `[N, R]`."""
        assert self._marks is not None
        return self._marks[index]

    def widen(self, more: int) -> None:
        """Make room for `more` milestones, which nobody has passed yet."""
        assert self._marks is not None
        self._marks = np.pad(self._marks, ((0, 0), (0, more)))

    def append(self, rows: Any, marks: np.ndarray, **columns: Any) -> np.ndarray:
        """Add N nodes; returns their numbers."""
        n = len(marks)
        while self.count + n > self.room:
            self._double()
        if self._marks is None:
            self._marks = np.zeros((self.room, marks.shape[1]), bool)
        new = slice(self.count, self.count + n)
        for name, column in self._columns.items():
            column[new] = columns[name]
        self._marks[new] = marks

        def put(store: Tensor, leaf: Tensor) -> Tensor:
            store[new] = leaf
            return store

        tree.tree_map(put, self._rows, rows)
        self.count += n
        return np.arange(new.start, new.stop)

    def _double(self) -> None:
        def wider(array: np.ndarray) -> np.ndarray:
            return np.concatenate([array, np.zeros_like(array)])

        self._columns = {name: wider(column) for name, column in self._columns.items()}
        self._marks = None if self._marks is None else wider(self._marks)
        self._rows = tree.tree_map(lambda leaf: torch.cat([leaf, torch.empty_like(leaf)]), self._rows)
        self.room *= 2


class Frontier:
    """The open nodes of B problems."""

    def __init__(self, nodes: Nodes, problems: int) -> None:
        self.nodes, self.problems = nodes, problems
        self.open = np.zeros(0, np.int64)

    def push(self, index: np.ndarray) -> None:
        self.open = np.concatenate([self.open, index])

    def least(self) -> np.ndarray:
        """The least priority of each problem's open nodes, infinite where there are none: `[B]`."""
        least = np.full(self.problems, np.inf)
        np.minimum.at(least, self.nodes["problem"][self.open], self.nodes["priority"][self.open])
        return least

    def drop(self, finished: np.ndarray) -> None:
        """Close all nodes of the problems that are `finished [B]`."""
        if finished.any():
            self.open = self.open[~finished[self.nodes["problem"][self.open]]]

    def drop_dear(self, goal: np.ndarray) -> None:
        """Close the nodes that have cost no less than the way to their problem's `goal [B]` (-1: there is none)."""
        if (goal >= 0).any():
            at = goal[self.nodes["problem"][self.open]]
            self.open = self.open[(at < 0) | (self.nodes["toll"][self.open] < self.nodes["toll"][at])]

    def pop(self, allowed: np.ndarray) -> np.ndarray:
        """Take each problem's most promising open nodes, `allowed [B]` of them at most; of equal ones the older first.
        A way that breaks a limit is followed only when no other is left, whatever it achieves."""
        problem, priority = self.nodes["problem"][self.open], self.nodes["priority"][self.open]
        at = np.arange(len(self.open))
        broken = self.nodes["broken"][self.open]
        if broken.any():
            at = np.flatnonzero(broken == (self.least() >= BROKEN / 2)[problem])
        if self.problems == 1 and len(at) > allowed[0] > 0:  # no need to sort what is far behind
            at = at[priority[at] <= np.partition(priority[at], allowed[0] - 1)[allowed[0] - 1]]
        at = at[np.lexsort((priority[at], problem[at]))]
        rank = np.arange(len(at)) - np.searchsorted(problem[at], problem[at])
        at = at[rank < allowed[problem[at]]]
        chosen = self.open[at]
        left = np.ones(len(self.open), bool)
        left[at] = False
        self.open = self.open[left]
        return chosen
