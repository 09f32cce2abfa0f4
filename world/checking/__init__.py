"""Checking: what the data and logic say of rules. Here stand the names for evidence and its judgement; `effect`,
`equivalence`, `exceptions` and `logic`, which need more of the house, are imported by their own."""

from .evidence import Evidence
from .judgement import BEHAVIOUR, SLACK, Status, interval, is_drifting, is_fallible, judge
from .tally import Tally, measure
from .verdicts import TOLERANCE, as_rows

__all__ = [
    "BEHAVIOUR", "SLACK", "TOLERANCE", "Evidence", "Status", "Tally", "as_rows", "interval", "is_drifting",
    "is_fallible", "judge", "measure",
]
