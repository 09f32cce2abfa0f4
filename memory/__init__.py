"""Short-term and long-term memory, replay of experience, retrieval of notes."""

from .context import PRIORITY, Context, Line, Part
from .experience.forgetting import Quota
from .experience.record import Column, Layout, Step, Transitions
from .experience.replay import Replay, Sequences
from .file import MemoryFile
from .long_term import Episode, LongTerm
from .notes.consolidation import Finding, Report, consolidate
from .notes.facts import Fact, Facts
from .notes.notes import Link, Note, Notes
from .notes.retrieval import Hit, Retrieval, Weights
from .origin import Origin
from .rules import RuleRecord, Rules, Standing
from .salvage import salvage
from .seen import Seen
from .short_term import ShortTerm, Surprise
from .skills import SkillRecord, Skills
from .vectors import Vectors

__all__ = [
    "PRIORITY",
    "Column",
    "Context",
    "Episode",
    "Fact",
    "Facts",
    "Finding",
    "Hit",
    "Layout",
    "Line",
    "Link",
    "LongTerm",
    "MemoryFile",
    "Note",
    "Notes",
    "Origin",
    "Part",
    "Quota",
    "Replay",
    "Report",
    "Retrieval",
    "RuleRecord",
    "Rules",
    "Seen",
    "Sequences",
    "ShortTerm",
    "SkillRecord",
    "Skills",
    "Standing",
    "Step",
    "Surprise",
    "Transitions",
    "Vectors",
    "Weights",
    "consolidate",
    "salvage",
]
