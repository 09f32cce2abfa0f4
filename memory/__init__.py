"""Short-term and long-term memory, replay of experience, retrieval of notes."""

from .consolidation import Finding, Report, consolidate
from .context import PRIORITY, Context, Line, Part
from .facts import Fact, Facts
from .file import MemoryFile
from .forgetting import Quota
from .long_term import Episode, LongTerm
from .notes import Link, Note, Notes
from .origin import Origin
from .record import Column, Layout, Step, Transitions
from .replay import Replay, Sequences
from .retrieval import Hit, Retrieval, Weights
from .rules import RuleRecord, Rules, Standing
from .salvage import salvage
from .seen import Seen
from .short_term import ShortTerm, Surprise
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
    "Standing",
    "Step",
    "Surprise",
    "Transitions",
    "Vectors",
    "Weights",
    "consolidate",
    "salvage",
]
