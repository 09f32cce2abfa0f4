"""Where to look: a breadth-first sweep over what can be reached, for the pose from which most is expected to be seen.

    max over reachable states s of   bits(s) * discount^steps(s)

Poses that can be reached without changing anything are swept first, and with them what one change there would show (an
open door). Only where that shows too little are states swept that lie one change further (a key in hand), and so on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...world import tree
from ...world.fingerprint import fingerprint
from ...world.model import State, WorldModel
from ...world.schema import Features
from .exploring import Exploring
from .key_set import KeySet
from .objective import Objective, Transition
from .plan import Budget, Plan

MAX_ROWS = 4_096


@dataclass(frozen=True)
class ScoutConfig:
    """`discount` is what a step costs of what is seen; a plan changes at most `changes` things, and takes at most
    `transitions` imagined steps to make (the budget's, where it says less)."""

    discount: float = 0.93
    changes: int = 3
    transitions: int = 40_000


@dataclass
class _Sweep:
    """The nodes so far: which came from which (`parent`, `action`), at what depth, and the best of them; none is added
    after the time `until`."""

    parent: list[np.ndarray]
    action: list[np.ndarray]
    depth: list[np.ndarray]
    until: float = float("inf")
    count: int = 0
    spent: int = 0
    best: int = -1
    score: float = 0.0
    bits: float = 0.0

    def add(self, parent: np.ndarray, action: np.ndarray, depth: int) -> np.ndarray:
        ids = np.arange(self.count, self.count + len(parent))
        self.parent.append(parent)
        self.action.append(action)
        self.depth.append(np.full(len(parent), depth))
        self.count += len(parent)
        return ids


class Scout:
    """The planner of looks, for one state at a time; see the module's text."""

    def __init__(self, config: ScoutConfig | None = None) -> None:
        self.config = config or ScoutConfig()

    @torch.no_grad()
    def plan(self, model: WorldModel, state: State, objective: Objective, exploring: Exploring,
             budget: Budget | None = None) -> Plan:
        """The way from the one state in `state` to the best look. `objective` holds the limits that are to be kept.
        `Plan.reached` is False where nothing that can be reached shows `exploring.least` bits."""
        began, budget = time.perf_counter(), budget or Budget()
        limit = min(budget.transitions or self.config.transitions, self.config.transitions)
        sweep, seen = _Sweep([], [], [], began + budget.seconds if budget.seconds else float("inf")), KeySet()
        features = model.decode(state)
        root = sweep.add(np.array([-1]), np.array([0]), 0)
        seen.add(_keys(features), np.zeros(1, np.int64))
        cap = exploring.most(features)
        stage = {0: [(root, state)]}  # by depth: nodes and their states
        for _ in range(self.config.changes + 1):
            stage = self._swept(model, objective, exploring, sweep, seen, stage, cap, limit)
            if sweep.best >= 0 or not stage or sweep.spent >= limit:
                break
        return self._traced(model, state, sweep, began)

    def _swept(self, model: WorldModel, objective: Objective, exploring: Exploring, sweep: _Sweep, seen: KeySet,
               stage: dict[int, list[tuple[np.ndarray, State]]], cap: float, limit: int,
               ) -> dict[int, list[tuple[np.ndarray, State]]]:
        """Sweep all poses from the nodes of a stage; the nodes one change further."""
        further: dict[int, list[tuple[np.ndarray, State]]] = {}
        depth = min(stage)
        while depth in stage or any(d > depth for d in stage):
            if sweep.score >= cap * self.config.discount ** (depth + 1) and sweep.best >= 0:
                break  # nothing further away could be worth more
            for ids, states in _chunks(stage.pop(depth, [])):
                if sweep.spent >= limit or time.perf_counter() > sweep.until:
                    return {}
                same, changed = self._expanded(model, objective, exploring, sweep, seen, ids, states, depth)
                if len(same[0]):
                    stage.setdefault(depth + 1, []).append(same)
                if len(changed[0]):
                    further.setdefault(depth + 1, []).append(changed)
            depth += 1
        return further

    def _expanded(self, model: WorldModel, objective: Objective, exploring: Exploring, sweep: _Sweep, seen: KeySet,
                  ids: np.ndarray, states: State, depth: int,
                  ) -> tuple[tuple[np.ndarray, State], tuple[np.ndarray, State]]:
        """All actions of some nodes: the new nodes that changed nothing but the pose, and those that did."""
        actions = model.schema.all_actions()
        a, n = len(actions), len(ids)
        state, taken = tree.repeat(states, a), actions.repeat(n, 1)
        now = model.decode(state)
        after, out = model.step(state, taken)
        sweep.spent += n * a
        _, gain, _ = objective.advance(objective.start(now), Transition(
            now, taken, out.mode, out.reward, out.cont, out.feasible, out.uncertainty, torch.ones(n * a), 0))
        fit = (out.feasible & (out.cont > 0.5) & (gain > -objective.unacceptable)).numpy()
        keys, kept = _keys(out.mode), np.flatnonzero(fit)
        kept = kept[seen.add(keys[kept], np.zeros(len(kept), np.int64))]
        rows = torch.from_numpy(kept)
        features, old = tree.take(out.mode, rows), tree.take(now, rows)
        new = sweep.add(ids[kept // a], kept % a, depth + 1)
        if not len(new):
            return (new, None), (new, None)
        bits = exploring.bits(features)
        score, k = (bits * (bits >= exploring.least)).max(0)
        if float(score) * self.config.discount ** (depth + 1) > sweep.score:
            sweep.score, sweep.best = float(score) * self.config.discount ** (depth + 1), int(new[int(k)])
            sweep.bits = float(score)
        still = (_keys(_rest(features, exploring)) == _keys(_rest(old, exploring)))
        following = tree.take(after, rows)
        return ((new[still], tree.take(following, torch.from_numpy(np.flatnonzero(still)))),
                (new[~still], tree.take(following, torch.from_numpy(np.flatnonzero(~still)))))

    def _traced(self, model: WorldModel, state: State, sweep: _Sweep, began: float) -> Plan:
        """The plan that ends in the best node; it is imagined once more, step by step."""
        parent, action = np.concatenate(sweep.parent), np.concatenate(sweep.action)
        path, at = [], sweep.best
        while at > 0:
            path.append(action[at])
            at = int(parent[at])
        codes = torch.tensor(path[::-1] or [0], dtype=torch.int64)
        sequence = model.schema.all_actions()[codes][:, None]
        imagined = [model.decode(state)]
        for taken in sequence:
            state, _ = model.step(state, taken)
            imagined.append(model.decode(state))
        return Plan(sequence[0], sequence, torch.tensor([sweep.bits]), torch.tensor([sweep.best >= 0]),
                    {k: torch.stack([f[k] for f in imagined]) for k in imagined[0]}, sweep.spent,
                    time.perf_counter() - began, None, {"nodes": float(sweep.count), "bits": sweep.bits})


def _chunks(parts: list[tuple[np.ndarray, State]]) -> list[tuple[np.ndarray, State]]:
    """The nodes of one depth, joined, and in chunks of which every action can be imagined at once."""
    if not parts:
        return []
    ids = np.concatenate([ids for ids, _ in parts])
    states = tree.concatenate([states for _, states in parts])
    return [(some, tree.take(states, torch.from_numpy(rows)))
            for rows in np.array_split(np.arange(len(ids)), -(-len(ids) // (MAX_ROWS // 8)))
            for some in [ids[rows]]]


def _keys(features: Features) -> np.ndarray:
    return fingerprint(features).numpy()


def _rest(features: Features, exploring: Exploring) -> dict[str, Tensor]:
    """The features that are not the agent's pose."""
    grid = exploring.sight.grid
    return {k: v for k, v in features.items() if k not in (grid.x, grid.y, grid.heading)}
