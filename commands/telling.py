"""Telling rules from the command line: who is asked when a sentence is unclear, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from ..errors import UserError
from .output import INDENT, err, evidence, is_interactive, rule_record, status, table
from .worlds import read_rules

if TYPE_CHECKING:
    from ..agent.agent import Agent
    from ..prompts import Reading
    from ..world.knowledge import Entry, Told
    from ..world.schema import Schema


def manual(env_id: str, path: Path | None, schema: Schema) -> str | None:
    """The text to tell: the user's file, else the manual that comes with DoorKey, else None.

    Raises `UserError` with every mistake in the file.
    """
    if path is not None:
        return read_rules(path, schema)
    if "doorkey" not in env_id.lower():
        return None
    own = files("gedanken").joinpath("examples", "doorkey", "manual.txt")
    if not own.is_file():
        raise UserError("the manual of the DoorKey example is not installed here; give your own with --rules")
    return own.read_text(encoding="utf-8")


def ask(sentence: str, readings: Sequence[Reading]) -> int | None:
    """Show what a sentence may mean and let the person choose; None if nothing was meant."""
    shown = table(f'"{sentence}" may mean', "", "meaning", "confidence", right=("confidence",))
    for number, reading in enumerate(readings, 1):
        shown.add_row(str(number), Text(reading.words or reading.text), f"{reading.confidence:.0%}")
        if reading.words:
            shown.add_row("", Text(reading.text, style="dim"), "")
    err.print(shown)
    try:
        answer = Prompt.ask(
            "which one (0: none of these)", console=err, default="0", choices=[str(n) for n in range(len(readings) + 1)]
        )
    except EOFError:
        return None
    return int(answer) - 1 if answer != "0" else None


def asker() -> Any:
    """`ask` in a terminal, None in a script: an unclear sentence is then refused, never guessed."""
    return ask if is_interactive() else None


def latest(agent: Agent, told: Told) -> list[Entry]:
    """The entries of a sentence as they stand now, with what was counted since."""
    now = {e.id: e for e in agent.rules}
    return [now.get(e.id, e) for e in told.entries]


def told_table(agent: Agent, told: Sequence[Told], title: str = "what was understood") -> Table:
    """Each sentence, below it the rules it stands for with their evidence so far, or why it was refused."""
    shown = table(
        title, "sentence and rules", "status", "support", "hits", right=("support", "hits"), narrow=("status",)
    )
    for one in told:
        entries = latest(agent, one)
        if not entries:
            shown.add_row(Text(one.sentence, style="italic"), Text("refused", style="red"), "", "")
            shown.add_row(Padding(Text(one.reason, style="dim"), INDENT))
            continue
        if one.sentence != entries[0].text:
            shown.add_row(Text(one.sentence, style="italic"))
        for entry in entries:
            shown.add_row(Padding(Text(entry.text), INDENT), status(entry), *evidence(entry))
        if one.reason:
            shown.add_row(Padding(Text(f"note: {one.reason}", style="yellow"), INDENT))
    return shown


def told_record(agent: Agent, told: Sequence[Told]) -> list[dict[str, Any]]:
    """The same as JSON data."""
    return [
        {
            "sentence": t.sentence,
            "fate": t.fate,
            "reason": t.reason,
            "rules": [rule_record(e) for e in latest(agent, t)],
            "readings": [{"text": text, "confidence": c} for text, c in t.readings],
        }
        for t in told
    ]
