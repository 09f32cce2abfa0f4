"""Nested states as what a safetensors file holds: tensors by name, and the rest as JSON."""

from __future__ import annotations

from typing import Any

from torch import Tensor

_TENSOR = "tensor:"


def split(data: Any, name: str) -> tuple[dict[str, Tensor], Any]:
    """The tensors of nested dicts and lists, each by its path below `name`, and the same data with names for them."""
    tensors: dict[str, Tensor] = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            tensors[path] = value.detach().cpu().contiguous()
            return _TENSOR + path
        if isinstance(value, dict):
            return {str(k): walk(v, f"{path}.{k}") for k, v in value.items()}
        return [walk(v, f"{path}.{i}") for i, v in enumerate(value)] if isinstance(value, list | tuple) else value

    return tensors, walk(data, name)


def join(plain: Any, tensors: dict[str, Tensor]) -> Any:
    """What `split` took apart; the keys of dicts are strings, and tuples are lists."""
    if isinstance(plain, str) and plain.startswith(_TENSOR):
        return tensors[plain.removeprefix(_TENSOR)]
    if isinstance(plain, dict):
        return {k: join(v, tensors) for k, v in plain.items()}
    return [join(v, tensors) for v in plain] if isinstance(plain, list) else plain
