"""`gedanken report`: a run as one page to look at, and its figures for papers."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from .. import options
from ..output import note, say

BIG = 2_000_000
"""Bytes from which on it is said how large a page is."""


def report(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of runs: of an agent, or of the demo.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", dir_okay=False, help="The page that is written.")
    ] = Path("report.html"),
    env: options.Env = None,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="DIR", file_okay=False, help="Write the figures there as PNG, 300 dpi."),
    ] = None,
) -> None:
    """Make one HTML file of a run: what the agent was told and what became of it, how it learned, what it imagined and
    what came, where it failed and why, and what it would imagine if.

    The page needs no network and no other file. Of several runs it shows the learning curves together, with their
    spread. What is missing in a run, or damaged, is said, and the rest is shown; the run itself is not changed.
    """
    from ...files import write_text
    from .page import page, report_of
    from .run import opened

    with ExitStack() as stack:
        runs = [stack.enter_context(opened(folder, env)) for folder in folders]
        shown = report_of(runs)
        html = page(shown)
        write_text(out, html)
        say(f"report    {out}")
        if len(html) > BIG:
            note(f"{out} is large: {len(html) / 1e6:.1f} MB")
        if figures is not None:
            from .figures import draw

            for path in draw(runs, shown, figures):
                say(f"figure    {path}")
        for run in runs:
            for gap in run.gaps:
                note(f"{run.name}: {gap}")
