"""Forgetting: experience is given up by a policy, chunk by chunk, so that a file keeps to a quota.

Only what the agent itself lived, in episodes that are over, and what was imagined can be forgotten; never what a person
told or demonstrated. The episodes stay listed (which layouts were seen, what is held out), and notes and rules are not
touched. Places in the file that a checkpoint names stay right.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...errors import UserError
from ..database import Database

Policy = Literal["oldest", "least_surprising"]
Unit = Literal["transitions", "bytes"]

_ROOM = 0.05  # of a quota, made at a time, so that not every episode's end has to


@dataclass(frozen=True)
class Quota:
    """How much experience of a world is kept at most, in `transitions` or `bytes` (of their records), and what goes
    first.

    "oldest": what was written first. "least_surprising": the chunks whose most surprising transition (nats) is least
    so, for a rare event stands among dull steps; one without any surprise counts as an average one. What was imagined
    goes before anything that was lived.
    """

    keep: int
    unit: Unit = "transitions"
    policy: Policy = "oldest"

    def __post_init__(self) -> None:
        if self.keep < 0:
            raise UserError(f"a quota keeps {self.keep} {self.unit}; give a number of at least 0")
        if self.unit not in ("transitions", "bytes"):
            raise UserError(f"unknown unit '{self.unit}' of a quota; use 'transitions' or 'bytes'")
        if self.policy not in ("oldest", "least_surprising"):
            raise UserError(f"unknown policy of forgetting '{self.policy}'; use 'oldest' or 'least_surprising'")


class Forgetting:
    """What may be forgotten of one world in a memory file."""

    def __init__(self, database: Database, world: int, record_bytes: int) -> None:
        """`record_bytes` is the size of one record of this world's chunks."""
        self._database, self._world, self._record_bytes = database, world, record_bytes

    def to(self, quota: Quota, time: float) -> int:
        """Forget whole chunks until the quota is kept, or nothing is left that may go; how many transitions that were.
        `time` (seconds since 1970) is noted in the file."""
        with self._database.transaction():
            excess = self._size(quota.unit) - quota.keep
            if excess <= 0:
                return 0
            found = self._database.rows(
                """SELECT c.id, c.length, c.last, e.imagined, c.surprise FROM chunks c
                   JOIN episodes e ON e.id = c.episode
                   WHERE e.world = ? AND e.ended IS NOT NULL AND (e.imagined OR e.source = 'agent')""",
                (self._world,),
            )
            if not found:
                return 0
            chunk, length, last, imagined = np.array([row[:-1] for row in found], np.int64).T
            worth = last if quota.policy == "oldest" else _greatest([row[-1] for row in found])
            order = np.lexsort((last, worth, ~imagined.astype(bool)))
            size = length if quota.unit == "transitions" else (length + 1) * self._record_bytes
            gone = order[: np.searchsorted(np.cumsum(size[order]), excess) + 1]
            self._drop(chunk[gone].tolist(), int(length[gone].sum()), quota.policy, time)
            return int(length[gone].sum())

    def keep(self, quota: Quota, time: float) -> None:
        """Where there is more than the quota allows, forget so much that it is not soon so again."""
        if self._size(quota.unit) > quota.keep:
            self.to(replace(quota, keep=int(quota.keep * (1 - _ROOM))), time)

    def _size(self, unit: Unit) -> int:
        ((chunks, length),) = self._database.rows(
            """SELECT count(*), coalesce(sum(c.length), 0) FROM chunks c JOIN episodes e ON e.id = c.episode
               WHERE e.world = ?""",
            (self._world,),
        )
        return int(length if unit == "transitions" else (length + chunks) * self._record_bytes)

    def _drop(self, chunks: list[int], transitions: int, policy: Policy, time: float) -> None:
        write, ids = self._database, {"ids": json.dumps(chunks)}
        write.execute(
            """UPDATE episodes SET held = held - gone.n FROM (
                   SELECT episode, sum(length) AS n FROM chunks
                   WHERE id IN (SELECT value FROM json_each(:ids)) GROUP BY episode) AS gone
               WHERE episodes.id = gone.episode""",
            ids,
        )
        write.execute(
            """INSERT INTO forgettings (time, policy, transitions, position)
               SELECT ?, ?, ?, newest FROM position""",
            (time, policy, transitions),
        )
        write.execute("DELETE FROM chunks WHERE id IN (SELECT value FROM json_each(:ids))", ids)  # and their records
        write.execute("UPDATE revision SET number = number + 1")


def _greatest(surprises: list[bytes]) -> np.ndarray:
    """The greatest surprise of each chunk, in nats; the average one where none of a chunk's is known."""
    values = [np.frombuffer(blob, "<f4") for blob in surprises]
    greatest = np.array([np.nanmax(v) if not np.isnan(v).all() else np.nan for v in values])
    known = greatest[~np.isnan(greatest)]
    return np.where(np.isnan(greatest), known.mean() if len(known) else 0.0, greatest)
