"""Short-term and long-term memory, replay of experience, retrieval of notes."""

from .facts import Fact, Facts
from .long_term import Episode, LongTerm
from .notes import Link, Note, Notes
from .origin import Origin
from .record import Column, Layout, Step, Transitions
from .replay import Replay, Sequences
from .retrieval import Hit, Retrieval, Weights
from .short_term import Context, Line, ShortTerm, Surprise
from .vectors import Vectors

__all__ = [
    "Column",
    "Context",
    "Episode",
    "Fact",
    "Facts",
    "Hit",
    "Layout",
    "Line",
    "Link",
    "LongTerm",
    "Note",
    "Notes",
    "Origin",
    "Replay",
    "Retrieval",
    "Sequences",
    "ShortTerm",
    "Step",
    "Surprise",
    "Transitions",
    "Vectors",
    "Weights",
]
