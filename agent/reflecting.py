"""What an agent makes of its memory between episodes, and what memory makes of the agent: one part of `Agent`.

It recalls notes for what it is to explain and credits them with what the episode brought.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..memory import Retrieval
from ..world.recollection import Recollection
from .mind import Mind
from .situation import situation

if TYPE_CHECKING:
    from .agent import AgentConfig


@dataclass(frozen=True)
class ReflectingConfig:
    """Lessons are drawn every `every` episodes, for at most `seconds`."""

    every: int = 10
    seconds: float = 30.0


class Reflecting:
    """A mind that draws on its memory."""

    config: AgentConfig
    mind: Mind

    def recollection(self) -> Recollection | None:
        """What memory says to a surprise now; None where the feed to the language model is off."""
        if self.config.feed is None:
            return None
        knowledge = self.mind.knowledge
        refused = {e.claim for e in knowledge.entries if e.status in ("contradicted", "retired")}
        return Recollection(self.mind.memory, self.retrieval(), knowledge.schema, self.config.feed,
                            situation(self.mind), refused)

    def retrieval(self) -> Retrieval:
        return Retrieval(self.mind.memory, None)

    def credit(self) -> None:
        """Credit the notes that came to mind with what the episode brought."""
        self.mind.recent.recalled.clear()
