"""Examples: a transition as a person writes it down, by names, as much of it as matters.

What `before` does not name is unknown; what `after` does not name stayed as it was (the frame assumption, McCarthy &
Hayes 1969). Examples come from a YAML file, from mappings, or from transitions in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ...errors import UserError, nearest
from ...memory.experience.record import Transitions
from ...prompts.yamlfile import Mistakes, read_yaml
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


class TaskFile(BaseModel):
    """What a file of examples may say; the examples are looked at one by one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str = ""
    examples: list[Any]
    sentences: list[str] = []


def read(path: Path, schema: Schema | None = None) -> tuple[TaskFile, list[Example]]:
    """A YAML file and its `examples` with their lines. Raises `UserError` with every mistake and its line: of form, and
    where the `schema` is known of names, values and contradictions, too."""
    document, mistakes = read_yaml(path), Mistakes()
    file, examples = TaskFile(examples=[]), []
    try:
        file = TaskFile.model_validate(document.data)
    except ValidationError as error:
        for e in error.errors():
            mistakes.add(path, document.line(e["loc"]), f"{'.'.join(map(str, e['loc']))}: {e['msg']}")
    given = document.data.get("examples") if isinstance(document.data, dict) else None
    for k, one in enumerate(given if isinstance(given, list) else ()):
        line = document.line(("examples", k))
        try:
            examples.append(Example.model_validate({**one, "line": line} if isinstance(one, dict) else one))
        except ValidationError as error:
            for e in error.errors():
                where = e["loc"][:2]
                mistakes.add(path, document.line(("examples", k, *where)), f"{'.'.join(map(str, where))}: {e['msg']}")
    for example, wrong in faults(examples, schema) if schema is not None else ():
        mistakes.add(path, example.line, wrong)
    mistakes.raise_any()
    return file, examples


def check(examples: Sequence[Example], schema: Schema) -> None:
    """Raise `UserError` with every unknown feature or value, and with every pair that says two things of one step."""
    found = faults(examples, schema)
    if found:
        order = {id(e): k for k, e in enumerate(examples)}
        raise UserError("; ".join(f"{_where(e, order[id(e)])} {wrong}" for e, wrong in found))


def faults(examples: Sequence[Example], schema: Schema) -> list[tuple[Example, str]]:
    """Every example that the world cannot be in, or that another one contradicts, and why."""
    found = []
    actions = {a.name: a for a in schema.actions}
    states = {n: f for n, f in schema.named.items() if n not in actions}
    for k, example in enumerate(examples):
        parts = (("before", example.before, states), ("action", example.acted(schema), actions),
                 ("after", example.after, states))
        for part, named, known in parts:
            found += [(example, f"{part}: {wrong}") for name, value in named.items()
                      if (wrong := _wrong(name, value, known))]
        for j, other in enumerate(examples[:k]):
            if (other.before, other.acted(schema)) == (example.before, example.acted(schema)):
                found += [(example, f"contradicts {_where(other, j)}: the same step, but {name} becomes "
                                    f"{example.next(name)!r} here and {other.next(name)!r} there")
                          for name in sorted({*example.after, *other.after} - example.unknown - other.unknown)
                          if example.next(name) != other.next(name)]
    return found


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
