"""`gedanken prompts`: the prompts that language models are given, to read, to copy and change, and to check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import out, printable, say, table


def prompts(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print this prompt's file.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="FOLDER", help="Your own prompts, which stand in for ours."),
    ] = None,
) -> None:
    """List the prompts, or print one as a file to change: `gedanken prompts translate > mine/translate.txt`.

    A file of the same name in a folder given with --prompts stands in for ours. --folder checks yours, and tells every
    mistake by its line (exit code 2).
    """
    from ..prompts import templates

    if folder is not None:
        templates.check_folder(folder)
    if name is not None:
        template = templates.load(name, folder)
        theirs = folder / f"{template.name}.txt" if folder is not None else None
        is_theirs = theirs is not None and theirs.is_file()
        say(printable(theirs.read_text("utf-8") if theirs and is_theirs else templates.text_of(name)).rstrip("\n"))
        return
    made = table("prompts", "name", "version", "fingerprint", "variables", "from", narrow=("name", "fingerprint"))
    for each in templates.names():
        template = templates.load(each, folder)
        is_theirs = folder is not None and (folder / f"{each}.txt").is_file()
        made.add_row(each, printable(template.version), template.fingerprint, ", ".join(template.variables),
                     printable(str(folder)) if is_theirs else "gedanken")
    out.print(made)
