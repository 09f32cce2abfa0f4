"""The audit of a memory: what makes stores of memories go bad, found before it does.

Duplicates that the gate let through (of other kinds and origins, or said in other words), notes that were never
recalled, notes that rest on nothing that is remembered, and facts that a machine disputes.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .facts import Fact, Facts
from .notes import Note, Notes
from .words import alike, gist

_COMMON = 64  # notes that share a shingle; of more it says nothing


@dataclass(frozen=True)
class Audit:
    """What an audit found. Notes that gave way to others are only in `superseded`."""

    notes: int
    duplicates: list[list[Note]]  # that say the same, oldest first
    never_recalled: list[Note]
    unsupported: list[Note]  # no person's, and no transition that it rests on, nor episode it was made in, is there
    harmful: list[Note]  # the mean reward after them is below that after all recalled ones
    superseded: list[Note]
    disputed: list[tuple[Fact, Fact]]  # a machine's, and the person's that it contradicts
    ended: list[Fact]


def audit(notes: Notes, facts: Facts) -> Audit:
    """Look through all notes and facts of a memory. Nothing is changed."""
    everything = notes.all(superseded=True)
    current = [note for note in everything if note.superseded_by is None]
    there = {int(id) for (id,) in notes.database.rows("SELECT id FROM episodes")}
    credited = [note.helped for note in current if note.helped is not None]
    usual = sum(credited) / len(credited) if credited else 0.0
    return Audit(
        notes=len(everything),
        duplicates=duplicates(current),
        never_recalled=[note for note in current if not note.recalled],
        unsupported=[note for note in current if note.origin != "person" and not _rests_on(note) & there],
        harmful=[note for note in current if note.helped is not None and note.helped < usual],
        superseded=[note for note in everything if note.superseded_by is not None],
        disputed=facts.disputed(),
        ended=[fact for fact in facts.all() if fact.until is not None],
    )


def duplicates(notes: Sequence[Note]) -> list[list[Note]]:
    """Groups of notes that say the same (`words.alike`), whatever their kind and origin."""
    group = list(range(len(notes)))

    def first(i: int) -> int:
        while group[i] != i:
            i = group[i] = group[group[i]]
        return i

    for i, j in _pairs(notes):
        if first(i) != first(j) and alike(gist(notes[i].text), gist(notes[j].text)):
            group[max(first(i), first(j))] = min(first(i), first(j))
    groups: dict[int, list[Note]] = defaultdict(list)
    for i, note in enumerate(notes):
        groups[first(i)].append(note)
    return [members for members in groups.values() if len(members) > 1]


def _pairs(notes: Sequence[Note]) -> list[tuple[int, int]]:
    """Pairs worth comparing: the same tokens, or half of their sketches in common."""
    same: dict[tuple[str, ...], list[int]] = defaultdict(list)
    sharing: dict[int, list[int]] = defaultdict(list)
    sizes = []
    for i, note in enumerate(notes):
        said = gist(note.text)
        sizes.append(len(said.sketch))
        same[said.tokens].append(i)
        for shingle in said.sketch:
            sharing[shingle].append(i)
    pairs = [pair for members in same.values() for pair in itertools.pairwise(members)]
    shared = Counter(
        pair for members in sharing.values() if len(members) <= _COMMON for pair in itertools.combinations(members, 2)
    )
    return pairs + [(i, j) for (i, j), count in shared.items() if 2 * count >= max(sizes[i], sizes[j])]


def _rests_on(note: Note) -> set[int]:
    return {episode for episode, _, _ in note.links} | ({note.episode} if note.episode is not None else set())
