"""A world of one door and its heat, and rules about it: enough to follow what happens to a rule."""

from __future__ import annotations

from gedanken.world.schema import Feature, Schema

SCHEMA = Schema(
    "hall",
    (Feature("door", "category", values=("open", "closed")), Feature("heat", low=0, high=100)),
    (Feature("action", "category", values=("wait", "push")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)
OPENS = "expect door' == open if action == push"
COOL = "avoid heat > 50"
