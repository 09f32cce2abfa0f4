"""`gedanken rules examples`: rules from a file of example transitions, shown, confirmed, told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from ...errors import UserError
from .. import options
from ..output import INDENT, is_interactive, out, say, table, write_json

if TYPE_CHECKING:
    from ...agent.fewshot import Report


def examples(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A YAML file of examples.")
    ],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="The folder of a saved agent, which is told the rules.")
    ] = None,
    schema: Annotated[
        str | None,
        typer.Option("--schema", metavar="WORLD", help="Without FOLDER: an environment's id, or a schema's JSON file."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Tell the rules without asking.")] = False,
    llm: options.LLM = None,
    json: options.Json = None,
) -> None:
    """Find the rules that a handful of example transitions show, and tell them to a saved agent.

    Every rule stands with the examples for it and against it, and with what would do as well. Nothing is told before
    you confirm it (in a script: --yes). docs/how-to-few-shot-dynamics.md describes the file.
    """
    from ...agent.fewshot import FewShotDynamics
    from ..telling import asker
    from ..worlds import load_agent, schema_named

    if (folder is None) == (schema is None):
        raise UserError("name the folder of a saved agent, or a world with --schema to see the rules only")
    if folder is None:
        world = schema_named(str(schema))
        _show(FewShotDynamics.load(file, world).learn(world), json)
        return
    agent = load_agent(folder, None, **options.llm(llm))
    try:
        task = FewShotDynamics.load(file, agent.schema)
        report = task.learn(agent.schema)
        _show(report, None)
        if not yes and not is_interactive():
            raise UserError("nothing is told: confirm with --yes")
        if not yes and not typer.confirm(f"tell {folder} these rules?", err=True):
            say("nothing was told")
            return
        taught = task.teach(agent, asker())
        for rule in taught.read:
            say(f"read from a sentence: {rule}")
        for told in taught.told:
            if told.fate == "refused":
                say(f"not understood: {told.sentence} ({told.reason})")
        agent.save(folder)
        say(f"{len(taught.rules) + sum(r.fate != 'refuted' for r in taught.read)} rules told to {folder}")
        write_json(json, _record(taught))
    finally:
        agent.close()


def _show(report: Report, json: Path | None) -> None:
    shown = table("from the examples", "rule", "fate", "for", "against", right=("for", "against"), narrow=("fate",))
    for rule in report.rules:
        shown.add_row(Text(rule.text), rule.fate, str(rule.supported), str(rule.against))
        for guard in rule.open:
            shown.add_row(Padding(Text(f"or: if {guard}", style="dim"), INDENT), "", "", "")
    out.print(shown)
    say(f"{report.foretold} of {report.examples} examples foretold by rules from the others")
    write_json(json, _record(report))


def _record(report: Report) -> dict[str, Any]:
    rules = [{"text": r.text, "fate": r.fate, "for": r.supported, "against": r.against, "open": list(r.open),
              "lines": list(r.lines)} for r in (*report.rules, *report.read)]
    return {"rules": rules, "foretold": report.foretold, "examples": report.examples}
