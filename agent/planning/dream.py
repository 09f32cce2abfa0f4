"""Dreams to learn from: imagined futures under a policy that is being learned, begun where the agent has been.

Letters: B sequences of T real transitions, N rows, H horizon, I inputs of the policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...world import tree
from ...world.model import Batch, State, WorldModel
from .objective import Carry, Objective, Transition
from .reader import Reader

Chooser = Callable[[Tensor], tuple[Any, Tensor]]
"""Inputs `[N, I]` to what was chosen (a tree of N rows, for learning) and the actions `[N, A]` it stands for."""


@dataclass(frozen=True)
class Start:
    """N states to dream from, and the objective's carry there."""

    state: State
    carry: Carry


@dataclass(frozen=True)
class Dream:
    """H imagined steps of N rows. `valid` rows are numbers throughout, the others are to be left out; `feasible` says
    whether the step was taken (one that must not be taken changes nothing, and costs)."""

    inputs: Tensor  # [H + 1, N, I]
    chosen: Any  # leaves [H, N, ...]
    gain: Tensor  # [H, N]
    cont: Tensor  # [H, N]
    valid: Tensor  # [N] bool
    feasible: Tensor  # [H, N] bool


@torch.no_grad()
def along(model: WorldModel, batch: Batch, objective: Objective, steps: int,
          rng: torch.Generator | None) -> list[Start]:
    """The first `steps` states of the sequences, B rows each: the belief and the progress of the goals so far."""
    features = batch.features_at(0)
    state = model.observe(model.initial(len(batch.mask)), None, features, None, rng)
    track = [Start(state, objective.start(features))]
    for t in range(steps - 1):
        carry = track[-1].carry
        if any(c.numel() for c in carry):
            carry = objective.advance(carry, real(batch, t))[0]
        state = model.observe(state, batch.action[:, t], batch.features_at(t + 1), None, rng)
        track.append(Start(state, carry))
    return track


def starts(model: WorldModel, batch: Batch, objective: Objective, rng: torch.Generator | None = None) -> Start:
    """Every state of the sequences from which a real transition was made, at most B·T rows."""
    track = tree.concatenate(along(model, batch, objective, batch.action.shape[1], rng))
    return tree.take(track, batch.mask.T.flatten().nonzero()[:, 0])


def apart(batch: Batch) -> Batch:
    """Every transition of the sequences as a sequence of one, T·B rows, time-major."""
    def rows(x: Tensor) -> Tensor:
        return x.transpose(0, 1).flatten(0, 1)

    pairs = {k: rows(torch.stack([v[:, :-1], v[:, 1:]], 2)) for k, v in batch.features.items()}
    return Batch(pairs, *(rows(x)[:, None] for x in (batch.action, batch.reward, batch.terminated, batch.mask)))


def real(batch: Batch, t: int) -> Transition:
    """The real transitions of B sequences at time t."""
    yes, ended = torch.ones_like(batch.mask[:, t]), batch.terminated[:, t].float()
    return Transition(batch.features_at(t), batch.action[:, t], batch.features_at(t + 1), batch.reward[:, t], 1 - ended,
                      yes, torch.zeros_like(ended), torch.ones_like(ended), 0)


def advanced(objective: Objective, carry: Carry, step: Transition) -> tuple[Carry, Tensor]:
    """The new carry and the gain `[N]` of a transition. Rows that made no step keep the carry they had."""
    after, gain, _ = objective.advance(carry, step)
    return tree.choose(step.feasible, after, carry), gain


@torch.no_grad()
def dream(model: WorldModel, start: Start, objective: Objective, reader: Reader, choose: Chooser, horizon: int,
          rng: torch.Generator | None, infeasible: float) -> Dream:
    """Imagine `horizon` steps under `choose`. Each step is judged as if it were the next one (t = 0), so that a state
    is worth the same wherever in a dream it comes up; a step that must not be taken costs `infeasible`."""
    objective = replace(objective, infeasible=infeasible)
    state, carry = start.state, start.carry
    features = model.decode(state)
    inputs, chosen, gains, conts, feasibles = [reader.read(model, state, carry, features)], [], [], [], []
    valid = inputs[0].isfinite().all(-1)
    for _ in range(horizon):
        choice, action = choose(inputs[-1])
        after, out = model.step(state, action, rng)
        following = model.decode(after)
        step = Transition(features, action, following, out.reward, out.cont, out.feasible, out.uncertainty,
                          torch.ones_like(out.reward), 0)
        carry, gain = advanced(objective, carry, step)
        if not bool(out.feasible.all()):
            # Where nothing was done, nothing is paid either, but for the cost.
            gain = torch.where(out.feasible, gain, -infeasible)
            after = tree.choose(out.feasible, after, state)
            following = tree.choose(out.feasible, following, features)
        state, features = after, following
        row = reader.read(model, state, carry, features)
        cont = torch.where(out.feasible, out.cont, 1.0)
        valid = valid & gain.isfinite() & cont.isfinite() & row.isfinite().all(-1)
        inputs.append(row.nan_to_num())  # what is not valid is carried along as zeros
        chosen.append(choice)
        gains.append(gain.nan_to_num(0.0, 0.0, 0.0))
        conts.append(cont.nan_to_num())
        feasibles.append(out.feasible)
    return Dream(torch.stack(inputs), tree.tree_map(lambda *x: torch.stack(x), chosen[0], *chosen[1:]),
                 torch.stack(gains), torch.stack(conts), valid, torch.stack(feasibles))
