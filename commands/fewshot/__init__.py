"""`gedanken fewshot`: text tasks given by a few examples, run, previewed, measured and tuned; one file a command."""

from __future__ import annotations

import typer

from ..output import reported
from .evaluate import evaluate
from .preview import preview
from .run import run
from .tune import tune

fewshot = typer.Typer(no_args_is_help=True, help="Text tasks given by a few examples (docs/how-to-fewshot.md).")
fewshot.command("run", short_help="Answer inputs.")(reported(run))
fewshot.command("preview", short_help="Show the exact prompt of an input.")(reported(preview))
fewshot.command("evaluate", short_help="Measure zero-shot, random, nearest, diverse.")(reported(evaluate))
fewshot.command("tune", short_help="Choose number, choice and order on the dev split.")(reported(tune))
