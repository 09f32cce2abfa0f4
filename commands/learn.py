"""`gedanken learn`: interact, train, save; go on another day."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UserError
from . import options
from .output import (
    Interrupted,
    bar,
    held_out_lines,
    out,
    rules_table,
    say,
    training_bar,
    training_line,
    versions,
    write_json,
)

if TYPE_CHECKING:
    from ..agent.agent import Agent
    from ..world.training import Progress


def learn(
    env: Annotated[str, typer.Option("--env", metavar="ID", help="The Gymnasium environment.")],
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Interactions with the environment.")] = 1_000,
    envs: Annotated[
        int, typer.Option("--envs", metavar="N", min=1, help="Copies of the environment, lived in side by side.")
    ] = 1,
    rules: options.Rules = None,
    as_planned: Annotated[
        bool,
        typer.Option(
            "--as-planned",
            help="Act as planned, and train again every few hundred steps (default: act at random, then train once).",
        ),
    ] = False,
    folder: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", file_okay=False, help="Where the agent and its memory are kept.")
    ] = Path("runs/agent"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in the folder.")] = False,
    llm: options.LLM = None,
    seed: options.Seed = 0,
    json: options.Json = None,
    train_steps: options.TrainSteps = None,
) -> None:
    """Interact with an environment, train the world model, and save the agent in a folder.

    Every transition is in the folder's memory as soon as it was lived: Ctrl-C saves the agent, and --resume goes on
    from whatever is there. Rules given with --rules act from the first step: a forbidden action is never taken.
    """
    from ..agent.agent import Agent
    from ..agent.checkpoint import MEMORY, STATE
    from ..world.schema import Schema
    from .telling import asker, told_table
    from .worlds import fresh_memory, make_env, read_rules, shorten

    has_agent, has_memory = (folder / STATE).exists(), (folder / MEMORY).exists()
    if (has_agent or has_memory) and not resume:
        raise UserError(f"{folder} holds a saved agent; go on with it with --resume, or choose another --out")
    world = make_env(env)
    text = read_rules(rules, Schema.from_env(world)) if rules is not None else ""
    folder.mkdir(parents=True, exist_ok=True)
    if has_agent:
        agent = Agent.load(folder, world, **options.llm(llm))
    else:
        agent = Agent(world, **options.llm(llm), memory=folder / MEMORY, seed=seed)
    shorten(agent, train_steps)
    before = len(agent.mind.memory)
    try:
        if before:
            say(f"going on in {folder}, with {before:,} transitions")
        if text:
            told = agent.tell(text, source="manual", ask=asker())
            out.print(told_table(agent, told))
            if refused := [t for t in told if not t.entries]:
                if not (has_agent or has_memory):
                    agent.close()
                    fresh_memory(folder)  # so that the mended text can be told to the same folder
                raise UserError(
                    f"{rules}: {len(refused)} of {len(told)} sentences are not understood; "
                    "write their rule lines indented below them"
                )
        accuracy = (_planned if as_planned else _random)(agent, steps, envs, resume)
        agent.save(folder)
        total = len(agent.mind.memory)
    except KeyboardInterrupt:
        agent.save(folder)
        raise Interrupted(
            f"interrupted; the {len(agent.mind.memory) - before:,} new transitions and the agent are saved in "
            f"{folder}; go on with: gedanken learn --env {env} --out {folder} --resume"
        ) from None
    finally:
        agent.close()
    say("\n".join(held_out_lines(accuracy)))
    if agent.rules:
        out.print(rules_table(agent.rules))
    say(f"{total:,} transitions and the agent are in {folder}")
    write_json(
        json,
        {
            "env": env,
            "seed": agent.seed,
            "folder": str(folder),
            "interactions": total - before,
            "transitions": total,
            "held_out": accuracy,
            "versions": versions(),
        },
    )


def _random(agent: Agent, steps: int, envs: int, resume: bool) -> dict[str, float]:
    with bar("acting at random", steps) as advance:
        agent.learn(steps, envs=envs, train=False, progress=advance, resume=resume)
    with training_bar() as show:
        return agent.train(show)


def _planned(agent: Agent, steps: int, envs: int, resume: bool) -> dict[str, float]:
    with bar("acting as planned", steps) as advance:
        done = 0

        def acted(now: int, total: int) -> None:
            nonlocal done
            done = now
            advance(now, total, "")

        def trained(p: Progress) -> None:
            advance(done, None, f"training {p.step} of {p.steps}  {training_line(p)}")

        return agent.learn(steps, envs=envs, random=False, progress=acted, training=trained, resume=resume)
