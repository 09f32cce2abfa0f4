"""Monte Carlo tree search, for B states side by side: one imagined step for all of them a simulation.

A simulation goes down each tree by the rule of `selection` (PUCT, or Gumbel's root with sequential halving) to an edge
that was not imagined yet, imagines it, and takes what it brought back up. `first_guess` says what new states are worth.
Infeasible actions, and those that only lead to such, are ruled out where they are found; where nothing is feasible, any
action is taken.

Letters: B states, A actions a node, D numbers an action, H steps of the plan.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...errors import UserError
from ...world import tree
from ...world.fingerprint import fingerprint
from ...world.model import State, WorldModel
from ...world.schema import Schema
from . import selection
from .first_guess import advice, choices, first_guess
from .objective import Objective, Transition
from .plan import Budget, Plan, rank_nan_last
from .search_tree import SearchTree

ENDED = 0.05
"""An episode that goes on with less than this probability is over, for the search."""


@dataclass(frozen=True)
class MCTSConfig:
    """`simulations` a plan at most, each one imagined step and `rollout` random ones; the budget may allow fewer."""

    simulations: int = 128
    root: Literal["gumbel", "puct"] = "gumbel"
    considered: int = 16  # actions that Gumbel's root begins with
    gumbel: float = 1.0  # scale of its noise; 0: the best by prior and value, always
    depth: int = 60  # steps a simulation goes down at most
    rollout: int = 0  # random steps from a new state, where the model does not value it
    outcomes: int = 8  # of an edge, for chancy models
    samples: int = 8  # actions a node, where actions are continuous
    warmth: float = 0.5  # share of the last plan's improved policy in this one's prior; 0: begin afresh


@dataclass(frozen=True)
class Improved:
    """What a plan leaves: the root's improved policy `policy [B, A]` (the target a network learns from), and that of
    the state it expects next, `following [B, A]`, from which the next plan starts (`[B, 0]` for sampled actions)."""

    policy: Tensor
    following: Tensor


class MCTS:
    """Plans by tree search (`Planner`); see the module's text."""

    commits = False

    def __init__(self, config: MCTSConfig | None = None) -> None:
        self.config = config or MCTSConfig()
        if self.config.root not in ("gumbel", "puct"):
            raise UserError(f"MCTS has no root '{self.config.root}'; choose root='gumbel' or root='puct'")

    def unfit(self, schema: Schema) -> str | None:
        if not (schema.discrete_actions or not any(a.is_discrete for a in schema.actions)):
            return f"'{schema.name}' mixes discrete and continuous actions, which MCTS cannot plan; use one kind"
        if schema.discrete_actions and any(a.cardinality is None for a in schema.actions):
            return f"'{schema.name}' has an action without bounds, which MCTS cannot list; give it bounds"
        return None

    def initial(self, n: int) -> Improved | None:
        """None: the first plan begins with the prior alone."""
        return None

    @torch.no_grad()
    def plan(self, model: WorldModel, state: State, objective: Objective, carry: Improved | None,
             rng: torch.Generator, budget: Budget | None = None) -> Plan:
        """Plan for each of the B states, within the budget and the number of simulations; one is always made. Raises
        `UserError` where the actions do not fit."""
        if reason := self.unfit(model.schema):
            raise UserError(reason)
        began, budget, c = time.perf_counter(), budget or Budget(), self.config
        cost, simulations = 1 + (0 if "value" in model.provides else c.rollout), c.simulations
        trees, spent = self._rooted(model, state, objective, carry, rng, budget.transitions, cost)
        if budget.transitions is not None:
            simulations = max(1, min(simulations, (budget.transitions - spent) // cost))
        gumbel = -torch.empty_like(trees.logits[:, 0]).exponential_(generator=rng).log() * c.gumbel
        grown = torch.zeros(trees.batch)
        done = depth = 0
        while done < simulations:
            new, deep = self._simulate(model, objective, trees, gumbel, simulations, done + 1, rng)
            grown, depth, done = grown + new, max(depth, deep), done + 1
            if budget.seconds is not None and (time.perf_counter() - began) * (done + 1) / done > budget.seconds:
                break
        action, policy = self._decide(trees, gumbel, rng)
        return self._trace(model, trees, action, policy, trees.batch * spent + int(grown.sum()) * cost, began, {
            "simulations": float(done), "nodes": 1 + float(grown.mean()), "deepest": float(depth),
            "entropy": float(torch.special.entr(policy).sum(1).mean())})

    # --- one simulation -------------------------------------------------------------------------------------------

    def _simulate(self, model: WorldModel, objective: Objective, trees: SearchTree, gumbel: Tensor, simulations: int,
                  slot: int, rng: torch.Generator) -> tuple[Tensor, int]:
        """Down, one step further, and up, in all trees; a new state goes to `slot`. Returns where something was
        imagined `[B]`, and how deep the deepest went."""
        at = torch.zeros(trees.batch, dtype=torch.int64)
        last = torch.zeros(3, trees.batch, dtype=torch.int64)  # the edge each tree came by: node, action, outcome
        live, fresh, lost = at == 0, at > 0, at > 0
        path: list[tuple[Tensor, Tensor]] = []
        for depth in range(self.config.depth):
            rows = live.nonzero()[:, 0]
            if not len(rows):
                break
            scores = self._scores(trees, rows, at[rows], gumbel[rows] if depth == 0 else None, simulations)
            stuck = scores.isneginf().all(1)
            if stuck.any():  # what holds of all that can be done there holds of the way there
                there = rows[stuck]
                if depth:
                    ruled_out = trees.logits[there, at[there]].isneginf().all(1)
                    trees.logits[there, last[0, there], last[1, there]] -= torch.where(ruled_out, torch.inf, 0.0)
                    trees.closed[there, last[0, there], last[1, there]] = True
                lost[there], live[there] = True, False
                rows, scores = rows[~stuck], scores[~stuck]
            action = scores.argmax(1)
            edge = torch.stack([at[rows], action, trees.outcome(rows, at[rows], action)])
            path.append((rows, edge))
            last[:, rows] = edge
            child = trees.child[rows, *edge]
            fresh[rows] = child < 0
            live[rows] = trees.goes_on(rows, edge)
            at[rows] = child.clamp_min(0)
        returns = trees.worth(torch.arange(trees.batch), at)  # where it goes no deeper: what is known of the place
        rows = fresh.nonzero()[:, 0]
        if len(rows):
            returns[rows], feasible = self._grow(model, objective, trees, rows, last[:, rows], slot, rng)
            lost[rows] = ~feasible
        for rows, edge in reversed(path):
            kept = ~lost[rows]
            rows, edge = rows[kept], edge[:, kept]
            returns[rows] = trees.gain[rows, *edge] + trees.discount[rows, *edge] * returns[rows]
            trees.record(rows, edge[0], edge[1], returns[rows])
        return fresh.float(), len(path)

    def _scores(self, trees: SearchTree, rows: Tensor, at: Tensor, gumbel: Tensor | None, simulations: int) -> Tensor:
        visits, q, logits = trees.visits[rows, at], trees.q(rows, at), trees.prior(rows, at)
        if self.config.root == "puct":
            return selection.puct(visits, q, logits, trees.low[rows], trees.high[rows])
        weights = selection.improved(visits, q, logits, trees.value[rows, at])
        if gumbel is None:
            return selection.interior(visits, weights)
        return selection.halving(visits, weights, gumbel, self.config.considered, simulations)

    def _grow(self, model: WorldModel, objective: Objective, trees: SearchTree, rows: Tensor, edge: Tensor,
              slot: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Imagine one edge `[3, N]` in each of the trees `rows`: what the new states are worth, and whether the steps
        are feasible (those that are not are ruled out)."""
        before = trees.state(rows, edge[0])
        taken = trees.actions[rows, edge[0], edge[1]]
        sure = "stochastic" not in model.provides
        after, out = model.step(before, taken, None if sure else rng)
        seen = out.mode if sure else model.decode(after)
        ones, ahead = torch.ones(len(rows)), trees.depth[rows, edge[0]]
        carry, gain, reached = objective.advance(trees.carry(rows, edge[0]), Transition(
            model.decode(before), taken, seen, out.reward, out.cont, out.feasible, out.uncertainty, ones, ahead))
        gain = gain / objective.discount**ahead  # discounted on the way up
        feasible = out.feasible & gain.isfinite()
        trees.logits[rows[~feasible], edge[0, ~feasible], edge[1, ~feasible]] = -torch.inf
        actions = choices(model.schema, len(rows), self.config.samples, rng)
        value, logits = first_guess(model, objective, after, carry, out, actions, self.config.rollout, rng)
        key = fingerprint(seen, *objective.key(carry))
        is_exact = sure and all(f.is_discrete for f in model.schema.features)
        known = trees.find(rows, key) if is_exact else torch.full_like(rows, -1)
        trees.child[rows, *edge] = torch.where(known >= 0, known, slot)
        trees.gain[rows, *edge] = gain
        trees.discount[rows, *edge] = objective.discount * out.cont * (out.cont > ENDED)
        trees.reached[rows, *edge] = reached
        new = feasible & (known < 0)
        index = new.nonzero()[:, 0]
        trees.attach(rows[index], slot, trees.depth[rows, edge[0]][index] + 1, tree.take(after, index),
                     tree.take(carry, index), actions[index], logits[index], value[index], key[index])
        if is_exact:
            trees.closed[rows, edge[0], edge[1]] = ~trees.goes_on(rows, edge)
        return torch.where(new, value, trees.worth(rows, known.clamp_min(0))), feasible

    def _rooted(self, model: WorldModel, state: State, objective: Objective, carry: Improved | None,
                rng: torch.Generator, limit: int | None, cost: int) -> tuple[SearchTree, int]:
        """The trees with their roots, whose infeasible actions are ruled out where the budget lasts for looking."""
        b, features = tree.size(state), model.decode(state)
        actions = choices(model.schema, b, self.config.samples, rng)
        value, logits = advice(model, state, actions)
        if carry is not None and carry.following.shape == logits.shape:
            known = carry.following.sum(1, keepdim=True) > 0
            mixed = logits.softmax(1).lerp(carry.following, self.config.warmth).log()
            logits = torch.where(known, mixed, logits)
        spent, a = 0, actions.shape[1]
        if limit is None or limit >= a + cost:
            _, out = model.step(tree.repeat(state, a), actions.flatten(0, 1))
            logits, spent = torch.where(out.feasible.view(b, a), logits, -torch.inf), a
        start = objective.start(features)
        outcomes = self.config.outcomes if "stochastic" in model.provides else 1
        trees = SearchTree.rooted(state, start, actions, logits, value, self.config.simulations + 1, outcomes)
        trees.key[:, 0] = fingerprint(features, *objective.key(start))
        return trees, spent

    # --- what is made of the trees --------------------------------------------------------------------------------

    def _decide(self, trees: SearchTree, gumbel: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The action to take `[B]`: of the most visited the best; and the root's improved policy `[B, A]`."""
        rows, root = torch.arange(trees.batch), torch.zeros(trees.batch, dtype=torch.int64)
        visits, q, logits = trees.visits[:, 0], trees.q(rows, root), trees.logits[:, 0]
        visits = visits.masked_fill(logits.isneginf(), -1)
        if self.config.root == "gumbel":
            best = gumbel + selection.improved(visits.clamp_min(0), q, logits, trees.value[:, 0])
        else:
            best = torch.where(logits.isneginf(), -torch.inf, q)
        best = torch.where(visits == visits.amax(1, keepdim=True), rank_nan_last(best), -torch.inf)
        closed = logits.isneginf().all(1)
        any_of_them = torch.randint(visits.shape[1], (trees.batch,), generator=rng)
        return torch.where(closed, any_of_them, best.argmax(1)), self._policy(trees, root)

    def _policy(self, trees: SearchTree, slot: Tensor) -> Tensor:
        """The improved policy at `slot [B]` of each tree, `[B, A]`; zeros where every action is ruled out."""
        rows = torch.arange(trees.batch)
        visits, logits = trees.visits[rows, slot], trees.logits[rows, slot]
        if self.config.root == "gumbel":
            weights = selection.improved(visits, trees.q(rows, slot), logits, trees.value[rows, slot])
        else:
            tried = torch.where(logits.isneginf(), 0.0, visits)
            weights = torch.where(tried.sum(1, keepdim=True) > 0, tried.log(), logits)
        return weights.softmax(1).nan_to_num(0.0)

    def _trace(self, model: WorldModel, trees: SearchTree, action: Tensor, policy: Tensor, transitions: int,
               began: float, statistics: dict[str, float]) -> Plan:
        """The plan along the most visited edges; a shorter sequence repeats its last action."""
        rows = torch.arange(trees.batch)
        value, choice = trees.q(rows, torch.zeros_like(rows))[rows, action], action
        slots, sequence = [torch.zeros_like(rows)], list[Tensor]()
        reached, live = torch.zeros(trees.batch, dtype=torch.bool), torch.ones(trees.batch, dtype=torch.bool)
        while len(sequence) < self.config.depth:
            at = slots[-1]
            taken, child = trees.actions[rows, at, choice], trees.child[rows, at, choice, 0]
            sequence.append(torch.where(live[:, None], taken, sequence[-1] if sequence else taken))
            tried = live & (child >= 0) & (trees.visits[rows, at, choice] > 0)
            reached = reached | (tried & trees.reached[rows, at, choice, 0])
            goes_on = tried & ~reached & trees.goes_on(rows, torch.stack([at, choice, torch.zeros_like(at)]))
            slots.append(torch.where(tried, child.clamp_min(0), at))
            visits = trees.visits[rows, slots[-1]]
            live = goes_on & (visits.sum(1) > 0)
            if not live.any():
                break
            q = trees.q(rows, slots[-1])
            ties = torch.where(visits == visits.amax(1, keepdim=True), q, -torch.inf)
            choice = ties.argmax(1)
        seen = [model.decode(trees.state(rows, slot)) for slot in slots]
        imagined = {k: torch.stack([s[k] for s in seen]) for k in seen[0]}
        arrived = trees.child[rows, 0, action, 0].clamp_min(0)
        following = self._policy(trees, arrived) * (arrived > 0)[:, None]
        carry = Improved(policy, following if model.schema.discrete_actions else following[:, :0])
        return Plan(sequence[0], torch.stack(sequence), value, reached, imagined, transitions,
                    time.perf_counter() - began, carry, statistics)
