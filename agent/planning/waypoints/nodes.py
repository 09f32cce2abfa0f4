"""The nodes of the search over deeds, the heap of what is still to be looked at, and how it is ordered."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ..objective import Carry
from .places import Scene
from .walks import Walks

PUT_OFF = 40.0
"""Steps that a deed counts for more where it opens no way and reaches nothing that is wanted."""
KIND = 10.0
"""Steps that a deed counts for more for each nearer one of its kind, and for each of its kind that was put off before:
it hardly matters where a thing is put down."""


@dataclass
class Node:
    """A scene, the pose in it, and how it was come by: `actions` are those since its `parent`."""

    scene: Scene
    pose: int
    carry: Carry  # one row
    depth: int
    value: float
    parent: Node | None
    actions: list[int]
    poses: list[int]  # where each of `actions` was taken
    progress: float
    marks: np.ndarray  # [L] bool, subgoals that have held
    walks: Walks | None = None
    broken: bool = False
    reached: bool = False
    worst: float = 0.0  # what the dearest step on the way gains

    def path(self) -> list[Node]:
        """The nodes from the first to this one."""
        node, nodes = self, [self]
        while node.parent is not None:
            node = node.parent
            nodes.append(node)
        return nodes[::-1]

    @property
    def standing(self) -> tuple[float, int, float]:
        """How good an end of a plan this is, where nothing better is found."""
        return self.progress, int(self.marks.sum()), self.value


@dataclass(frozen=True)
class Step:
    """What may be done after `node`: walk to `pose`, then take `action` there (-1: just be there), which brings about
    `scene`; expected milestones behind it `progress` and `marks`."""

    node: Node
    pose: int
    action: int
    scene: Scene
    to: int
    progress: float
    marks: np.ndarray
    reached: bool
    broken: bool
    kind: bytes = b""  # the same for deeds that differ in the place alone
    put_off: bool = False


@dataclass
class Open:
    """What is still to be looked at, the most promising first: what breaks no limit, has most milestones behind it, is
    novel, and takes the fewest steps (of which deeds of little promise count for more)."""

    heap: list[tuple[bool, float, bool, float, int, Step]] = field(default_factory=list)
    seen: set[tuple[bytes, int, float]] = field(default_factory=set)
    shown: set[tuple[int, ...]] = field(default_factory=set)
    kinds: Counter[bytes] = field(default_factory=Counter)  # how many deeds of each kind were put off
    count: int = 0

    def push(self, what: Step, novel: bool, cost: float) -> None:
        behind, ready = divmod(what.progress, 1.0)
        score = 100 * behind + (ready > 0) + int(what.marks.sum())
        self.count += 1
        heapq.heappush(self.heap, (what.broken, -score, not novel, cost, self.count, what))

    def pop(self) -> tuple[Step, bool, float]:
        _, _, stale, cost, _, what = heapq.heappop(self.heap)
        return what, not stale, cost

    def is_novel(self, step: Step) -> bool:
        """Whether a cell shows something that it has not shown beside the same scalars and milestones (a novelty of
        width 1, Lipovetzky & Geffner 2017)."""
        old = step.node.scene
        part = hash((step.progress, step.marks.tobytes(), step.scene.scalars.tobytes()))
        changed = np.flatnonzero((old.cells != step.scene.cells).any(-1))
        shown = {(part, int(c), *step.scene.cells[c].tolist()) for c in changed} | {(part,)}
        if step.scene is old:
            shown.add((part, -1 - step.to))
        fresh = not shown <= self.shown
        self.shown |= shown
        return fresh
