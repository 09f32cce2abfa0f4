"""Instructions in words, understood as goals of the rule language against the state they are told in."""

from .instruction import Instruction, understand
from .readings import Ask

__all__ = ["Ask", "Instruction", "understand"]
