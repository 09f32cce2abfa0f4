"""`gedanken memory search`: the notes that fit a question, and why."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from .. import options
from ..output import out, say, table, write_json
from .opening import Kind, Memory, Source, note_record, open_memory


def search(
    path: Memory,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in words.")],
    k: Annotated[int, typer.Option("--most", metavar="N", min=1, help="Show at most so many.")] = 10,
    kind: Kind = None,
    source: Source = None,
    episode: Annotated[int | None, typer.Option("--episode", metavar="N", help="Only notes made in it.")] = None,
    superseded: Annotated[bool, typer.Option("--all", help="Notes that gave way to others, too.")] = False,
    diversity: Annotated[
        float, typer.Option("--diversity", metavar="SHARE", min=0, max=1, help="Prefer notes unlike one another.")
    ] = 0.0,
    embeddings: Annotated[
        str | None,
        typer.Option("--embeddings", metavar="MODEL", help="Search by meaning: 'local', or a model; else by words."),
    ] = None,
    json: options.Json = None,
) -> None:
    """Search the notes of a memory; each with its score and the parts of it. It does not count as a recall."""
    from ...memory import Retrieval

    with open_memory(path) as memory:
        model = None
        if embeddings is not None:
            from ...prompts.embeddings import embeddings_named

            model = embeddings_named(embeddings)
        hits = Retrieval(memory, model).search(
            query, k, kind, source=source, episode=episode, superseded=superseded, diversity=diversity, counted=False
        )
        if hits:
            parts = ("score", "relevance", "recency", "importance")
            wide = parts if out.width >= 100 else parts[:1]  # the rest is in --json
            shown = table("notes", "id", *wide, "kind", "source", "note", right=("id", *wide), narrow=("kind",))
            for hit in hits:
                note = hit.note
                shown.add_row(str(note.id), *(f"{getattr(hit, part):.2f}" for part in wide), Text(note.kind),
                              Text(note.source), Text(note.text))  # fmt: skip
            out.print(shown)
        else:
            say("no note passes these filters")
        write_json(json, {"hits": [{**vars(hit), "note": note_record(hit.note)} for hit in hits]})
