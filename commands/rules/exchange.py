"""`gedanken rules export | import`: the rules of one agent for another of the same world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import options
from ..output import out, rule_record, rules_table, say, write_json


def export(
    folder: options.Folder,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", dir_okay=False, help="Where the text goes (default: shown).")
    ] = None,
    json: options.Json = None,
) -> None:
    """Write an agent's standing rules as text, and with --json as JSON.

    The text is that of rules.txt. JSON keeps sentences, sources and evidence, too; `gedanken rules import` reads both.
    """
    from ...files import write_text
    from ...world.exchange import export_json, export_text
    from ..worlds import load_agent

    agent = load_agent(folder, None)
    try:
        knowledge = agent.mind.knowledge
        if file is not None:
            write_text(file, export_text(knowledge))
        elif json is None:
            say(export_text(knowledge).rstrip("\n"))
        if json is not None:
            write_text(json, export_json(knowledge))
        count = sum(e.status != "retired" for e in agent.rules)
        for path in filter(None, (file, json)):
            say(f"{count} rules written to {path}")
    finally:
        agent.close()


def import_(
    folder: options.Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Exported text or JSON.")],
    json: options.Json = None,
) -> None:
    """Take in the rules that another agent of the same world exported.

    What a person said there comes in as a manual's word, what a machine proposed stays proposed, and what is known here
    already stays as it is. Evidence comes along only from the very same world, until the next check.
    """
    from ...world.exchange import import_rules
    from ..worlds import load_agent, read_text

    agent = load_agent(folder, None)
    try:
        new = import_rules(agent.mind.knowledge, read_text(file), file.name)
        agent.refresh()
        agent.save(folder)
        if new:
            out.print(rules_table(new, f"new from {file.name}"))
        else:
            say(f"nothing in {file} is new here")
        write_json(json, {"rules": [rule_record(e) for e in new]})
    finally:
        agent.close()
