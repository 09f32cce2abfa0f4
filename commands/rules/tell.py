"""`gedanken rules tell`: rule lines and sentences for a saved agent, or tried on an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...errors import UserError
from .. import options
from ..output import is_interactive, out, write_json


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
    prompts: options.Prompts = None,
    seed: options.Seed = 0,
    json: options.Json = None,
) -> None:
    """Tell a saved agent rules: rule lines, or English sentences, read by a grammar and a language model.

    A sentence the model is not sure of is shown with its readings, and you are asked; in a script it is refused (exit
    code 2) and nothing is saved. docs/rules.md describes the rule language.
    """
    from ..telling import asker, told_record, told_table
    from ..worlds import config, load_agent, make_env, read_rules

    texts = list(words or [])
    if env is None and not texts:
        raise UserError("name the folder of a saved agent, or an environment with --env")
    folder = Path(texts.pop(0)) if env is None else None
    if file is None and not "".join(texts).strip():
        raise UserError("there is nothing to tell: give rules or sentences in quotes, or --file FILE")
    if folder is not None:
        agent = load_agent(folder, None, **options.llm(llm), config=config(prompts=prompts))
    else:
        from ...agent.agent import Agent

        agent = Agent(make_env(str(env)), **options.llm(llm), config=config(prompts=prompts), seed=seed)
    try:
        text = "\n".join([*texts, *([read_rules(file, agent.schema)] if file is not None else [])])
        told = agent.tell(text, ask=asker())
        agent.check(effects=False)
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
