"""Proposing: what a language model makes of what surprised the agent, as checked rules.

Only the language model guesses; what it says is parsed and checked like any other text, and what does not fit the
world is dropped. Transitions go into its prompt as quoted data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..prompts import Gateway, propose
from .checking import as_rows
from .rules.constrain import decoding_grammar
from .rules.evaluate import Rows
from .rules.parse import RuleError, parse
from .rules.syntax import Rule
from .rules.text import word
from .schema import Feature, Schema

if TYPE_CHECKING:
    from ..memory.record import Transitions

_WORLD = ("expect", "always", "reward", "end")
_SURPRISES = 4    # transitions shown to the language model


def guesses(schema: Schema, gateway: Gateway, rules: Sequence[str], transitions: Transitions,
            surprise: np.ndarray | None = None) -> list[Rule]:
    """Rules that may explain the most surprising transitions, checked; `rules` stand already.

    Without `surprise [N]` what changes seldom under its action is surprising. Raises `ModelUnavailable`.
    """
    rows = as_rows(schema, transitions)
    if surprise is None:
        surprise = _rarity(rows)
    seen: dict[str, None] = {}
    for i in np.argsort(-np.nan_to_num(surprise), kind="stable")[: 10 * _SURPRISES].tolist():
        seen[_step(rows, transitions, i)] = None
    grammar = decoding_grammar(schema, statements=_WORLD) if "grammar" in gateway.options else None
    answers = propose(schema.describe(), rules, list(seen)[:_SURPRISES], gateway, grammar)
    return [rule for answer in answers if (rule := _checked(answer.text, schema)) is not None]


def _rarity(rows: Rows) -> np.ndarray:
    """How seldom the same features change under the same action, in nats `[N]`."""
    assert rows.next is not None
    assert rows.action is not None
    changed = [(rows.now[name] != rows.next[name]).reshape(rows.size, -1).any(1) for name in rows.schema.base]
    discrete = rows.action.long() if rows.schema.discrete_actions else rows.action.long() * 0
    _, which, counts = np.unique(torch.cat([torch.stack(changed, 1).long(), discrete], 1).numpy(), axis=0,
                                 return_inverse=True, return_counts=True)
    return -np.log(counts[which.reshape(-1)] / rows.size)


def _step(rows: Rows, transitions: Transitions, i: int) -> str:
    """One transition in the words of the language: the action, the state, and what changed."""
    schema = rows.schema
    acting = {a.name for a in schema.actions}
    scalars = [f for f in schema.named.values() if not f.shape and f.name not in acting]
    done = [_equals(a, rows.column(k)[i].item() + a.offset) for k, a in enumerate(schema.actions)]
    now = {f: rows.read(f.name, False)[i].item() for f in scalars}
    next = {f: rows.read(f.name, True)[i].item() for f in scalars}
    changes = [_equals(f, next[f], "'") for f in scalars if next[f] != now[f]] or ["nothing changed"]
    if reward := float(transitions.reward[i]):
        changes.append(f"reward {reward:+.3g}")
    if transitions.terminated[i]:
        changes.append("end")
    return ", ".join([*done, *(_equals(f, now[f]) for f in scalars)]) + " -> " + ", ".join(changes)


def _equals(feature: Feature, value: float, prime: str = "") -> str:
    name = word(feature.name) + prime
    if feature.kind == "category":
        return f"{name} == {word(feature.values[int(value)])}"
    return (name if value else f"not {name}") if feature.kind == "boolean" else f"{name} == {value:.4g}"


def _checked(line: str, schema: Schema) -> Rule | None:
    try:
        return parse(line, schema)
    except RuleError:
        return None
