"""Demonstrations: episodes that someone showed, out of memory, as transitions, or from a JSONL file.

A line of the file is a state and the action taken in it, by names; the last of an episode is the end, without action:

    {"episode": 1, "state": {"hand": "empty", "door": "locked"}, "action": "take"}
    {"episode": 1, "state": {"hand": "key", "door": "locked"}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError, nearest
from ...memory.experience.record import Transitions
from ...world.schema import Feature, Schema

if TYPE_CHECKING:
    from ..agent import Agent

Shown = Transitions | int | str | Path
"""One demonstration, the id of an episode in memory, or a file of demonstrations."""
MAX_BYTES = 100_000_000


def demonstrations(agent: Agent, shown: Sequence[Shown]) -> list[Transitions]:
    """What was shown, one episode each. Raises `UserError` for an unknown or empty episode, and for every mistake in a
    file by its line."""
    episodes: list[Transitions] = []
    for item in shown:
        if isinstance(item, Transitions):
            episodes.append(item)
        elif isinstance(item, str | Path):
            episodes += read(Path(item), agent.schema)
        else:
            episodes.append(_recorded(agent, item))
    return episodes


def read(path: Path, schema: Schema) -> list[Transitions]:
    """The episodes of a JSONL file, in its order. Raises `UserError` with every mistake and its line."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is larger than {MAX_BYTES // 1_000_000} MB; split it")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    steps, mistakes = [], []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                steps.append(_step(line, schema))
            except (ValueError, RecursionError) as error:
                mistakes.append(f"line {number}: {error}")
    if mistakes:
        raise UserError(f"{path}: " + "; ".join(mistakes))
    episodes: list[Transitions] = []
    for name, group in groupby(steps, key=lambda step: step[0]):
        rows = list(group)
        if len(rows) < 2 or any(action is None for _, _, action in rows[:-1]) or rows[-1][2] is not None:
            mistakes.append(f"episode {name!r} needs an action in every line but its last, and at least two lines")
        else:
            episodes.append(_episode(rows, schema, len(episodes)))
    if mistakes or not episodes:
        raise UserError(f"{path}: " + ("; ".join(mistakes) or "holds no demonstration"))
    return episodes


def _recorded(agent: Agent, episode: int) -> Transitions:
    """An episode of the agent's memory."""
    known = {e.id: e.length for e in agent.mind.memory.episodes()}
    if episode not in known:
        there = f"there are {min(known)} to {max(known)}" if known else "it holds none"
        raise UserError(f"there is no episode {episode} in the agent's memory; {there}")
    if not known[episode]:
        raise UserError(f"episode {episode} has no steps; choose another")
    return agent.mind.memory.transitions(episodes=[episode])


_Step = tuple[Any, dict[str, Any], "list[float] | None"]


def _step(line: str, schema: Schema) -> _Step:
    """Episode, state and action of a line, as codes. Raises `ValueError` that says what is wrong."""
    given = json.loads(line)
    if not isinstance(given, dict) or not isinstance(given.get("state"), dict) or "episode" not in given:
        raise ValueError('a line is {"episode": ..., "state": {...}, "action": ...}')
    wrong, state = [], given["state"]
    if unknown := sorted(set(given) - {"episode", "state", "action"}):
        wrong.append(f"unknown field {', '.join(unknown)}")
    wrong += [f"unknown feature '{n}'{nearest(n, schema.base)}" for n in state if n not in schema.base]
    if missing := [n for n in schema.base if n not in state]:
        wrong.append(f"missing {', '.join(missing)}")
    codes = dict(_coded({n: f for n, f in schema.base.items() if n in state}, state, wrong))
    action = given.get("action")
    if action is not None:
        named = action if isinstance(action, dict) else {schema.actions[0].name: action}
        features = {a.name: a for a in schema.actions}
        if set(named) != set(features):
            wrong.append(f"the action needs {', '.join(features)}")
        else:
            found = dict(_coded(features, named, wrong))
            action = [float(found[n]) - features[n].offset for n in features] if not wrong else None
    if wrong:
        raise ValueError(", ".join(wrong))
    return given["episode"], codes, action


def _coded(features: dict[str, Feature], values: dict[str, Any], wrong: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Values by names as arrays of codes; what does not fit goes to `wrong`."""
    for name, f in features.items():
        try:
            given = np.asarray(values[name])
            if f.kind == "category":
                given = np.vectorize(lambda v, f=f: f.values.index(v), otypes=[np.int16])(given)
            elif given.dtype.kind not in ("b" if f.kind == "boolean" else "iuf"):
                raise ValueError
            cast = given.astype(f.numpy_dtype)
            if given.shape != f.shape or ((cast != given).any() and f.is_discrete) or not np.isfinite(cast).all():
                raise ValueError
            if f.kind in ("integer", "real") and ((cast < f.low) | (cast > f.high)).any():
                raise ValueError
            yield name, cast
        except (ValueError, TypeError, OverflowError):
            shown = repr(values[name])
            wrong.append(f"'{f.describe().split(' - ')[0]}' cannot be {shown if len(shown) < 60 else 'this array'}")


def _episode(rows: Sequence[_Step], schema: Schema, number: int) -> Transitions:
    states = {n: np.stack([codes[n] for _, codes, _ in rows]) for n in schema.base}
    n = len(rows) - 1
    action = np.array([a for _, _, a in rows[:-1]], np.int64 if schema.discrete_actions else np.float32)
    none = np.zeros(n, bool)
    return Transitions({k: v[:-1] for k, v in states.items()}, action, np.zeros(n, np.float32), none, none,
                       {k: v[1:] for k, v in states.items()}, np.full(n, number, np.int64), np.arange(n))
