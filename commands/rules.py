"""`gedanken rules`: tell, check, list, retire and revive the rules of a saved agent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UserError
from . import options
from .output import is_interactive, out, reported, rule_record, rules_table, say, write_json

if TYPE_CHECKING:
    from ..agent.agent import Agent

rules = typer.Typer(no_args_is_help=True, help="Tell, check, list and retire the rules of a saved agent.")

Id = Annotated[str, typer.Argument(metavar="RULE", help="A rule's id, as `gedanken rules list` shows it, or its name.")]


@rules.command("tell")
@reported
def tell(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FOLDER TEXT",
            help="The folder of a saved agent (not with --env), then rule lines or sentences, each in quotes.",
        ),
    ] = None,
    env: Annotated[
        str | None, typer.Option("--env", metavar="ID", help="Only try the text on this environment; nothing is saved.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Tell what is in this file: rules, sentences, or a manual of both.",
        ),
    ] = None,
    llm: options.LLM = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Tell a saved agent rules: rule lines, or English sentences that a language model reads as rules.

    A sentence the model is not sure of is shown with its readings, and you are asked; in a script it is refused (exit
    code 2) and nothing is saved. docs/rules.md describes the rule language.
    """
    from .telling import asker, told_record, told_table
    from .worlds import load_agent, make_env, read_rules

    texts = list(words or [])
    if env is None and not texts:
        raise UserError("name the folder of a saved agent, or an environment with --env")
    folder = Path(texts.pop(0)) if env is None else None
    if file is None and not "".join(texts).strip():
        raise UserError("there is nothing to tell: give rules or sentences in quotes, or --file FILE")
    if folder is not None:
        agent = load_agent(folder, None, **options.llm(llm))
    else:
        from ..agent.agent import Agent

        agent = Agent(make_env(str(env)), **options.llm(llm), seed=seed)
    try:
        text = "\n".join([*texts, *([read_rules(file, agent.schema)] if file is not None else [])])
        told = agent.tell(text, ask=asker())
        agent.check()
        out.print(told_table(agent, told))
        write_json(json, {"told": told_record(agent, told)})
        refused = [t for t in told if not t.entries]
        if refused and not is_interactive():
            raise UserError(
                f"{len(refused)} of {len(told)} sentences are not understood; nothing is saved. "
                f'"{refused[0].sentence}": {refused[0].reason}'
            )
        if folder is not None:
            agent.save(folder)
    finally:
        agent.close()


@rules.command("list")
@reported
def list_rules(
    folder: options.Folder,
    json: options.Json = None,
    every: Annotated[bool, typer.Option("--all", help="Show retired rules, too.")] = False,
) -> None:
    """List an agent's rules with their source, status and evidence.

    Support is on how many transitions in memory a rule applied, hits on how many of them it held.
    """
    from .worlds import load_agent

    agent = load_agent(folder, None)
    try:
        _show(agent, every, json)
    finally:
        agent.close()


@rules.command("check")
@reported
def check(folder: options.Folder, json: options.Json = None) -> None:
    """Count every rule's evidence over all of memory anew, and set the statuses."""
    from .worlds import load_agent

    agent = load_agent(folder, None)
    try:
        agent.check()
        agent.save(folder)
        say(f"checked on {len(agent.mind.memory):,} transitions")
        _show(agent, False, json)
    finally:
        agent.close()


@rules.command("retire")
@reported
def retire(folder: options.Folder, rule: Id, json: options.Json = None) -> None:
    """Take a rule out of use; `revive` brings it back."""
    _change(folder, rule, "retire", json)


@rules.command("revive")
@reported
def revive(folder: options.Folder, rule: Id, json: options.Json = None) -> None:
    """Bring a retired rule back."""
    _change(folder, rule, "revive", json)


def _change(folder: Path, rule: str, how: str, json: Path | None) -> None:
    from .worlds import load_agent

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


def _show(agent: Agent, every: bool, json: Path | None) -> None:
    entries = [e for e in agent.rules if every or e.status != "retired"]
    if entries:
        out.print(rules_table(entries))
    else:
        say('no rules yet; tell some with: gedanken rules tell FOLDER "forbid ..."')
    hidden = len(agent.rules) - len(entries)
    if hidden:
        say(f"{hidden} retired (shown with --all)")
    write_json(json, {"rules": [rule_record(e) for e in agent.rules]})
