"""What every command shares: two consoles, errors as one message, progress bars, tables of rules, JSON.

Results go to standard output, so that they can be piped; progress, questions and errors go to standard error.
"""

from __future__ import annotations

import functools
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, Protocol, TypeVar

import typer
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..errors import GedankenError, UserError
from ..files import write_text

if TYPE_CHECKING:
    from ..world.knowledge import Entry
    from ..world.schema import Schema
    from ..world.training import Progress as Training

P = ParamSpec("P")
R = TypeVar("R")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

INDENT = (0, 0, 0, 2)
STATUS_STYLES = {"supported": "green", "contradicted": "red", "retired": "dim", "untested": "yellow"}


class Interrupted(GedankenError):
    """Ctrl-C; the text says what was kept."""


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """The command with every failure turned into a message on standard error and an exit code.

    2 for a `UserError`, 1 for any other `GedankenError`, Ctrl-C and defects of ours; `GEDANKEN_DEBUG=1` shows the
    traceback of the last.
    """

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except GedankenError as error:
            _fail(str(error), 2 if isinstance(error, UserError) else 1)
        except KeyboardInterrupt:
            _fail("interrupted; transitions already in a memory file are kept", 1)
        except BrokenPipeError:  # `gedanken ... | head`: nobody listens any more, which is not an error
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except Exception as error:
            if isinstance(error, OSError) and error.filename is not None:
                _fail(f"{error.filename}: {error.strerror}", 1)
            if os.environ.get("GEDANKEN_DEBUG"):
                err.print_exception()
            _fail(
                f"{type(error).__name__}: {error}\nThis is a defect of gedanken. Please report it, with what "
                "GEDANKEN_DEBUG=1 shows when you run the command again.",
                1,
            )

    return guarded


def _fail(message: str, code: int) -> NoReturn:
    say_error(message)
    raise typer.Exit(code) from None


def say(*parts: str | Text) -> None:
    """A line of the result."""
    out.print(*parts, markup=False, soft_wrap=True)


def note(text: str) -> None:
    """A remark beside the result, on standard error."""
    err.print(Text(text, style="dim"), soft_wrap=True)


def say_error(message: str) -> None:
    err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def printable(text: str) -> str:
    """A text of somebody else's as it can be shown: what would move the cursor, change colours or turn the order of
    reading is written out (`\\x1b`); line ends and tabs stay."""
    is_plain = (c.isprintable() or c in "\n\t" for c in text)
    return "".join(c if plain else c.encode("unicode_escape").decode() for c, plain in zip(text, is_plain, strict=True))


def is_interactive() -> bool:
    """Whether somebody sits at a terminal and can be asked."""
    return sys.stdin.isatty() and err.is_terminal


# --- tables -----------------------------------------------------------------------------------------------------------


def table(title: str, *columns: str, right: Sequence[str] = (), narrow: Sequence[str] = ()) -> Table:
    """A table in our style; the columns in `right` are numbers, those in `narrow` never wrap."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        min_width=min(len(title), out.width),  # so that a title does not wrap
    )
    for column in columns:
        is_number = column in right
        made.add_column(
            column, justify="right" if is_number else "left", no_wrap=is_number or column in narrow, overflow="fold"
        )
    return made


def status(entry: Entry) -> Text:
    return Text(entry.status, style=STATUS_STYLES.get(entry.status, ""))


def rules_table(entries: Iterable[Entry], title: str = "rules", schema: Schema | None = None) -> Table:
    """Rules with their source and evidence: on how many transitions each applied (support), and held (hits); with a
    `schema` in plain sentences, too."""
    from ..world.rules.words import to_words

    made = table(
        title,
        "id",
        "rule",
        "source",
        "status",
        "support",
        "hits",
        right=("support", "hits"),
        narrow=("id", "source", "status"),
    )
    for e in entries:
        made.add_row(e.id, Text(e.text), e.source, status(e), *evidence(e))
        if schema is not None:
            made.add_row("", Padding(Text(to_words(e.rule, schema), style="italic"), INDENT))
    return made


def evidence(entry: Entry) -> tuple[str, str]:
    """Support and hits, or dashes for a rule on behaviour, which no data can refute."""
    from ..world.checking import BEHAVIOUR

    if isinstance(entry.rule.statement, BEHAVIOUR):
        return "-", "-"
    return f"{entry.evidence.support:,}", f"{entry.evidence.hits:,}"


def rule_record(entry: Entry) -> dict[str, Any]:
    """A rule as JSON data."""
    return {
        "id": entry.id,
        "text": entry.text,
        "source": entry.source,
        "status": entry.status,
        "support": entry.evidence.support,
        "hits": entry.evidence.hits,
    }


# --- progress ---------------------------------------------------------------------------------------------------------


class Advance(Protocol):
    """Moves a progress bar: how much is done, of how much (None: as before), and a remark beside it."""

    def __call__(self, done: int, total: int | None = None, detail: str | None = None, /) -> None: ...


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Advance]:
    """A progress bar on standard error; yields what moves it."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
        console=err,
    )
    task = progress.add_task(what, total=total, detail="")

    def advance(done: int, total: int | None = None, detail: str | None = None) -> None:
        progress.update(task, completed=done, total=total)  # None changes nothing
        if detail is not None:
            progress.update(task, detail=detail)

    with progress:
        yield advance


@contextmanager
def training_bar(what: str = "training the world model") -> Iterator[Callable[[Training], None]]:
    """A progress bar for `Agent.train`."""
    with bar(what, None) as advance:
        last = 0

        def show(p: Training) -> None:
            nonlocal last
            last = p.step
            advance(p.step, p.steps, training_line(p))

        yield show
        if last:
            advance(last, last)  # it may have stopped early


def training_line(p: Training) -> str:
    """The sum of the losses of the last step, and the loss on held-out layouts."""
    loss = f"loss {sum(p.losses.values()):.3f}" if p.losses else ""
    held = f"held out {p.held_out:.3f}" if math.isfinite(p.held_out) else ""
    return "  ".join(filter(None, (loss, held)))


def held_out_lines(accuracy: dict[str, float]) -> list[str]:
    """The held-out accuracy in words, honest about rare events and about what was not measured."""
    if not accuracy:
        return ["held-out accuracy: not measured, nothing is held out yet (it needs more layouts or steps)"]
    if "exact" not in accuracy:
        parts = [f"{k.removeprefix('rmse ')} {v:.4g}" for k, v in accuracy.items()]
        return ["held-out one-step error (root mean square): " + ", ".join(parts)]
    rare = int(accuracy["rare events"])
    lines = [
        f"held-out layouts: {accuracy['exact']:.1%} of {int(accuracy['transitions'])} transitions predicted exactly"
    ]
    if rare:
        right = round(accuracy["exact on rare events"] * rare)
        lines.append(
            f"of the {rare} rare event{'s' * (rare > 1)} among them (more changed than the pose), {right} "
            f"predicted exactly ({accuracy['exact on rare events']:.0%})"
        )
    else:
        lines.append("no rare event is among them: how well those are predicted is not known")
    return lines


# --- JSON -------------------------------------------------------------------------------------------------------------


def write_json(path: Path | None, data: Any) -> None:
    """Write JSON for machines, whole or not at all; NaN and infinities become null."""
    if path is not None:
        write_text(path, json.dumps(_plain(data), indent=1, allow_nan=False) + "\n")


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(k): _plain(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(v) for v in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def versions() -> dict[str, str]:
    """The versions of what the results depend on."""
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    from .. import __version__

    found = {"gedanken": __version__, "python": python_version()}
    for name in ("torch", "gymnasium", "minigrid", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
