"""`gedanken fewshot tune`: choose number, choice and order of demonstrations on the dev split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ...errors import UserError
from ...files import write_text
from .. import options
from ..output import Interrupted, bar, note, out, say, write_json
from . import tasks

SELECTIONS = ("fixed", "random", "nearest", "diverse")
ORDERS = ("best_last", "best_first")
DECODINGS = ("answer", "score", "calibrated")


def tune(
    task: tasks.Task,
    counts: Annotated[str, typer.Option("--counts", metavar="LIST", help="Numbers of demonstrations.")] = "0,2,4,8",
    selections: Annotated[
        str, typer.Option("--selections", metavar="LIST", help=f"Which of {', '.join(SELECTIONS)}.")
    ] = "random,nearest,diverse",
    orders: Annotated[
        str, typer.Option("--orders", metavar="LIST", help=f"Which of {', '.join(ORDERS)}.")
    ] = "best_last",
    decodings: Annotated[
        str | None, typer.Option("--decodings", metavar="LIST", help=f"Of a choice of labels: {', '.join(DECODINGS)}.")
    ] = None,
    limit: tasks.Limit = None,
    llm: tasks.LLM = "local",
    seed: options.Seed = 0,
    seeds: tasks.Seeds = 1,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE", dir_okay=False, help="Write a copy of the task with what was chosen."),
    ] = None,
    journal: tasks.JournalPath = None,
    json: options.Json = None,
) -> None:
    """Try all combinations on the dev split (the test split is not looked at) and say which is best. Ctrl-C loses
    nothing: what was answered is kept, and the same command goes on there."""
    from ...prompts.tasks.tuning import grid
    from ...prompts.tasks.tuning import tune as tuned

    numbers = [n.strip() for n in counts.split(",")]
    if not all(n.isdigit() and int(n) <= 1000 for n in numbers):
        raise UserError(f"--counts is a list of numbers like 0,2,4, not '{counts}'")
    arms = grid(
        [int(n) for n in numbers],
        tasks.listed(selections, SELECTIONS, "selection"),
        tasks.listed(orders, ORDERS, "order"),
        tasks.listed(decodings, DECODINGS, "decoding") if decodings else (),
    )
    with tasks.opened(task) as file:
        if write is not None:
            _check_place(file.path, write)
        items, kept = tasks.split(file, "dev", limit), tasks.journal(journal, file)
        try:
            with bar("tuning", None) as advance:
                result = tuned(
                    file.task, items, tasks.gateway(llm), arms, range(seed, seed + seeds), kept, file.scorer, advance
                )
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; answers are kept in {kept.path}: the same command goes on there") from None
    title = f"{file.path.stem}: {len(items)} dev items, by {result.metric}"
    out.print(tasks.results_table(title, result.evaluation.metrics, result.ranked))
    for name, value in result.best.items():
        say(f"{name}: {value}")
    if write is not None:
        write_text(write, with_settings(file.path.read_text(encoding="utf-8-sig"), result.best))
        note(f"written to {write}")
    write_json(json, {"task": file.path.stem, "metric": result.metric, "best": result.best,
                      **result.evaluation.to_dict()})  # fmt: skip


def _check_place(source: Path, target: Path) -> None:
    if target.resolve().parent != source.resolve().parent and "file:" in source.read_text(encoding="utf-8-sig"):
        raise UserError(f"--write {target}: the task names files beside it; write the copy beside {source}")
    if target.resolve() == source.resolve():
        raise UserError(f"--write {target}: this is the task itself; choose another name")


def with_settings(text: str, settings: dict[str, Any]) -> str:
    """The text of a task file with other settings, each a line of its own; all else stays, comments too."""
    left, lines = dict(settings), []
    for line in text.splitlines():
        name = line.split(":", 1)[0]
        lines.append(f"{name}: {left.pop(name)}" if name in left and ":" in line else line)
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in left.items())]) + "\n"
