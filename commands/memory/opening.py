"""A memory by the folder of its agent or by its file; and notes, facts and times as commands show them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ...memory.file import MemoryFile
    from ...memory.notes.facts import Fact
    from ...memory.notes.notes import Note

MEMORY = "memory.db"  # as in agent/checkpoint.py, which would take seconds to import
Memory = Annotated[Path, typer.Argument(metavar="MEMORY", help="The folder of a saved agent, or a memory file.")]
Source = Annotated[
    str | None, typer.Option("--source", metavar="WHO", help="Only of this source, as 'user' or 'environment'.")
]
Kind = Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only notes of this kind, as 'lesson'.")]


def file_of(path: Path) -> Path:
    """The memory file of an agent's folder, or the file itself."""
    return path / MEMORY if path.is_dir() else path


def open_memory(path: Path) -> MemoryFile:
    """Raises `UserError` where there is none."""
    from ...memory.file import MemoryFile

    return MemoryFile(file_of(path))


def date(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}"


def note_record(note: Note) -> dict[str, Any]:
    """A note as JSON data."""
    return {**vars(note), "tags": list(note.tags), "links": [list(link) for link in note.links]}


def fact_record(fact: Fact) -> dict[str, Any]:
    """A fact as JSON data."""
    return dict(vars(fact))
