"""Surprises in words: what happened now and then, under which action, and what was different before when it did.

The transitions are put into groups by what they show: one change of one feature, a reward, an end, or that nothing
happens where something usually does. Each group becomes a few sentences that a language model, trained or prompted,
reads to propose a rule. Names are the schema's; everything else is counted. N transitions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from .checking.verdicts import as_rows
from .contrasts import Column, common, contrasted, said
from .events import SUPPORT, Event, called, events, scalars
from .rules.evaluate import Rows
from .schema import Schema

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions

WORDS = 70
"""A group's text is cut down to about so many words: the trained proposer reads 128 word pieces."""
_ALIKE = 0.7    # the share of rows that two events must have in common to be one: the rest may be noise
_JOINT = 3    # events that one group may show
_ACTIONS = 64    # joint actions that are told apart


@dataclass(frozen=True)
class Surprise:
    """Transitions that show the same: their indices `[K]`, and how surprising they are together, in nats.

    `subjects` are what happened in short: names of features, "reward", "end", "same"; `event` is what happened under
    which actions, in words, without the circumstances.
    """

    rows: np.ndarray
    weight: float
    subjects: tuple[str, ...]
    event: str
    _tell: Callable[[], str]

    @cached_property
    def text(self) -> str:
        """The surprise in words."""
        return self._tell()


@dataclass(frozen=True)
class _Group:
    events: tuple[Event, ...]
    scope: np.ndarray
    actions: str
    weight: float

    @property
    def rows(self) -> np.ndarray:
        return self.events[0].rows & self.scope


def surprises(schema: Schema, transitions: Transitions, surprise: np.ndarray | None = None, most: int = 12
              ) -> list[Surprise]:
    """The groups that matter most, by `surprise [N]` (nats), or else by how rare they are."""
    if not len(transitions):
        return []
    rows = as_rows(schema, transitions)
    acting = {a.name for a in schema.actions}
    columns = [Column(f, rows.read(f.name, False).double().numpy(), said(f)) for f in scalars(schema)]
    keys, names = _actions(schema, rows)
    columns += [Column(a, rows.column(k).double().numpy() + a.offset, said(a)) for k, a in enumerate(schema.actions)
                if not (a.is_discrete and names)]
    groups: list[_Group] = []
    for event in events(schema, rows, columns, transitions):
        groups += _scoped(event, keys, names, surprise)
    found: list[_Group] = []
    for group in sorted(groups, key=lambda g: (-g.weight, g.events[0].words)):
        twin = next((i for i, g in enumerate(found) if g.actions == group.actions and _same(g.rows, group.rows)), None)
        if twin is None:
            found.append(group)
        elif len(found[twin].events) < _JOINT and not _subjects(group) <= _subjects(found[twin]):
            found[twin] = replace(found[twin], events=(*found[twin].events, *group.events))
    after = [replace(c, values=rows.read(c.feature.name, True).double().numpy(), name=f"new {c.name}")
             for c in columns if c.feature.name not in acting]
    return [Surprise(g.rows.nonzero()[0], g.weight, tuple(e.subject for e in g.events), _event(g),
                     partial(_text, g, columns, after)) for g in found[:most]]


def _subjects(group: _Group) -> set[str]:
    return {e.subject for e in group.events}


def _actions(schema: Schema, rows: Rows) -> tuple[np.ndarray, list[str]]:
    """Which joint discrete action was done `[N]`, and each in words; none where all are continuous."""
    acting = [(k, a) for k, a in enumerate(schema.actions) if a.is_discrete]
    if not acting:
        return np.zeros(rows.size, np.int64), []
    done = np.stack([rows.column(k).numpy().astype(np.int64) + a.offset for k, a in acting], 1)
    distinct, keys = np.unique(done, axis=0, return_inverse=True)
    if len(distinct) > _ACTIONS:
        return np.zeros(rows.size, np.int64), []
    return keys.reshape(-1), [" and ".join(f"{said(a)} is {called(a, code)}"
                              for (_, a), code in zip(acting, codes, strict=True)) for codes in distinct.tolist()]


# --- under what -------------------------------------------------------------------------------------------------------


def _scoped(event: Event, keys: np.ndarray, names: Sequence[str], surprise: np.ndarray | None) -> Iterator[_Group]:
    """The event under the actions that bring it about, one group; where it is the rule, its absence is another's."""
    n = max(len(names), 1)
    done = np.bincount(keys, minlength=n)
    rate = np.bincount(keys, event.rows, minlength=n) / np.maximum(done, 1)
    clear = rate >= max(0.3 * rate.max(), 1e-9)
    alike = [k for k in range(n) if done[k] and clear[k]]
    scope = np.isin(keys, alike)
    hits = int((event.rows & scope).sum())
    if event.is_idle:    # worth saying only where something usually happens
        alike = [k for k in range(n) if 0.02 < rate[k] < 0.8]
        for k in alike:
            scope = keys == k
            if (event.rows & scope).sum() >= SUPPORT:
                yield _Group((event,), scope, names[k] if names else "", _weight(event.rows & scope, surprise) / 2)
        return
    if hits < SUPPORT:
        return
    everything = len(alike) == int((done > 0).sum())
    words = "" if everything or not names else " or ".join(names[k] for k in alike[:4])
    yield _Group((event,), scope, words, _weight(event.rows & scope, surprise))


def _weight(rows: np.ndarray, surprise: np.ndarray | None) -> float:
    if surprise is not None:
        return float(np.nan_to_num(surprise)[rows].clip(0).sum())
    return float(-rows.sum() * np.log(min(rows.mean(), 0.99)))


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a & b).sum() >= _ALIKE * (a | b).sum())


def _event(group: _Group) -> str:
    """`when action is pickup: carrying becomes key`"""
    start = f"when {group.actions}: " if group.actions else ""
    return start + " and ".join(e.words for e in group.events)


def _text(group: _Group, columns: Sequence[Column], after: Sequence[Column]) -> str:
    """`when action is pickup: carrying becomes key, if front is key (else empty or wall), but not if alarm is true.`"""
    no = group.scope & ~group.rows & ~group.events[0].unclear
    seen = [*columns, *after] if _subjects(group) & {"reward", "end"} else columns
    conditions, exception, share = contrasted(seen, group.rows, no)
    body = _event(group)
    if conditions:
        body += " if " + " and ".join(conditions)
    if exception:
        body += ", but not if " + " and ".join(exception)
    if share < 0.93:
        body += f", {round(100 * share)}% of the time"
    told = " ".join(conditions)
    shared = [text for text in common(columns, group.rows) if text.rsplit(" is ", 1)[0] not in told]
    shared = [text for c, text in ((len(text.split()), text) for text in shared) if c <= 6][:3]
    room = WORDS - len(body.split())
    while shared and sum(len(text.split()) for text in shared) > room:
        shared.pop()
    words = body.split()
    body = " ".join(words[:WORDS]) if len(words) > WORDS else body
    return f"{body}." + (f" Always then: {', '.join(shared)}." if shared else "")
