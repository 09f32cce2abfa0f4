"""Best-first graph search over imagined futures, for worlds whose features and actions are discrete.

All B problems share one frontier: every action of up to `batch` nodes of each, in one imagined step. A state is
recognised by the hash of its decoded features, so that none is expanded twice. Nodes on whose path more rules have
changed the world, more subgoals have held, or more of the goal is reached, go first; among these the novel ones, then
the nearest. The search is complete: what it puts off it still comes to, if the budget lasts. The first plan found is
kept unless a step of it costs more than a step must: then ways that cost less are looked for, a while.

With a `bound` it is A* instead (Hart et al. 1968): by steps made and at least to go, and a goal counts once nothing
open could be nearer; where the bound never exceeds the steps that are needed, the plan is a shortest one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...world import tree
from ...world.fingerprint import fingerprint
from ...world.model import State, WorldModel
from ...world.schema import Features, Schema
from .frontier import BROKEN, Frontier, Nodes
from .key_set import KeySet
from .novelty import Novelty
from .objective import Carry, Objective, Transition
from .plan import Budget, Plan

Bound = Callable[[Features, Carry], Tensor]
"""(features `[N, ...]`, the objective's carry) -> at least so many steps are still needed, `[N]`."""


MAX_ROWS = 65_536
"""As many steps are imagined at once at most."""
TOLL = 0.05
"""Tolls are counted in units of it: what a step costs beyond the cheapest one seen. Learned rewards err by less."""
BETTERING = 1_000, 4
"""A plan that paid tolls is bettered until so many transitions, and so many times those it took, are spent."""
_WEIGHTS = np.random.default_rng(0).integers(-(2**62), 2**62, 4_096) * 2 + 1
"""Of a random linear hash, modulo 2^64."""


@dataclass(frozen=True)
class SearchConfig:
    """`batch` nodes a problem are expanded together; `transitions` is the default budget a plan, `depth` the longest
    plan. `milestones` orders by what the rules and the goal have changed; without it the search is breadth-first. A
    `bound` on the steps to go makes it A*."""

    batch: int = 32
    transitions: int = 40_000
    depth: int = 400
    milestones: bool = True
    bound: Bound | None = None


@dataclass
class _Problems:
    """What the search for B problems has come to so far."""

    nodes: Nodes
    frontier: Frontier
    seen: KeySet
    novelty: Novelty
    spent: np.ndarray  # [B] imagined transitions
    usual: np.ndarray  # [B] the most that a step not at the goal was seen to gain, at most 0
    goal: np.ndarray  # [B] the best node that attains the objective, -1 where there is none yet
    until: np.ndarray  # [B] transitions after which a plan once found is no longer bettered
    finished: np.ndarray  # [B] bool
    actions: Tensor
    taken: Tensor  # all actions, again and again, for as many nodes as are expanded at once
    limit: int
    cut_off: bool = False  # whether nodes were given up for the budget's or the depth's sake


@dataclass(frozen=True)
class Survey:
    """A plan, the features `[M, ...]` of all states that the search for it came to (the first is where it began), and
    whether there are no others: the search went on until nothing was open."""

    plan: Plan
    features: Features
    is_whole: bool


class Search:
    """The planner; see the module's text."""

    commits = True

    def __init__(self, config: SearchConfig | None = None) -> None:
        self.config = config or SearchConfig()

    def unfit(self, schema: Schema) -> str | None:
        if schema.discrete_actions and all(f.is_discrete for f in schema.features):
            return None
        return "search needs discrete features and actions; choose planner='cem'"

    def initial(self, n: int) -> Any:
        return None

    @torch.no_grad()
    def plan(self, model: WorldModel, state: State, objective: Objective, carry: Any, rng: torch.Generator,
             budget: Budget | None = None) -> Plan:
        """Plan for each of the B states; the budget's transitions are for each, its seconds for all. Sequences are
        padded to the longest by repeating their last action; `Plan.transitions` are those of all states."""
        began = time.perf_counter()
        problems, batches = self._searched(model, state, objective, budget or Budget())
        found = problems.goal >= 0
        leaf = problems.goal if found.all() else np.where(found, problems.goal, self._best(problems, rng))
        return self._traced(model, problems, leaf, began, batches, rng)

    @torch.no_grad()
    def survey(self, model: WorldModel, state: State, objective: Objective, rng: torch.Generator,
               budget: Budget | None = None) -> Survey:
        """Search as `plan` does, from one state, and return the states that were come to on the way as well."""
        began = time.perf_counter()
        problems, batches = self._searched(model, state, objective, budget or Budget())
        leaf = problems.goal if problems.goal[0] >= 0 else self._best(problems, rng)
        states, _ = problems.nodes.rows(np.arange(len(problems.nodes)))
        return Survey(self._traced(model, problems, leaf, began, batches, rng), model.decode(states),
                      not len(problems.frontier.open) and not problems.cut_off)

    def _searched(self, model: WorldModel, state: State, objective: Objective, budget: Budget
                  ) -> tuple[_Problems, int]:
        """The search, to its end or as far as the budget goes, and in how many batches."""
        problems = self._begun(model, state, objective, budget.transitions or self.config.transitions)
        batches, until = 0, time.perf_counter() + budget.seconds if budget.seconds else float("inf")
        while (not batches or time.perf_counter() < until) and len(chosen := self._choose(problems)):
            for some in np.array_split(chosen, -(-len(chosen) * len(problems.actions) // MAX_ROWS)):
                self._expand(model, objective, problems, some)
            batches += 1
        return problems, batches

    def _begun(self, model: WorldModel, state: State, objective: Objective, limit: int) -> _Problems:
        b, features = tree.size(state), model.decode(state)
        carry = objective.start(features)
        nodes = Nodes((state, carry))
        problem = np.arange(b)
        keys = _keys(features, objective, carry, problem)
        held = objective.subgoals(features).numpy() if objective.subgoals else np.zeros((b, 0), bool)
        root = nodes.append((state, carry), held, problem=problem, parent=-1, action=0, depth=0, value=0.0,
                            priority=0.0, toll=0, broken=False, key=keys)
        seen, frontier = KeySet(), Frontier(nodes, b)
        seen.add(keys, np.zeros(b, np.int64))
        frontier.push(root)
        actions = model.schema.all_actions()
        most = min(self.config.batch * b, MAX_ROWS // len(actions) + 1)
        return _Problems(nodes, frontier, seen, Novelty(model.schema), np.zeros(b, np.int64), np.full(b, -np.inf),
                         np.full(b, -1), np.zeros(b, np.int64), np.zeros(b, bool), actions, actions.repeat(most, 1),
                         limit)

    def _choose(self, p: _Problems) -> np.ndarray:
        """The nodes to expand now, within each problem's budget (but one is always expanded)."""
        each = len(p.actions)
        allowed = np.where(p.spent == 0, max(1, p.limit // each), (p.limit - p.spent) // each)
        p.cut_off |= bool((allowed < 1).any()) and len(p.frontier.open) > 0
        p.finished |= allowed < 1
        if self.config.bound is None:
            p.finished |= (p.goal >= 0) & (p.spent >= p.until)
            p.frontier.drop_dear(p.goal)
        elif (p.goal >= 0).any():
            nearer = p.frontier.least() < p.nodes["depth"][p.goal] - 0.999  # steps are whole
            p.finished |= (p.goal >= 0) & ~nearer
        p.frontier.drop(p.finished)
        return p.frontier.pop(allowed.clip(0, self.config.batch))

    def _expand(self, model: WorldModel, objective: Objective, p: _Problems, chosen: np.ndarray) -> None:
        """Imagine every action of the chosen nodes; keep the new states."""
        nodes, a = p.nodes, len(p.actions)
        parent = chosen.repeat(a)
        state, own = nodes.rows(parent)
        taken = p.taken[: len(parent)]
        problem, depth = nodes["problem"][parent], nodes["depth"][parent] + 1
        np.add.at(p.spent, problem, 1)
        after, out = model.step(state, taken)
        carry, gain, reached = objective.advance(own, Transition(
            model.decode(state), taken, out.mode, out.reward, out.cont, out.feasible, out.uncertainty,
            torch.ones(len(parent)), torch.from_numpy(depth - 1)))
        gains, goes_on, at_goal = gain.double().numpy(), (out.cont > 0.5).numpy(), reached.numpy()
        value = nodes["value"][parent] + gains
        value[np.isnan(value)] = -np.inf  # a broken step never wins
        toll = nodes["toll"][parent] + _tolls(p, problem, gains / objective.discount ** (depth - 1), at_goal)
        p.cut_off |= bool((depth > self.config.depth).any())
        lasting = np.flatnonzero(out.feasible.numpy() & (goes_on | at_goal) & (depth <= self.config.depth))
        keys = _keys(out.mode, objective, carry, problem)
        fresh = p.seen.add(keys[lasting], (depth if self.config.bound else toll)[lasting])
        kept = lasting[fresh | at_goal[lasting]]
        if not len(kept):
            return
        rows = torch.from_numpy(kept)
        features, carry = tree.take(out.mode, rows), tree.take(carry, rows)
        marks = self._marked(objective, nodes, chosen[kept // a], features, out.fired, kept, keys)
        bad = gains[kept] <= -objective.unacceptable * objective.discount ** (depth[kept] - 1)
        broken = nodes["broken"][parent[kept]] | bad
        priority = BROKEN * broken + self._priority(objective, p, features, carry, marks, problem[kept], depth[kept],
                                                    value[kept])
        new = nodes.append((tree.take(after, rows), carry), marks, problem=problem[kept], parent=parent[kept],
                           action=kept % a, depth=depth[kept], value=value[kept], priority=priority, toll=toll[kept],
                           broken=broken, key=keys[kept])
        p.frontier.push(new[goes_on[kept] & ~at_goal[kept]])
        if at_goal[kept].any():
            self._reached(p, new[at_goal[kept]])

    def _marked(self, objective: Objective, nodes: Nodes, parent: np.ndarray, features: Features, fired: Tensor | None,
                kept: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """The milestones behind the kept states, `[N, R]`: of their parents, the subgoals that hold, and the rules
        that have just changed something."""
        subgoals = 0 if objective.subgoals is None else len(objective.subgoals)
        if fired is not None and nodes.marks(parent).shape[1] == subgoals:
            nodes.widen(fired.shape[1])
        marks = nodes.marks(parent)
        if objective.subgoals is not None:
            marks[:, :subgoals] |= objective.subgoals(features).numpy()
        if fired is not None:
            changed = keys[kept] != nodes["key"][parent]
            marks[:, subgoals:] |= fired.numpy()[kept] & changed[:, None]
        return marks

    def _priority(self, objective: Objective, p: _Problems, features: Features, carry: Carry, marks: np.ndarray,
                  problem: np.ndarray, depth: np.ndarray, value: np.ndarray) -> np.ndarray:
        """What is least is expanded first, `[N]`."""
        if self.config.bound is not None:
            return depth * (1 - 1e-6) + self.config.bound(features, carry).numpy()  # of equal ones the deeper
        score = marks.sum(1) + objective.progress(carry).numpy()
        hashed = marks @ _WEIGHTS[: marks.shape[1]]
        partition = hashed + score.astype(np.int64) * _WEIGHTS[-1] + problem * _WEIGHTS[-2]
        novel = p.novelty(features, partition)
        return depth - value + 1e3 * ~novel - (1e5 * score if self.config.milestones else 0.0)

    def _reached(self, p: _Problems, new: np.ndarray) -> None:
        """Of nodes that attain the objective keep each problem's best: by value, or, with a bound, by steps."""
        measure, sign = ("depth", 1) if self.config.bound else ("value", -1)
        cost = sign * p.nodes[measure][new]
        order = np.lexsort((cost, p.nodes["problem"][new]))
        problem, first = np.unique(p.nodes["problem"][new][order], return_index=True)
        best, old = new[order[first]], p.goal[problem]
        least, times = BETTERING
        p.until[problem[old < 0]] = least + times * p.spent[problem[old < 0]]
        better = (old < 0) | (cost[order[first]] < sign * p.nodes[measure][old])
        p.goal[problem[better]] = best[better]

    def _best(self, p: _Problems, rng: torch.Generator) -> np.ndarray:
        """Where to go when nothing was reached: the most progress, then the highest value, then at random, `[B]`."""
        nodes, b = p.nodes, len(p.goal)
        chance = torch.rand(len(nodes), generator=rng).double().numpy()
        score = nodes.marks(np.arange(len(nodes))).sum(1) * 1e4 + nodes["value"] + chance * 1e-3
        score[:b] = -np.inf  # the roots: to stay is no plan
        order = np.lexsort((score, nodes["problem"]))
        return order[np.searchsorted(nodes["problem"][order], np.arange(b), side="right") - 1]

    def _traced(self, model: WorldModel, p: _Problems, leaf: np.ndarray, began: float, batches: int,
                rng: torch.Generator) -> Plan:
        """The plans that end in the nodes `leaf [B]`."""
        nodes, b = p.nodes, len(leaf)
        horizon = max(1, int(nodes["depth"][leaf].max()))
        path, at = np.empty((horizon + 1, b), np.int64), leaf
        for t in range(horizon, -1, -1):
            path[t] = at
            at = np.where(nodes["depth"][at] == t, nodes["parent"][at], at) if t else at
        codes = nodes["action"][path[1:]]
        still = nodes["depth"][leaf] == 0  # nothing can be done that changes anything: any action will do
        codes[:, still] = torch.randint(len(p.actions), (int(still.sum()),), generator=rng).numpy()
        sequence = p.actions[torch.from_numpy(codes).long()]
        states, _ = nodes.rows(path.flatten())
        imagined = {k: v.unflatten(0, (horizon + 1, b)) for k, v in model.decode(states).items()}
        return Plan(sequence[0], sequence, torch.from_numpy(nodes["value"][leaf]).float(),
                    torch.from_numpy(p.goal >= 0), imagined, int(p.spent.sum()), time.perf_counter() - began, None,
                    {"nodes": len(nodes) / b, "depth": float(nodes["depth"][leaf].mean()), "batches": float(batches)})


def _tolls(p: _Problems, problem: np.ndarray, gains: np.ndarray, at_goal: np.ndarray) -> np.ndarray:
    """What each step costs more than the cheapest one seen in its problem, in units of `TOLL`: `[N]`."""
    losses = np.fmin(gains, 0.0)
    np.maximum.at(p.usual, problem[~at_goal], losses[~at_goal])
    return np.rint((p.usual[problem] - losses) / TOLL).clip(0, 1e6).astype(np.int32)


def _keys(features: Features, objective: Objective, carry: Carry, problem: np.ndarray) -> np.ndarray:
    """What tells states apart, of each problem by itself: `[N]`."""
    keys = fingerprint(features, *objective.key(carry)).numpy()
    return keys ^ (problem.astype(np.int64) * np.int64(0x9E3779B97F4A7C1))
