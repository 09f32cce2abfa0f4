"""What long-term memory says to a surprise, and where what came of it is kept.

A rule that was proposed and now acts is remembered with the surprise that it explains, as a note of kind "insight": the
next prompt shows it as an example of how a surprise becomes a rule. Lessons and similar surprises of the past come with
it. All of it is evidence: it goes into a prompt as data, and an example's rule is parsed and checked anew.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from ..memory.context import Line
from ..memory.notes.consolidation import LESSON
from ..memory.notes.notes import Note
from ..memory.notes.retrieval import Hit, Retrieval, Weights
from .checking.verdicts import as_rows, spans_of, verdicts
from .lessons import links
from .rulebook import Entry
from .rules.parse import RuleError, parse
from .rules.text import to_text
from .schema import Schema
from .surprises import Surprise, surprises

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions
    from ..memory.long_term import LongTerm

INSIGHT = "insight"
_ASKED = 4    # surprises that memory is asked about
_EXPLAINED = 0.3    # how well a rule must cover the transitions of a surprise (F1) to have come of it


@dataclass(frozen=True)
class FeedConfig:
    """How many of each a prompt is offered; 0 for none."""

    lessons: int = 4
    examples: int = 3
    past: int = 2

    def __post_init__(self) -> None:
        if wrong := [name for name, number in vars(self).items() if number < 0]:
            raise UserError(f"FeedConfig: {', '.join(wrong)} must not be negative")


class Recollection:
    """The feed from long-term memory to a language model.

    `about` are lines of the agent's situation, shown beside what is recalled; `refused` are claims of rules that proved
    wrong, or were retired: no example shows them. `recalled` collects the ids of the notes that came to mind.
    """

    def __init__(self, memory: LongTerm, retrieval: Retrieval, schema: Schema, config: FeedConfig | None = None,
                 about: Sequence[Line] = (), refused: Collection[str] = ()) -> None:
        self.memory, self.retrieval, self.schema = memory, retrieval, schema
        self.config = config or FeedConfig()
        self.about, self.refused = about, refused
        self.recalled: list[int] = []

    def lines(self, found: Sequence[Surprise]) -> list[Line]:
        """Lessons (the most fitting, then the newest), examples and similar surprises of the past for what was `found`
        surprising, after the agent's situation. What is given here counts as recalled."""
        queries, c = [one.text for one in found[:_ASKED]], self.config
        said = {one.text for one in found}    # a lesson that says the surprise itself is no news
        lessons = {note.id: Line(note.text, "lesson")
                   for note in [*self._found(queries, LESSON, c.lessons), *self._newest(LESSON, c.lessons)]
                   if note.text not in said}
        examples = {note.id: line for note in self._found(queries, INSIGHT, c.examples)
                    if (line := self._example(note))}
        past = {note.id: Line(note.text, "past") for note in self._found(queries, "surprise", c.past)}
        chosen = {id: line for lines, most in ((lessons, c.lessons), (examples, c.examples), (past, c.past))
                  for id, line in list(lines.items())[:most]}
        self.memory.note_table.recalled(list(chosen))
        self.recalled += [id for id in chosen if id not in self.recalled]
        return [*self.about, *chosen.values()]

    def keep(self, entries: Sequence[Entry], transitions: Transitions, surprise: np.ndarray | None = None) -> list[int]:
        """Note each of these rules that is not noted yet with the surprise that it explains; the ids of the notes."""
        known = {note.text.rpartition("\n")[2] for note in self.memory.notes(INSIGHT)}
        new = [e for e in entries if e.claim not in known and e.acting is not None]
        if not new or not len(transitions):
            return []
        rules = [rule for e in new if (rule := e.acting) is not None]
        found = verdicts(rules, as_rows(self.schema, transitions), transitions, spans_of(self.schema, transitions))
        explained = (found.applies & found.holds).numpy()
        groups = surprises(self.schema, transitions, surprise)
        kept = []
        for entry, rows in zip(new, explained, strict=True):
            fit = [2 * rows[g.rows].sum() / (rows.sum() + len(g.rows)) for g in groups]
            best = int(np.argmax(fit)) if fit else -1
            if best >= 0 and fit[best] >= _EXPLAINED:
                rests_on = links(transitions, np.flatnonzero(rows))
                kept.append(self.memory.note_table.add(f"{groups[best].text}\n{entry.claim}", INSIGHT, 0.7,
                                                       entry.source, links=rests_on, exact=True))
        return kept

    def _found(self, queries: Sequence[str], kind: str, wanted: int) -> list[Note]:
        """Notes of a kind for any of the queries, the best first: more than are wanted, since not all will do."""
        best: dict[int, Hit] = {}
        for query in queries if wanted else ():
            for hit in self.retrieval.search(query, 3 * wanted + len(queries), kind=kind, counted=False):
                if hit.relevance > 0 and (hit.note.id not in best or hit.score > best[hit.note.id].score):
                    best[hit.note.id] = hit
        return [hit.note for hit in sorted(best.values(), key=lambda hit: -hit.score)]

    def _newest(self, kind: str, wanted: int) -> list[Note]:
        newest = Weights(relevance=0.0, recency=1.0, importance=0.0)
        hits = self.retrieval.search("", 3 * wanted, kind=kind, weights=newest, counted=False) if wanted else []
        return [hit.note for hit in hits]

    def _example(self, note: Note) -> Line | None:
        """A remembered surprise and its rule; None where the rule is none of this world, or one that proved wrong."""
        text, _, answer = note.text.rpartition("\n")
        try:
            claim = to_text(parse(answer, self.schema).statement)
        except RuleError:
            return None
        return None if claim in self.refused or not text else Line(text, "example", claim)
