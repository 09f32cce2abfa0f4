"""`gedanken rules test`: a file of rules checked against a schema, without any agent or language model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from .. import options
from ..output import INDENT, out, say, table, write_json


def examine(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A file of rules.")],
    schema: Annotated[
        str, typer.Option("--schema", metavar="S", help="A schema as a JSON file, or an environment's id.")
    ],
    manual: Annotated[
        bool, typer.Option("--manual", help="The file is a manual: sentences, and rule lines below them.")
    ] = False,
    json: options.Json = None,
) -> None:
    """Check a file of rules and show what each is understood to say.

    Every mistake is reported at once, by line (exit code 2); what is well formed and yet cannot be meant is doubted.
    """
    from ...world.rules.check import warnings
    from ...world.rules.parse import RuleError, parse_file
    from ...world.rules.text import to_text
    from ...world.rules.words import to_words
    from ...world.telling import units
    from ..worlds import read_text, schema_named

    world = schema_named(schema)
    text = read_text(file)
    try:
        if manual:
            told = units(text, world, str(file))
            rules = [(n, rule) for unit in told for n, rule in zip(unit.lines, unit.rules, strict=True)]
            prose = [unit.sentence for unit in told if not unit.rules]
        else:
            lines = parse_file(text, world, str(file))
            rules, prose = [(line.number, line.rule) for line in lines if line.rule], []
    except RuleError as error:
        mistakes = [{"line": e.line, "column": e.column, "message": e.message} for e in error.errors]
        write_json(json, {"rules": [], "sentences": [], "mistakes": mistakes})
        raise
    shown = table(f"{file} for {world.name}", "line", "rule and what it says", right=("line",))
    records: list[dict[str, Any]] = []
    for number, rule in sorted(rules, key=lambda pair: pair[0]):
        doubts, words = warnings(rule, world), to_words(rule, world)
        shown.add_row(str(number), Text(text.splitlines()[number - 1].strip()))
        shown.add_row("", Padding(Text(words, style="italic"), INDENT))
        for doubt in doubts:
            shown.add_row("", Padding(Text(f"doubt: {doubt}", style="yellow"), INDENT))
        records.append({"line": number, "text": to_text(rule), "words": words, "doubts": doubts})
    out.print(shown)
    for sentence in prose:
        say(f"no rule line: {sentence}")
    doubtful = sum(bool(r["doubts"]) for r in records)
    say(f"{len(records)} rules, no mistakes" + (f", {doubtful} doubtful" if doubtful else ""))
    write_json(json, {"rules": records, "sentences": prose, "mistakes": []})
