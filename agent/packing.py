"""A learner's state as what a checkpoint holds: tensors by name, and JSON that says where each belongs."""

from __future__ import annotations

from typing import Any

from torch import Tensor

_TENSOR, _ITEMS = "$tensor", "$items"


def pack(state: Any, name: str) -> tuple[dict[str, Tensor], Any]:
    """Nested dictionaries and lists of tensors and JSON data to tensors, named from `name` on, and JSON data."""
    if isinstance(state, Tensor):
        return {name: state.detach().contiguous()}, {_TENSOR: name}
    if isinstance(state, dict):
        parts = {k: pack(v, f"{name}.{k}") for k, v in state.items()}
        tensors = {k: v for found, _ in parts.values() for k, v in found.items()}
        if all(isinstance(k, str) for k in parts):
            return tensors, {k: plain for k, (_, plain) in parts.items()}
        return tensors, {_ITEMS: [[k, plain] for k, (_, plain) in parts.items()]}
    if isinstance(state, list | tuple):
        listed = [pack(v, f"{name}.{i}") for i, v in enumerate(state)]
        return {k: v for found, _ in listed for k, v in found.items()}, [plain for _, plain in listed]
    return {}, state


def unpack(plain: Any, tensors: dict[str, Tensor]) -> Any:
    """What `pack` was given (tuples come back as lists). Raises `KeyError` where a tensor is missing."""
    if isinstance(plain, list):
        return [unpack(v, tensors) for v in plain]
    if not isinstance(plain, dict):
        return plain
    if _TENSOR in plain:
        return tensors[plain[_TENSOR]]
    if _ITEMS in plain:
        return {k: unpack(v, tensors) for k, v in plain[_ITEMS]}
    return {k: unpack(v, tensors) for k, v in plain.items()}
