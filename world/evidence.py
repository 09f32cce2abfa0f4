"""Evidence, as the rest of the house names it; what each part does stands in `checking`."""

from .checking.evidence import Evidence
from .checking.judgement import BEHAVIOUR, Status, interval, is_drifting, is_fallible, judge
from .checking.tally import Tally, measure
from .checking.verdicts import as_rows

__all__ = ["BEHAVIOUR", "Evidence", "Status", "Tally", "as_rows", "interval", "is_drifting", "is_fallible", "judge",
           "measure"]
