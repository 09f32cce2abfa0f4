"""Plain data: what may be kept as JSON, checked and mended at memory's door. No classes go in, so none come out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ...errors import UserError
from ..text import mended

DEEPEST = 32


def plain(value: Any, where: str = "value", depth: int = 0) -> Any:
    """A copy of `value` in dicts, lists, texts, numbers, booleans and None, its texts mended.

    Raises `UserError` that names the place of anything else.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth >= DEEPEST:
        raise UserError(f"{where} is nested more than {DEEPEST} deep; keep it flatter")
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {mended(key): plain(part, f"{where}.{key}", depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, f"{where}[{i}]", depth + 1) for i, part in enumerate(value)]
    shown = str(value) if isinstance(value, float) else type(value).__name__
    raise UserError(f"{where} is {shown}; memory keeps plain data: texts, finite numbers, booleans, None, lists, dicts")


def packed(value: Any) -> bytes:
    """Plain data as JSON. Raises `UserError` as `plain` does."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode()


def unpacked(value: bytes) -> Any:
    """What `packed` made bytes of."""
    return json.loads(value)
