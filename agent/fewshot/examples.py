"""Examples: a transition as a person writes it down, by names, as much of it as matters.

What `before` does not name is unknown; what `after` does not name stayed as it was (the frame assumption, McCarthy &
Hayes 1969). Examples come from a YAML file, from mappings, or from transitions in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import UserError, nearest
from ...memory.record import Transitions
from ...world.checking import as_rows
from ...world.mining.terms import terms_of
from ...world.schema import Derived, Feature, Schema

Value = bool | int | float | str


class Example(BaseModel):
    """One transition by names, with the reward and the end of the episode where they are known; `unknown` are features
    whose next value nobody knows, `line` is where it was written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: dict[str, Value] = {}
    action: Value | dict[str, Value]
    after: dict[str, Value] = {}
    reward: float | None = None
    end: bool | None = None
    unknown: frozenset[str] = frozenset()
    line: int = 0

    def acted(self, schema: Schema) -> dict[str, Value]:
        """The action by names; a value alone is that of the world's only action feature."""
        return self.action if isinstance(self.action, dict) else {schema.actions[0].name: self.action}

    def next(self, name: str) -> Value | None:
        """The value that a feature has next, None where it is unknown."""
        return None if name in self.unknown else self.after.get(name, self.before.get(name))


def read(path: Path) -> tuple[dict[str, Any], list[Example]]:
    """A YAML file's other fields, and its `examples` with their lines. Raises `UserError` with every mistake."""
    try:
        text = path.read_text(encoding="utf-8")
        root, data = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("examples"), list):
        raise UserError(f"{path}: needs `examples:`, a list of transitions with before, action and after")
    assert root is not None
    nodes = next(value for key, value in root.value if key.value == "examples").value
    examples, mistakes = [], []
    for given, node in zip(data.pop("examples"), nodes, strict=True):
        line = node.start_mark.line + 1
        try:
            examples.append(Example.model_validate({**given, "line": line} if isinstance(given, dict) else given))
        except ValidationError as error:
            mistakes += [f"line {line}: {'.'.join(map(str, e['loc'][:2]))}: {e['msg']}" for e in error.errors()]
    if mistakes:
        raise UserError(f"{path}: " + "; ".join(dict.fromkeys(mistakes)))
    return data, examples


def check(examples: Sequence[Example], schema: Schema) -> None:
    """Raise `UserError` with every unknown feature or value, and with every pair that says two things of one step."""
    mistakes = []
    for k, example in enumerate(examples):
        actions = {a.name: a for a in schema.actions}
        states = {n: f for n, f in schema.named.items() if n not in actions}
        where = _where(example, k)
        parts = (("before", example.before, states), ("action", example.acted(schema), actions),
                 ("after", example.after, states))
        for part, named, known in parts:
            for name, value in named.items():
                if wrong := _wrong(name, value, known):
                    mistakes.append(f"{where}: {part}: {wrong}")
        mistakes += [
            f"{where} contradicts {_where(other, j)}: the same step, but {name} becomes {example.next(name)!r} here "
            f"and {other.next(name)!r} there" for j, other in enumerate(examples[:k])
            if (other.before, other.acted(schema)) == (example.before, example.acted(schema))
            for name in sorted({*example.after, *other.after} - example.unknown - other.unknown)
            if example.next(name) != other.next(name)]
    if mistakes:
        raise UserError("; ".join(mistakes))


def of(transitions: Transitions, schema: Schema) -> list[Example]:
    """Transitions as examples: every scalar feature, derived ones too; where a pointed one looks elsewhere, its next
    value is unknown."""
    terms = terms_of(schema, as_rows(schema, transitions))
    states = [t for t in terms.states if not t.is_under]

    def value(f: Feature, code: float) -> Value:
        if f.kind == "category":
            return f.values[int(code)]
        return bool(code) if f.kind == "boolean" else int(code) if f.kind == "integer" else float(code)

    return [
        Example(
            before={t.feature.name: value(t.feature, t.now[i]) for t in states},
            action={t.feature.name: value(t.feature, t.now[i]) for t in terms.actions},
            after={t.feature.name: value(t.feature, t.next[i]) for t in states},
            reward=float(transitions.reward[i]),
            end=bool(transitions.terminated[i]),
            unknown=frozenset(t.feature.name for t in states
                              if not t.is_target or (t.moved is not None and t.moved[i])),
        )
        for i in range(len(transitions))
    ]


def targets(schema: Schema, names: Iterable[str]) -> list[str]:
    """The names whose next value a rule may state."""
    fixed = {n for n, d in schema.derivations.items() if isinstance(d, Derived) and d.put is None}
    return [n for n in names if n not in fixed]


def _where(example: Example, k: int) -> str:
    return f"line {example.line}" if example.line else f"example {k + 1}"


def _wrong(name: str, value: Value, known: dict[str, Feature]) -> str:
    f = known.get(name)
    if f is None:
        return f"unknown feature '{name}'{nearest(name, known)}"
    if f.shape:
        return f"'{name}' is an array; name a single value, as one of {', '.join(n for n in known if n != name)}"
    if f.kind == "category":
        return "" if value in f.values else f"'{name}' has no value {value!r}{nearest(str(value), f.values)}"
    if f.kind == "boolean":
        return "" if isinstance(value, bool) else f"'{name}' is true or false, not {value!r}"
    if isinstance(value, bool | str) or not math.isfinite(value) or (f.kind == "integer" and value != int(value)):
        return f"'{name}' is {f.describe().split(': ')[1]}, not {value!r}"
    return "" if f.low <= value <= f.high else f"'{name}' is from {f.low:g} to {f.high:g}, not {value:g}"
