"""Instruction tasks: demonstrated episodes become a goal, what held at the end of all of them and not before.

The shortest condition is preferred (description length); others that the demonstrations do not tell apart are kept as
alternatives, and a person confirms before the agent is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UserError
from ...memory.record import Transitions
from ...world.knowledge import Told
from ...world.schema import Schema
from . import examples as ex
from .table import Table, literals_of

if TYPE_CHECKING:
    from ..agent import Agent

Confirm = Callable[[str, Sequence[str]], int | None]
"""Asked "what is the goal?" with the readings; the index of the right one, or None."""


@dataclass(frozen=True)
class Goals:
    """What may be wanted, as `achieve` lines: the shortest first."""

    readings: tuple[str, ...]
    demonstrations: int


def goals_of(episodes: Sequence[Transitions], schema: Schema, most: int = 5) -> Goals:
    """The conditions that hold in the last state of every episode and in no earlier one: a single literal, or two.

    Raises `UserError` for an empty episode, or where nothing tells the ends from what was before.
    """
    if not episodes or any(not len(e) for e in episodes):
        raise UserError("a goal is read from one or more demonstrations of at least one step each")
    states, ends = [], []
    for episode in episodes:
        shown = ex.of(episode, schema)
        last = episode.take(slice(-1, None))
        last = replace(last, features=last.next_features)
        states += [*shown, *ex.of(last, schema)]
        ends += [False] * len(shown) + [True]
    end = np.array(ends)
    table = Table(schema, states)
    useful = [x for x in literals_of(table) if x.holds[end].all()]
    found: list[tuple[float, str]] = []
    for size in (1, 2):
        for guard in combinations(useful, size):
            if not np.all([x.holds for x in guard], 0)[~end].any():
                found.append((sum(x.cost for x in guard), " and ".join(x.text for x in guard)))
        if found:
            break
    if not found:
        raise UserError("nothing holds at the end of all demonstrations and never before; show shorter or fewer ones")
    return Goals(tuple(f"achieve {text}" for _, text in sorted(found, key=lambda x: x[0])[:most]), len(episodes))


def instruct(agent: Agent, episodes: Sequence[Transitions], ask: Confirm | None = None, confirm: bool = False
             ) -> list[Told]:
    """Tell the agent the goal that the episodes demonstrate: the reading that `ask` chooses, or the first with
    `confirm=True`. Raises `UserError` where neither confirms it: nothing is told then."""
    goals = goals_of(episodes, agent.schema)
    chosen = 0 if confirm else ask("what is the goal?", goals.readings) if ask else None
    if chosen is None or not 0 <= chosen < len(goals.readings):
        shown = "; ".join(goals.readings)
        raise UserError(f"no goal was confirmed of: {shown}; choose one through `ask`, or pass confirm=True")
    return agent.tell(goals.readings[chosen])
