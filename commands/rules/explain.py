"""`gedanken rules explain`: what a rule does, where it applied last, and the transitions for and against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from .. import options
from ..output import out, say, write_json

if TYPE_CHECKING:
    from ...world.explaining import Explanation, Scene


def explain(
    folder: options.Folder,
    rule: options.Rule,
    most: Annotated[
        int, typer.Option("--most", metavar="N", min=0, max=100, help="Transitions shown for it, and against it.")
    ] = 3,
    json: options.Json = None,
) -> None:
    """Explain a rule in words: what it does, where it applied last, what it changes there of what the learned model
    predicts, and the newest transitions in memory for and against it."""
    from ..worlds import load_agent

    agent = load_agent(folder, None)
    try:
        found = agent.explain(rule, most)
        _say(found, len(agent.mind.memory))
        write_json(json, found.to_dict())
    finally:
        agent.close()


def _say(found: Explanation, remembered: int) -> None:
    say(Text(f"{found.id}  {found.text}", style="bold"))
    say(found.words)
    say()
    say(f"status       {found.status}; {found.evidence}")
    for doubt in found.doubts:
        say(Text(f"doubt        {doubt}", style="yellow"))
    if found.last is None:
        say(f"applied      on none of the {remembered:,} transitions in memory")
        return
    say(f"applied      on {found.applied:,} of the {remembered:,} transitions in memory")
    say(f"last         {found.last}")
    if found.changed is not None:
        said = ", ".join(found.changed) or "nothing: the model predicts the same without it"
        say(f"it changed   {said}")
    _scenes("for it", found.held, "green")
    _scenes("against it", found.failed, "red")
    if found.apart:
        say()
        say(f"what was so only when it failed: {', '.join(found.apart)}")


def _scenes(title: str, scenes: Sequence[Scene], style: str) -> None:
    if scenes:
        say()
        out.print(Text(title, style=style))
    for scene in scenes:
        say(f"  {scene}")
