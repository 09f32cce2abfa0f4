"""Doubt: where no plan reaches anything, a rule that was told and never seen to hold may be what stands in the way.

A false "this door never opens" is never refuted by who believes it. So where imagination under all the rules leads
nowhere, the agent imagines without one of them, each in its turn, and tries what that lets it hope for: either it
comes true, or the rule has evidence for it. Only what a person said of how the world behaves is put to the test, not
what ends or pays an episode (a test may be the last), and never what is forbidden or to be avoided.
"""

from __future__ import annotations

import time

from .mind import Mind
from .planning.objective import Objective
from .planning.plan import Budget, Plan, Planner
from .remembered import Remembered

MOST = 10_000
"""Transitions imagined in doubt, where the budget has no limit."""


def doubted(mind: Mind, planner: Planner, objective: Objective, budget: Budget) -> Plan | None:
    """A plan that reaches something if one of the doubtful rules does not hold, each in its turn, as far as the budget
    of one plan goes; None where there is none."""
    began = time.perf_counter()
    entries = mind.knowledge.doubtful()
    assert mind.belief is not None
    left = budget
    for _ in entries:
        mind.doubts += 1
        rest = mind.knowledge.refine(mind.recalled, without=entries[mind.doubts % len(entries)].id)
        plan = planner.plan(Remembered(rest, mind.failures), mind.belief, objective, None, mind.rng, left)
        mind.imagined_steps += plan.transitions
        if bool(plan.reached[0]):
            return plan
        transitions = (left.transitions or MOST) - plan.transitions
        seconds = None if budget.seconds is None else budget.seconds - (time.perf_counter() - began)
        if transitions <= 0 or (seconds is not None and seconds <= 0):
            return None
        left = Budget(transitions, seconds)
    return None
