"""One problem of the waypoint planner: the search over deeds, each scored and reached as the objective has it."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ....world import tree
from ....world.model import State, WorldModel
from ....world.schema import Features
from ..objective import Carry, Objective, Transition
from ..plan import Plan
from .asked import Asked
from .nodes import KIND, PUT_OFF, Node, Open, Step
from .places import Scene
from .relaxed import landmarks
from .walks import FAR, Walks, restricted, walks
from .wishes import Wishes

TRANSITIONS_A_DEED = 100
"""A small budget also allows for few deeds: to look at one takes as long as to imagine so many steps."""
Marks = tuple[np.ndarray, np.ndarray]
"""Cells `[L]` and the values `[L, F]` that they shall have."""


class Task:
    """One state to plan from, and what the search has come to."""

    def __init__(self, model: WorldModel, state: State, objective: Objective, asked: Asked, deeds: int, depth: int,
                 least: float | None = None) -> None:
        """At most so many `deeds` are looked at, of plans no longer than `depth`; a step that gains no more than
        `least` (None: one that is unacceptable) is taken only where there is no other way."""
        self.model, self.objective, self.asked, self.depth = model, objective, asked, depth
        self.places = asked.places
        self.least = -objective.unacceptable if least is None else least
        self.usual = -np.inf  # the most that a step that reaches nothing was seen to gain, at most 0
        self.open, self.deeds, self.is_trusted = Open(), 0, True
        self.most = min(deeds, max(1, asked.left // TRANSITIONS_A_DEED))
        self.wishes = Wishes(model.schema, objective, {f.name for f in self.places.scalars})
        self.base: Node | None = None  # what was reached last: the search goes on from there
        self.landmarks: Marks | None = None
        self.features = model.decode(state)
        (scene,), poses = self.places.read(self.features)
        carry = objective.start(self.features)
        self.root = Node(scene, int(poses[0]), carry, 0, 0.0, None, [], [],
                         float(self.wishes.progress(carry, self.features)), self._held(self.features)[0])
        self.best = self.root
        self.earlier: list[tuple[Node | None, Open, Marks | None]] = []
        if self.root.pose >= 0:
            self._begin(self.root)
        self.checked: dict[int, tuple[dict[str, Tensor], float]] = {}

    def _begin(self, node: Node) -> None:
        """Go on from a node that has brought the objective nearer, with landmarks of its own (enforced hill-climbing,
        Hoffmann & Nebel 2001); what was open before is gone back to where this comes to nothing."""
        if self.base is not None:
            self.earlier.append((self.base, self.open, self.landmarks))
        self.base, self.open = node, Open()
        self.landmarks = landmarks(self.asked, node.scene, node.pose, self._wanted)
        node.marks = self._marks(self._held(self.places.features(node.scene, np.array([node.pose]))),
                                 node.scene.cells[None])[0]

    def search(self, until: float) -> Node | None:
        """The node that attains the objective, or None; `best` is then the nearest to it."""
        if self.root.pose < 0:
            self.is_trusted = False
            return None
        node: Node | None = self.root
        while True:
            if node is not None:
                self.deeds += 1
                self._expand(node)
            if not self.asked.is_local:
                self.is_trusted = False
            while not self.open.heap and self.earlier:
                self.base, self.open, self.landmarks = self.earlier.pop()
            if (not self.is_trusted or not self.open.heap or self.deeds >= self.most
                    or time.perf_counter() >= until):
                return None
            node = self._next(*self.open.pop())
            if node is not None and node.reached:
                if self._is_true(node):
                    return node
                node = None
            elif node is not None and self.base is not None and node.progress > self.base.progress + 1e-6:
                self._begin(node)

    def _next(self, step: Step, novel: bool, cost: float) -> Node | None:
        """The node that a step leads to, or None where it is put off or leads nowhere."""
        if not (step.put_off or step.reached) and (more := self._idle(step)):
            self.open.push(replace(step, put_off=True), novel, cost + more + KIND * self.open.kinds[step.kind])
            self.open.kinds[step.kind] += 1
            return None
        made = self._made(self._corrected(step))
        if made is None or made.depth > self.depth:
            return None
        if self.best is self.root or made.standing > self.best.standing:
            self.best = made
        return made

    # --- looking around from a node -------------------------------------------------------------------------------

    def _expand(self, node: Node) -> None:
        """Score every action at every pose that can be walked to, and keep what brings something about."""
        walked = walks(self.asked, node.scene, node.pose)
        if not len(walked.poses):
            return
        asked, a = self.asked, len(self.asked.actions)
        gain, progress, reached = self._still(node, walked.poses, walked.rows, walked.leads, walked.steps)
        gain = gain / self.objective.discount ** (node.depth + walked.steps[walked.poses, None])
        bad = gain <= self.least
        if not reached.all():
            self.usual = max(self.usual, min(0.0, float(gain[~reached].max())))
        if (bad & asked.walks[walked.rows]).any():
            allowed = np.ones((len(walked.steps), a), bool)
            allowed[walked.poses] = ~bad
            rows = np.full(len(walked.steps), -1)
            rows[walked.poses] = walked.rows
            position = np.full(len(walked.steps), -1)
            position[walked.poses] = np.arange(len(walked.poses))
            walked = restricted(asked, rows, node.pose, allowed)
            kept = position[walked.poses]
            gain, progress, reached, bad = gain[kept], progress[kept], reached[kept], bad[kept]
        node.walks = walked
        ahead = ((progress > node.progress + 1e-6) | reached) & ~bad & ~asked.deeds[walked.rows]
        steps = [Step(node, int(walked.poses[i]), int(k), node.scene, int(walked.leads[i, k]), float(progress[i, k]),
                      node.marks, bool(reached[i, k]), node.broken) for i, k in zip(*np.nonzero(ahead), strict=True)]
        for rank, step in enumerate(steps):  # the nearest first
            self._push(step, rank, walked.steps[step.pose] + 1)
        self._expand_deeds(node)

    def _still(self, node: Node, poses: np.ndarray, rows: np.ndarray, leads: np.ndarray, steps: np.ndarray,
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What actions that change at most the pose gain, how much of the goal is then behind, and whether that is all
        of it: `[R, A]` each."""
        a = leads.shape[1]
        use = np.flatnonzero((~self.asked.deeds[rows]).ravel() & (leads >= 0).ravel())
        i, k = np.divmod(use, a)
        now = self.places.features(node.scene, poses[i])
        after = self.places.features(node.scene, leads[i, k])
        scored = self._scored(node.carry, now, after, rows[i], k, node.depth + steps[poses[i]])
        gain, progress, reached = np.zeros(a * len(rows)), np.full(a * len(rows), node.progress), np.zeros(
            a * len(rows), bool)
        gain[use], progress[use], reached[use] = scored
        return gain.reshape(-1, a), progress.reshape(-1, a), reached.reshape(-1, a)

    def _scored(self, carry: Carry, now: Features, after: Features, rows: np.ndarray, actions: np.ndarray,
                t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gain, progress and whether the objective is reached of N imagined transitions from one carry."""
        n = len(rows)
        numbers = torch.from_numpy(self.asked.numbers[rows, actions])
        step = Transition(now, self.asked.actions[torch.from_numpy(actions)], after, numbers[:, 0], numbers[:, 1],
                          numbers[:, 2] > 0.5, numbers[:, 3], torch.ones(n), torch.from_numpy(t.astype(np.int64)))
        own = tuple(c.expand(n, *c.shape[1:]) for c in carry)
        new, gain, reached = self.objective.advance(own, step)
        return gain.double().numpy(), self.wishes.progress(new, after, carry).numpy(), reached.numpy()

    def _expand_deeds(self, node: Node) -> None:
        walked, asked = node.walks, self.asked
        assert walked is not None
        i, k = np.nonzero(asked.deeds[walked.rows])
        if not len(i):
            return
        poses, rows, to = walked.poses[i], walked.rows[i], walked.leads[i, k]
        cells, scalars = asked.done(node.scene, rows, poses, k)
        now, after = self.places.features(node.scene, poses), self.places.features(node.scene, to, cells, scalars)
        t = node.depth + walked.steps[poses]
        gain, progress, reached = self._scored(node.carry, now, after, rows, k, t)
        marks = node.marks | self._marks(self._held(now) | self._held(after), cells)
        bad = gain <= self.least * self.objective.discount ** t
        lasting = (asked.numbers[rows, k, 1] > 0.5) | reached
        kinds: dict[bytes, int] = {}
        for n in np.flatnonzero(lasting):
            changed = (cells[n] != node.scene.cells).any(-1)
            kind = (k[n].tobytes() + node.scene.cells[changed].tobytes() + cells[n][changed].tobytes()
                    + scalars[n].tobytes())
            kinds[kind] = kinds.get(kind, -1) + 1
            step = Step(node, int(poses[n]), int(k[n]), Scene(cells[n], scalars[n]), int(to[n]), float(progress[n]),
                        marks[n], bool(reached[n]), node.broken or bool(bad[n]), kind)
            self._push(step, kinds[kind], walked.steps[step.pose] + 1)

    def _push(self, step: Step, rank: int, steps: int) -> None:
        key = (step.scene.key, step.to, step.progress)
        if key in self.open.seen and not step.reached:
            return
        self.open.seen.add(key)
        novel = self.open.is_novel(step) or step.reached
        cost = step.node.depth + steps + KIND * rank
        self.open.push(step, novel, float(cost) - (1e6 if step.reached else 0.0))

    def _idle(self, step: Step) -> float:
        """By how many steps a deed is put off that neither brings the goal nearer nor opens a way: all the fewer, the
        more of what it takes away is spoken of in what is wanted."""
        node, old = step.node, step.node.scene
        changed = np.flatnonzero((old.cells != step.scene.cells).any(-1))
        if step.progress > node.progress or step.marks.sum() > node.marks.sum() or step.scene is old:
            return 0.0
        before, headings = node.walks, self.places.headings
        assert before is not None
        # Where one can go is asked of the changed board alone: to take a thing seldom changes how one walks.
        after = walks(self.asked, Scene(step.scene.cells, old.scalars), step.to)
        new = np.setdiff1d(np.unique(after.poses // headings), np.unique(before.poses // headings))
        if len(np.setdiff1d(new, changed)):
            return 0.0
        taken = [f.values[old.cells[c, i]] for c in changed for i, f in enumerate(self.places.arrays)
                 if f.values and old.cells[c, i] != step.scene.cells[c, i]]
        spoken = self.wishes.of(node.carry).words
        return PUT_OFF * (1 - sum(word in spoken for word in taken) / max(1, len(taken)))

    def _wanted(self, scene: Scene, walked: Walks) -> np.ndarray:
        """The poses at which some action brings the objective nearer, the nearest first."""
        root, asked = self.base or self.root, self.asked
        node = replace(root, scene=scene)
        _, progress, reached = self._still(node, walked.poses, walked.rows, walked.leads, walked.steps)
        at = walked.poses[((progress > root.progress + 1e-6) | reached).any(1)]
        i, k = np.nonzero(asked.deeds[walked.rows])
        if len(i):
            poses, rows = walked.poses[i], walked.rows[i]
            now = self.places.features(scene, poses)
            after = self.places.features(scene, walked.leads[i, k], *asked.done(scene, rows, poses, k))
            _, progress, reached = self._scored(root.carry, now, after, rows, k, walked.steps[poses])
            at = np.append(at, poses[(progress > root.progress + 1e-6) | reached])
        return at[np.argsort(walked.steps[at], kind="stable")]

    def _marks(self, held: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Which landmarks hold of N scenes of `cells [N, C, F]`; without any the subgoals that `held`: `[N, L]`.
        Both at once would send it for things that are not on the way."""
        if self.landmarks is None:
            return held
        at, values = self.landmarks
        held_there: np.ndarray = (cells[:, at] == values).all(-1)
        return held_there

    def _held(self, features: Features) -> np.ndarray:
        """Which subgoals hold, `[N, L]`."""
        hints = self.objective.subgoals
        n = len(next(iter(features.values())))
        return np.zeros((n, 0), bool) if hints is None else hints(features).numpy()

    # --- the way there ----------------------------------------------------------------------------------------------

    def _corrected(self, step: Step) -> Step:
        """A deed with the scene that it brings about there, whatever far away that hangs on."""
        asked, node = self.asked, step.node
        if step.scene is node.scene or asked.left < 1:
            return step
        features, _ = asked.imagine(node.scene, np.array([step.pose]), asked.actions[step.action : step.action + 1])
        asked.spent, asked.left = asked.spent + 1, asked.left - 1
        (scene,), to = self.places.read(features)
        if scene.key == step.scene.key and to[0] == step.to:
            return step
        return replace(step, scene=scene, to=int(to[0]), reached=False)

    def _made(self, step: Step) -> Node | None:
        """The node that a step leads to, with the carry as it is after the whole way; None where the way is no more."""
        node, walked = step.node, step.node.walks
        assert walked is not None
        if walked.steps[step.pose] == FAR:
            return None
        poses, actions = walked.to(step.pose)
        poses, actions = [*poses, step.pose], [*actions, step.action]
        rows = self.asked.find(self.places.keys(node.scene)[poses])
        now = self.places.features(node.scene, np.array(poses))
        last = self.places.features(step.scene, np.array([step.to]))
        carry, value, worst, reached = node.carry, node.value, node.worst, False
        for t in range(len(poses)):
            here = {name: v[t : t + 1] for name, v in now.items()}
            after = last if t == len(poses) - 1 else {name: v[t + 1 : t + 2] for name, v in now.items()}
            numbers = torch.from_numpy(self.asked.numbers[rows[t : t + 1], actions[t]])
            carry, gain, done = self.objective.advance(carry, Transition(
                here, self.asked.actions[actions[t] : actions[t] + 1], after, numbers[:, 0], numbers[:, 1],
                numbers[:, 2] > 0.5, numbers[:, 3], torch.ones(1), node.depth + t))
            value += float(gain)
            worst = min(worst, float(gain) / self.objective.discount ** (node.depth + t))
            reached |= bool(done)
        return Node(step.scene, step.to, carry, node.depth + len(poses), value, node, actions, poses,
                    float(self.wishes.progress(carry, last)), step.marks, None, step.broken, reached, worst)

    def _imagined(self, node: Node) -> tuple[bool, dict[str, Tensor], float, bool]:
        """Every step of the way to `node` imagined once more from what the step before led to, in one batch: whether
        each does, and all are worth, what was said of their kinds of places; the features `[H + 1, 1, ...]`, the value,
        and whether the objective is reached."""
        parts, actions = [], []
        for one in node.path()[1:]:
            assert one.parent is not None
            parts.append(self.places.features(one.parent.scene, np.array(one.poses)))
            actions += one.actions
        last = self.places.features(node.scene, np.array([node.pose]))
        said = {name: torch.cat([*(p[name] for p in parts), last[name]]) for name in last}
        h, asked = len(actions), self.asked
        now = {name: v[:h] for name, v in said.items()}
        state = self.model.assimilate(tree.repeat(asked.state, h), now, torch.ones(h, dtype=torch.bool))
        taken = asked.actions[torch.tensor(actions)]
        _, out = self.model.step(state, taken)
        asked.spent, asked.left = asked.spent + h, asked.left - h
        is_so = all(bool((out.mode[name] == v[1:]).all()) for name, v in said.items())
        carry, value, reached = self.objective.start(self.features), 0.0, False
        for t in range(h):
            row = slice(t, t + 1)
            carry, gain, done = self.objective.advance(carry, Transition(
                {k: v[row] for k, v in now.items()}, taken[row], {k: v[row] for k, v in out.mode.items()},
                out.reward[row], out.cont[row], out.feasible[row], out.uncertainty[row], torch.ones(1), t))
            value, reached = value + float(gain), reached or bool(done)
        is_so = is_so and abs(value - node.value) < 1e-3 * (1 + abs(value))
        return is_so, {k: v[:, None] for k, v in said.items()}, value, reached

    def _is_true(self, node: Node) -> bool:
        if len(node.path()) < 2 or self.asked.left < node.depth:
            return False
        is_so, imagined, value, reached = self._imagined(node)
        self.is_trusted &= is_so
        self.checked[id(node)] = imagined, value
        return is_so and reached

    def told(self, node: Node, reached: bool, rng: torch.Generator, began: float) -> Plan:
        """The plan that ends in `node`."""
        actions = [a for one in node.path() for a in one.actions]
        if not actions:  # nothing can be done that changes anything: any action will do
            actions = [int(torch.randint(len(self.asked.actions), (1,), generator=rng))]
            imagined, value = {k: torch.stack([v, v]) for k, v in self.features.items()}, 0.0
        elif id(node) in self.checked:
            imagined, value = self.checked[id(node)]
        else:
            parts = [self.places.features(one.parent.scene, np.array(one.poses)) for one in node.path()[1:]
                     if one.parent is not None]
            parts.append(self.places.features(node.scene, np.array([node.pose])))
            imagined, value = {k: torch.cat([p[k] for p in parts])[:, None] for k in parts[0]}, node.value
        sequence = self.asked.actions[torch.tensor(actions)][:, None]
        numbers = {"nodes": self.open.count, "deeds": self.deeds, "places": len(self.asked.row), "fallback": 0}
        return Plan(sequence[0], sequence, torch.tensor([value], dtype=torch.float32), torch.tensor([reached]),
                    imagined, self.asked.spent, time.perf_counter() - began, None,
                    {k: float(v) for k, v in numbers.items()})
