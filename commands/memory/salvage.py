"""`gedanken memory salvage`: what can be read of a damaged memory goes into a new file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options
from ..output import say, write_json
from .opening import Memory, file_of


def salvage(
    path: Memory,
    target: Annotated[Path, typer.Argument(metavar="TARGET", dir_okay=False, help="The new file.")],
    json: options.Json = None,
) -> None:
    """Save what can be read of a damaged memory into a new file, and say what was lost. The damaged one stays as it is.

    Put the new file in its place, or learn on in it, once you have looked at it with `gedanken memory show`.
    """
    from ...memory.salvage import salvage as save

    report = save(file_of(path), target)
    say(f"{target}: {report.transitions:,} transitions saved, {report.transitions_lost:,} known to be lost")
    for what in report.lost:
        say(f"lost: {what}")
    write_json(json, vars(report))
