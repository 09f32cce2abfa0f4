"""The interval on a hit rate that is valid however often it is looked at, so that checking after every transition costs
no rigour: one counterexample does not refute a rule of a noisy world, and a thousand do.

All p at which a mixture of likelihood ratios, a martingale under p, stays below 1 / alpha:

    K_t(p) = ∫ q^h (1 - q)^v dF(q) / (p^h (1 - p)^v) < 1 / alpha,    F = (Beta(1, 1) + Beta(9, 1)) / 2

By Ville's inequality the truth leaves the interval at any time with a probability of at most alpha (Robbins 1970;
Howard, Ramdas, McAuliffe & Sekhon 2021). Half of the mixture expects a rule to hold, which spares a true one a quarter
of the hits it takes to show it; the other half keeps the interval short elsewhere. A transition of weight w < 1 counts
as w of a hit: a likelihood ratio to a power below one is still a supermartingale (Jensen).
"""

from __future__ import annotations

import math

ALPHA = 0.05
"""Chance that the interval ever misses the true hit rate, over all looks together."""
_EAGER = 9.0


def evidence_against(p: float, hits: float, violations: float) -> float:
    """log K(p), in nats: how surely the hit rate is not p."""
    if not 0 < p < 1:
        return math.inf if (hits if p <= 0 else violations) else 0.0
    eager = log_beta(hits + _EAGER, violations + 1) + math.log(_EAGER)
    even = log_beta(hits + 1, violations + 1)
    mixture = max(eager, even) + math.log1p(math.exp(-abs(eager - even))) - math.log(2)
    return mixture - hits * math.log(p) - violations * math.log1p(-p)


def interval(hits: float, violations: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Lower and upper bound of a Bernoulli rate, at all times together with a chance of `alpha` to miss it."""
    limit = math.log(1 / alpha)

    def edge(inside: float, outside: float) -> float:
        for _ in range(50):
            middle = (inside + outside) / 2
            is_inside = evidence_against(middle, hits, violations) < limit
            inside, outside = (middle, outside) if is_inside else (inside, middle)
        return inside

    rate = (hits + 0.5) / (hits + violations + 1)  # near the least of K, and never 0 or 1
    return edge(rate, 0.0) if hits else 0.0, edge(rate, 1.0) if violations else 1.0


def surely_above(p: float, hits: float, violations: float, alpha: float = ALPHA) -> bool:
    """Whether the whole interval lies above p."""
    return hits > p * (hits + violations) and evidence_against(p, hits, violations) >= math.log(1 / alpha)


def surely_below(p: float, hits: float, violations: float, alpha: float = ALPHA) -> bool:
    """Whether the whole interval lies below p."""
    return hits < p * (hits + violations) and evidence_against(p, hits, violations) >= math.log(1 / alpha)


def log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
