"""Holes: the `?` of a rule, which memory fits, counted from left to right as the rule is printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .syntax import Hole, Node, Number, Rule, mapped, walk

__all__ = ["filled", "filling", "holes"]


def holes(node: Node) -> int:
    """How many `?` a rule, statement or expression has."""
    return sum(isinstance(n, Hole) for n in walk(node))


def filled(rule: Rule, values: Sequence[float]) -> Rule:
    """The rule with a number for each `?`. Raises `ValueError` where they are not as many."""
    if len(values) != holes(rule):
        raise ValueError(f"{len(values)} values for {holes(rule)} holes")
    return filling(rule, iter(values)) if values else rule


def filling(node: Any, values: Iterator[float]) -> Any:
    """A node with its holes filled by the next of `values`; they are left where those run out."""
    def put(child: Node) -> Any:
        if not isinstance(child, Hole):
            return filling(child, values)
        value = next(values, None)
        if value is None:
            return child
        return float(value) if is_bare(child) else Number(value=float(value))

    bare = {id(getattr(node, name, None)) for name in ("within", "probability", "amount")}

    def is_bare(child: Node) -> bool:    # a number of the statement itself, which is no expression
        return id(child) in bare

    return mapped(node, put)
