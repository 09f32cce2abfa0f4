"""`gedanken memory forget`: notes, facts and skills are deleted, and overwritten in the file."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from ...errors import UserError
from .. import options
from ..output import err, is_interactive, say, write_json
from .opening import Kind, Memory, Source, open_memory


def forget(
    path: Memory,
    kind: Kind = None,
    source: Source = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="Only notes and facts that contain it, in any case.")
    ] = None,
    ids: Annotated[list[int] | None, typer.Option("--id", metavar="N", help="The note with this id.")] = None,
    facts: Annotated[bool, typer.Option("--facts/--no-facts", help="Facts of the source or text, too.")] = True,
    skills: Annotated[
        bool, typer.Option("--skills/--no-skills", help="Skills of the source or text, too.")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: options.Json = None,
) -> None:
    """Delete the notes, facts and skills that meet every condition given, with their words and vectors, and write the
    file anew so that nothing of them is left in it. Copies made before keep them; so do episodes.

    Deleting cannot be undone, so you are asked first, or say --yes.
    """
    from ...memory.erasure import scrub

    if kind is None and source is None and text is None and not ids:
        raise UserError("say what to forget: --kind, --source, --text or --id")
    with open_memory(path) as memory:
        chosen = memory.select(kind, source, text=text)
        if ids:
            chosen = [id for id in chosen if id in set(ids)]
        said = [
            fact.id
            for fact in (memory.facts.all() if facts and kind is None and not ids else [])
            if (source is None or fact.source == source) and (text is None or text.casefold() in str(fact).casefold())
        ]
        learned = [
            skill.id
            for skill in (memory.skills.all() if skills and kind is None and not ids else [])
            if (source is None or skill.source == source)
            and (text is None or text.casefold() in f"{skill.purpose}\n{skill.text}".casefold())
        ]
        if not chosen and not said and not learned:
            say("nothing meets these conditions; nothing is deleted")
            write_json(json, {"notes": 0, "facts": 0, "skills": 0})
            return
        what = f"{len(chosen):,} notes and {len(said):,} facts"
        if learned:
            what = f"{len(chosen):,} notes, {len(said):,} facts and {len(learned):,} skills"
        if not yes:
            if not is_interactive():
                raise UserError(f"{what} would be deleted for good; say --yes where nobody can be asked")
            for note in memory.note_table.get(chosen[:5]):
                err.print(Text(f"  {note.id} {note.kind}, {note.source}: {note.text}"))
            if not typer.confirm(f"Delete {what} for good?", err=True):
                raise typer.Abort
        count = memory.note_table.forget(chosen), memory.facts.forget(said), memory.skills.forget(learned)
        scrub(memory.database)
        say(f"{what} deleted; nothing of them is left in {memory.path}")
        write_json(json, dict(zip(("notes", "facts", "skills"), count, strict=True)))
