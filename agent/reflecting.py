"""What an agent makes of its memory between episodes, and what memory makes of the agent: one part of `Agent`.

It draws lessons from what it lived (`reflect`), brings to mind what bears on what it is to explain (`recollection`),
and credits what came to mind with what the episode brought.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from ..memory import Hit, Line, Retrieval
from ..memory.context import Context
from ..memory.notes.consolidation import LESSON, Finding, Report, consolidate, pending
from ..prompts.gateway.asking import as_text
from ..prompts.reflection import reflect
from ..world.lessons import findings
from ..world.recollection import Recollection
from .mind import Mind
from .situation import situation

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from ..memory import Episode
    from .config import AgentConfig

log = logging.getLogger(__name__)

_KNOWN = 64    # newest lessons that a language model may be shown, as far as they fit


@dataclass(frozen=True)
class ReflectingConfig:
    """Lessons are drawn whenever `every` episodes have ended since, for about `seconds`."""

    every: int = 16
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.every < 1 or not self.seconds > 0:
            raise UserError(f"ReflectingConfig: every ({self.every}) and seconds ({self.seconds}) must be positive")


class Reflecting:
    """A mind that draws on its memory. `embeddings` tell what notes mean; None: words alone."""

    config: AgentConfig
    mind: Mind
    embeddings: Embeddings | None

    def reflect(self, seconds: float | None = None) -> Report:
        """Draw lessons from the episodes that none was drawn from yet: what happened and where, by counting, and what a
        language model, if there is one, makes of that.

        For about `seconds` (None: until all is done), a lesson at a time, each durable: what is broken off is taken up
        next time. Lessons are notes; `propose` shows them to the language model, quoted.
        """
        until = time.monotonic() + (float("inf") if seconds is None else seconds)
        knowledge = self.mind.knowledge
        has_model = knowledge.gateway is not None and knowledge.gateway.model is not None
        return consolidate(self.mind.memory, self._happened, self._summary if has_model else None, self.embeddings,
                           is_over=lambda: time.monotonic() >= until)

    def reflect_when_due(self) -> None:
        """Between episodes: reflect, where that is wanted and enough has been lived since."""
        wanted = self.config.reflecting
        if wanted is not None and len(pending(self.mind.memory)) >= wanted.every:
            report = self.reflect(wanted.seconds)
            if report.failure:
                log.warning("no lessons of the language model: %s", report.failure)

    def recall(self, query: str, k: int = 5, kind: str | None = None) -> list[Hit]:
        """The notes of long-term memory that fit a query, by relevance, recency and importance: by meaning where the
        agent has embeddings, else by words. They are credited with what the episode under way brings."""
        hits = self.retrieval.search(query, k, kind=kind)
        self.mind.recent.recalled += [hit.note.id for hit in hits]
        return hits

    def recollection(self) -> Recollection | None:
        """What memory says to a surprise now; None where the feed to the language model is off."""
        if self.config.feed is None:
            return None
        mind, knowledge = self.mind, self.mind.knowledge
        refused = {e.claim for e in knowledge.entries if e.status in ("contradicted", "retired")}
        return Recollection(mind.memory, self.retrieval, knowledge.schema, self.config.feed, situation(mind), refused)

    def credit(self) -> None:
        """Credit the notes that came to mind with what the episode brought."""
        recent = self.mind.recent
        if recent.recalled and recent.steps:
            self.mind.memory.note_table.credit(list(dict.fromkeys(recent.recalled)), recent.total_reward)
            recent.recalled.clear()

    @cached_property
    def retrieval(self) -> Retrieval:
        """The search over the agent's notes."""
        return Retrieval(self.mind.memory, self.embeddings)

    def _happened(self, episodes: Sequence[Episode]) -> list[Finding]:
        seen = self.mind.memory.transitions([episode.id for episode in episodes])
        return findings(self.mind.knowledge.world, seen)

    def _summary(self, happened: Sequence[str]) -> str:
        """A language model's lessons from what happened, beside those it knows."""
        gateway, world = self.mind.knowledge.gateway, self.mind.knowledge.world.describe()
        assert gateway is not None
        known = [note.text for note in self.mind.memory.notes(LESSON)[-_KNOWN:]][::-1]
        lines = [*situation(self.mind), *(Line(text, "surprise") for text in happened),
                 *(Line(text, "lesson") for text in known)]
        context = self.mind.recent.context(
            lines, lambda c: as_text(gateway.render("reflect", schema=world, **_variables(c))))
        return reflect(world, gateway=gateway, **_variables(context))


def _variables(context: Context) -> dict[str, Any]:
    """A working context as what the prompt is made of."""
    known = [f"{kind}: {text}" for kind in ("goal", LESSON) for text in context.of(kind)]
    return {"happened": context.of("surprise") + context.of("event"), "known": known or ["nothing"]}
