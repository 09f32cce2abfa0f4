"""`gedanken learn`: interact, train, save; go on another day."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from gymnasium import Env

    from ..agent.agent import Agent
    from ..agent.logs import Logs
    from ..world.training import Progress


def learn(
    env: Annotated[str, typer.Option("--env", metavar="ID", help="The Gymnasium environment.")],
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Interactions with the environment.")] = 1_000,
    envs: Annotated[
        int, typer.Option("--envs", metavar="N", min=1, help="Copies of the environment, lived in side by side.")
    ] = 1,
    rules: options.Rules = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="The world model of a new agent: 'auto', 'slots', 'factors', 'ensemble', 'recurrent', 'rssm-1m' (and "
            "200k, 4m, 12m), 'simulator' or 'none' (rules alone); by default what suits the world.",
        ),
    ] = None,
    planner: options.Planner = None,
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
    prompts: options.Prompts = None,
    seed: options.Seed = 0,
    json: options.Json = None,
    train_steps: options.TrainSteps = None,
    view: options.View = None,
    logs: Annotated[
        Path | None,
        typer.Option("--logs", metavar="DIR", file_okay=False, help="Write training curves there, for TensorBoard."),
    ] = None,
) -> None:
    """Interact with an environment, train the world model, and save the agent in a folder.

    Every transition is in the folder's memory as soon as it was lived: Ctrl-C saves the agent, and --resume goes on
    from whatever is there, also after a crash. Several processes learn as one: accelerate launch -m gedanken learn ...
    Rules given with --rules act from the first step: a forbidden action is never taken.
    """
    from ..agent.agent import Agent
    from ..agent.logs import Logs
    from ..world import processes
    from ..world.interrupts import terminable
    from ..world.schema import Schema
    from .worlds import config, make_env, shorten

    world, is_first = make_env(env), processes.state().is_main_process
    if is_first:
        settings: dict[str, Any] = {"schema": Schema.from_env(world, view)} if view else {}
        settings |= options.llm(llm) | options.planner(planner) | {"config": config(prompts=prompts)}
        agent = _begun(world, rules, folder, resume, model, settings, seed)
        agent.save(folder)
    processes.wait()
    if not is_first:
        agent = Agent.load(folder, world, **options.llm(llm), **options.planner(planner))
    shorten(agent, train_steps)
    before = len(agent.mind.memory)
    try:
        with terminable(), Logs(logs) if logs and is_first else nullcontext() as curves:
            accuracy = (_planned if as_planned else _random)(agent, steps, envs, resume, folder, curves)
        total = len(agent.mind.memory)
    except KeyboardInterrupt:
        agent.save(folder)
        raise Interrupted(
            f"interrupted; the {len(agent.mind.memory) - before:,} new transitions and the agent are saved in "
            f"{folder}; go on with: gedanken learn --env {env} --out {folder} --resume"
        ) from None
    finally:
        agent.close()
    if not is_first:
        return
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


def _begun(world: Env, rules: Path | None, folder: Path, resume: bool, model: str | None, settings: dict[str, Any],
           seed: int) -> Agent:
    """The agent to learn with: a new one or what is in the folder, told the rules."""
    from ..agent.agent import Agent
    from ..agent.checkpoint import MEMORY, STATE
    from ..world.schema import Schema
    from .telling import asker, told_table
    from .worlds import fresh_memory, read_rules

    has_agent, has_memory = (folder / STATE).exists(), (folder / MEMORY).exists()
    if (has_agent or has_memory) and not resume:
        raise UserError(f"{folder} holds a saved agent; go on with it with --resume, or choose another --out")
    text = read_rules(rules, Schema.from_env(world)) if rules is not None else ""
    folder.mkdir(parents=True, exist_ok=True)
    if has_agent:
        if model is not None:
            raise UserError(f"{folder} holds an agent whose world model has been chosen; leave out --model, or choose "
                            "another --out")
        agent = Agent.load(folder, world, **settings)
    else:
        agent = Agent(world, model=model or "auto", memory=folder / MEMORY, seed=seed, **settings)
    if before := len(agent.mind.memory):
        say(f"going on in {folder}, with {before:,} transitions")
    if text:
        told = agent.tell(text, source="manual", ask=asker())
        out.print(told_table(agent, told))
        if refused := [t for t in told if not t.entries]:
            agent.close()
            if not (has_agent or has_memory):
                fresh_memory(folder)  # so that the mended text can be told to the same folder
            raise UserError(
                f"{rules}: {len(refused)} of {len(told)} sentences are not understood; "
                "write their rule lines indented below them"
            )
    return agent


def _random(
    agent: Agent, steps: int, envs: int, resume: bool, folder: Path, curves: Logs | None
) -> dict[str, float]:
    with bar("acting at random", steps) as advance:
        agent.learn(steps, envs=envs, train=False, progress=advance, resume=resume)
    with training_bar() as show:
        return agent.train(lambda p: _shown(p, show, curves), save_to=folder)


def _planned(
    agent: Agent, steps: int, envs: int, resume: bool, folder: Path, curves: Logs | None
) -> dict[str, float]:
    with bar("acting as planned", steps) as advance:
        done = 0

        def acted(now: int, total: int) -> None:
            nonlocal done
            done = now
            advance(now, total, "")

        def shown(p: Progress) -> None:
            advance(done, None, f"training {p.step} of {p.steps}  {training_line(p)}")

        return agent.learn(steps, envs=envs, random=False, progress=acted, resume=resume, save_to=folder,
                           training=lambda p: _shown(p, shown, curves))


def _shown(p: Progress, show: Callable[[Progress], None], curves: Logs | None) -> None:
    show(p)
    if curves:
        curves(p)
