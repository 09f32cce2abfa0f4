"""a_t = R(M_t): go on with the plan while the world follows it, otherwise plan anew in imagination."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..world.schema import Schema
from .doubt import doubted
from .mind import Mind
from .planning.plan import Budget, Planner
from .seeking import seek


def reason(mind: Mind, planner: Planner, budget: Budget) -> Tensor:
    """The action to take now, `[1, A]`.

    A plan to commit to is executed as far as the world follows it; a shooting planner plans anew at every step.
    A search that reached nothing is expensive and its plan only the best guess: it is followed to its end, and the
    next one gets a smaller budget until something is reached.
    """
    pursuit = mind.pursuit
    assert pursuit is not None
    assert mind.belief is not None
    plan = pursuit.plan
    if planner.commits and plan is not None and pursuit.at < len(plan.sequence):
        action = plan.sequence[pursuit.at]
        pursuit.at += 1
        return action
    objective = pursuit.objective.resumed(pursuit.carry)
    if mind.imagining.schema.sight is not None:
        plan = seek(mind, planner, objective, budget)
    elif planner.commits:
        if pursuit.failed_searches and budget.transitions:
            budget = replace(budget, transitions=max(1_000, budget.transitions >> (2 * pursuit.failed_searches)))
        plan = planner.plan(mind.imagining, mind.belief, objective, None, mind.rng, budget)
        if not bool(plan.reached[0]) and (hopeful := doubted(mind, planner, objective, budget)) is not None:
            plan = replace(hopeful, transitions=plan.transitions)
        pursuit.failed_searches = 0 if bool(plan.reached[0]) else pursuit.failed_searches + 1
    else:
        carry = pursuit.planner_carry if pursuit.planner_carry is not None else planner.initial(1)
        plan = planner.plan(mind.imagining, mind.belief, objective, carry, mind.rng, budget)
        pursuit.planner_carry = plan.carry
    mind.imagined_steps += plan.transitions
    pursuit.plan, pursuit.at = plan, 1
    return plan.action


def explore(schema: Schema, rng: torch.Generator) -> Tensor:
    """A random action `[1, A]`: uniform over the values there are, and within the bounds of real ones."""
    if schema.discrete_actions:
        actions = schema.all_actions()
        return actions[torch.randint(len(actions), (1,), generator=rng)]
    low, high = schema.clamp(torch.tensor([[-torch.inf], [torch.inf]]).expand(2, len(schema.actions)))
    drawn = low + torch.rand(1, len(low), generator=rng) * (high - low)
    return torch.where(torch.tensor([a.is_discrete for a in schema.actions]), drawn.round(), drawn)
