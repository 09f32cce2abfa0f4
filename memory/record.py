"""What one transition is made of, and how it is laid out in bytes.

Memory knows features only as named numpy arrays of fixed type and shape. A `Layout` names them once, so that a
transition is a few fixed-width blobs and a thousand of them become columns in one `np.frombuffer`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import UserError


@dataclass(frozen=True)
class Column:
    """One named array of fixed type and shape: `Column("image", "uint8", (7, 7, 3))`. Booleans and numbers only."""

    name: str
    dtype: str
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        try:
            dtype = np.dtype(self.dtype)
        except TypeError as error:
            raise UserError(f"column '{self.name}': '{self.dtype}' is not a numpy type; try 'float32'") from error
        if dtype.kind not in "biuf":
            raise UserError(f"column '{self.name}': type '{self.dtype}' is neither boolean, integer nor float")
        if any(size < 1 for size in self.shape):
            raise UserError(f"column '{self.name}': shape {self.shape} has a size below 1")
        object.__setattr__(self, "dtype", dtype.name)
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))

    @property
    def stored(self) -> np.dtype[Any]:
        """The type on disk: little-endian on every machine."""
        return np.dtype(self.dtype).newbyteorder("<")

    def encode(self, value: Any) -> bytes:
        """Pack one value of this shape. Raises `UserError` where the value does not fit (never wraps, never rounds
        to an integer)."""
        array = np.asarray(value)
        if array.shape != self.shape:
            raise UserError(f"'{self.name}' has shape {array.shape}, but memory was laid out for {self.shape}")
        if array.dtype.name == self.dtype:
            return array.astype(self.stored, copy=False).tobytes()
        if array.dtype.kind not in "biuf":
            raise UserError(f"'{self.name}' holds {array.dtype}; memory was laid out for {self.dtype}")
        with np.errstate(invalid="ignore", over="ignore"):
            converted = array.astype(self.stored)
        if converted.dtype.kind != "f" and not np.array_equal(converted, array):
            raise UserError(f"'{self.name}': {array.dtype} values do not fit {self.dtype}; declare a wider type")
        return converted.tobytes()

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}{list(self.shape) if self.shape else ''}"


@dataclass(frozen=True)
class Layout:
    """The fixed-width layout of one transition's arrays: the features, in order, and the action."""

    features: tuple[Column, ...]
    action: Column
    _types: tuple[np.dtype[Any], np.dtype[Any]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        names = [column.name for column in self.features]
        if not names:
            raise UserError("a layout needs at least one feature")
        if twice := {name for name in names if names.count(name) > 1}:
            raise UserError(f"a layout names {sorted(twice)} more than once; give every feature its own name")
        fields = [(f"f{i}", c.stored, c.shape) for i, c in enumerate(self.features)]
        action = ("action", self.action.stored, self.action.shape)
        object.__setattr__(self, "_types", (np.dtype(fields), np.dtype([*fields, action])))

    def pack(self, features: Mapping[str, Any], action: Any = None) -> bytes:
        """One record: every feature in order, then the action (left out where it is None).

        Raises `UserError` for a missing or unknown feature and for a value of another shape or range.
        """
        if len(features) != len(self.features) or any(c.name not in features for c in self.features):
            known = {c.name for c in self.features}
            raise UserError(
                f"features do not match memory's layout: missing {sorted(known - set(features))}, "
                f"unknown {sorted(set(features) - known)}"
            )
        parts = [column.encode(features[column.name]) for column in self.features]
        if action is not None:
            parts.append(self.action.encode(action))
        return b"".join(parts)

    def unpack(self, records: bytes) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Features `[N, *shape]` and actions `[N, *shape]` of N records laid end to end."""
        table = np.frombuffer(records, self._types[1])
        return self._columns(table), table["action"].astype(self.action.dtype, order="C")

    def unpack_features(self, records: bytes) -> dict[str, np.ndarray]:
        """Features `[N, *shape]` of N records that were packed without an action."""
        return self._columns(np.frombuffer(records, self._types[0]))

    def _columns(self, table: np.ndarray) -> dict[str, np.ndarray]:
        return {c.name: table[f"f{i}"].astype(c.dtype, order="C") for i, c in enumerate(self.features)}

    def same(self, other: Layout) -> bool:
        """Whether both hold the same columns, in whatever order."""
        return self.action == other.action and set(self.features) == set(other.features)

    def compatible(self, other: Layout) -> bool:
        """Same names, types and ranks, only sizes differ: the same world at another size."""
        return not self.difference(other)

    def difference(self, other: Layout) -> list[str]:
        """What keeps the two from being one world, a line each, `other` being the one stored before."""
        mine = {c.name: c for c in self.features}
        stored = {c.name: c for c in other.features}
        lines = [f"new here: {mine[name]}" for name in mine if name not in stored]
        lines += [f"stored, gone here: {stored[name]}" for name in stored if name not in mine]
        pairs = [(mine[name], stored[name]) for name in mine if name in stored] + [(self.action, other.action)]
        lines += [f"stored as {b}, here {a}" for a, b in pairs if (a.dtype, len(a.shape)) != (b.dtype, len(b.shape))]
        return lines

    def to_json(self) -> str:
        def plain(c: Column) -> list[Any]:
            return [c.name, c.dtype, list(c.shape)]

        return json.dumps({"features": [plain(c) for c in self.features], "action": plain(self.action)})

    @classmethod
    def from_json(cls, text: str) -> Layout:
        """Raises `UserError` where the text is not a layout."""
        try:
            data = json.loads(text)
            columns = [Column(name, dtype, tuple(shape)) for name, dtype, shape in [*data["features"], data["action"]]]
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"this is not a memory layout: {text[:80]!r}") from error
        return cls(tuple(columns[:-1]), columns[-1])


@dataclass(frozen=True)
class Step:
    """One transition as it is lived. `next_features` may be None only inside `append_many`, where the following
    step's `features` stand for it."""

    features: Mapping[str, Any]
    action: Any
    reward: float
    terminated: bool
    truncated: bool
    next_features: Mapping[str, Any] | None


FLAT = ("action", "reward", "terminated", "truncated", "episode", "t")  # what transitions hold beside the states


@dataclass(frozen=True)
class Transitions:
    """N transitions as columns, first axis N, ordered by episode and time."""

    features: dict[str, np.ndarray]
    action: np.ndarray
    reward: np.ndarray  # float32 [N]
    terminated: np.ndarray  # bool [N]
    truncated: np.ndarray  # bool [N]
    next_features: dict[str, np.ndarray]
    episode: np.ndarray  # int64 [N]
    t: np.ndarray  # int64 [N]

    def __len__(self) -> int:
        return len(self.reward)

    def take(self, index: Any) -> Transitions:
        """The transitions at `index` (integers, a slice or a boolean mask), in that order."""
        flat: dict[str, Any] = {name: getattr(self, name)[index] for name in FLAT}
        return Transitions(
            features={name: column[index] for name, column in self.features.items()},
            next_features={name: column[index] for name, column in self.next_features.items()},
            **flat,
        )

    @staticmethod
    def join(parts: Sequence[Transitions]) -> Transitions:
        """One after the other; `parts` holds at least one."""
        if len(parts) == 1:
            return parts[0]

        def columns(of: str) -> dict[str, np.ndarray]:
            return {name: np.concatenate([getattr(p, of)[name] for p in parts]) for name in getattr(parts[0], of)}

        flat: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in FLAT}
        return Transitions(features=columns("features"), next_features=columns("next_features"), **flat)
