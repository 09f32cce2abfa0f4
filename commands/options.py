"""Options that several commands share, so that they are spelt and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Env = Annotated[str | None, typer.Option("--env", metavar="ID", help="The Gymnasium environment; by default the one the "
                                         "agent was saved with.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Seed of everything random; two runs from one "
                                   "seed agree.")]
Json = Annotated[Path | None, typer.Option("--json", metavar="PATH", dir_okay=False, help="Write the result there as JSON.")]
LLM = Annotated[str, typer.Option("--llm", metavar="MODEL", help="Who reads English sentences: 'local' (the embedded "
                                  "model, loaded when first needed), 'none', or 'provider:model'.")]
TrainSteps = Annotated[int | None, typer.Option("--train-steps", min=1, help="At most so many training steps of the world "
                                                "model (default: as many as it needs).")]
Rules = Annotated[Path | None, typer.Option("--rules", metavar="FILE", exists=True, dir_okay=False, readable=True,
                                            help="Rules or a manual to tell: rule lines, or sentences.")]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a saved agent.")]


def llm(name: str) -> str | None:
    """The `llm` of an `Agent` from what the user wrote."""
    return None if name.lower() == "none" else name
