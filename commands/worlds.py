"""Environments and saved agents by name, with messages that help where a name is wrong."""

from __future__ import annotations

import difflib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import GedankenError, UserError

if TYPE_CHECKING:
    import gymnasium

    from ..agent.agent import Agent
    from ..agent.config import AgentConfig
    from ..world.schema import Schema

_MINIGRID = ("minigrid-", "babyai-")


def make_env(id: str, **options: Any) -> gymnasium.Env:
    """Make a registered environment. Raises `UserError` that names the nearest id, or what to install."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # a greeting on standard output is no result
    import gymnasium
    from gymnasium import error as errors

    if id.lower().startswith(_MINIGRID):
        try:
            import minigrid  # noqa: F401 - registers its environments
        except ImportError as error:
            raise UserError(
                f"'{id}' needs minigrid, which is not installed; run: python -m pip install \"gedanken[minigrid]\""
            ) from error
    try:
        return gymnasium.make(id, **options)
    except errors.DependencyNotInstalled as error:
        raise UserError(f"'{id}' needs a package that is not installed: {error}") from error
    except ModuleNotFoundError as error:
        raise UserError(f"'{id}' needs a module that is not installed: {error}") from error
    except errors.UnregisteredEnv as error:
        way_out = _nearest(id, gymnasium.registry) or "; it must be registered with Gymnasium"
        raise UserError(f"unknown environment '{id}'{way_out}") from error
    except errors.Error as error:
        raise UserError(f"environment '{id}' cannot be made: {error}") from error


def schema_named(name: str) -> Schema:
    """The schema in a JSON file, or of the environment with this id. Raises `UserError` where there is neither."""
    from ..world.schema import Schema
    from ..world.schema_file import read_schema

    if name.endswith(".json") or Path(name).is_file():
        return read_schema(name)
    env = make_env(name)
    try:
        return Schema.from_env(env)
    finally:
        env.close()


def _nearest(id: str, known: Any) -> str:
    """ "; did you mean 'CartPole-v1'?", the newest version where only that is wrong, whatever the case."""
    lowered = {k.lower(): k for k in known}
    close = difflib.get_close_matches(id.lower(), lowered, n=1, cutoff=0.5)
    return f"; did you mean '{lowered[close[0]]}'?" if close else ""


def load_agent(
    folder: Path, env_id: str | None, view: str | None = None, window: bool = False, **options: Any
) -> Agent:
    """The agent saved in `folder`, for the environment and the view it was saved with unless others are named; in a
    `window` of the environment's own, if it opens one. Raises `UserError` where it does not."""
    from ..agent.agent import Agent
    from ..agent.checkpoint import saved_env
    from ..world.schema import Schema

    id = saved_env(folder)
    if env_id is None and id is None:
        raise UserError(f"{folder} was saved with an environment that has no id; name one with --env")
    env = make_env(env_id or str(id))
    if window:
        modes = list(env.metadata.get("render_modes", ()))
        if "human" not in modes:
            raise UserError(f"{env_id or id} opens no window (it renders {', '.join(map(str, modes)) or 'nothing'}); "
                            "draw it in the terminal with --render ansi")
        env.close()
        env = make_env(env_id or str(id), render_mode="human")
    return Agent.load(folder, env, schema=Schema.from_env(env, view) if view else None, **options)


def config(budget: int | None = None, prompts: Path | None = None) -> AgentConfig:
    """The settings of an agent whose plans may cost so many imagined transitions, and that asks language models with
    the prompts of this folder."""
    from ..agent.config import AgentConfig

    usual = AgentConfig()
    plans = usual.budget if budget is None else replace(usual.budget, transitions=budget)
    return replace(usual, budget=plans, calls=replace(usual.calls, prompts=prompts))


def shorten(agent: Agent, steps: int | None) -> None:
    """Limit every later training of the agent to `steps` steps."""
    if steps is not None and agent.trainer is not None:
        config = agent.trainer.config
        agent.trainer.config = replace(
            config, steps=steps, min_steps=min(steps, config.min_steps), check_every=min(steps, config.check_every)
        )


def read_text(path: Path) -> str:
    """A user's text file. Raises `UserError` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from error


def read_rules(path: Path, schema: Schema) -> str:
    """A user's rules or manual. Raises `UserError` with every mistake in its rule lines, before anything starts."""
    from ..world.telling import units

    text = read_text(path)
    units(text, schema, str(path))
    return text


def fresh_memory(folder: Path) -> Path:
    """The memory file for an agent that begins anew in `folder`, whatever was saved there before taken away."""
    from ..agent.checkpoint import CALLS, MEMORY, STATE
    from ..agent.journal import EPISODES, EVENTS

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (STATE, MEMORY, f"{MEMORY}-wal", f"{MEMORY}-shm", "rules.txt", "rules.json", CALLS, EVENTS):
            (folder / name).unlink(missing_ok=True)
        for film in (folder / EPISODES).glob("*.safetensors"):
            film.unlink()
    except OSError as error:
        raise GedankenError(f"cannot write to {folder}: {error.strerror or error}; choose another --out") from error
    return folder / MEMORY
