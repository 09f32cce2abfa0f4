"""Holes: the `?` of a rule, which memory fits, counted from left to right as the rule is printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .syntax import Hole, N, Node, Number, Rule, walk

__all__ = ["filled", "filling", "holes"]

_BARE = ("within", "probability", "amount")    # a number of the node itself, which is no expression


def holes(node: Node) -> int:
    """How many `?` a rule, statement or expression has."""
    return sum(isinstance(n, Hole) for n in walk(node))


def filled(rule: Rule, values: Sequence[float]) -> Rule:
    """The rule with a number for each `?`. Raises `ValueError` where they are not as many."""
    if len(values) != holes(rule):
        raise ValueError(f"{len(values)} values for {holes(rule)} holes")
    return filling(rule, iter(values)) if values else rule


def filling(node: N, values: Iterator[float]) -> N:
    """The node with its holes filled by the next of `values`."""
    changes: dict[str, Any] = {}
    for name, value in node:
        if isinstance(value, Hole):
            changes[name] = next(values) if name in _BARE else Number(value=next(values))
        elif isinstance(value, Node):
            changes[name] = filling(value, values)
        elif isinstance(value, tuple):
            changes[name] = tuple(Number(value=next(values)) if isinstance(v, Hole)
                                  else filling(v, values) if isinstance(v, Node) else v for v in value)
    return node.model_copy(update=changes)
