"""Evidence: of the transitions on which a rule applied, on how many its claim held.

Beside the two counts it keeps what tells three cases apart that have the same counts: a world that changed (`history`),
a rule that is true but for an exception (`exception`), and readings that are wrong now and then (`noise`).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from .drift import Count, History
from .interval import interval


class Region(BaseModel):
    """Where a rule's claim fails: a `condition` in the language, and the hits and violations there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    condition: str
    hits: Count
    violations: Count


class Evidence(BaseModel):
    """Hits and violations over all time, as counts or as sums of weights; `noise` is the chance that what the rule
    claims was misread."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hits: Count = 0
    violations: Count = 0
    history: History = History()
    exception: Region | None = None
    noise: float = 0.0

    @property
    def support(self) -> Count:
        """On how many transitions the rule applied."""
        return self.hits + self.violations

    @property
    def recent(self) -> tuple[Count, Count]:
        """Hits and violations since the rate last changed (of all time, if it never did)."""
        return self.hits - self.history.past[0], self.violations - self.history.past[1]

    @property
    def elsewhere(self) -> tuple[Count, Count]:
        """Recent hits and violations outside the exception."""
        h, v = self.recent
        return (h, v) if self.exception is None else (h - self.exception.hits, v - self.exception.violations)

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound of the present hit rate, outside the exception."""
        return interval(*self.elsewhere)

    def __str__(self) -> str:
        if not self.support:
            return "never applied"
        lower, upper = self.interval
        but = f" but for `{self.exception.condition}`" if self.exception else ""
        since = ", since it changed" if self.history.changes else ""
        return f"held {self.hits:g} of {self.support:g} times (rate {lower:.2f} to {upper:.2f}{but}{since})"
