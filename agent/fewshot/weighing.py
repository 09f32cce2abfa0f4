"""What examples say of a rule: whether it applied and held, on those that name all that the rule speaks of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ...memory.experience.record import Transitions
from ...world.checking.verdicts import as_rows, verdicts
from ...world.rules import syntax as s
from ...world.rules.syntax import Rule
from ...world.schema import Feature, Schema
from .examples import Example, Value


def weigh(rule: Rule, text: str, examples: Sequence[Example], schema: Schema) -> tuple[list[Example], list[Example]]:
    """The examples for a rule (`text` as written) and against it. An example that leaves open what the rule reads says
    nothing of it; neither does any of a rule on behaviour, on an array or on what is derived from one."""
    words = set(re.findall(r"[^\W\d]\w*", text))
    read = {n for n in schema.named if n in words}
    scalar = {f.name for f in (*schema.base.values(), *schema.actions) if not f.shape}
    known = [e for e in examples if read <= scalar and _knows(e, read, rule.statement, schema)]
    if not known:
        return [], []
    transitions = _coded(known, schema)
    spans = {f.name: f.high - f.low if np.isfinite(f.high - f.low) else 1.0 for f in schema.base.values()}
    found = verdicts([rule], as_rows(schema, transitions), transitions, spans)
    judged = list(zip(known, found.applies[0].tolist(), found.holds[0].tolist(), strict=True))
    return [e for e, a, h in judged if a and h], [e for e, a, h in judged if a and not h]


def _knows(example: Example, read: set[str], statement: s.Statement, schema: Schema) -> bool:
    paid = not isinstance(statement, s.Reward) or example.reward is not None
    ended = not isinstance(statement, s.End) or example.end is not None
    known = {n for n in example.before if example.next(n) is not None} | set(example.acted(schema))
    return paid and ended and read <= known


def _coded(examples: Sequence[Example], schema: Schema) -> Transitions:
    """Examples as transitions; what they leave open is any value."""
    def columns(rows: Sequence[Mapping[str, Value | None]]) -> dict[str, np.ndarray]:
        return {n: np.stack([np.full(f.shape, _code(f, row.get(n)), f.numpy_dtype) for row in rows])
                for n, f in schema.base.items()}

    n = len(examples)
    return Transitions(
        features=columns([e.before for e in examples]),
        next_features=columns([{name: e.next(name) for name in schema.base} for e in examples]),
        action=np.array([[_code(a, e.acted(schema).get(a.name)) - (a.offset if a.is_discrete else 0)
                          for a in schema.actions] for e in examples]),
        reward=np.array([e.reward or 0.0 for e in examples], np.float32),
        terminated=np.array([bool(e.end) for e in examples]), truncated=np.zeros(n, bool),
        episode=np.arange(n), t=np.zeros(n, np.int64))


def _code(f: Feature, value: Value | None) -> float:
    if value is None:
        return float(f.offset)
    return float(f.values.index(str(value))) if f.kind == "category" else float(value)
