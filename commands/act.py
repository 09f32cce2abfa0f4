"""`gedanken act`: let a saved agent play."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from . import options
from .output import bar, note, out, printable, say, table, write_json

if TYPE_CHECKING:
    from ..agent.agent import Agent
    from ..agent.results import EpisodeResult, RunResult
    from .video import Video

_SETBACKS = 5
"""So many setbacks of an episode are shown, a line each."""


def act(
    folder: options.Folder,
    env: options.Env = None,
    episodes: Annotated[int, typer.Option(metavar="N", min=1, help="Episodes to play.")] = 5,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", min=1, help="At most so many steps an episode.")
    ] = None,
    render: Annotated[
        Literal["none", "ansi", "window"],
        typer.Option(help="'ansi' draws every step in the terminal, 'window' in the environment's own window, too."),
    ] = "none",
    video: Annotated[
        Path | None,
        typer.Option("--video", metavar="FILE", dir_okay=False, help="Record what is drawn as .gif or .mp4."),
    ] = None,
    speed: Annotated[
        float, typer.Option("--speed", metavar="N", min=0.1, max=100, help="Steps a second that are drawn.")
    ] = 8.0,
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
    view: options.View = None,
) -> None:
    """Play episodes with a saved agent, as it plans them, and show what they came to.

    Without --seed, layouts that are in the agent's memory are skipped. With --env the same world at another size can
    be played: the rules and the weights carry over. What is lived is remembered in the folder's memory.

    Drawn beside the state are the plan (its coming actions, and its path on the board), the rules that fire, what was
    expected and what came, and the goal's progress. Ctrl-C keeps what was recorded.
    """
    from .worlds import config, load_agent

    recorder = recording(video, speed)
    agent = load_agent(folder, env, view, render == "window", config=config(budget), **options.planner(planner))
    try:
        if render != "none" or recorder is not None:
            result = _drawn(agent, episodes, seed, steps, render != "none", recorder, speed, instruct)
        else:
            with bar("playing", episodes) as advance:
                played: list[EpisodeResult] = []

                def watch(episode: EpisodeResult) -> None:
                    played.append(episode)
                    advance(len(played), None, f"{sum(e.solved for e in played)} solved")

                result = agent.run(episodes, seed=seed, unseen=seed is None, max_steps=steps, watch=watch, explain=True,
                                   instruction=instruct)
        show(result)
        write_json(json, {"env": agent.env.spec.id if agent.env.spec else None, **result.to_dict()})
    finally:
        agent.close()


def show(result: RunResult) -> None:
    """A line an episode, what went otherwise than imagined, why goals were not reached, and the means."""
    from ..agent.setbacks import Setback

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
    for e in result.episodes:
        for setback in e.setbacks[:_SETBACKS]:
            say(printable(f"seed {e.seed}, {Setback(**setback)}"))
        if len(e.setbacks) > _SETBACKS:
            say(f"seed {e.seed}: {len(e.setbacks) - _SETBACKS} more setbacks, see --json")
        if e.obstacle:
            say(printable(f"seed {e.seed}: {e.obstacle}"))
    say(
        f"solved {s['solved']} of {s['episodes']}, mean return {s['mean_return']:.3f}, "
        f"mean steps {s['mean_steps']:.1f}, {s['seconds_per_episode']:.2f} s an episode"
    )


def recording(path: Path | None, speed: float) -> Video | None:
    """What records to this file, checked before anything starts."""
    if path is None:
        return None
    from .video import Video

    return Video(path, speed)


def _drawn(agent: Agent, episodes: int, seed: int | None, steps: int | None, is_shown: bool, video: Video | None,
           speed: float, instruct: str | None) -> RunResult:
    """The same, every step drawn: on standard error, to a video, or both."""
    from .live import Terminal
    from .scene import Watcher

    watcher = Watcher()
    with Terminal(speed) if is_shown else bar("recording", None) as shown:

        def frame(agent: Agent) -> None:
            scene = watcher.look(agent)
            if isinstance(shown, Terminal):
                shown.show(scene)
            if video is not None:
                video.add(scene)
                if not isinstance(shown, Terminal):
                    shown(video.count)

        try:
            return agent.run(episodes, seed=seed, unseen=seed is None, max_steps=steps, frame=frame, explain=True,
                             instruction=instruct)
        finally:
            if video is not None and video.close():
                left_out = f", {video.left_out} more left out" if video.left_out else ""
                note(f"{video.path}: {video.count} moments{left_out}")
