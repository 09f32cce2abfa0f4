"""Judgement: what the evidence makes of a rule."""

from __future__ import annotations

from typing import Literal

from ..rules import syntax as s
from ..rules.syntax import Rule
from .evidence import Evidence
from .interval import ALPHA, interval, surely_above, surely_below

__all__ = ["ALPHA", "BEHAVIOUR", "Status", "interval", "is_drifting", "is_fallible", "judge"]

Status = Literal["untested", "supported", "contradicted", "retired"]

HARD = 0.9
"""A hard rule is contradicted when its hit rate is surely below this (times the chance that nothing was misread)."""
PROPOSED = 0.99
"""A hard rule that no person said does not act when its hit rate is surely below this: it rules out what happens."""
SOFT = 0.1
"""A rule with a weight says only "likelier": it is contradicted when it surely holds this rarely."""
SLACK = 0.05
"""A rule with a probability is contradicted when the rate is surely this far from it."""
SHARE = 0.62
"""A rule is supported when its rate is surely above this share of the least that agrees with it: one that holds less
often is ever supported with a chance of at most `ALPHA`, however long one looks."""
NEAR = 0.15
"""A probability is supported when the rate is surely no further than this from what agrees with it."""
LEAST_HITS = 3
BEHAVIOUR = (s.Forbid, s.Avoid, s.Maintain, s.Prefer, s.Achieve)
"""Statements of will: no data can refute them."""


def judge(rule: Rule, evidence: Evidence) -> Status:
    """What the evidence makes of a rule, at present (since its rate last changed) and outside its exception, if any.

    Contradicted: the rate is surely outside what the rule claims (`HARD`, `SOFT`, `SLACK`). Supported: the claim held
    at least `LEAST_HITS` times, at a rate surely not far from what is claimed (`SHARE`, `NEAR`). Untested otherwise.
    Rules on behaviour are always untested.
    """
    if isinstance(rule.statement, BEHAVIOUR):
        return "untested"
    # As an excuse for failing, noise counts as far as it may reach; for support, only as far as it surely does.
    least_noise, most_noise = evidence.noise
    low, high = _claimed(rule.statement, most_noise)
    hits, violations = evidence.elsewhere
    if surely_below(low, hits, violations) or surely_above(high, hits, violations):
        return "contradicted"
    low, high = _claimed(rule.statement, least_noise)
    least, most = (SHARE * low, 1.0) if high >= 1 else (low - NEAR, high + NEAR)
    is_above = least <= 0 or surely_above(least, hits, violations)
    is_near = is_above and (most >= 1 or surely_below(most, hits, violations))
    return "supported" if (hits >= LEAST_HITS or least <= 0) and is_near else "untested"


def is_fallible(rule: Rule, evidence: Evidence) -> bool:
    """Whether a hard rule surely has exceptions, one time in a hundred or more beyond misreading (`PROPOSED`)."""
    least = PROPOSED * (1 - evidence.noise[1])
    return _claimed(rule.statement)[0] == HARD and surely_below(least, *evidence.recent)


def is_drifting(rule: Rule, evidence: Evidence) -> bool:
    """Whether a rule that used to hold has begun to fail: at the last change its rate fell from what it claims."""
    if isinstance(rule.statement, BEHAVIOUR) or not evidence.history.changes:
        return False
    low, _ = _claimed(rule.statement, evidence.noise[1])
    (h, v), (h0, v0) = evidence.recent, evidence.history.before
    return h * (h0 + v0) < h0 * (h + v) and h0 >= low * (h0 + v0)


def _claimed(statement: s.Statement, noise: float = 0.0) -> tuple[float, float]:
    """The hit rates that agree with a rule whose claim is misread that often."""
    probability = getattr(statement, "probability", None)
    if probability is not None:
        return max(probability - SLACK, 0.0) * (1 - noise), min(probability + SLACK + noise * (1 - probability), 1.0)
    return (SOFT if getattr(statement, "weight", None) is not None else HARD) * (1 - noise), 1.0
