"""States as trees of tensors: frozen dataclasses, dicts and tuples whose every leaf has rows as its first axis."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def tree_map(fn: Callable[..., Any], tree: T, *others: T) -> T:
    """Apply `fn` to the corresponding leaves of trees of one structure; None stays None."""
    if tree is None:
        return tree
    if isinstance(tree, Tensor):
        return fn(tree, *others)
    if isinstance(tree, dict):
        return {k: tree_map(fn, v, *(o[k] for o in others)) for k, v in tree.items()}  # type: ignore[return-value,index]
    if isinstance(tree, tuple):
        return tuple(tree_map(fn, v, *(o[i] for o in others)) for i, v in enumerate(tree))  # type: ignore[return-value,index]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [f.name for f in dataclasses.fields(tree)]
        return type(tree)(**{n: tree_map(fn, getattr(tree, n), *(getattr(o, n) for o in others)) for n in names})
    raise TypeError(f"a state's leaves are tensors, not {type(tree).__name__}")


def leaves(tree: Any) -> list[Tensor]:
    """The tensors of a tree, in order."""
    found: list[Tensor] = []

    def collect(leaf: Tensor) -> Tensor:
        found.append(leaf)
        return leaf

    tree_map(collect, tree)
    return found


def size(tree: Any) -> int:
    """How many rows a state has."""
    return leaves(tree)[0].shape[0]


def take(tree: T, index: Tensor) -> T:
    """Rows `index [M]` of a state (repeats allowed)."""
    return tree_map(lambda leaf: leaf.index_select(0, index), tree)


def repeat(tree: T, times: int) -> T:
    """Each row `times` times in a row: `[N * times]`."""
    return tree_map(lambda leaf: leaf.repeat_interleave(times, 0), tree)


def concatenate(trees: list[T]) -> T:
    """Join states along their rows."""
    return trees[0] if len(trees) == 1 else tree_map(lambda *parts: torch.cat(parts), trees[0], *trees[1:])


def choose(rows: Tensor, then: T, otherwise: T) -> T:
    """`then` on the rows `[N]` that are true, `otherwise` on the others."""
    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(rows.view(-1, *[1] * (a.dim() - 1)), a, b)

    return tree_map(pick, then, otherwise)


def differ(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> Tensor:
    """Rows on which two mappings of tensors `[N, ...]` differ, `[N]`."""
    return torch.stack([(a[k] != b[k]).flatten(1).any(1) if a[k].dim() > 1 else a[k] != b[k] for k in a]).any(0)
