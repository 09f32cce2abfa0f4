"""`gedanken memory`: what an agent remembers, from looking at it to deleting from it; one file a command."""

from __future__ import annotations

import typer

from ..output import reported
from .audit import audit
from .backup import backup
from .facts import facts
from .forget import forget
from .salvage import salvage
from .search import search
from .show import show

memory = typer.Typer(no_args_is_help=True, help="Look into, search, check, copy and delete from an agent's memory.")
memory.command("show", short_help="What is in it, and how much.")(reported(show))
memory.command("search", short_help="Find notes, with why they were found.")(reported(search))
memory.command("facts", short_help="What is true, was, and is disputed.")(reported(facts))
memory.command("audit", short_help="Duplicates, the never recalled, the unsupported.")(reported(audit))
memory.command("forget", short_help="Delete notes and facts for good.")(reported(forget))
memory.command("salvage", short_help="Save what can be read of a damaged one.")(reported(salvage))
memory.command("backup", short_help="Copy it while it is in use.")(reported(backup))
