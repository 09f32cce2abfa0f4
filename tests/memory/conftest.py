"""A small world for memory's tests: one integer grid, one real number, one action."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gedanken.memory import Column, Layout, LongTerm, Step

LAYOUT = Layout((Column("grid", "int16", (2, 3)), Column("speed", "float32")), Column("action", "int64"))


def state(episode: int, t: int) -> dict[str, Any]:
    """A state that says which episode and time it belongs to."""
    return {"grid": np.full((2, 3), episode, np.int16), "speed": np.float32(t)}


def life(episode: int, length: int, terminated: bool = True) -> list[Step]:
    """The steps of one episode; the reward of step t is t."""
    return [
        Step(state(episode, t), t % 4, float(t), terminated and t == length - 1, False, state(episode, t + 1))
        for t in range(length)
    ]


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(tmp_path: Path, clock: Clock) -> Iterator[LongTerm]:
    with LongTerm(tmp_path / "memory.sqlite", LAYOUT, clock=clock) as opened:
        yield opened


@pytest.fixture
def live() -> Callable[..., int]:
    """Record one whole episode and return its id."""

    def record(memory: LongTerm, length: int, group: str = "", source: str = "agent") -> int:
        episode = memory.begin(group=group, source=source)
        memory.append_many(episode, life(episode, length))
        memory.end(episode)
        return episode

    return record
