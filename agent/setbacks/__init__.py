"""Failure, handled: a step that did not do what was imagined is noticed, explained and repaired (`setback`, `doubts`);
what cannot be done is said, with the reason (`obstacle`)."""

from .band import Band
from .doubts import Doubts
from .obstacle import Obstacle, why_not
from .setback import Setback, Setbacks

__all__ = ["Band", "Doubts", "Obstacle", "Setback", "Setbacks", "why_not"]
