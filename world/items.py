"""A schema in the reader's terms: its features, actions and their values, each with what is said of it."""

from __future__ import annotations

from collections.abc import Set

from ..prompts.reader.items import Item
from .rules import syntax as s
from .schema import Feature, Schema


def items_of(schema: Schema) -> list[Item]:
    """Every feature and action of a schema, each followed by its values."""
    acting = {a.name for a in schema.actions}
    return [item for f in schema.named.values() for item in _items(f, f.name in acting)]


def is_about(rule: s.Rule, items: Set[Item]) -> bool:
    """Whether a rule names only what is among the items: its values, and its features, themselves or by a value."""
    values = {item.name for item in items if item.kind == "value"}
    features = {item.owner if item.kind == "value" else item.name for item in items}
    named = list(s.walk(rule))
    return (all(node.name in values for node in named if isinstance(node, s.Symbol))
            and all(node.name in features for node in named if isinstance(node, s.Name)))


def _items(f: Feature, is_action: bool) -> list[Item]:
    what = f.description if not f.unit else f"{f.description}, in {f.unit}" if f.description else f"in {f.unit}"
    glosses = f.glosses or ("",) * len(f.values)
    feature = Item(f.name, f.kind, "", what, is_action, bool(f.shape), f.low, f.high)
    return [feature, *(Item(v, "value", f.name, gloss, is_action, bool(f.shape))
                       for v, gloss in zip(f.values, glosses, strict=True))]
