"""The learned causal graph beside the rules: what the model found to depend on what, and who else speaks of it.

A mechanism and a rule stand together where they write the same features of the schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import UserError
from .model import WorldModel
from .models.mechanisms import Causal, Mechanism
from .rulebook import Entry
from .rules import syntax as s
from .rules.syntax import Rule
from .schema import Pointed, Schema


@dataclass(frozen=True)
class Dependence:
    """Under any of `actions` (none: whatever is done), `effect` depends on `causes`."""

    effect: str
    causes: tuple[str, ...]
    actions: tuple[str, ...]

    def __str__(self) -> str:
        under = f"  if {' or '.join(self.actions)}" if self.actions else ""
        return f"{self.effect} <- {', '.join(self.causes)}{under}"


@dataclass(frozen=True)
class Subject:
    """What was learned and told of some features that are written together (`reward` and `end` count as such): how
    they depend on others, and the ids and texts of the rules that write them. Without either they stay as they are."""

    features: tuple[str, ...]
    learned: tuple[Dependence, ...]
    told: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return asdict(self)


def graph_of(model: WorldModel) -> tuple[Mechanism, ...]:
    """The causal graph a model learned. Raises `UserError` for a model that has none."""
    if not isinstance(model, Causal):
        raise UserError(f"the world model of this agent ({type(model).__name__}) reads everything and has no causal "
                        "graph; one with model='factors' (vectors) or model='slots' (grids) does")
    return model.reads()


def causes(graph: Iterable[Mechanism], schema: Schema, entries: Sequence[Entry] = ()) -> tuple[Subject, ...]:
    """The graph by the features it writes, each with the rules of `entries` that write them."""
    subjects: dict[tuple[str, ...], dict[tuple[str, tuple[str, ...]], list[str]]] = {}
    for m in graph:
        found = subjects.setdefault(m.features or (m.effect,), {})
        if m.causes:
            found.setdefault((m.effect, m.causes), []).append(m.action)
    writing = [(e, writes(e.rule, schema)) for e in entries]
    return tuple(
        Subject(features,
                tuple(Dependence(effect, read, tuple(filter(None, under))) for (effect, read), under in found.items()),
                tuple((e.id, e.text) for e, written in writing if written & set(features)))
        for features, found in subjects.items()
    )


def writes(rule: Rule, schema: Schema) -> set[str]:
    """The base features of the next state that a rule speaks of, with "reward" and "end"; a cell that is pointed to
    counts as its array. Rules on behaviour write nothing."""
    match rule.statement:
        case s.Reward():
            return {"reward"}
        case s.End():
            return {"end"}
        case s.Expect(effect=claim) | s.Always(condition=claim):
            found: set[str] = set()
            for node in s.walk(claim):
                match node:
                    case s.Same(feature=None):
                        found |= set(schema.base)
                    case s.Name(name=name, primed=True) | s.Same(feature=str(name)) | s.Changed(feature=name):
                        found.add(_base(name, schema))
            return found
    return set()


def _base(name: str, schema: Schema) -> str:
    derived = schema.derivations.get(name)
    return derived.of if isinstance(derived, Pointed) else name
