"""`gedanken memory audit`: what makes a memory go bad, found before it does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from .. import options
from ..output import out, say, table, write_json
from .opening import Memory, fact_record, note_record, open_memory

if TYPE_CHECKING:
    from ...memory.notes.notes import Note


def audit(
    path: Memory,
    most: Annotated[int, typer.Option("--most", metavar="N", min=1, help="Show at most so many of each.")] = 10,
    json: options.Json = None,
) -> None:
    """Look for duplicates, notes never recalled, notes that rest on nothing remembered, notes after which less than
    usual was paid, and disputed facts. Nothing is changed; `gedanken memory forget` deletes."""
    from ...memory.notes.audit import audit as look

    with open_memory(path) as memory:
        found = look(memory.note_table, memory.facts)
    groups = {
        "never recalled": found.never_recalled,
        "unsupported: no person's, and no episode it rests on is remembered": found.unsupported,
        "followed by less reward than usual": found.harmful,
        "superseded": found.superseded,
    }
    say(f"{found.notes:,} notes, {len(found.duplicates):,} groups of duplicates")
    for duplicates in found.duplicates[:most]:
        _show("the same", duplicates, most)
    for title, notes in groups.items():
        if notes:
            _show(f"{len(notes):,} {title}", notes, most)
    for machine, person in found.disputed[:most]:
        said = [f"{fact} ({fact.source}, fact {fact.id})" for fact in (machine, person)]
        say(f"disputed: {', but '.join(said)}")
    write_json(json, {
        "notes": found.notes,
        "duplicates": [[note_record(note) for note in group] for group in found.duplicates],
        "never_recalled": [note.id for note in found.never_recalled],
        "unsupported": [note.id for note in found.unsupported],
        "harmful": [note.id for note in found.harmful],
        "superseded": [note.id for note in found.superseded],
        "disputed": [[fact_record(fact) for fact in pair] for pair in found.disputed],
        "ended": [fact.id for fact in found.ended],
    })  # fmt: skip


def _show(title: str, notes: Iterable[Note], most: int) -> None:
    shown = table(title, "id", "kind", "source", "recalled", "note", right=("id", "recalled"), narrow=("kind",))
    for note in list(notes)[:most]:
        shown.add_row(str(note.id), Text(note.kind), Text(note.source), f"{note.recalled:,}", Text(note.text))
    out.print(shown)
