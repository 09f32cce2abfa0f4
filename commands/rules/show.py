"""`gedanken rules show`: one rule with everything that is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from .. import options
from ..output import out, rule_record, say, table, write_json

if TYPE_CHECKING:
    from ...agent.agent import Agent
    from ...world.history import Event
    from ...world.knowledge import Entry

_SAID_BY = {
    "user": "you", "manual": "a manual", "demonstration": "your demonstrations", "examples": "your examples",
    "model": "the language model", "miner": "the miner",
}  # fmt: skip


def show(folder: options.Folder, rule: options.Rule, json: options.Json = None) -> None:
    """Show one rule: in words, who said it and when, its evidence, what logic says of it, what became of it."""
    from ..worlds import load_agent

    agent = load_agent(folder, None)
    try:
        entry = agent.mind.knowledge.entry(rule)
        shown = table(f"{entry.id}  {entry.text}", "what", "said", narrow=("what",))
        shown.show_header = False
        known = record(agent, entry)
        for what, said in _facts(known, entry):
            shown.add_row(Text(what, style="bold"), Text(said))
        out.print(shown)
        if entry.evidence.support:
            say(f"its transitions: gedanken rules explain {folder} {entry.id}")
        write_json(json, known)
    finally:
        agent.close()


def record(agent: Agent, entry: Entry) -> dict[str, Any]:
    """All that is known of a rule, as JSON data."""
    from ...world.rules.check import warnings
    from ...world.rules.words import to_words

    kept = ("sentence", "told", "origin", "history", "evidence_from")
    return {
        **rule_record(entry),
        **{k: v for k, v in entry.model_dump(mode="json").items() if k in kept},
        "name": entry.rule.name,
        "words": to_words(entry.rule, agent.schema),
        "acts": entry in agent.mind.knowledge.active(),
        "violations": entry.evidence.violations,
        "interval": list(entry.evidence.interval),
        "doubts": warnings(entry.rule, agent.schema),
        "logic": [f.message for f in agent.mind.knowledge.examine() if entry.id in f.rules],
    }


def _facts(known: dict[str, Any], entry: Entry) -> Iterator[tuple[str, str]]:
    """What there is to say, line by line."""
    from ...world.checking import BEHAVIOUR

    yield "in words", known["words"]
    yield "said by", f"{_SAID_BY[entry.source]}, {_date(entry.told)}" + (
        f', as "{entry.sentence}"' if entry.sentence else "")
    if entry.origin:
        yield "written by", f"{entry.origin.model} (prompt {entry.origin.prompt})"
    yield "status", f"{entry.status}, {'acts' if known['acts'] else 'does not act'}"
    if isinstance(entry.rule.statement, BEHAVIOUR):
        yield "evidence", "none: a rule on behaviour, which no data can refute"
    else:
        yield "evidence", f"{entry.evidence}" + (f", counted in {entry.evidence_from}" if entry.evidence_from else "")
    for doubt in known["doubts"]:
        yield "doubt", doubt
    for finding in known["logic"]:
        yield "logic", finding
    for event in entry.history:
        yield event.kind, f"{_date(event.at)}{_note(event)}"


def _note(event: Event) -> str:
    if not event.note:
        return ""
    said = {"accepted": "proposed by {}", "imported": "from {}"}.get(event.kind, "before: {}")
    return f", {said.format(event.note)}"


def _date(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}"
