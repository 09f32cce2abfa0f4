"""`gedanken fewshot evaluate`: zero-shot, random, nearest and diverse demonstrations side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import options
from ..output import Interrupted, bar, out, write_json
from . import tasks

CHOSEN = ("zero-shot", "fixed", "random", "nearest", "diverse")


def evaluate(
    task: tasks.Task,
    split: Annotated[str, typer.Option("--split", metavar="NAME", help="Which items: 'test' or 'dev'.")] = "test",
    arms: Annotated[
        str, typer.Option("--arms", metavar="LIST", help=f"Which of {', '.join(CHOSEN)}.")
    ] = "zero-shot,random,nearest,diverse",
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="Demonstrations shown; default: the task's.")
    ] = None,
    pool: Annotated[
        float,
        typer.Option("--pool", metavar="SHARE", min=0.01, max=1, help="Share of the demonstrations a seed draws from."),
    ] = 0.75,
    limit: tasks.Limit = None,
    llm: tasks.LLM = "local",
    seed: options.Seed = 0,
    seeds: tasks.Seeds = 3,
    journal: tasks.JournalPath = None,
    memory: tasks.Memory = None,
    env: options.Env = None,
    json: options.Json = None,
) -> None:
    """Measure a task on its test split, with the spread over seeds. Ctrl-C loses nothing: what was answered is kept,
    and the same command goes on there."""
    from ...prompts.tasks.evaluation import Arm
    from ...prompts.tasks.evaluation import evaluate as measured

    chosen = tasks.listed(arms, CHOSEN, "arm")
    with tasks.opened(task, memory, env) as file:
        k = count or max(file.task.count, 1)
        made = [
            Arm("zero-shot", {"count": 0, "selection": "fixed"})
            if name == "zero-shot"
            else Arm(f"{k} {name}", {"count": k, "selection": name})
            for name in chosen
        ]
        items, kept = tasks.split(file, split, limit), tasks.journal(journal, file)
        try:
            with bar("evaluating", None) as advance:
                asked = tasks.gateway(llm)
                drawn = range(seed, seed + seeds)
                result = measured(file.task, items, asked, made, drawn, pool, kept, file.scorer, advance)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; answers are kept in {kept.path}: the same command goes on there") from None
    title = f"{file.path.stem}: {len(items)} {split} items, {seeds} seed{'s' * (seeds > 1)}"
    out.print(tasks.results_table(title, result.metrics, result.results))
    write_json(json, {"task": file.path.stem, "split": split, "llm": llm, "pool": pool, **result.to_dict()})
