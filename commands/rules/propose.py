"""`gedanken rules propose`: candidates from memory, and a person's word for those that need it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from .. import options
from ..output import INDENT, evidence, out, rule_record, say, status, table, write_json


def propose(
    folder: options.Folder,
    accept: Annotated[
        list[str] | None,
        typer.Option("--accept", metavar="RULE", help="Instead, make this proposed rule your own; may be repeated."),
    ] = None,
    llm: options.LLM = None,
    prompts: options.Prompts = None,
    json: options.Json = None,
) -> None:
    """Find rules in what the agent remembers, check them, and add them as proposed.

    What a machine proposes acts while the data support it. What it proposes on behaviour (forbid, avoid, ...) acts only
    once you accept it, with --accept RULE.
    """
    from ...world.rules.words import to_words
    from ..worlds import config, load_agent

    agent = load_agent(folder, None, **options.llm(llm), config=config(prompts=prompts))
    try:
        knowledge = agent.mind.knowledge
        if accept:
            chosen = [knowledge.entry(rule).id for rule in accept]    # all of them exist, or none is accepted
            found = [knowledge.accept(id) for id in chosen]
            agent.refresh()
            title = "accepted: yours from now on"
        else:
            found = agent.propose()
            title = "proposed"
        agent.save(folder)
        acting = {e.id for e in knowledge.active()}
        if not found:
            say(f"nothing new is found in {len(agent.mind.memory):,} transitions")
        else:
            shown = table(title, "id", "rule and what it says", "by", "status", "support", "hits",
                          right=("support", "hits"), narrow=("id", "by", "status"))
            for entry in found:
                shown.add_row(entry.id, Text(entry.text), entry.source, status(entry), *evidence(entry))
                words = Text(to_words(entry.rule, agent.schema), style="italic")
                shown.add_row("", Padding(words, INDENT))
            out.print(shown)
        waiting = [e for e in found if e.id not in acting]
        for entry in waiting:
            say(f"{entry.id} does not act; to make it yours: gedanken rules propose {folder} --accept {entry.id}")
        write_json(json, {"rules": [rule_record(e) | {"acts": e.id in acting} for e in found]})
    finally:
        agent.close()
