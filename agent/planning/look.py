"""One look with what was learned: the action now, none that must not be taken, and the likely future it begins."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from ...world import tree
from ...world.model import State, WorldModel
from .objective import Carry, Objective, Transition
from .plan import Budget, Plan, rank_nan_last

Act = Callable[[State, Carry, int], Tensor]
"""(state, the objective's carry, steps ahead) -> actions `[B, A]`."""
Others = Callable[[State, Carry], tuple[Tensor, Tensor]]
"""(state, carry) of N rows -> K other actions each, `[N, K, A]`, and how good they look, `[N, K]`."""


@torch.no_grad()
def look(model: WorldModel, state: State, objective: Objective, act: Act, others: Others, value: Tensor, horizon: int,
         budget: Budget | None) -> Plan:
    """The plan of B states worth `value [B]`: `horizon` steps as `act` would take them, as far as the budget allows (at
    least one). A first action that must not be taken is replaced by the best-looking one that may, where there is any.
    """
    budget, began = budget or Budget(), time.perf_counter()
    features = model.decode(state)
    carry, imagined, sequence = objective.start(features), [features], list[Tensor]()
    alive = torch.ones(tree.size(state))
    reached, tried = alive < 0, 0
    for t in range(max(1, min(horizon, horizon if budget.transitions is None else budget.transitions))):
        action = act(state, carry, t)
        after, out = model.step(state, action)
        if t == 0 and not bool(out.feasible.all()):
            action, tried = _allowed(model, state, carry, action, out.feasible, others)
            after, out = model.step(state, action)
        following = model.decode(after)
        carry, _, here = objective.advance(carry, Transition(
            features, action, following, out.reward, out.cont, out.feasible, out.uncertainty, alive, t))
        state, features, alive, reached = after, following, alive * out.cont, reached | here
        sequence.append(action)
        imagined.append(following)
        if budget.seconds is not None and time.perf_counter() - began > budget.seconds:
            break
    return Plan(sequence[0], torch.stack(sequence), rank_nan_last(value), reached,
                {k: torch.stack([f[k] for f in imagined]) for k in features}, len(sequence) * len(alive) + tried,
                time.perf_counter() - began, None, {"tried": float(tried)})


def _allowed(model: WorldModel, state: State, carry: Carry, action: Tensor, feasible: Tensor,
             others: Others) -> tuple[Tensor, int]:
    """`action [B, A]`, replaced where it is not `feasible [B]` by the best other one that is, all tried in one imagined
    step; and how many were tried."""
    bad = (~feasible).nonzero()[:, 0]
    rows, odds = others(tree.take(state, bad), tree.take(carry, bad))
    _, out = model.step(tree.repeat(tree.take(state, bad), rows.shape[1]), rows.flatten(0, 1))
    best = odds.masked_fill(~out.feasible.view(odds.shape), -torch.inf).max(1)
    found = best.values > -torch.inf
    replaced = action.clone()
    replaced[bad[found]] = rows[torch.arange(len(bad)), best.indices][found]
    return replaced, odds.numel()
