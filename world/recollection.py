"""What long-term memory says to a surprise, and where what came of it is kept.

A rule that was proposed and now acts is remembered with the surprise that it explains, as a note of kind "insight": the
next prompt shows it as an example of how a surprise becomes a rule. Lessons and similar surprises of the past come with
it. All of it is evidence: it goes into a prompt as data, and an example's rule is parsed and checked anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from ..memory.context import Line
from ..memory.retrieval import Hit, Retrieval
from .checking.verdicts import as_rows, spans_of, verdicts
from .rulebook import Entry
from .rules.parse import RuleError, parse
from .rules.text import to_text
from .schema import Schema
from .surprises import Surprise, surprises

if TYPE_CHECKING:
    from ..memory.long_term import LongTerm
    from ..memory.record import Transitions

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
        """Lessons, examples and similar surprises of the past for what was `found` surprising, the most fitting first,
        after the agent's situation."""
        queries = [one.text for one in found[:_ASKED]]
        c = self.config
        examples = [pair for hit in self._hits(queries, INSIGHT, 3 * c.examples) if (pair := self._example(hit))]
        lines = [*self.about,
                 *(Line(hit.note.text, "lesson") for hit in self._hits(queries, "lesson", c.lessons)),
                 *examples[: c.examples],
                 *(Line(hit.note.text, "past") for hit in self._hits(queries, "surprise", c.past))]
        return list(dict.fromkeys(lines))

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
                kept.append(self.memory.note(f"{groups[best].text}\n{entry.claim}", INSIGHT, 0.7, entry.source))
        return kept

    def _hits(self, queries: Sequence[str], kind: str, k: int) -> list[Hit]:
        """The `k` best notes of a kind for any of the queries."""
        found: dict[int, Hit] = {}
        for query in queries if k else ():
            for hit in self.retrieval.search(query, k, kind=kind):
                if hit.relevance > 0 and (hit.note.id not in found or hit.score > found[hit.note.id].score):
                    found[hit.note.id] = hit
        best = sorted(found.values(), key=lambda hit: -hit.score)[:k]
        self.recalled += [hit.note.id for hit in best if hit.note.id not in self.recalled]
        return best

    def _example(self, hit: Hit) -> Line | None:
        """A remembered surprise and its rule; None where the rule is none of this world, or one that proved wrong."""
        text, _, answer = hit.note.text.rpartition("\n")
        try:
            claim = to_text(parse(answer, self.schema).statement)
        except RuleError:
            return None
        return None if claim in self.refused or not text else Line(text, "example", claim)


def told_first(entries: Sequence[Entry]) -> Iterator[str]:
    """The texts of rules in the order in which a prompt needs them: a person's first."""
    yield from (e.text for told in (True, False) for e in entries if e.is_told == told)
