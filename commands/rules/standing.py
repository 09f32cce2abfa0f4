"""`gedanken rules list | check | retire | revive`: which rules there are, and how they stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import options
from ..output import out, rule_record, rules_table, say, write_json

if TYPE_CHECKING:
    from ...agent.agent import Agent


def list_rules(
    folder: options.Folder,
    json: options.Json = None,
    every: Annotated[bool, typer.Option("--all", help="Show retired rules, too.")] = False,
    words: Annotated[bool, typer.Option("--words", help="Show the rules in plain sentences.")] = False,
) -> None:
    """List an agent's rules with their source, status and evidence.

    Support is on how many transitions in memory a rule applied, hits on how many of them it held.
    """
    from ..worlds import load_agent

    agent = load_agent(folder, None)
    try:
        _show(agent, every, json, words)
    finally:
        agent.close()


def check(folder: options.Folder, json: options.Json = None) -> None:
    """Count every rule's evidence over all of memory anew, and set the statuses."""
    from ..worlds import load_agent

    agent = load_agent(folder, None)
    try:
        agent.check()
        agent.save(folder)
        say(f"checked on {len(agent.mind.memory):,} transitions")
        _show(agent, False, json)
    finally:
        agent.close()


def retire(folder: options.Folder, rule: options.Rule, json: options.Json = None) -> None:
    """Take a rule out of use; `revive` brings it back."""
    _change(folder, rule, "retire", json)


def revive(folder: options.Folder, rule: options.Rule, json: options.Json = None) -> None:
    """Bring a retired rule back."""
    _change(folder, rule, "revive", json)


def _change(folder: Path, rule: str, how: str, json: Path | None) -> None:
    from ..worlds import load_agent

    agent = load_agent(folder, None)
    try:
        knowledge = agent.mind.knowledge
        entry = knowledge.retire(rule) if how == "retire" else knowledge.revive(rule)
        agent.refresh()
        agent.save(folder)
        say(f"{how}d {entry.id}: {entry.text}")
        write_json(json, {"rules": [rule_record(e) for e in agent.rules]})
    finally:
        agent.close()


def _show(agent: Agent, every: bool, json: Path | None, words: bool = False) -> None:
    entries = [e for e in agent.rules if every or e.status != "retired"]
    if entries:
        out.print(rules_table(entries, schema=agent.schema if words else None))
    else:
        say('no rules yet; tell some with: gedanken rules tell FOLDER "forbid ..."')
    hidden = len(agent.rules) - len(entries)
    if hidden:
        say(f"{hidden} retired (shown with --all)")
    write_json(json, {"rules": [rule_record(e) for e in agent.rules]})
