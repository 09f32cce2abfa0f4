"""`gedanken fewshot run`: answer inputs."""

from __future__ import annotations

import json as json_
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ...errors import GedankenError, UserError
from .. import options
from ..output import bar, out, table, write_json
from . import tasks

MAX_BYTES = 20_000_000


def run(
    task: tasks.Task,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="TEXT", help="An input, a record as JSON; as often as wanted."),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option("--inputs", metavar="FILE", help="A file of inputs, one a line; .jsonl: JSON a line; '-': stdin."),
    ] = None,
    llm: tasks.LLM = "local",
    seed: options.Seed = 0,
    memory: tasks.Memory = None,
    env: options.Env = None,
    json: options.Json = None,
) -> None:
    """Answer inputs by a few-shot task: `gedanken fewshot run intents --input "My lamp is broken."`"""
    with tasks.opened(task, memory, env) as file:
        asked = gather(file.task.input, input or [], inputs)
        few = file.task.with_settings(seed=seed)
        gateway = tasks.gateway(llm)
        predictions = []
        with bar("answering", len(asked)) as advance:
            for start in range(0, len(asked), 8):
                try:
                    predictions += few.predict(asked[start : start + 8], gateway)
                except ValueError as error:
                    raise UserError(f"inputs {start + 1} to {start + 8}: {error}") from error
                advance(len(predictions))
    shown = table(file.path.stem, "input", "output")
    from ...prompts.tasks.outputs import plain

    for p in predictions:
        answer = Text(p.error or "", style="red") if p.error else Text(_words(plain(p.output)))
        shown.add_row(Text(p.input), answer)
    out.print(shown)
    write_json(json, [{"input": p.input, "output": plain(p.output), "answer": p.answer, "error": p.error}
                      for p in predictions])  # fmt: skip
    unusable = sum(p.error is not None for p in predictions)
    if unusable:
        raise GedankenError(f"{unusable} of {len(predictions)} answers cannot be used; the table says why")


def gather(kind: Any, given: list[str], path: str | None) -> list[Any]:
    """The inputs of the options, typed where the task's are. Raises UserError that names what is none."""
    from ...prompts.tasks.outputs import is_json, read
    from ...prompts.yamlfile import read_text

    texts = [(f"--input {n}", text) for n, text in enumerate(given, 1)]
    if path is not None:
        content = sys.stdin.read(MAX_BYTES) if path == "-" else read_text(Path(path), MAX_BYTES)
        texts += [(f"{path}:{n}", line) for n, line in enumerate(content.splitlines(), 1) if line.strip()]
    if not texts:
        raise UserError("nothing to answer: give --input TEXT or --inputs FILE")
    asked = []
    for place, text in texts:
        try:
            if path is not None and path.endswith(".jsonl") and not place.startswith("--input"):
                value = json_.loads(text)
                asked.append(value["input"] if isinstance(value, dict) and "input" in value else value)
            else:
                asked.append(json_.loads(text) if is_json(kind) else read(kind, text))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{place}: {error}") from error
    return asked


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_words(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
