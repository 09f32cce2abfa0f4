"""a_t = R(M_t): go on with the plan while the world follows it, otherwise plan anew in imagination."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..world.models.persistence import Persistence
from ..world.schema import Schema
from .goals import Goal
from .mind import Mind, Pursuit
from .planning.plan import Budget, Plan, Planner

PLANNED = 0.25
"""Of the steps of a plan that reaches nothing, where rules alone imagine; the others are trials."""


def reason(mind: Mind, planner: Planner, budget: Budget) -> Tensor:
    """The action to take now, `[1, A]`.

    A plan to commit to is executed as far as the world follows it; a shooting planner plans anew at every step.
    A search that reached nothing is expensive and its plan only the best guess: it is followed to its end, and the
    next one gets a smaller budget until something is reached. Where rules alone imagine, what no rule speaks of seems
    to do nothing and is never part of a plan: as long as no plan reaches the goal, most steps are trials.
    """
    pursuit = mind.pursuit
    assert pursuit is not None
    assert mind.belief is not None
    plan = pursuit.plan
    if planner.commits and plan is not None and pursuit.at < len(plan.sequence):
        action = plan.sequence[pursuit.at]
        pursuit.at += 1
        return _tried(mind, pursuit, plan, action)
    objective = pursuit.objective.resumed(pursuit.carry)
    if planner.commits:
        if pursuit.failed_searches and budget.transitions:
            budget = replace(budget, transitions=max(1_000, budget.transitions >> (2 * pursuit.failed_searches)))
        plan = planner.plan(mind.imagining, mind.belief, objective, None, mind.rng, budget)
        pursuit.failed_searches = 0 if bool(plan.reached[0]) else pursuit.failed_searches + 1
    else:
        carry = pursuit.planner_carry if pursuit.planner_carry is not None else planner.initial(1)
        plan = planner.plan(mind.imagining, mind.belief, objective, carry, mind.rng, budget)
        pursuit.planner_carry = plan.carry
    mind.imagined_steps += plan.transitions
    pursuit.plan, pursuit.at = plan, 1
    return _tried(mind, pursuit, plan, plan.action) if planner.commits else plan.action


def _tried(mind: Mind, pursuit: Pursuit, plan: Plan, action: Tensor) -> Tensor:
    """The planned action, or a trial in its place."""
    is_lost = not bool(plan.reached[0]) and any(isinstance(term, Goal) for term in pursuit.objective.terms)
    if not is_lost or not isinstance(mind.learned, Persistence) or torch.rand(1, generator=mind.rng) < PLANNED:
        return action
    pursuit.plan = None
    return explore(mind.imagining.schema, mind.rng)


def explore(schema: Schema, rng: torch.Generator) -> Tensor:
    """A random action `[1, A]`: uniform over the values there are, and within the bounds of real ones."""
    if schema.discrete_actions:
        actions = schema.all_actions()
        return actions[torch.randint(len(actions), (1,), generator=rng)]
    low, high = schema.clamp(torch.tensor([[-torch.inf], [torch.inf]]).expand(2, len(schema.actions)))
    drawn = low + torch.rand(1, len(low), generator=rng) * (high - low)
    return torch.where(torch.tensor([a.is_discrete for a in schema.actions]), drawn.round(), drawn)
