"""What a state that a tree search meets is thought to be worth, and which of its actions look good, before it is tried.

Both are the model's where it provides them ("value", "policy": a MuZero-style model, or any model advised by an actor-
critic). Else every action looks alike, and a state is worth what random steps from it bring, or nothing: what the
milestones of a goal paid on the way there counts in any case. Continuous actions are a few samples a state, as in
Sampled MuZero (Hubert et al. 2021, arXiv 2104.06303). Letters: N states, A actions a state, D numbers an action.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import UserError
from ...world import tree
from ...world.model import Outcome, State, WorldModel
from ...world.schema import Schema
from .objective import Carry, Objective, Transition


def choices(schema: Schema, n: int, samples: int, rng: torch.Generator) -> Tensor:
    """The actions of `n` states, `[n, A, D]`: all joint ones, or `samples` within their bounds (without: in -1..1)."""
    if schema.discrete_actions:
        return schema.all_actions().expand(n, -1, -1)
    low, high = (torch.tensor([getattr(a, side) for a in schema.actions]) for side in ("low", "high"))
    low, high = low.nan_to_num(neginf=-1.0), high.nan_to_num(posinf=1.0)
    return low + torch.rand(n, samples, len(low), generator=rng) * (high - low)


def advice(model: WorldModel, state: State, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Values `[N]` and logits `[N, A]` of states that no step led to (roots): a model may have `advice(state)`."""
    even = torch.zeros(actions.shape[:2])
    if not hasattr(model, "advice"):
        return even[:, 0], even
    value, logits = model.advice(state)
    return value, even if logits is None else _fitting(logits, even, model.schema)


def first_guess(model: WorldModel, objective: Objective, state: State, carry: Carry, out: Outcome, actions: Tensor,
                rollout: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Values `[N]` and logits `[N, A]` of the states that a step with outcome `out` led to."""
    logits = torch.zeros(actions.shape[:2])
    if "policy" in model.provides and model.schema.discrete_actions and out.action_logits is not None:
        logits = _fitting(out.action_logits, logits, model.schema)
    if "value" in model.provides and out.value is not None:
        return out.value, logits
    return random_return(model, objective, state, carry, actions.shape[1], rollout, rng), logits


def random_return(model: WorldModel, objective: Objective, state: State, carry: Carry, samples: int, steps: int,
                  rng: torch.Generator) -> Tensor:
    """What `steps` random steps bring, discounted `[N]`; an infeasible one is skipped."""
    n = tree.size(state)
    total, running, ones = torch.zeros(n), torch.ones(n), torch.ones(n)
    for _ in range(steps):
        actions = choices(model.schema, n, samples, rng)
        taken = actions[torch.arange(n), torch.randint(actions.shape[1], (n,), generator=rng)]
        after, out = model.step(state, taken, rng)
        went, gain, _ = objective.advance(carry, Transition(
            model.decode(state), taken, model.decode(after), out.reward, out.cont, out.feasible, out.uncertainty, ones,
            0))
        total = total + running * torch.where(out.feasible, gain, 0.0)
        running = running * torch.where(out.feasible, objective.discount * out.cont, 1.0)
        state, carry = tree.choose(out.feasible, after, state), tree.choose(out.feasible, went, carry)
    return total


def _fitting(logits: Tensor, even: Tensor, schema: Schema) -> Tensor:
    if logits.shape == even.shape:
        return logits
    raise UserError(f"the model's policy speaks of {logits.shape[-1]} actions, the world '{schema.name}' has "
                    f"{even.shape[1]}; return a logit for each of schema.all_actions()")
