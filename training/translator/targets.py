"""What the network shall write: rule lines in one order, however the training pair's author ordered them.

`and`, `or` and sets may be turned round without changing a rule, so their parts are put in the order in which the
sentence speaks of them, the action first: there is then one right answer to learn.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gedanken.prompts.reader.reading import Prepared
from gedanken.world.rules import syntax as s
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Schema


def target(rules: tuple[str, ...], schema: Schema, prepared: Prepared) -> list[int]:
    """The ids to learn. Raises `ValueError` (and `RuleError`) for what cannot be written."""
    places = _places(prepared)
    return prepared.codec.encode([to_text(_sorted(parse(rule, schema).statement, places, schema)) for rule in rules])


def _places(p: Prepared) -> Mapping[tuple[str, str], float]:
    """Where the sentence speaks of each item, by (owner, name)."""
    score = p.links[..., 0] * 2 + p.links[..., 1] + p.links[..., 4] + p.links[..., 3]    # [L, M]
    where = score.argmax(0) if len(score) else np.zeros(len(p.codec.items))
    return {(x.owner, x.name): float(where[j]) for j, x in enumerate(p.codec.items)}


def _sorted(node: s.Node, places: Mapping[tuple[str, str], float], schema: Schema) -> s.Node:
    changes: dict[str, object] = {}
    for name, value in node:
        if isinstance(value, s.Node):
            changes[name] = _sorted(value, places, schema)
        elif isinstance(value, tuple) and value and isinstance(value[0], s.Node):
            changes[name] = tuple(_sorted(v, places, schema) for v in value)
    node = node.model_copy(update=changes)
    if isinstance(node, s.Logical) and node.operator != "implies":
        return node.model_copy(update={"operands": tuple(sorted(node.operands, key=lambda o: _key(o, places, schema)))})
    if isinstance(node, s.Member):
        owner = node.operand.name if isinstance(node.operand, s.Name) else ""
        key = lambda m: (places.get((owner, getattr(m, "name", "")), 0.0), to_text(m))  # noqa: E731
        return node.model_copy(update={"members": tuple(sorted(node.members, key=key))})
    return node


def _key(node: s.Node, places: Mapping[tuple[str, str], float], schema: Schema) -> tuple[bool, float, str]:
    names = {n.name for n in s.walk(node) if isinstance(n, s.Name)}
    acting = {a.name for a in schema.actions}
    symbols = {n.name for n in s.walk(node) if isinstance(n, s.Symbol)}
    at = [places[o, v] for o in names for v in symbols if (o, v) in places]
    at = at or [places.get(("", n), 99.0) for n in names]
    return not (names & acting), min(at, default=99.0), to_text(node)


