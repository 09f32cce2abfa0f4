"""Doubt: where no plan reaches anything, a rule that was told and never seen to hold may be what stands in the way.

A false "this door never opens" is never refuted by who believes it. So where imagination under all the rules leads
nowhere, the agent imagines without one of them, each in its turn, or without them all, and tries what that lets it hope
for: either it comes true, or the rule has evidence for it. Only what a person said of how the world behaves, and that
something pays nothing, is put to the test; not what ends an episode or costs (a test may be the last, or dear), and
never what is forbidden or to be avoided.
"""

from __future__ import annotations

import time

from .mind import Mind
from .planning.objective import Objective
from .planning.plan import Budget, Plan, Planner
from .remembered import Remembered

MOST = 10_000
"""Transitions imagined in doubt, where the budget has no limit."""
ROUND = 8
"""All doubtful rules are gone through at the first of so many plans in a row that reach nothing."""


def doubted(mind: Mind, planner: Planner, objective: Objective, budget: Budget) -> Plan | None:
    """A plan that reaches something if a doubtful rule does not hold: without one of them, each in its turn as far as
    half the budget of a plan goes, else without them all; None where none does. Where that was so lately (`ROUND`),
    only the next of them is tried."""
    ids = [entry.id for entry in mind.knowledge.doubtful()]
    is_round = mind.pursuit is None or mind.pursuit.failed_searches % ROUND == 0
    most = Budget((budget.transitions or MOST) // 2, None if budget.seconds is None else budget.seconds / 2)

    def without(some: list[str], left: Budget) -> Plan:
        assert mind.belief is not None
        rest = Remembered(mind.knowledge.refine(mind.recalled, without=some), mind.failures)
        plan = planner.plan(rest, mind.belief, objective, None, mind.rng, left)
        mind.imagined_steps += plan.transitions
        return plan

    began, spent = time.perf_counter(), 0
    for _ in ids if is_round else ids[:1]:
        seconds = None if most.seconds is None else most.seconds - (time.perf_counter() - began)
        if spent >= (most.transitions or MOST) or (seconds is not None and seconds <= 0):
            break
        mind.doubts += 1
        plan = without([ids[mind.doubts % len(ids)]], Budget((most.transitions or MOST) - spent, seconds))
        if bool(plan.reached[0]):
            return plan
        spent += plan.transitions
    if is_round and len(ids) > 1 and bool((plan := without(ids, most)).reached[0]):
        return plan
    return None
