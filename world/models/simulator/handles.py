"""Tensors of handles that own what they stand for.

A state is a tree of tensors, and the clone of an environment is no tensor. `Handles` is an int64 tensor `[N]` of
numbers, each of which stands for an object; what is taken, repeated, joined or chosen from it goes on owning the
objects whose numbers it holds, and no others. Python's own reference counting then frees a clone as soon as no
state speaks of it: there is no store to grow.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ....errors import GedankenError

_NUMBERS = itertools.count(1)


class Handles(Tensor):
    """Numbers `[N]`, int64, with the objects they stand for; 0 stands for nothing."""

    owned: dict[int, Any]

    @staticmethod
    def of(things: Sequence[Any]) -> Handles:
        """A handle for each of `things`; the same object has the same handle."""
        numbers: dict[int, int] = {}
        ids = [0 if t is None else numbers.setdefault(id(t), next(_NUMBERS)) for t in things]
        return _owning(torch.tensor(ids, dtype=torch.int64), dict(zip(ids, things, strict=True)))

    def things(self) -> list[Any]:
        """The objects, in order; None for nothing."""
        return [self.owned.get(i) for i in self.tolist()]

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            out = func(*args, **(kwargs or {}))
            owned: dict[int, Any] = {}
            for source in _handles((args, kwargs or {})):
                owned |= source.owned
            if func is Tensor.__setitem__ and isinstance(args[0], Handles):
                args[0].owned = _of(args[0], owned)
            return _wrapped(out, owned)


def things_of(handles: Tensor) -> list[Any]:
    """The objects that a tensor of handles stands for. Raises `GedankenError` for a plain tensor: its clones are
    gone."""
    if not isinstance(handles, Handles):
        raise GedankenError("a simulator's state holds clones of the environment, and this copy of it lost them: keep "
                            "states as they are (index, repeat, join, choose), not as arrays or files")
    return handles.things()


def _handles(value: Any) -> list[Handles]:
    if isinstance(value, Handles):
        return [value]
    if isinstance(value, list | tuple):
        return [h for v in value for h in _handles(v)]
    if isinstance(value, dict):
        return [h for v in value.values() for h in _handles(v)]
    return []


def _wrapped(out: Any, owned: dict[int, Any]) -> Any:
    """Whatever of a result still holds handles, owning what it holds; all else as plain tensors."""
    if isinstance(out, Tensor):
        return _owning(out, owned) if out.dtype == torch.int64 and out.dim() else out.as_subclass(Tensor)
    if isinstance(out, tuple | list):
        return type(out)(_wrapped(o, owned) for o in out)
    return out


def _owning(numbers: Tensor, owned: dict[int, Any]) -> Handles:
    with torch._C.DisableTorchFunctionSubclass():
        handles = numbers if isinstance(numbers, Handles) else numbers.as_subclass(Handles)
        handles.owned = _of(numbers, owned)
        return handles


def _of(numbers: Tensor, owned: dict[int, Any]) -> dict[int, Any]:
    return {i: owned[i] for i in set(numbers.flatten().tolist()) if i and i in owned}
