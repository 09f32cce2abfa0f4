"""Actions, values and changes as text, in the schema's names, and actions read from text."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import UserError, nearest
from ...world.schema import Feature, Features, Schema

MAX_CHANGES = 12
"""Changes listed a step; more are counted."""


def parse_action(text: str, schema: Schema) -> Tensor:
    """An action row `[A]` from its name, or from `name=value` pairs divided by commas.

    Raises `UserError` that lists what there is, and the nearest name.
    """
    given: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, value = (p.strip() for p in part.replace("==", "=").partition("="))
        if not equals:
            name, value = _owner(name, schema), name
        if name not in {a.name for a in schema.actions}:
            close = nearest(name, [a.name for a in schema.actions])
            raise UserError(f"unknown action {quoted(name)}; {choices(schema)}{close}")
        given[name] = value
    if missing := [a.name for a in schema.actions if a.name not in given]:
        raise UserError(f"the action {quoted(text)} says nothing of {', '.join(missing)}; {choices(schema)}")
    return torch.tensor([_code(a, given[a.name], schema) for a in schema.actions], dtype=schema.action_dtype)


def action_text(action: Tensor, schema: Schema) -> str:
    """An action row `[A]` in words that `parse_action` reads."""
    words = [word(a, v + a.offset) for a, v in zip(schema.actions, action.tolist(), strict=True)]
    if len(words) == 1 and schema.actions[0].kind == "category":
        return words[0]
    return ", ".join(f"{a.name}={w}" for a, w in zip(schema.actions, words, strict=True))


def changes(schema: Schema, now: Features, after: Features) -> str:
    """What differs between two states of one row: `door closed -> open, object[2, 3] key -> empty`."""
    found = []
    for name, f in (schema.base | {n: d.feature for n, d in schema.derivations.items()}).items():
        a, b = (schema.value(name, x)[0] for x in (now, after))
        for at in (a != b).nonzero().tolist() if f.shape else [[]] * bool(a != b):
            before, new = word(f, a[tuple(at)].item()), word(f, b[tuple(at)].item())
            if before != new:
                found.append(f"{name}{at if at else ''} {before} -> {new}")
    more = f" and {len(found) - MAX_CHANGES} more" if len(found) > MAX_CHANGES else ""
    return ", ".join(found[:MAX_CHANGES]) + more or "nothing changes"


def _owner(value: str, schema: Schema) -> str:
    """The action feature that a bare value belongs to."""
    owners = [a.name for a in schema.actions if value in a.values] or [a.name for a in schema.actions][:2]
    if len(owners) > 1 or (len(schema.actions) > 1 and value not in schema.feature(owners[0]).values):
        known = [v for a in schema.actions for v in a.values]
        raise UserError(f"unknown action {quoted(value)}; {choices(schema)}{nearest(value, known)}")
    return owners[0]


def _code(a: Feature, value: str, schema: Schema) -> float:
    if a.kind == "category":
        if value not in a.values:
            raise UserError(f"unknown action {quoted(value)}; {choices(schema)}{nearest(value, a.values)}")
        return a.values.index(value)
    if a.kind == "boolean":
        if value.lower() not in ("true", "false", "0", "1"):
            raise UserError(f"{a.name} is true or false, not {quoted(value)}")
        return float(value.lower() in ("true", "1"))
    try:
        number = float(value)
    except ValueError:
        raise UserError(f"{a.name} is a number, not {quoted(value)}; {choices(schema)}") from None
    if not a.low <= number <= a.high or (a.kind == "integer" and not number.is_integer()):
        raise UserError(f"{a.name} cannot be {number:g}; {choices(schema)}")
    return number - a.offset


def choices(schema: Schema) -> str:
    return "the actions are " + "; ".join(a.describe() for a in schema.actions)


def quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def word(f: Feature, value: float) -> str:
    if f.kind == "category":
        return f.values[int(value)] if 0 <= int(value) < len(f.values) else str(int(value))
    return str(bool(value)).lower() if f.kind == "boolean" else f"{value:.4g}" if f.kind == "real" else f"{int(value)}"
