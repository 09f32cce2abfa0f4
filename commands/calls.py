"""`gedanken calls`: what language models were asked, what they answered, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ..errors import UserError
from . import options
from .output import note, out, printable, say, table, write_json

if TYPE_CHECKING:
    from ..prompts import Call

SHOWN = 100


def calls(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="The folder of a saved agent, or the file of a record.")
    ] = Path("runs/agent"),
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, help="How many calls to list.")] = 20,
    full: Annotated[
        int | None, typer.Option("--full", metavar="ID", min=1, help="Show this call whole: its prompt and its answer.")
    ] = None,
    json: options.Json = None,
) -> None:
    """List the last calls of language models, with what they took and cost.

    The record is calls.jsonl in the agent's folder, one call a line; an id is the number of its line. Keys and
    passwords were taken out when it was written.
    """
    from ..prompts.gateway.record import FILE, read_calls

    path = folder / FILE if folder.is_dir() or folder.suffix != ".jsonl" else folder
    if not path.is_file():
        raise UserError(f"there is no record of calls at {path}: no language model was asked, or it is another folder")
    found, damaged = read_calls(path)
    if full is not None:
        if full not in found:
            raise UserError(f"{path} has no call {full}; `gedanken calls {folder}` lists them")
        _say_whole(full, found[full])
    else:
        ids = list(found)[-last:]
        out.print(_table({id: found[id] for id in ids}))
        say(_total(list(found.values())))
    if damaged:
        note(f"{damaged} damaged line{'s' * (damaged > 1)} of {path} left out")
    write_json(json, {"calls": [{"id": id} | asdict(call) for id, call in found.items()], "damaged": damaged})


def _table(found: Mapping[int, Call]) -> object:
    right, narrow = ("id", "tokens", "seconds", "money"), ("when", "purpose")
    made = table("calls", "id", "when", "purpose", "model", "tokens", "seconds", "money", "answer", right=right,
                 narrow=narrow)
    for id, call in found.items():
        said = _line(call.answer or "") if call.error is None else Text(_line(call.error), style="red")
        cost = "cached" if call.cached else _money(call.money)
        made.add_row(str(id), printable(call.when[:19].replace("T", " ")), Text(_line(call.purpose)),
                     Text(_line(call.model)), f"{call.tokens:,}", f"{call.seconds:.2f}", cost, said)
    return made


def _say_whole(id: int, call: Call) -> None:
    made_of = f", prompt {call.template}" if call.template else ""
    heading = f"call {id}, {call.when}, {call.model}, to {call.purpose}{made_of}"
    cost = "from the cache" if call.cached else f"money {_money(call.money)}"
    say(Text(_line(heading, None), style="bold"))
    say(f"{call.tokens:,} tokens, {call.seconds:.2f} s, {cost}\n")
    for title, text in (("prompt", call.prompt), ("answer", call.answer), ("error", call.error)):
        if text is not None:
            say(Text(title, style="bold"))
            say(printable(text) + "\n")


def _total(found: list[Call]) -> str:
    failed, cached = sum(c.error is not None for c in found), sum(c.cached for c in found)
    parts = [
        f"{len(found):,} calls ({cached:,} cached, {failed:,} failed)",
        f"{sum(c.tokens for c in found):,} tokens",
        f"{sum(c.seconds for c in found):,.1f} s",
        f"money {_money(sum(c.money or 0.0 for c in found))}",
    ]
    unknown = sum(c.money is None for c in found)
    return "in all " + ", ".join(parts) + f" (the price of {unknown:,} calls is not known)" * bool(unknown)


def _money(amount: float | None) -> str:
    return "?" if amount is None else f"{amount:.4f}" if amount else "0"


def _line(text: str, width: int | None = SHOWN) -> str:
    """The beginning of a text as one line."""
    line = printable(" ".join(text.split()))
    return line if width is None or len(line) <= width else line[: width - 1] + "…"
