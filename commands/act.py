"""`gedanken act`: let a saved agent play."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.live import Live
from rich.text import Text

from . import options
from .output import bar, err, out, say, table, write_json

if TYPE_CHECKING:
    from ..agent.agent import Agent
    from ..agent.results import EpisodeResult, RunResult


def act(
    folder: options.Folder,
    env: options.Env = None,
    episodes: Annotated[int, typer.Option(metavar="N", min=1, help="Episodes to play.")] = 5,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", min=1, help="At most so many steps an episode.")
    ] = None,
    render: Annotated[Literal["none", "ansi"], typer.Option(help="'ansi' draws every step in the terminal.")] = "none",
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=2**31 - 1,
            help="Seed of the first episode (default: layouts the agent has not seen).",
        ),
    ] = None,
    instruct: Annotated[
        str | None, typer.Option(metavar="WORDS", help="What to do, in words: 'pick up the red ball'.")
    ] = None,
    json: options.Json = None,
    planner: options.Planner = None,
    budget: options.Budget = 40_000,
) -> None:
    """Play episodes with a saved agent, as it plans them, and show what they came to.

    Without --seed, layouts that are in the agent's memory are skipped. With --env the same world at another size can
    be played: the rules and the weights carry over. What is lived is remembered in the folder's memory.
    """
    from .worlds import config, load_agent

    agent = load_agent(folder, env, config=config(budget), **options.planner(planner))
    try:
        if render == "ansi":
            result = _drawn(agent, episodes, seed, steps, instruct)
        else:
            with bar("playing", episodes) as advance:
                played: list[EpisodeResult] = []

                def watch(episode: EpisodeResult) -> None:
                    played.append(episode)
                    advance(len(played), None, f"{sum(e.solved for e in played)} solved")

                result = agent.run(episodes, seed=seed, unseen=seed is None, max_steps=steps, watch=watch,
                                   instruction=instruct)
        show(result)
        write_json(json, {"env": agent.env.spec.id if agent.env.spec else None, **result.to_dict()})
    finally:
        agent.close()


def show(result: RunResult) -> None:
    """A line an episode, and the means."""
    numbers = ("seed", "return", "steps", "imagined", "departed", "shielded", "broken", "seconds")
    shown = table("episodes", "solved", *numbers, right=numbers)
    for e in result.episodes:
        shown.add_row(
            Text("yes", "green") if e.solved else Text("no", "red"),
            str(e.seed),
            f"{e.total_reward:.3f}",
            str(e.steps),
            f"{e.imagined_steps:,}",
            str(e.departures),
            str(e.shielded),
            str(e.broken),
            f"{e.seconds:.2f}",
        )
    out.print(shown)
    s = result.summary()
    say(
        f"solved {s['solved']} of {s['episodes']}, mean return {s['mean_return']:.3f}, "
        f"mean steps {s['mean_steps']:.1f}, {s['seconds_per_episode']:.2f} s an episode"
    )


def _drawn(agent: Agent, episodes: int, seed: int | None, steps: int | None, instruct: str | None
           ) -> RunResult:
    """The same, every step drawn on standard error."""
    import time

    from ..world.scenes import row_of
    from .drawing import state_view

    with Live(console=err, auto_refresh=False, transient=True) as live:

        def frame(agent: Agent) -> None:
            if agent.mind.features is not None:
                live.update(state_view(agent.schema, row_of(agent.mind.features)), refresh=True)
                if err.is_terminal:
                    time.sleep(0.08)

        return agent.run(episodes, seed=seed, unseen=seed is None, max_steps=steps, frame=frame,
                         instruction=instruct)
