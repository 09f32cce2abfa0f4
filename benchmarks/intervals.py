"""Intervals of what was measured, by SciPy: Wilson's for shares, Student's t or the bootstrap for means.

Episodes under one training seed share its weights: where an interval shall speak of training anew, give one value a
training seed; where it shall speak of further episodes of the same agents, give the episodes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A value with the bounds of its confidence interval (NaN: not known, fewer than two values), from `n` values."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        bounds = "" if math.isnan(self.low) else f" ({self.low:.3g} to {self.high:.3g})"
        return "-" if math.isnan(self.value) else f"{self.value:.3g}{bounds}"


def share(successes: int, n: int, level: float = 0.95) -> Interval:
    """A proportion with its score interval (Wilson 1927), which holds near 0 and 1 and for few trials."""
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0)
    bounds = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    return Interval(successes / n, float(bounds.low), float(bounds.high), n)


def interval(values: Iterable[float], level: float = 0.95, method: str = "t") -> Interval:
    """The mean of `values` with its interval: of a share where all are truth values, else by `method`, "t" or
    "bootstrap" (bias-corrected and accelerated, Efron 1987; for skewed ones such as steps or costs)."""
    kept = list(values)
    if kept and all(v is True or v is False for v in kept):
        return share(sum(kept), len(kept), level)
    kept = [float(v) for v in kept if not math.isnan(v)]
    if len(kept) < 2:
        return Interval(kept[0] if kept else math.nan, math.nan, math.nan, len(kept))
    mean, error = statistics.fmean(kept), statistics.stdev(kept) / math.sqrt(len(kept))
    if not error:
        return Interval(mean, mean, mean, len(kept))
    if method == "bootstrap":
        found = stats.bootstrap((kept,), np.mean, confidence_level=level, rng=0).confidence_interval
        return Interval(mean, float(found.low), float(found.high), len(kept))
    low, high = stats.t.interval(level, len(kept) - 1, mean, error)
    return Interval(mean, float(low), float(high), len(kept))


def paired(ours: Mapping[Hashable, float], theirs: Mapping[Hashable, float], level: float = 0.95) -> Interval:
    """The mean difference of two arms over the seeds (keys) that both have: what varies from seed to seed drops out."""
    shared = [key for key in ours if key in theirs]
    return interval([float(ours[key]) - float(theirs[key]) for key in shared], level)
