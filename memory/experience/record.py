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

from ...errors import UserError


@dataclass(frozen=True)
class Column:
    """One named array of fixed type and shape: `Column("image", "uint8", (7, 7, 3))`. Booleans and numbers only."""

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    stored: np.dtype[Any] = field(init=False, repr=False, compare=False)  # on disk: little-endian on every machine

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
        object.__setattr__(self, "stored", dtype.newbyteorder("<"))
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))

    def encode(self, value: Any) -> bytes:
        """Pack one value of this shape. Raises `UserError` where the value does not fit (never wraps, never rounds
        to an integer)."""
        array = np.asarray(value)
        if array.shape != self.shape:
            raise UserError(f"'{self.name}' has shape {array.shape}, but memory was laid out for {self.shape}")
        if array.dtype == self.stored:
            return array.tobytes()
        if array.dtype.kind not in "biuf":
            raise UserError(f"'{self.name}' holds {array.dtype}; memory was laid out for {self.dtype}")
        with np.errstate(invalid="ignore", over="ignore"):
            converted = array.astype(self.stored)
        if converted.dtype.kind != "f" and not np.array_equal(converted, array):
            raise UserError(f"'{self.name}': {array.dtype} values do not fit {self.dtype}; declare a wider type")
        return converted.tobytes()

    def stack(self, values: Sequence[Any]) -> np.ndarray:
        """N values as `[N, *shape]`, each checked as `encode` does."""
        arrays = [np.asarray(value) for value in values]
        if {array.shape for array in arrays} == {self.shape}:
            together = np.concatenate(arrays).reshape(-1, *self.shape) if self.shape else np.array(arrays)
            if together.dtype == self.stored:
                return together
        encoded = b"".join([self.encode(array) for array in arrays])
        return np.frombuffer(encoded, self.stored).reshape(-1, *self.shape)

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}{list(self.shape) if self.shape else ''}"


@dataclass(frozen=True)
class Layout:
    """The fixed-width layout of one transition's arrays: the features, in order, and the action."""

    features: tuple[Column, ...]
    action: Column
    state_type: np.dtype[Any] = field(init=False, repr=False, compare=False)  # fields f0, f1, ... by feature
    step_type: np.dtype[Any] = field(init=False, repr=False, compare=False)  # the same, and action
    _names: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", tuple(self.features))
        names = [column.name for column in self.features]
        if not names:
            raise UserError("a layout needs at least one feature")
        if twice := {name for name in names if names.count(name) > 1}:
            raise UserError(f"a layout names {sorted(twice)} more than once; give every feature its own name")
        fields = [(f"f{i}", c.stored, c.shape) for i, c in enumerate(self.features)]
        action = ("action", self.action.stored, self.action.shape)
        object.__setattr__(self, "_names", frozenset(names))
        object.__setattr__(self, "state_type", np.dtype(fields))
        object.__setattr__(self, "step_type", np.dtype([*fields, action]))

    def pack(self, features: Mapping[str, Any], action: Any = None) -> bytes:
        """One record: every feature in order, then the action (left out where it is None).

        Raises `UserError` for a missing or unknown feature and for a value of another shape or range.
        """
        self._check_names(features)
        parts = [column.encode(features[column.name]) for column in self.features]
        if action is not None:
            parts.append(self.action.encode(action))
        return b"".join(parts)

    def stack(self, features: Sequence[Mapping[str, Any]], actions: Sequence[Any] | None = None) -> np.ndarray:
        """N records, one a state, with its action where given: `[N]` of `state_type` or `step_type`. Raises as `pack`
        does."""
        for each in features:
            self._check_names(each)
        table = np.empty(len(features), self.state_type if actions is None else self.step_type)
        if features:
            for i, column in enumerate(self.features):
                table[f"f{i}"] = column.stack([each[column.name] for each in features])
            if actions is not None:
                table["action"] = self.action.stack(actions)
        return table

    def columns(self, table: np.ndarray) -> dict[str, np.ndarray]:
        """The features `[..., *shape]` of records `[...]` of either type, copied."""
        return {c.name: table[f"f{i}"].astype(c.dtype, order="C") for i, c in enumerate(self.features)}

    def actions(self, table: np.ndarray) -> np.ndarray:
        """The actions `[..., *shape]` of records `[...]` of `step_type`, copied."""
        return table["action"].astype(self.action.dtype, order="C")

    def _check_names(self, features: Mapping[str, Any]) -> None:
        if features.keys() != self._names:
            raise UserError(
                f"features do not match memory's layout: missing {sorted(self._names - set(features))}, "
                f"unknown {sorted(set(features) - self._names)}"
            )

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
