"""`gedanken demo`: learn a little, be told the rest, and see what each is worth on layouts never seen before."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from . import options
from .output import (
    Interrupted,
    bar,
    err,
    held_out_lines,
    note,
    out,
    rule_record,
    say,
    table,
    training_bar,
    versions,
    write_json,
)

if TYPE_CHECKING:
    from ..agent.agent import Agent
    from ..agent.recording import Recording
    from ..agent.results import EpisodeResult, RunResult

ARMS = {"learned": "learned only", "rules": "rules only", "hybrid": "hybrid (both)"}


def demo(
    env: Annotated[
        str, typer.Option("--env", metavar="ID", help="The Gymnasium environment.")
    ] = "MiniGrid-DoorKey-6x6-v0",
    episodes: Annotated[int, typer.Option(metavar="N", min=1, help="Unseen layouts that each arm plays.")] = 20,
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Random interactions to learn from.")] = 1_000,
    rules: options.Rules = None,
    llm: options.LLM = None,
    prompts: options.Prompts = None,
    seed: options.Seed = 0,
    folder: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", file_okay=False, help="Where the report, the picture and the agent go."
        ),
    ] = Path("runs/demo"),
    json: options.Json = None,
    train_steps: options.TrainSteps = None,
    budget: options.Budget = 40_000,
) -> None:
    """Learn a world from random interactions, tell it a manual, and compare: learned, told, and both.

    An agent acts at random, trains a latent world model on what it saw, and is told a manual in plain sentences. It
    then plays layouts it has never seen, three times over: with what it learned alone, with the rules alone, and with
    both. DoorKey comes with its manual; for another environment give one with --rules.

    Writes report.json, filmstrip.png (one episode, imagined above observed) and the agent, which `gedanken imagine`
    and `gedanken act` take up.
    """
    from ..agent.agent import Agent
    from ..world.schema import Schema
    from .telling import asker, manual, told_table
    from .worlds import config, fresh_memory, make_env, shorten

    world = make_env(env)
    text = manual(env, rules, Schema.from_env(world))
    home = folder / "agent"
    agent = Agent(world, **options.llm(llm), memory=fresh_memory(home), config=config(budget, prompts), seed=seed)
    agent.journal.move_to(home)
    shorten(agent, train_steps)
    try:
        _heading(1, f"{steps:,} random interactions with {env}")
        with bar("interacting", steps) as advance:
            agent.learn(steps, train=False, progress=advance)
        layouts = len({e.group for e in agent.mind.memory.episodes()})
        say(f"{len(agent.mind.memory):,} transitions in {layouts} layouts")

        _heading(2, "the world model, trained on them")
        with training_bar() as show:
            accuracy = agent.train(show)
        say("\n".join(held_out_lines(accuracy)))

        _heading(3, "what it is told")
        told = agent.tell(text, source="manual", ask=asker()) if text else []
        if told:
            agent.check(effects=False)
            out.print(told_table(agent, told, "the manual as understood, checked on those interactions"))
        else:
            say("no rules are told: give a manual of this world with --rules FILE")

        _heading(4, f"{episodes} unseen layouts, three times over")
        results, recording = compare(agent, episodes)
        out.print(arms_table(results))
        agent.journal.add("compared", arms={ARMS[arm]: result.to_dict() for arm, result in results.items()})
        report = {
            "env": env,
            "seed": seed,
            "interactions": steps,
            "sentences": [t.sentence for t in told],
            "rules": [{k: v for k, v in rule_record(e).items() if k != "id"} for e in agent.rules],
            "arms": {arm: result.summary() for arm, result in results.items()},
            "versions": versions(),
        }
        agent.save(home)
        write_json(folder / "report.json", report)
        write_json(json, report)
        has_picture = _picture(agent, recording, folder / "filmstrip.png", env)
    except KeyboardInterrupt:
        agent.save(home)
        raise Interrupted(
            f"interrupted; the {len(agent.mind.memory):,} transitions so far and the agent are saved in "
            f"{home}; go on with: gedanken learn --env {env} --out {home} --resume"
        ) from None
    finally:
        agent.close()
    say()
    say(f"report    {folder / 'report.json'}")
    if has_picture:
        say(f"picture   {folder / 'filmstrip.png'}")
    say(f"agent     {home}  (try: gedanken imagine {home})")
    say(f"to see    gedanken report {folder} --out {folder / 'report.html'}")


def compare(agent: Agent, episodes: int) -> tuple[dict[str, RunResult], Recording]:
    """Play the same unseen layouts with each arm in turn, a live table on standard error while it runs; also a
    recording of one hybrid episode, solved if any was."""
    from ..agent.recording import Recording
    from ..agent.results import RunResult

    arms = {"learned": agent.variant(rules=False), "rules": agent.variant(model=False), "hybrid": agent}
    seeds = unseen_seeds(agent, episodes)
    played: dict[str, list[EpisodeResult]] = {arm: [] for arm in arms}
    best, best_is_solved = Recording(), False
    try:
        with Live(_live(played, len(seeds)), console=err, transient=True, refresh_per_second=4) as live:
            for seed, (arm, player) in itertools.product(seeds, arms.items()):
                recording = Recording()

                def frame(agent: Agent, arm: str = arm, recording: Recording = recording) -> None:
                    recording.frame(agent)
                    live.update(_live(played, len(seeds), f"{ARMS[arm]}: step {len(recording.frames)}"))

                [episode] = player.run(1, seeds=[seed], frame=frame).episodes
                played[arm].append(episode)
                if arm == "hybrid" and (not best.frames or (episode.solved and not best_is_solved)):
                    best, best_is_solved = recording, episode.solved
    finally:
        for player in arms.values():
            if player is not agent:
                player.close()
    return {arm: RunResult(tuple(episodes)) for arm, episodes in played.items()}, best


def unseen_seeds(agent: Agent, episodes: int) -> list[int]:
    """Seeds of layouts that are not in memory; where the world has too few, seen ones, and it is said."""
    from ..agent.learn import known_layouts, layout_of

    known, fresh, seen = known_layouts(agent.mind.memory), list[int](), list[int]()
    first = agent.seed + 1_000_000
    for seed in range(first, first + 20 * episodes):
        observation, _ = agent.env.reset(seed=seed)
        layout = layout_of(agent.schema.observe(observation, agent.env), agent.schema)
        (seen if layout in known else fresh).append(seed)
        if len(fresh) == episodes:
            return fresh
    note(f"only {len(fresh)} of the {len(fresh) + len(seen)} layouts tried are unseen; the rest is played on seen ones")
    return (fresh + seen)[:episodes]


def arms_table(results: dict[str, RunResult]) -> Table:
    """The final comparison, an arm a line."""
    numbers = ("solved", "return", "steps", "imagined/decision", "s/episode")
    shown = table("means over the same layouts", "arm", *numbers, right=numbers, narrow=("arm",))
    for arm, result in results.items():
        s = result.summary()
        shown.add_row(
            Text(ARMS[arm], style="bold" if arm == "hybrid" else ""),
            f"{s['solved']} of {s['episodes']}",
            f"{s['mean_return']:.3f}",
            f"{s['mean_steps']:.1f}",
            f"{s['imagined_steps_per_decision']:,.0f}",
            f"{s['seconds_per_episode']:.2f}",
        )
    return shown


def _live(played: dict[str, list[EpisodeResult]], episodes: int, now: str = "") -> Table:
    """The comparison while it runs: a mark an episode, solved or not, the newest at the right."""
    shown = table(
        f"playing {episodes} layouts",
        "arm",
        "episodes",
        "solved",
        "steps",
        "s/episode",
        right=("solved", "steps", "s/episode"),
        narrow=("arm", "episodes"),
    )
    for arm, results in played.items():
        marks = Text()
        for e in results[-24:]:
            marks.append("●" if e.solved else "○", "green" if e.solved else "red")
        marks.append("·" * max(0, min(24, episodes) - len(results)), "dim")
        n = max(1, len(results))
        shown.add_row(
            ARMS[arm],
            marks,
            f"{sum(e.solved for e in results)} of {len(results)}",
            f"{sum(e.steps for e in results) / n:.1f}",
            f"{sum(e.seconds for e in results) / n:.2f}",
        )
    shown.caption, shown.caption_justify = now or None, "left"
    return shown


def _picture(agent: Agent, recording: Recording, path: Path, env: str) -> bool:
    try:
        from .filmstrip import draw

        return draw(agent.schema, recording.frames, path, f"{env}: one hybrid episode")
    except ImportError as error:
        note(f'no picture: matplotlib is missing ({error}); to have it: python -m pip install "gedanken[plots]"')
        return False


def _heading(number: int, text: str) -> None:
    out.print(Text.assemble("\n", (f"{number}  {text}", "bold cyan")))
