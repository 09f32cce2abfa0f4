"""Consolidation: what was lived becomes lessons, between episodes, a lesson at a time.

    lessons <- tell(the last episodes)   what happened and where, in words; a lesson of the same event gives way to what
                                         is known of it now, and so does its fact
    lessons <- summarise(told)           a language model's, where there is one: a lesson a line
    duplicates give way                  by words, and by meaning where there are embeddings

Lessons are appended and superseded, never overwritten, and each is durable at once: what is broken off is taken up
again with the episodes that are not yet marked as done. A lesson is evidence: whatever a model writes becomes a note,
and nothing else.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import GedankenError
from ..long_term import Episode, LongTerm
from ..text import clean
from .notes import Link, Note
from .retrieval import SAME, Retrieval
from .words import alike, gist

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

LESSON = "lesson"
_EVENT = "event "  # begins the tag that says which event a lesson is of
_WINDOW = 256  # the last episodes, from which is read what happens in the world
_COMPARED = 512  # newest lessons among which duplicates are looked for
_COPIED = 0.75  # the share of a text's words that another one has, from which it is a copy
_MARKS = re.compile(r"^\s*(?:[-*•]\s+|\d{1,3}[.)]\s+|(?:new\s+)?lessons?\s*\d*\s*:\s*)", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """Something that was found in episodes: the `event`, which makes two findings the same, the whole `text`, the
    transitions it rests on, and how much it matters, 0 to 1."""

    event: str
    text: str
    links: tuple[Link, ...] = ()
    importance: float = 0.5


@dataclass(frozen=True)
class Report:
    """What a consolidation came to: the episodes done, the ids of new lessons, how many lessons gave way, whether the
    time was over before the end, and why the language model said nothing ("")."""

    episodes: int = 0
    lessons: tuple[int, ...] = ()
    superseded: int = 0
    is_broken_off: bool = False
    failure: str = ""


Tell = Callable[[Sequence[Episode]], Sequence[Finding]]
"""What happened in these episodes."""
Summarise = Callable[[Sequence[str]], str]
"""What happened, in words -> a language model's lessons, one a line."""


def pending(memory: LongTerm, summarised: bool = False) -> list[Episode]:
    """The ended episodes that no lesson was drawn from, oldest first; `summarised`: not by a language model either."""
    rows = memory.database.rows(
        """SELECT id FROM episodes WHERE ended IS NOT NULL AND NOT imagined
           AND id NOT IN (SELECT episode FROM consolidated WHERE is_summarised >= ?)""",
        (int(summarised),),
    )
    ids = {int(row[0]) for row in rows}
    return [episode for episode in memory.episodes(since=min(ids) - 1) if episode.id in ids] if ids else []


def consolidate(
    memory: LongTerm,
    tell: Tell,
    summarise: Summarise | None = None,
    embeddings: Embeddings | None = None,
    together: int = 16,
    most: int = 5,
    is_over: Callable[[], bool] = lambda: False,
) -> Report:
    """Draw lessons from the episodes that none was drawn from; `is_over` is asked before each of them.

    A language model is told of `together` episodes at a time, and at most `most` of its lessons are taken each time;
    where it fails, the report says so, and its episodes wait.
    """
    work = _Work(memory, embeddings, is_over)
    failure, is_broken_off = "", False
    try:
        if waiting := pending(memory):
            for finding in tell([episode for episode in memory.episodes() if episode.ended][-_WINDOW:]):
                work.learn(finding)
            work.done(waiting, is_summarised=False)
        untold = pending(memory, summarised=True) if summarise else []
        for start in range(0, len(untold), together):
            work.check()
            episodes = untold[start : start + together]
            told = [*(finding.text for finding in tell(episodes)), *map(_outcome, episodes)]
            links = [(episode.id, 0, episode.length - 1) for episode in episodes if episode.length]
            known = [note.text for note in memory.notes(LESSON)[-_COMPARED:]]
            for text in lessons_of(summarise(told) if summarise else "", [*told, *known])[:most]:
                work.note(text, links)
            work.done(episodes, is_summarised=True)
        work.merge()
    except _Over:
        is_broken_off = True
    except GedankenError as error:
        failure = str(error)
    return Report(len(work.episodes), tuple(work.lessons), work.superseded, is_broken_off, failure)


def lessons_of(answer: str, shown: Sequence[str] = ()) -> list[str]:
    """The lessons of a model's answer, one a line, without list marks.

    Left out are lines too short or long to be one, a last line that was cut short, and what says again what was `shown`
    to the model or stands above: small models copy, and change the numbers.
    """
    lines = [_MARKS.sub("", clean(line)).strip().strip('"') for line in answer.splitlines() if line.strip()]
    if lines and not lines[-1].endswith((".", "!", "?")):
        lines.pop()
    found: list[str] = []
    for line in lines:
        if len(line.split()) >= 3 and len(line) <= 400 and not any(_copies(line, other) for other in (*shown, *found)):
            found.append(line)
    return found


def _copies(text: str, other: str) -> bool:
    """Whether most words of a text stand in the other, which denies as much; numbers are not looked at."""
    mine, theirs = gist(text), gist(other)
    return mine.negations <= theirs.negations and len(mine.words & theirs.words) >= _COPIED * len(mine.words)


def duplicates(notes: Sequence[Note], embeddings: Embeddings | None = None) -> list[tuple[Note, Note]]:
    """Pairs (earlier, later) of notes that say the same, each later one once: by words, or by meaning where numbers and
    negations agree."""
    gists = [gist(note.text) for note in notes]
    near = np.zeros((len(notes), len(notes)), bool)
    if embeddings is not None and notes:
        vectors = np.asarray(embeddings.embed_documents([note.text for note in notes]), np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        near = vectors @ vectors.T >= SAME
    found = []
    for k, note in enumerate(notes):
        same = (i for i in range(k) if alike(gists[i], gists[k]) or (near[i, k] and gists[i].marks == gists[k].marks))
        if (first := next(same, None)) is not None:
            found.append((notes[first], note))
    return found


class _Over(Exception):
    """The time is over."""


class _Work:
    """One consolidation under way."""

    def __init__(self, memory: LongTerm, embeddings: Embeddings | None, is_over: Callable[[], bool]) -> None:
        self.memory, self.embeddings, self.is_over = memory, embeddings, is_over
        self.retrieval = Retrieval(memory, embeddings)
        self.episodes: set[int] = set()
        self.lessons: list[int] = []
        self.superseded = 0

    def check(self) -> None:
        if self.is_over():
            raise _Over

    def learn(self, finding: Finding) -> None:
        """Note what was found of an event; what was known of it gives way, the fact too."""
        self.check()
        tag = _EVENT + hashlib.blake2b(finding.event.encode(), digest_size=8).hexdigest()
        before = [note.id for note in self.memory.notes(LESSON) if tag in note.tags]
        newest = self._newest()
        id = self.memory.note_table.add(finding.text, LESSON, finding.importance, "environment", (tag,),
                                        links=finding.links, exact=True)  # fmt: skip
        self._count(id, newest)
        self.superseded += sum(self.memory.note_table.supersede(old, id) for old in before if old != id)
        where = finding.text.removeprefix(finding.event).strip(" .,") or "always"
        self.memory.facts.add(finding.event, "happens", where, source="environment")

    def note(self, text: str, links: Sequence[Link]) -> None:
        """Note a language model's lesson, unless it is known."""
        self.check()
        newest = self._newest()
        self._count(self.retrieval.note(text, LESSON, source="model", links=links), newest)

    def done(self, episodes: Sequence[Episode], is_summarised: bool) -> None:
        sql = """INSERT INTO consolidated (episode, at, is_summarised) VALUES (?, ?, ?)
                 ON CONFLICT (episode) DO UPDATE SET at = excluded.at, is_summarised = excluded.is_summarised"""
        with self.memory.database.transaction():
            self.memory.database.execute_many(sql, [(e.id, time.time(), int(is_summarised)) for e in episodes])
        self.episodes |= {episode.id for episode in episodes}

    def merge(self) -> None:
        """Let lessons give way to earlier ones that say the same; those of events have their own way to do so."""
        notes = [n for n in self.memory.notes(LESSON) if not any(tag.startswith(_EVENT) for tag in n.tags)]
        for old, new in duplicates(notes[-_COMPARED:], self.embeddings):
            self.check()
            self.superseded += self.memory.note_table.supersede(new.id, old.id)

    def _newest(self) -> int:
        return int(self.memory.database.rows("SELECT coalesce(max(id), 0) FROM notes")[0][0])

    def _count(self, id: int, newest: int) -> None:
        self.lessons += [id] if id > newest else []


def _outcome(episode: Episode) -> str:
    return f"an episode of {episode.length} steps brought {episode.total_reward:g}"
