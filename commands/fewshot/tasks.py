"""What the commands of few-shot tasks share: options, the task with its memory, the gateway, the journal, a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ...errors import UserError
from ..output import note, table
from ..worlds import load_agent

if TYPE_CHECKING:
    from ...prompts import Gateway
    from ...prompts.tasks.evaluation import Result
    from ...prompts.tasks.journal import Journal
    from ...prompts.tasks.selection import Demonstration
    from ...prompts.tasks.taskfile import TaskFile

Task = Annotated[
    str, typer.Argument(metavar="TASK", help="A task file (YAML), or a shipped one: headlines, intents, reports, sums.")
]
LLM = Annotated[
    str, typer.Option("--llm", metavar="MODEL", help="Who answers: 'local' (the embedded model) or 'provider:model'.")
]
Memory = Annotated[
    Path | None,
    typer.Option("--memory", metavar="FOLDER", help="A saved agent, for a task with 'demonstrations: memory'."),
]
JournalPath = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="PATH",
        dir_okay=False,
        help="Where answers are kept, a line each; what stands there is not asked again. "
        "Default: runs/fewshot/TASK.jsonl",
    ),
]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", min=1, max=100, help="How many seeds, from --seed on.")]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="Only the first N items.")]
RECALLED = 50
TIMEOUT_S = 600.0


@contextmanager
def opened(name: str, memory: Path | None = None, env: str | None = None) -> Iterator[TaskFile]:
    """The task of that name, its demonstrations out of an agent's memory where it says so."""
    from ...prompts.tasks.taskfile import find_task, load_task

    path = find_task(name)
    if memory is None:
        yield load_task(path)
        return
    from ...memory import Retrieval
    from ...prompts import LocalEmbeddings

    agent = load_agent(memory, env, llm=None)
    try:
        notes = Retrieval(agent.mind.memory, LocalEmbeddings())
        yield load_task(path, retriever=notes.as_retriever(k=RECALLED, kind="demonstration"))
    finally:
        agent.close()


def gateway(llm: str) -> Gateway:
    """The gateway to a model by name; to none for 'none'."""
    from ...prompts import Gateway, GatewayConfig, chat_model

    return Gateway(chat_model(None if llm.lower() == "none" else llm), GatewayConfig(timeout_s=TIMEOUT_S))


def journal(path: Path | None, task: TaskFile) -> Journal:
    """The journal of a task."""
    from ...prompts.tasks.journal import Journal

    path = path or Path("runs") / "fewshot" / f"{task.path.stem}.jsonl"
    note(f"answers are kept in {path}")
    return Journal(path)


def split(task: TaskFile, name: str, limit: int | None) -> list[Demonstration]:
    """The items of a split. Raises UserError where it has none."""
    items = {"test": task.test, "dev": task.dev}.get(name)
    if items is None:
        raise UserError(f"a split is 'test' or 'dev', not '{name}'")
    if not items:
        raise UserError(f"{task.path} has no '{name}' split: add `{name}: {{file: {name}.jsonl}}`")
    return items[:limit]


def results_table(title: str, metrics: Sequence[str], results: Sequence[Result]) -> Table:
    """A row an arm, mean and spread a metric."""
    shown = table(title, "demonstrations", *metrics, "unusable", right=[*metrics, "unusable"])
    for result in results:
        values = [f"{result.mean(m):.3f} ± {result.spread(m):.3f}" for m in metrics]
        shown.add_row(result.arm.name, *values, str(result.unusable))
    return shown


def listed(text: str, known: Sequence[str], what: str) -> list[Any]:
    """The names in a list with commas. Raises UserError that names those not known."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise UserError(f"unknown {what} {', '.join(wrong) or repr(text)}; there are {', '.join(known)}")
    return names
