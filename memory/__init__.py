"""Short-term and long-term memory, replay of experience, retrieval of notes."""

from .context import PRIORITY, Context, Line, Part
from .long_term import Episode, LongTerm
from .notes import Note
from .record import Column, Layout, Step, Transitions
from .replay import Replay, Sequences
from .retrieval import Hit, Retrieval, Weights
from .rules import RuleRecord, Rules, Standing
from .seen import Seen
from .short_term import ShortTerm, Surprise

__all__ = [
    "PRIORITY",
    "Column",
    "Context",
    "Episode",
    "Hit",
    "Layout",
    "Line",
    "LongTerm",
    "Note",
    "Part",
    "Replay",
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
    "Weights",
]
