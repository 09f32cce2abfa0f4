"""Explaining a rule: in words what it does, where it fired last, what it changes of a prediction, and the transitions
in memory that speak for and against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .checking.verdicts import as_rows, spans_of, verdicts
from .model import WorldModel, begin
from .rules import syntax as s
from .rules.check import warnings
from .rules.evaluate import Rows, truth
from .rules.milestones import is_event
from .rules.syntax import Rule
from .rules.words import to_words, value_words
from .scenes import LEAST, action_text, changes, corrections, row_of, value_text
from .schema import Feature, Schema

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions
    from .rulebook import Entry

__all__ = ["Explanation", "Scene", "explain"]

_CHUNK = 4096
_SAID = 6    # features of the present state, told of a scene


@dataclass(frozen=True)
class Scene:
    """One transition in memory: what was done, what the rule looked at, what came of it."""

    episode: int
    t: int
    action: str
    state: tuple[str, ...]
    came: tuple[str, ...]
    held: bool

    def __str__(self) -> str:
        where = f" with {', '.join(self.state)}" if self.state else ""
        return f"episode {self.episode}, step {self.t}: {self.action}{where}; {', '.join(self.came)}"


@dataclass(frozen=True)
class Explanation:
    """A rule explained. `last` is where it applied last; `changed` what it changes there of what the learned model
    predicts (None: no model, or it never applied); `held` and `failed` the newest transitions for and against it;
    `apart` what was so whenever it failed and never when it held."""

    id: str
    text: str
    words: str
    status: str
    evidence: str
    doubts: tuple[str, ...]
    applied: int
    last: Scene | None
    changed: tuple[str, ...] | None
    held: tuple[Scene, ...]
    failed: tuple[Scene, ...]
    apart: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return asdict(self)


def explain(entry: Entry, schema: Schema, transitions: Transitions, model: WorldModel | None = None, most: int = 3
            ) -> Explanation:
    """Explain a rule by the transitions in memory, up to `most` for and as many against it, the newest first.

    Of `forbid` those are told on which its condition held, of `avoid` and `maintain` those that broke them, of
    `prefer` and `achieve` those that reached what they ask for.
    """
    rule = entry.acting
    applies, holds = np.zeros((2, len(transitions)), bool) if rule is None else _judged(rule, schema, transitions)

    def scenes(where: np.ndarray, most: int) -> tuple[Scene, ...]:
        newest = np.flatnonzero(where)[::-1][:most].tolist()
        return tuple(_scene(entry.rule, schema, transitions, i, bool(holds[i])) for i in newest)

    last = scenes(applies, 1)
    where = int(np.flatnonzero(applies)[-1]) if last else None
    changed = _changed(rule, schema, transitions, where, model) if rule is not None and where is not None else None
    return Explanation(
        entry.id, entry.text, to_words(entry.rule, schema), entry.status, str(entry.evidence),
        tuple(warnings(entry.rule, schema)), int(applies.sum()), last[0] if last else None, changed,
        scenes(applies & holds, most), scenes(applies & ~holds, most),
        tuple(_apart(schema, transitions, applies & holds, applies & ~holds)),
    )


def _judged(rule: Rule, schema: Schema, transitions: Transitions) -> tuple[np.ndarray, np.ndarray]:
    """On which transitions a rule applied, and on which it held, bool `[N]`."""
    spans = spans_of(schema, transitions)
    applies, holds = np.zeros((2, len(transitions)), bool)
    for start in range(0, len(transitions), _CHUNK):
        part = slice(start, start + _CHUNK)
        some = transitions.take(part)
        rows = as_rows(schema, some)
        willed = _willed(rule.statement, rows)
        if willed is None:
            found = verdicts([rule], rows, some, spans)
            willed = found.applies[0], found.holds[0]
        applies[part], holds[part] = (truth.numpy() for truth in willed)
    return applies, holds


def _willed(statement: s.Statement, rows: Rows) -> tuple[Tensor, Tensor] | None:
    """The same for a rule on behaviour; None for others."""
    assert rows.next is not None
    after, every = Rows(rows.schema, rows.next), torch.ones(rows.size, dtype=torch.bool)
    match statement:
        case s.Forbid(action=action, guard=guard):
            return (every if guard is None else truth(guard, rows)), ~truth(action, rows)
        case s.Avoid(condition=condition):
            return truth(condition, after), ~every
        case s.Maintain(condition=condition):
            return ~truth(condition, after), ~every
        case s.Prefer(condition=condition):
            return truth(condition, after), every
        case s.Achieve() as goal:
            last = goal.conditions[-1]
            return truth(last, rows if is_event(last, rows.schema) else after), every
    return None


def _apart(schema: Schema, transitions: Transitions, held: np.ndarray, failed: np.ndarray) -> Iterator[str]:
    """The values of scalar features that every failure had and no success."""
    if not held.any() or not failed.any():
        return
    rows = as_rows(schema, transitions.take(held | failed))
    is_failed = torch.as_tensor(failed[held | failed])
    for feature in schema.named.values():
        if feature.is_discrete and not feature.shape and feature not in schema.actions:
            value = rows.read(feature.name, False)
            first = value[is_failed][0]
            if bool((value[is_failed] == first).all()) and not bool((value[~is_failed] == first).any()):
                yield f"{feature.name.replace('_', ' ')} {_said(feature, first.item())}"


def _scene(rule: Rule, schema: Schema, transitions: Transitions, i: int, held: bool) -> Scene:
    now, after = row_of(transitions.features, i), row_of(transitions.next_features, i)
    came = changes(schema, now, after, LEAST) or ["nothing changed"]
    if transitions.reward[i]:
        came.append(f"reward {float(transitions.reward[i]):+.3g}")
    if transitions.terminated[i]:
        came.append("the episode ended")
    rows = as_rows(schema, transitions.take(slice(i, i + 1)))
    values = {name: rows.read(name, False)[0].item() for name in _looked_at(rule, schema)}
    return Scene(
        int(transitions.episode[i]), int(transitions.t[i]), action_text(schema, transitions.action[i]),
        tuple(f"{name.replace('_', ' ')} {_said(schema.named[name], value)}" for name, value in values.items()),
        tuple(came), held,
    )


def _looked_at(rule: Rule, schema: Schema) -> list[str]:
    """The scalar features of the state that a rule names, in the order it does."""
    acting = {a.name for a in schema.actions}
    named: Iterator[str] = (n.name for n in s.walk(rule.statement) if isinstance(n, s.Name) and n.name not in acting)
    return [name for name in dict.fromkeys(named) if not schema.named[name].shape][:_SAID]


def _said(feature: Feature, value: Any) -> str:
    said = value_text(feature, value)
    if feature.kind == "category":
        return value_words(said, feature.values)
    return f"{said} {feature.unit}".strip()


@torch.no_grad()
def _changed(rule: Rule, schema: Schema, transitions: Transitions, i: int, model: WorldModel | None
             ) -> tuple[str, ...] | None:
    """What the rule changes of what the model predicts for the i-th transition."""
    if model is None:
        return None
    one = as_rows(schema, transitions.take(slice(i, i + 1)))
    assert one.action is not None
    _, predicted = model.step(begin(model, one.now), one.action)
    return tuple(corrections(schema, rule, one.now, one.action, predicted))
