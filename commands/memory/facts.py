"""`gedanken memory facts`: what a memory holds to be true, was true, and is disputed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.text import Text

from .. import options
from ..output import out, say, table, write_json
from .opening import Memory, date, fact_record, open_memory


def facts(
    path: Memory,
    subject: Annotated[str | None, typer.Argument(metavar="SUBJECT", help="Only facts of this subject.")] = None,
    at: Annotated[
        datetime | None, typer.Option("--at", metavar="TIME", help="What was true then, as 2026-05-31T12:00:00.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Ended and superseded facts, too.")] = False,
    json: options.Json = None,
) -> None:
    """List facts: who said so, from when until when. What no person told and contradicts a person's is marked."""
    with open_memory(path) as memory:
        if every:
            found = memory.facts.all() if subject is None else memory.facts.history(subject)
        else:
            found = memory.facts.at(at.timestamp() if at else None, subject, disputed=True)
        if found:
            shown = table("facts", "id", "fact", "source", "since", "until", "", right=("id",),
                          narrow=("source", "since", "until"))  # fmt: skip
            for fact in found:
                beside = f"disputes {fact.disputes}" if fact.disputes else ""
                gone = f"gave way to {fact.superseded_by}" if fact.superseded_by else ""
                shown.add_row(str(fact.id), Text(str(fact)), Text(fact.source), date(fact.since), date(fact.until),
                              Text(", ".join(filter(None, (beside, gone))), style="yellow"))  # fmt: skip
            out.print(shown)
        else:
            say("no such facts")
        write_json(json, {"facts": [fact_record(fact) for fact in found]})
