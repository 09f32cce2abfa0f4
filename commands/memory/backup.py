"""`gedanken memory backup`: a copy while the memory is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..output import say
from .opening import Memory, open_memory


def backup(
    path: Memory, target: Annotated[Path, typer.Argument(metavar="TARGET", dir_okay=False, help="The copy's file.")]
) -> None:
    """Copy a memory as it is now, whole, while it may be in use; written aside, then renamed."""
    with open_memory(path) as memory:
        memory.snapshot(target)
    say(f"{target}: {target.stat().st_size / 1e6:,.1f} MB")
