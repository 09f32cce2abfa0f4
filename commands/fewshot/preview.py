"""`gedanken fewshot preview`: the exact prompt of an input, without asking anyone."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from ...errors import UserError
from .. import options
from ..output import note, say, write_json
from . import tasks
from .run import gather


def preview(
    task: tasks.Task,
    input: Annotated[
        str | None, typer.Option("--input", metavar="TEXT", help="The input; by default the first of the test split.")
    ] = None,
    llm: tasks.LLM = "local",
    seed: options.Seed = 0,
    memory: tasks.Memory = None,
    env: options.Env = None,
    json: options.Json = None,
) -> None:
    """Show the messages that would be sent for an input, exactly, and how many tokens they have."""
    from ...prompts.counting import counter

    with tasks.opened(task, memory, env) as file:
        query = tasks.split(file, "test", 1)[0].input if input is None else gather(file.task.input, [input], None)[0]
        gateway = tasks.gateway(llm)
        try:
            messages = file.task.with_settings(seed=seed).preview(query, gateway)
        except ValueError as error:
            raise UserError(f"--input: {error}") from error
    for message in messages:
        say(Text(f"{message.type}:", style="bold"))
        say(str(message.text))
        say("")
    count = counter(gateway.model)
    tokens = sum(count(str(message.text)) for message in messages)
    note(f"{len(messages)} messages, about {tokens:,} tokens and the model's own marks")
    write_json(json, [{"role": message.type, "text": str(message.text)} for message in messages])
