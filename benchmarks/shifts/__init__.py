"""Shifted worlds: MiniGrid boards, and changes of them made by Gymnasium wrappers; a file an idea."""

from . import ground, hands, keys, moves
from .boards import Boards
from .shift import Shift

SHIFTS: dict[str, Shift] = {s.name: s for part in (keys, moves, ground, hands) for s in part.SHIFTS}

__all__ = ["SHIFTS", "Boards", "Shift"]
