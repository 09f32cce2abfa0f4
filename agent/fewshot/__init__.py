"""Few-shot tasks of a world: example transitions become rules, demonstrated episodes become a goal."""

from .dynamics import FewShotDynamics, Report, Ruled
from .examples import Example
from .instructions import Goals, Reading, goals_of, instruct

__all__ = ["Example", "FewShotDynamics", "Goals", "Reading", "Report", "Ruled", "goals_of", "instruct"]
