"""Reasoning with a partial view: reach the goal within what is known; else look where most is expected to be seen.

    plan to the goal on the map -> else scout for a look -> else plan with the whole budget, and be at a loss

A plan is left as soon as something comes into sight that matters (`learn.py`).
"""

from __future__ import annotations

from dataclasses import replace

from ..world.model import State
from ..world.schema import Features
from ..world.unseen import Unseen
from .mind import Mind
from .planning.exploring import Exploring
from .planning.objective import Objective
from .planning.plan import Budget, Plan, Planner
from .planning.scout import Scout

TRY = 8
"""While there may be more to see, the goal gets so small a share of the budget; a quarter of that after every search
that failed, until something comes into sight that matters."""
AT_MOST = 1.0
"""Seconds of such a search."""


def seek(mind: Mind, planner: Planner, objective: Objective, budget: Budget) -> Plan:
    """The plan to follow now, for the one state the agent is in."""
    pursuit, features = mind.pursuit, mind.features
    assert pursuit is not None
    assert features is not None
    whole, fails = budget.transitions or 40_000, pursuit.failed_searches
    carry = pursuit.planner_carry if pursuit.planner_carry is not None else planner.initial(1)
    transitions, seconds = max(1_000, whole // TRY >> 2 * fails), min(budget.seconds or AT_MOST, AT_MOST)
    short = replace(budget, transitions=transitions, seconds=seconds) if planner.commits else budget
    plan = planner.plan(mind.imagining, mind.belief, objective, carry, mind.rng, short)
    pursuit.planner_carry, spent = plan.carry, plan.transitions
    pursuit.looking = pursuit.at_a_loss = False
    if not bool(plan.reached[0]):
        seen = look(mind, mind.belief, features, objective, budget)
        spent += seen.transitions
        pursuit.looking = bool(seen.reached[0])
        if pursuit.looking:
            plan = seen
        elif planner.commits:
            again = replace(budget, transitions=max(1_000, whole >> 2 * fails))
            plan = planner.plan(mind.imagining, mind.belief, objective, carry, mind.rng, again)
            spent += plan.transitions
            pursuit.at_a_loss = not bool(plan.reached[0])
    is_found = bool(plan.reached[0]) and not pursuit.looking
    pursuit.failed_searches = 0 if is_found else fails + 1
    return replace(plan, transitions=spent)


def look(mind: Mind, belief: State, features: Features, objective: Objective, budget: Budget) -> Plan:
    """The way to the best look from one state; its `reached` is False where no look tells more."""
    exploring = Exploring.on(mind.unseen or Unseen.of(mind.imagining.schema), features)
    return Scout().plan(mind.imagining, belief, objective, exploring, budget)
