"""What a chunk is made of: consecutive transitions laid end to end, every state once.

n transitions are n + 1 records: the state, the action taken in it, what came of that, and a checksum; the last one is
only the state that the last action led to. A state is in a chunk as the start of one transition and the end of the one
before, so a chunk is cut wherever the two differ by a bit, and after an end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import UserError
from .record import Layout, Step

LENGTH = 64  # transitions in a chunk at most
_SALT = np.uint64(0x9E3779B97F4A7C15)  # zeros are no sound record


@dataclass(frozen=True)
class Stretch:
    """N transitions of one episode in order of time, whether or not each begins where the one before ended."""

    records: np.ndarray  # [N]
    after: np.ndarray  # [N] of the layout's state_type
    surprise: np.ndarray  # float32 [N], nats, NaN where there is none

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: slice) -> Stretch:
        return Stretch(self.records[index], self.after[index], self.surprise[index])

    def __add__(self, other: Stretch) -> Stretch:
        return Stretch(*(np.concatenate(pair) for pair in (
            (self.records, other.records), (self.after, other.after), (self.surprise, other.surprise))))  # fmt: skip


class Records:
    """The records of one layout: made, sealed, checked."""

    def __init__(self, layout: Layout) -> None:
        step = layout.step_type
        fields: list[tuple[Any, ...]] = [("step", step), ("reward", "<f8"), ("time", "<f8"), ("row", "<i8"),
                                         ("terminated", "?"), ("truncated", "?")]  # fmt: skip
        fields += [("rest", "u1", (-np.dtype(fields).itemsize % 8,)), ("check", "<u8")]  # whole words, to be summed up
        self.layout = layout
        self.type = np.dtype(fields)

    def of_rows(self, rows: Sequence[tuple[Any, ...]]) -> Stretch:
        """Staged rows (id, before, reward, terminated, truncated, after, time, surprise)."""
        columns = list(zip(*rows, strict=True)) if rows else [()] * 8
        row, before, reward, terminated, truncated, after, time, surprise = columns
        step = np.frombuffer(b"".join(before), self.layout.step_type)
        known = [math.nan if value is None else value for value in surprise]
        return Stretch(self._fill(step, reward, time, row, terminated, truncated),
                       np.frombuffer(b"".join(after), self.layout.state_type), nats(known))  # fmt: skip

    def of_steps(self, steps: Sequence[Step], surprises: Sequence[float] | None, time: float) -> Stretch:
        """Steps as they are lived, their rows not numbered yet. Raises `UserError` for one that does not fit."""
        if surprises is not None and len(surprises) != len(steps):
            raise UserError(f"{len(surprises)} surprises came for {len(steps)} steps; give one a step, NaN where none")
        if steps and steps[-1].next_features is None:
            raise UserError("a step has no next features; give the state that followed its action")
        reward = np.array([float(step.reward) for step in steps])
        if np.isnan(reward).any():
            raise UserError("a reward is NaN; mend the environment's reward before it is remembered")
        table = self.layout.stack([step.features for step in steps], [step.action for step in steps])
        following = [step.features for step in steps[1:]]
        odd = [i for i, (step, then) in enumerate(zip(steps, following, strict=False))
               if step.next_features is not None and step.next_features is not then]  # fmt: skip
        after = np.empty(len(steps), self.layout.state_type)
        _bytes(after)[:-1] = _bytes(table)[1:, : after.itemsize]
        odd += [len(steps) - 1] if steps else []
        after[odd] = self.layout.stack([steps[i].next_features or {} for i in odd])
        known = np.full(len(steps), np.nan) if surprises is None else np.asarray(surprises)
        ends = np.array([(step.terminated, step.truncated) for step in steps], bool).reshape(-1, 2)
        return Stretch(self._fill(table, reward, time, 0, ends[:, 0], ends[:, 1]), after, nats(known))

    def cut(self, stretch: Stretch, joined: bool) -> list[tuple[int, int, bool]]:
        """Where chunks start and stop, and whether each goes on from the one before; the first does if `joined`."""
        if not len(stretch):
            return []
        goes_on = self.follows(stretch.records[:-1], stretch.after[:-1], stretch.records[1:])
        edges = [0, *(np.flatnonzero(~goes_on) + 1).tolist(), len(stretch)]
        return [
            (at, min(at + LENGTH, stop), joined if at == 0 else at > start)
            for start, stop in itertools.pairwise(edges)
            for at in range(start, stop, LENGTH)
        ]

    def chunk(self, stretch: Stretch) -> np.ndarray:
        """n transitions without a break as n + 1 sealed records."""
        records = np.zeros(len(stretch) + 1, self.type)
        raw = _bytes(records)  # copied as bytes, not field by field
        raw[:-1] = _bytes(stretch.records)
        raw[-1, : stretch.after.itemsize] = _bytes(stretch.after)[-1]
        return self.seal(records)

    def follows(self, records: np.ndarray, after: np.ndarray, then: np.ndarray) -> np.ndarray:
        """Whether `then [N]` begin, bit for bit, in the states `after [N]` that `records [N]` led to, without an end;
        bool `[N]`."""
        same = (_bytes(then)[:, : after.itemsize] == _bytes(after)).all(axis=1)
        return same & ~(records["terminated"] | records["truncated"])

    def states(self, records: np.ndarray) -> np.ndarray:
        """The states of records `[N]`, of the layout's state_type."""
        state = self.layout.state_type
        return np.ascontiguousarray(_bytes(records)[:, : state.itemsize]).view(state)[:, 0]

    def seal(self, records: np.ndarray) -> np.ndarray:
        """The records `[N]` with their checksums set."""
        records["check"] = self._sums(records)
        return records

    def sound(self, records: np.ndarray) -> np.ndarray:
        """Which records `[N]` are as they were sealed; bool `[N]`."""
        return records["check"] == self._sums(records)

    def _sums(self, records: np.ndarray) -> np.ndarray:
        words = records.view("<u8").reshape(len(records), self.type.itemsize // 8)
        return words[:, :-1].sum(axis=1, dtype=np.uint64) + _SALT

    def _fill(self, step: np.ndarray, reward: Any, time: Any, row: Any, terminated: Any, truncated: Any) -> np.ndarray:
        records = np.zeros(len(step), self.type)
        _bytes(records)[:, : step.itemsize] = _bytes(step)
        for name, values in (("reward", reward), ("time", time), ("row", row), ("terminated", terminated),
                             ("truncated", truncated)):  # fmt: skip
            records[name] = values
        return records


def nats(surprise: Any) -> np.ndarray:
    """Surprises as they are stored, float32 `[N]`: what was held impossible is finite too, so that sums stay finite."""
    return np.clip(np.asarray(surprise, np.float64), -1e30, 1e30).astype(np.float32)


def _bytes(records: np.ndarray) -> np.ndarray:
    """Records as bytes, uint8 `[N, itemsize]`, a view: unlike floats, bytes are equal where both are NaN."""
    return records.view(np.uint8).reshape(len(records), records.itemsize)
