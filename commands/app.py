"""The command line put together. Nothing heavy is imported here: `gedanken --help` must be quick."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from .act import act
from .calls import calls
from .demo import demo
from .explain import explain
from .fewshot import fewshot
from .imagine import imagine
from .learn import learn
from .memory import memory
from .output import out, reported
from .prompts import prompts
from .reflect import reflect
from .report import report
from .rules import rules

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"gedanken {__version__}", markup=False)
        raise typer.Exit


@app.callback()
def gedanken(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Thought experiments for agents: learn how a world behaves, tell the rest in text, imagine, act.

    Start with `gedanken demo`. Exit codes: 0 done, 1 the work failed or was interrupted, 2 a mistake in what was asked.
    """


app.command(short_help="Learn, be told, and compare on unseen layouts.")(reported(demo))
app.command(short_help="Interact, train, save an agent.")(reported(learn))
app.command(short_help="Let a saved agent play.")(reported(act))
app.command(short_help="Step through a saved agent's imagination.")(reported(imagine))
app.command(short_help="What a saved agent holds to cause what.")(reported(explain))
app.command(short_help="Draw lessons from what a saved agent lived.")(reported(reflect))
app.command(short_help="A run as one page to look at.")(reported(report))
app.command(short_help="What language models were asked, and what it cost.")(reported(calls))
app.command(short_help="The prompts, and a check of your own.")(reported(prompts))
app.add_typer(memory, name="memory", short_help="Look into, search, check an agent's memory.")
app.add_typer(fewshot, name="fewshot", short_help="Text tasks given by a few examples.")
app.add_typer(rules, name="rules", short_help="Tell, check, list, retire rules.")
