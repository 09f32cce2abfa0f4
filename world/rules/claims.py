"""A claim: an atom of an effect as one rule claims it, for certain, by a weight or with a probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .effects import Atom

Strength = tuple[Literal["hard", "weight", "probability"], float]


@dataclass(frozen=True)
class Claim:
    """An atom as one rule (`column`) claims it."""

    atom: Atom
    column: int
    strength: Strength
