"""Instruction tasks: demonstrated episodes become a goal, what held at the end of all of them and not before.

goals = instruct(agent, [3, 5, "shown.jsonl"], ask)    # episodes of memory, a file; `ask` shows the readings

Readings are ranked by `conditions`; what the end alone would lose comes as milestones before it. A person confirms
before the agent is told, and the rule says that it was demonstrated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UserError
from ...memory.experience.record import Transitions
from ...world.knowledge import Told
from ...world.rules.parse import parse
from ...world.rules.syntax import Rule
from ...world.rules.text import to_text
from ...world.rules.words import to_words
from ...world.schema import Schema
from .conditions import Condition, Evidence
from .demonstrations import Shown, demonstrations
from .milestones import is_free, milestones

if TYPE_CHECKING:
    from ..agent import Agent

Confirm = Callable[[str, Sequence[str]], int | None]
"""Asked "what is the goal?" with the readings; the index of the right one, or None."""
RECENT = 5_000
"""Transitions of memory that say what is rare."""


@dataclass(frozen=True)
class Reading:
    """What may be wanted: an `achieve` rule, and the same in plain words."""

    rule: Rule
    words: str

    @property
    def text(self) -> str:
        return to_text(self.rule)

    def __str__(self) -> str:
        return f"{self.text}    # {self.words}"


@dataclass(frozen=True)
class Goals:
    """What may be wanted, the likeliest first."""

    readings: tuple[Reading, ...]
    demonstrations: int


def goals_of(episodes: Sequence[Transitions], schema: Schema, most: int = 5, memory: Transitions | None = None
             ) -> Goals:
    """The conditions that hold in the last state of every episode and in no earlier one, and milestones on the way;
    `memory` says what is rare elsewhere.

    Raises `UserError` for an empty episode, or where nothing tells the ends from what was before.
    """
    if not episodes or any(not len(e) for e in episodes):
        raise UserError("a goal is read from one or more demonstrations of at least one step each")
    evidence = Evidence.of(episodes, schema, memory)
    ends = evidence.ends()
    if not ends:
        raise UserError(f"nothing holds at the end of all demonstrations and never before; {_difference(evidence)}")
    on_the_way = milestones(evidence)
    lost = [m for m in on_the_way if is_free(evidence, m, ends[0])]
    plain = [[end] for end in ends]
    if lost:
        chains = [[*lost, ends[0]], *plain]
    elif on_the_way:
        chains = [*plain[: most - 1], [*on_the_way, ends[0]]]
    else:
        chains = plain
    return Goals(tuple(_reading(chain, schema) for chain in chains[:most]), len(episodes))


def instruct(agent: Agent, shown: Sequence[Shown], ask: Confirm | None = None, confirm: bool = False) -> list[Told]:
    """Tell the agent the goal that is demonstrated: the reading that `ask` chooses, or the first with `confirm=True`.
    Raises `UserError` where neither confirms it: nothing is told then."""
    memory = agent.mind.memory.transitions(last=RECENT)
    goals = goals_of(demonstrations(agent, shown), agent.schema, memory=memory)
    readings = [str(r) for r in goals.readings]
    chosen = 0 if confirm else ask("what is the goal?", readings) if ask else None
    if chosen is None or not 0 <= chosen < len(readings):
        raise UserError(f"no goal was confirmed of: {'; '.join(r.text for r in goals.readings)}; choose one through "
                        "`ask`, or pass confirm=True")
    return agent.tell(goals.readings[chosen].text, source="demonstration")


def _reading(chain: Sequence[Condition], schema: Schema) -> Reading:
    rule = parse("achieve " + " then ".join(c.text for c in chain), schema)
    return Reading(rule, to_words(rule, schema))


def _difference(evidence: Evidence) -> str:
    """What is not the same at all ends, with its values."""
    differing = []
    for t in evidence.terms.states:
        ends = np.unique(t.next[evidence.last])
        if len(ends) > 1:
            values = ", ".join(str(bool(e)) if t.kind == "boolean" else t.value(e) for e in ends[:4].tolist())
            differing.append(f"{t.text} ({values})")
    if differing:
        return f"the ends differ in {', '.join(differing)}; show ends that have something in common"
    return "what holds at the ends held before as well; break each off when the goal is first reached"
