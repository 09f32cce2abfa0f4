"""Options that several commands share, so that they are spelt and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

Env = Annotated[
    str | None,
    typer.Option("--env", metavar="ID", help="The Gymnasium environment; by default the one the agent was saved with."),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help="Seed of all that is random; two runs agree.")
]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="PATH", dir_okay=False, help="Write the result there as JSON.")
]
LLM = Annotated[
    str | None,
    typer.Option(
        "--llm",
        metavar="MODEL",
        help="Who reads English sentences: 'local' (the embedded model, loaded when first needed), 'none', or "
        "'provider:model'; by default the agent's own, or local.",
    ),
]
Prompts = Annotated[
    Path | None,
    typer.Option(
        "--prompts",
        metavar="FOLDER",
        help="Prompt files of your own, which stand in for those of the same names (see `gedanken prompts`).",
    ),
]
Planner = Annotated[
    str | None,
    typer.Option(
        "--planner",
        metavar="NAME",
        help="How it plans: 'auto', 'search', 'cem', 'mppi', 'random', 'mcts', 'dyna', 'actor_critic' or 'deep_dyna'; "
        "by default as it was saved, or what suits the world.",
    ),
]
TrainSteps = Annotated[
    int | None,
    typer.Option(
        "--train-steps", metavar="N", min=1, help="At most so many training steps (default: as many as it needs)."
    ),
]
Budget = Annotated[
    int, typer.Option("--budget", metavar="N", min=1, help="Imagined transitions a plan may cost at most.")
]
Rules = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="What to tell: rule lines, sentences, or a manual of both.",
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a saved agent.")]

Rule = Annotated[
    str, typer.Argument(metavar="RULE", help="A rule's id, as `gedanken rules list` shows it, or its name.")
]


def planner(name: str | None) -> dict[str, Any]:
    """The `planner` option of an `Agent`, if the user wrote one."""
    return {} if name is None else {"planner": name}


def llm(name: str | None) -> dict[str, Any]:
    """The `llm` option of an `Agent`, if the user wrote one."""
    return {} if name is None else {"llm": None if name.lower() == "none" else name}
View = Annotated[
    Literal["full", "partial"] | None,
    typer.Option(
        "--view",
        help="What the agent sees of a grid world: all of it, or only what MiniGrid's agent itself sees, put together "
        "to a map (default: as the agent was saved, else full).",
    ),
]
