"""Lessons that the data teach without a language model: what paid, what ended it, what failed and what worked, where.

They are the surprises of memory in the schema's words, each with the transitions that it rests on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..memory.notes.consolidation import Finding
from .schema import Schema
from .surprises import surprises

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions
    from ..memory.notes.notes import Link

_IMPORTANCE = {"reward": 0.9, "end": 0.8, "same": 0.6}
_LINKS = 8    # stretches of transitions that a lesson names


def findings(schema: Schema, transitions: Transitions, most: int = 12) -> list[Finding]:
    """What happened in these transitions and under which circumstances, the weightiest first."""
    return [Finding(one.event, one.text, links(transitions, one.rows),
                    max(_IMPORTANCE.get(subject, 0.5) for subject in one.subjects))
            for one in surprises(schema, transitions, most=most)]


def links(transitions: Transitions, rows: np.ndarray, most: int = _LINKS) -> tuple[Link, ...]:
    """The transitions at `rows [K]`, in order, as stretches (episode, first t, last t): the newest ones, if many."""
    episode, t = transitions.episode[rows], transitions.t[rows]
    starts = np.flatnonzero((np.diff(episode, prepend=-1) != 0) | (np.diff(t, prepend=-2) != 1))
    ends = np.append(starts[1:], len(rows)) - 1
    found = [(int(episode[a]), int(t[a]), int(t[b])) for a, b in zip(starts, ends, strict=True)]
    return tuple(found[-most:])
