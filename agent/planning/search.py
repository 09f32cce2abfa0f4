"""Best-first graph search over imagined futures, for worlds whose features and actions are discrete.

Whole frontiers are expanded at once: every action of up to `batch` nodes in one imagined step. A state is recognised
by the hash of its decoded features, so that no state is expanded twice. Nodes on whose path more rules have changed
the world, or more of the goal is reached, go first; among these the novel ones, then the nearest. The search is
complete: what it puts off it still comes to, if the budget lasts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...world import tree
from ...world.fingerprint import fingerprint
from ...world.model import State, WorldModel
from ...world.schema import Schema
from .novelty import Novelty
from .objective import Objective, Transition
from .plan import Budget, Plan, rank_nan_last


@dataclass(frozen=True)
class SearchConfig:
    """`batch` nodes are expanded together; `transitions` is the default budget a plan, `depth` the longest plan.
    `milestones` orders by what the rules and the goal have changed; without it the search is breadth-first."""

    batch: int = 128
    transitions: int = 40_000
    depth: int = 400
    milestones: bool = True


@dataclass
class _Nodes:
    """All nodes of one search, a row each; the state's rows are kept in chunks as they came."""

    states: list[State]
    chunk: Tensor
    row: Tensor
    parent: Tensor
    action: Tensor
    depth: Tensor
    value: Tensor
    milestones: Tensor  # [M, R] bool: which rules changed the world on the way here
    broken: Tensor  # [M] bool: the way here breaks a limit
    priority: Tensor
    novelty: Novelty
    carry: tuple[Tensor, ...]
    open: Tensor


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
    def plan(
        self,
        model: WorldModel,
        state: State,
        objective: Objective,
        carry: Any,
        rng: torch.Generator,
        budget: Budget | None = None,
    ) -> Plan:
        """Plan for each of the B states; sequences are padded to the longest by repeating their last action."""
        carries = objective.start(model.decode(state))
        plans = [
            self._plan_one(
                model, tree.take(state, torch.tensor([b])), objective, tuple(c[b : b + 1] for c in carries), rng, budget
            )
            for b in range(tree.size(state))
        ]
        return plans[0] if len(plans) == 1 else _stack(plans)

    def _plan_one(
        self,
        model: WorldModel,
        state: State,
        objective: Objective,
        progress: tuple[Tensor, ...],
        rng: torch.Generator,
        budget: Budget | None,
    ) -> Plan:
        started = time.perf_counter()
        limit = (budget and budget.transitions) or self.config.transitions
        until = started + budget.seconds if budget and budget.seconds else float("inf")
        actions = model.schema.all_actions()
        nodes = self._root(model, state, progress)
        seen = fingerprint(model.decode(state), *objective.key(nodes.carry)).sort().values
        transitions, goal = 0, -1
        while goal < 0 and (not transitions or transitions + len(actions) <= limit) and time.perf_counter() < until:
            chosen = self._pop(nodes, max(1, min(self.config.batch, (limit - transitions) // len(actions))))
            if not len(chosen):
                break
            transitions += len(chosen) * len(actions)
            goal, seen = self._expand(model, objective, nodes, chosen, actions, seen)
        leaf = goal if goal >= 0 else self._best(nodes, rng)
        return self._trace(
            model, state, nodes, leaf, goal >= 0, actions, transitions, time.perf_counter() - started, rng
        )

    def _root(self, model: WorldModel, state: State, carry: tuple[Tensor, ...]) -> _Nodes:
        zero = torch.zeros(1, dtype=torch.int64)
        return _Nodes(
            [state],
            zero,
            zero,
            zero - 1,
            zero,
            zero,
            torch.zeros(1),
            torch.zeros(1, 0, dtype=torch.bool),
            torch.zeros(1, dtype=torch.bool),
            torch.zeros(1),
            Novelty(model.schema),
            carry,
            torch.ones(1, dtype=torch.bool),
        )

    def _pop(self, nodes: _Nodes, count: int) -> Tensor:
        """The most promising open nodes. A way that breaks a limit is followed only when no other is left, whatever
        it achieves."""
        sound = nodes.open & ~nodes.broken
        candidates = (sound if sound.any() else nodes.open).nonzero()[:, 0]
        if not len(candidates):
            return candidates
        chosen = candidates[nodes.priority[candidates].topk(min(count, len(candidates)), largest=False).indices]
        nodes.open[chosen] = False
        return chosen

    def _expand(
        self, model: WorldModel, objective: Objective, nodes: _Nodes, chosen: Tensor, actions: Tensor, seen: Tensor
    ) -> tuple[int, Tensor]:
        """Imagine every action of the chosen nodes; keep the new states. Returns the goal's node or -1."""
        m, a = len(chosen), len(actions)
        before = _gather(nodes, chosen)
        parents = chosen.repeat_interleave(a)
        taken = actions.repeat(m, 1)
        now = tree.repeat(before, a)
        depth = nodes.depth[parents]
        after, out = model.step(now, taken)
        alive = torch.ones(m * a)
        step = Transition(
            model.decode(now), taken, out.mode, out.reward, out.cont, out.feasible, out.uncertainty, alive, 0
        )
        carry, gain, reached = objective.advance(tuple(c[parents] for c in nodes.carry), step)
        value = rank_nan_last(nodes.value[parents] + gain * objective.discount**depth)
        keys = fingerprint(out.mode, *objective.key(carry))
        lasting = out.feasible & ((out.cont > 0.5) | reached) & (depth < self.config.depth)
        keep = _first_of_each(keys) & ~_contains(seen, keys) & lasting
        kept = (keep | reached & lasting).nonzero()[:, 0]
        if not len(kept):
            return -1, seen
        changed = ~_contains(
            fingerprint(model.decode(before), *objective.key(tuple(c[chosen] for c in nodes.carry))).sort().values, keys
        )
        milestones = nodes.milestones[parents[kept]]
        if out.fired is not None:
            if not milestones.shape[1]:
                milestones = milestones.new_zeros(len(kept), out.fired.shape[1])
                nodes.milestones = milestones.new_zeros(len(nodes.parent), out.fired.shape[1])
            milestones = milestones | (out.fired[kept] & changed[kept, None])
        score = milestones.sum(1) + objective.progress(tuple(c[kept] for c in carry))
        novel = nodes.novelty(
            {k: v[kept] for k, v in out.mode.items()}, fingerprint({"milestones": milestones, "score": score})
        )
        priority = depth[kept] + 1 - value[kept] + 1e3 * ~novel - (1e5 * score if self.config.milestones else 0.0)
        broken = nodes.broken[parents[kept]] | (gain[kept] <= -objective.unacceptable)
        first = len(nodes.parent)
        nodes.states.append(tree.take(after, kept))
        nodes.chunk = torch.cat([nodes.chunk, torch.full((len(kept),), len(nodes.states) - 1)])
        nodes.row = torch.cat([nodes.row, torch.arange(len(kept))])
        nodes.parent = torch.cat([nodes.parent, parents[kept]])
        nodes.action = torch.cat([nodes.action, kept % a])
        nodes.depth = torch.cat([nodes.depth, depth[kept] + 1])
        nodes.value = torch.cat([nodes.value, value[kept]])
        nodes.milestones = torch.cat([nodes.milestones, milestones])
        nodes.broken = torch.cat([nodes.broken, broken])
        nodes.priority = torch.cat([nodes.priority, priority])
        nodes.carry = tuple(torch.cat([old, new[kept]]) for old, new in zip(nodes.carry, carry, strict=True))
        nodes.open = torch.cat([nodes.open, (out.cont > 0.5)[kept] & ~reached[kept]])
        seen = torch.cat([seen, keys[kept]]).sort().values
        if reached[kept].any():
            best = torch.where(reached[kept], value[kept], -torch.inf).argmax()
            return first + int(best), seen
        return -1, seen

    def _best(self, nodes: _Nodes, rng: torch.Generator) -> int:
        """Where to go when nothing was reached: the most progress, then the highest value, then at random."""
        if len(nodes.parent) == 1:
            return 0
        progress = (nodes.milestones.sum(1) * (nodes.milestones.shape[1] > 0)).float()
        chance = torch.rand(len(progress), generator=rng) * 1e-3
        score = progress * 1e4 + nodes.value + chance
        score[0] = -torch.inf
        return int(score.argmax())

    def _trace(
        self,
        model: WorldModel,
        state: State,
        nodes: _Nodes,
        leaf: int,
        reached: bool,
        actions: Tensor,
        transitions: int,
        seconds: float,
        rng: torch.Generator,
    ) -> Plan:
        path = []
        node = leaf
        while node > 0:
            path.append(node)
            node = int(nodes.parent[node])
        path.reverse()
        if path:
            sequence = actions[nodes.action[path]][:, None]
        else:  # nothing can be done that changes anything: any action will do
            sequence = actions[torch.randint(len(actions), (1,), generator=rng)][None]
        states = tree.concatenate([_gather(nodes, torch.tensor([n])) for n in [0, *path]])
        imagined = {k: v[:, None] for k, v in model.decode(states).items()}
        value = nodes.value[leaf : leaf + 1]
        return Plan(
            sequence[0],
            sequence,
            value,
            torch.tensor([reached]),
            imagined,
            transitions,
            seconds,
            statistics={"nodes": float(len(nodes.parent)), "depth": float(len(path))},
        )


def _gather(nodes: _Nodes, index: Tensor) -> State:
    """The states of nodes, in the order of `index`, collected from their chunks."""
    chunk, row = nodes.chunk[index], nodes.row[index]
    order = chunk.argsort(stable=True)
    parts = [tree.take(nodes.states[int(c)], row[order[chunk[order] == c]]) for c in chunk.unique()]
    together = tree.concatenate(parts)
    return tree.take(together, order.argsort())


def _first_of_each(keys: Tensor) -> Tensor:
    """True at the first occurrence of each key, `[N]`."""
    order = keys.argsort(stable=True)
    ordered = keys[order]
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return torch.zeros_like(first).scatter_(0, order, first)


def _contains(ordered: Tensor, keys: Tensor) -> Tensor:
    """Whether each key is in the sorted tensor, `[N]`."""
    at = torch.searchsorted(ordered, keys).clamp_max(len(ordered) - 1)
    return ordered[at] == keys


def _stack(plans: list[Plan]) -> Plan:
    """Several plans as one; shorter sequences repeat their last action."""
    longest = max(len(p.sequence) for p in plans)

    def pad(t: Tensor, to: int) -> Tensor:
        return torch.cat([t, t[-1:].expand(to - len(t), *t.shape[1:])])

    return Plan(
        torch.cat([p.action for p in plans]),
        torch.cat([pad(p.sequence, longest) for p in plans], 1),
        torch.cat([p.value for p in plans]),
        torch.cat([p.reached for p in plans]),
        {k: torch.cat([pad(p.imagined[k], longest + 1) for p in plans], 1) for k in plans[0].imagined},
        sum(p.transitions for p in plans),
        sum(p.seconds for p in plans),
        statistics={k: sum(p.statistics[k] for p in plans) / len(plans) for k in plans[0].statistics},
    )
