"""The bounds of continuous actions that are left by what is forbidden always.

`forbid torque > 1.5` leaves a planner an action between -2 and 1.5. It should draw no other: of sequences drawn between
-2 and 2, hardly any would be allowed from beginning to end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from ..schema import Feature, Schema
from .evaluate import Rows, truth
from .syntax import Expression, Forbid, Name, Rule, walk

_PLACES = 4_001
"""How finely the new bounds are looked for between the old ones, within which they lie."""


def narrowed(schema: Schema, rules: Sequence[Rule]) -> Schema:
    """`schema` with narrower actions where an unguarded `forbid` speaks of a single bounded one; else `schema`."""
    bans: dict[str, list[Expression]] = {}
    for rule in rules:
        if isinstance(rule.statement, Forbid) and rule.statement.guard is None:
            names = {node.name for node in walk(rule.statement.action) if isinstance(node, Name)}
            if len(names) == 1:
                bans.setdefault(names.pop(), []).append(rule.statement.action)
    actions = tuple(_narrowed(schema, k, bans[a.name]) if a.name in bans else a for k, a in enumerate(schema.actions))
    return schema if actions == schema.actions else replace(schema, actions=actions)


def _narrowed(schema: Schema, k: int, bans: Sequence[Expression]) -> Feature:
    """Action k from the least to the greatest value of its longest stretch that no ban covers."""
    action = schema.actions[k]
    if action.is_discrete or not (math.isfinite(action.low) and math.isfinite(action.high)):
        return action
    values = torch.linspace(action.low, action.high, _PLACES)
    taken = torch.zeros(_PLACES, len(schema.actions))
    taken[:, k] = values
    rows = Rows(schema, {"": values}, taken)
    allowed = ~torch.stack([truth(ban, rows) for ban in bans]).any(0)
    edges = torch.nn.functional.pad(allowed.int(), (1, 1)).diff()
    first, last = (edges == 1).nonzero()[:, 0], (edges == -1).nonzero()[:, 0] - 1
    if not len(first):
        return action
    longest = int((last - first).argmax())
    return replace(action, low=float(values[first[longest]]), high=float(values[last[longest]]))
