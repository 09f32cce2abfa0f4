"""Short-term and long-term memory, replay of experience, retrieval of notes."""

from .forgetting import Quota
from .long_term import Episode, LongTerm
from .notes import Note
from .record import Column, Layout, Step, Transitions
from .replay import Replay, Sequences
from .retrieval import Hit, Retrieval, Weights
from .salvage import salvage
from .short_term import Context, Line, ShortTerm, Surprise

__all__ = [
    "Column",
    "Context",
    "Episode",
    "Hit",
    "Layout",
    "Line",
    "LongTerm",
    "Note",
    "Quota",
    "Replay",
    "Retrieval",
    "Sequences",
    "ShortTerm",
    "Step",
    "Surprise",
    "Transitions",
    "Weights",
    "salvage",
]
