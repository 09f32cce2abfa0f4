"""Scenes: values, actions and what changed between two states, in the schema's own words.

A *row* is one state: feature name -> array of the feature's own shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from .model import Outcome
from .rules.compile import Compiled
from .rules.syntax import Rule
from .schema import Feature, Features, Schema

__all__ = ["LEAST", "Row", "action_text", "changes", "corrections", "differ", "row_of", "value_text"]

Row = dict[str, np.ndarray]
LEAST = 1e-4
"""Of a real feature or a reward, below which nothing is said to have changed."""
_CELLS = 6    # of an array, listed one by one; further ones are counted


def row_of(features: Mapping[str, Any], n: int = 0) -> Row:
    """The n-th row of batched features `[N, ...]`."""
    return {k: np.asarray(v[n]) for k, v in features.items()}


def value_text(feature: Feature, value: Any) -> str:
    """One scalar value as rules write it."""
    if feature.kind == "category":
        return feature.values[int(value)] if 0 <= int(value) < len(feature.values) else f"?{int(value)}"
    if feature.kind == "boolean":
        return "true" if bool(value) else "false"
    return str(int(value)) if feature.kind == "integer" else f"{float(value):.4g}"


def action_text(schema: Schema, action: Any) -> str:
    """An action `[A]` in words: `forward`, or `torque = 0.5`."""
    values = [value_text(a, v) for a, v in zip(schema.actions, np.asarray(action).reshape(-1), strict=True)]
    if len(values) == 1 and schema.actions[0].kind == "category":
        return values[0]
    return ", ".join(f"{a.name} = {v}" for a, v in zip(schema.actions, values, strict=True))


def changes(schema: Schema, before: Row, after: Row, least: float = 0.0) -> list[str]:
    """What differs, a text each: `agent_x: 2 -> 3`, `object[3, 1]: key -> empty`."""
    found = []
    for f in schema.features:
        a, b = np.asarray(before[f.name]), np.asarray(after[f.name])
        where = np.argwhere(np.abs(a - b) > least) if f.kind == "real" else np.argwhere(a != b)
        for at in where[:_CELLS]:
            i = tuple(at)
            place = f"{f.name}[{', '.join(map(str, i))}]" if i else f.name
            found.append(f"{place}: {value_text(f, a[i])} -> {value_text(f, b[i])}")
        if len(where) > _CELLS:
            found.append(f"{f.name}: {len(where) - _CELLS} more cells")
    return found


def differ(schema: Schema, a: Outcome, b: Outcome) -> Tensor:
    """Rows on which two predictions differ in their most likely outcome, `[N]` bool."""
    found = ((a.reward - b.reward).abs() > LEAST) | ((a.cont < 0.5) != (b.cont < 0.5)) | (a.feasible != b.feasible)
    for f in schema.features:
        one, other = a.mode[f.name], b.mode[f.name]
        apart = one != other if f.is_discrete else (one - other).abs() > LEAST
        found |= apart.flatten(1).any(1) if apart.dim() > 1 else apart
    return found


def corrections(schema: Schema, rule: Rule, features: Features, action: Tensor, predicted: Outcome) -> list[str]:
    """What a rule, alone, changes of one predicted step (`features [1, ...]`, `action [1, A]`), a text each."""
    corrected = Compiled(schema, [rule]).correct(features, action, predicted)
    found = changes(schema, row_of(predicted.mode), row_of(corrected.mode), LEAST)
    if abs(float(corrected.reward[0] - predicted.reward[0])) > LEAST:
        found.append(f"reward: {float(predicted.reward[0]):.3g} -> {float(corrected.reward[0]):.3g}")
    if (float(corrected.cont[0]) < 0.5) != (float(predicted.cont[0]) < 0.5):
        found.append("the episode ends")
    if not bool(corrected.feasible[0]) and bool(predicted.feasible[0]):
        found.append("forbidden")
    return found
