"""Doubt: where no plan reaches anything, a rule that was told and never seen to hold may be what stands in the way.

A false "this door never opens" is never refuted by who believes it. So where imagination under all the rules leads
nowhere, the agent imagines without one of them, a new one each time, and tries what that lets it hope for: either it
comes true, or the rule has evidence for it. Only what a person said of how the world behaves is put to the test, not
what ends or pays an episode (a test may be the last), and never what is forbidden or to be avoided.
"""

from __future__ import annotations

from .mind import Mind
from .planning.objective import Objective
from .planning.plan import Budget, Plan, Planner
from .remembered import Remembered


def doubted(mind: Mind, planner: Planner, objective: Objective, budget: Budget) -> Plan | None:
    """A plan that reaches something if the next of the doubtful rules does not hold; None where there is none."""
    entries = mind.knowledge.doubtful()
    if not entries:
        return None
    assert mind.belief is not None
    mind.doubts += 1
    rest = mind.knowledge.refine(mind.recalled, without=entries[mind.doubts % len(entries)].id)
    plan = planner.plan(Remembered(rest, mind.failures), mind.belief, objective, None, mind.rng, budget)
    mind.imagined_steps += plan.transitions
    return plan if bool(plan.reached[0]) else None
