"""The tables of experience: steps are staged as rows, each durable at once, and folded into chunks of at most 64.

A staged row is quick to write, a chunk quick to read: one blob with every state once (`records.py`). An episode is
folded whenever 64 steps are staged, and when it ends; `append_many` writes full chunks at once. What is staged is cut
by the same rule when it is read, so that readers see pieces of chunks only.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..database import Database
from .record import Layout, Transitions
from .records import LENGTH, Records, Stretch, nats

PIECE = np.dtype([
    ("chunk", np.int64),  # its id; below 0 for what is staged
    ("first", np.int64), ("last", np.int64),  # row numbers of its first and its last transition
    ("episode", np.int64), ("t", np.int64),
    ("start", np.int16), ("length", np.int16),  # of the chunk's transitions, these
    ("joined", np.bool_),  # whether it begins, bit for bit, where the piece before it in its episode ends
])  # fmt: skip

Staged = Mapping[int, tuple[np.ndarray, np.ndarray]]

_BATCH = 4_096  # rows folded at a time
_PARTS = 128  # chunks turned into columns at a time
_ROW = "id, before, reward, terminated, truncated, after, time, surprise"
# One statement, and so one commit: it does nothing where the file's newest row is not the one that was expected.
_STAGE = f"""INSERT INTO steps ({_ROW}, episode, t) SELECT newest + 1, ?, ?, ?, ?, ?, ?, ?, e.id, ?
    FROM position, episodes e WHERE newest = ? AND e.id = ? AND e.world = ? AND e.ended IS NULL"""
# CROSS: SQLite then walks the tables in this order.
_ALL = "FROM {table} c CROSS JOIN episodes e ON e.id = c.episode WHERE e.world = :world AND e.imagined = :imagined"
_CHOSEN = """FROM json_each(:episodes) j CROSS JOIN episodes e ON e.id = j.value
    CROSS JOIN {table} c ON c.episode = e.id WHERE e.world = :world AND e.imagined = :imagined"""


@dataclass(frozen=True)
class Pieces:
    """Stretches of experience without a break, `rows [E]` of `PIECE`; the surprise of their transitions end to end, in
    nats (NaN where there is none); and of those that are staged, by `chunk`, the records and the surprise."""

    rows: np.ndarray
    surprise: np.ndarray  # float32 [sum of lengths]
    staged: Staged


class Chunks:
    """The transitions of one world in a memory file."""

    def __init__(self, database: Database, layout: Layout, world: int) -> None:
        self.records = Records(layout)
        self._database, self._layout, self._world = database, layout, world
        self._expected: tuple[int, int, dict[int, int]] = (0, 0, {})  # rollbacks, newest row, times of next steps

    # --- writing ----------------------------------------------------------------------------------------------------

    def append(self, episode: int, row: tuple[Any, ...]) -> bool:
        """Stage one step (the row without its id), durable at return; False where the episode is not open."""
        rollbacks, expected, following = self._expected
        t = following.get(episode) if rollbacks == self._database.rollbacks else None
        newest = expected
        if t is None or not self._database.execute(_STAGE, (*row, t, newest, episode, self._world)):
            with self._database.transaction():  # the first of this episode, or somebody else wrote meanwhile
                if (found := self._next(episode)) is None:
                    return False
                t, _, newest = found
                if (rollbacks, expected) != (self._database.rollbacks, newest):
                    following = {}
                self._database.execute(_STAGE, (*row, t, newest, episode, self._world))
        following[episode] = t + 1
        self._expected = (self._database.rollbacks, newest + 1, following)
        if t % LENGTH == LENGTH - 1:
            self.fold(episode)
        return True

    def extend(self, episode: int, stretch: Stretch) -> bool:
        """Add steps in one commit; False where the episode is not open."""
        with self._database.transaction():
            if (found := self._next(episode)) is None:
                return False
            t, staged, newest = found
            stretch.records["row"] = newest + 1 + np.arange(len(stretch))
            is_over = bool(stretch.records[-1]["terminated"] or stretch.records[-1]["truncated"])
            if staged + len(stretch) < LENGTH and not is_over:
                self._stage(episode, t, stretch)
            else:
                self._fold(episode, self._staged(episode) + stretch if staged else stretch, whole=is_over)
        return True

    def _next(self, episode: int) -> tuple[int, int, int] | None:
        """Time of an open episode's next step, how many are staged, and the file's newest row; None if not open."""
        found = self._database.rows(
            """SELECT e.length, (SELECT count(*) FROM steps WHERE episode = e.id), (SELECT newest FROM position)
               FROM episodes e WHERE e.id = ? AND e.world = ? AND e.ended IS NULL""",
            (episode, self._world),
        )
        return (found[0][0] + found[0][1], found[0][1], found[0][2]) if found else None

    def fold(self, episode: int) -> None:
        """Turn what is staged of an episode into chunks."""
        with self._database.transaction():
            while len(stretch := self._staged(episode)):
                self._fold(episode, stretch)

    def fold_left(self, before: float) -> None:
        """Fold what is due, and what a process that died left staged: nothing came since `before` (s since 1970)."""
        due = self._database.rows(
            """SELECT e.id FROM steps s JOIN episodes e ON e.id = s.episode WHERE e.world = ? GROUP BY e.id
               HAVING e.ended IS NOT NULL OR count(*) >= ? OR max(s.time) < ?""",
            (self._world, LENGTH, before),
        )
        for (episode,) in due:
            self.fold(episode)
        if not self._database.rows("SELECT 1 FROM steps LIMIT 1 OFFSET ?", (_BATCH,)):
            self._database.execute("DROP INDEX IF EXISTS steps_of_old")

    def truncate(self, episode: int) -> None:
        """Mark the last transition of an episode that is folded as truncated, unless it terminated."""
        sql = """SELECT r.chunk, r.data FROM chunks c JOIN records r ON r.chunk = c.id
                 WHERE c.episode = ? ORDER BY c.t DESC LIMIT 1"""
        for chunk, data in self._database.rows(sql, (episode,)):
            records = np.frombuffer(data, self.records.type).copy()
            records["truncated"][-2] = not records["terminated"][-2]
            sealed = self.records.seal(records).tobytes()
            self._database.execute("UPDATE records SET data = ? WHERE chunk = ?", (sealed, chunk))

    def update_surprise(self, episode: np.ndarray, t: np.ndarray, surprise: np.ndarray) -> None:
        """Store new surprise, by episode and time int64 `[K]`, in nats `[K]`; what is not there is left out."""
        write = self._database
        surprise, order = nats(surprise), np.lexsort((t, episode))
        groups = itertools.groupby(order.tolist(), key=lambda i: int(episode[i]))
        with write.transaction():
            for of, group in groups:
                rows = np.array(list(group))
                own = "SELECT c.id, c.t, c.surprise FROM chunks c JOIN episodes e ON e.id = c.episode WHERE e.world = ?"
                for chunk, begin, blob in write.rows(
                    f"{own} AND c.episode = ? AND c.t <= ? AND c.t + c.length > ?",
                    (self._world, of, int(t[rows[-1]]), int(t[rows[0]])),
                ):
                    values = np.frombuffer(blob, "<f4").copy()
                    inside = rows[(t[rows] >= begin) & (t[rows] < begin + len(values))]
                    values[t[inside] - begin] = surprise[inside]
                    write.execute("UPDATE chunks SET surprise = ? WHERE id = ?", (values.tobytes(), chunk))
                write.execute_many(
                    "UPDATE steps SET surprise = ? WHERE episode = ? AND t = ?",
                    [(float(surprise[i]), of, int(t[i])) for i in rows.tolist()],
                )
            write.execute("UPDATE revision SET number = number + 1")

    def _staged(self, episode: int) -> Stretch:
        sql = f"SELECT {_ROW} FROM steps WHERE episode = ? ORDER BY t LIMIT {_BATCH:d}"
        return self.records.of_rows(self._database.rows(sql, (episode,)))

    def _stage(self, episode: int, t: int, stretch: Stretch) -> None:
        r = stretch.records
        flat = zip(*(r[name].tolist() for name in ("row", "reward", "terminated", "truncated", "time")), strict=True)
        rows = [
            (row, r["step"][i].tobytes(), reward, terminated, truncated, stretch.after[i].tobytes(), time,
             float(stretch.surprise[i]), episode, t + i)
            for i, (row, reward, terminated, truncated, time) in enumerate(flat)
        ]  # fmt: skip
        self._database.execute_many(
            f"INSERT INTO steps ({_ROW}, episode, t) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
        )

    def _fold(self, episode: int, stretch: Stretch, whole: bool = True) -> None:
        """Write a stretch that begins with what is staged as chunks; its short end is staged again unless `whole`."""
        write = self._database
        ((t,),) = write.rows("SELECT length FROM episodes WHERE id = ?", (episode,))
        cuts = self.records.cut(stretch, self._continues(episode, t, stretch.records[:1]))
        if not whole and cuts[-1][1] - cuts[-1][0] < LENGTH:
            cuts.pop()
        for start, stop, joined in cuts:
            part = stretch[start:stop]
            rows, surprise = part.records["row"], part.surprise.astype("<f4").tobytes()
            chunk = write.insert(
                "INSERT INTO chunks (first, last, episode, t, length, joined, surprise) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (int(rows[0]), int(rows[-1]), episode, t + start, stop - start, joined, surprise),
            )
            write.insert("INSERT INTO records VALUES (?, ?)", (chunk, self.records.chunk(part).view(np.uint8).data))
        folded = cuts[-1][1] if cuts else 0
        write.execute("DELETE FROM steps WHERE episode = ? AND t < ?", (episode, t + len(stretch)))
        if folded < len(stretch):
            self._stage(episode, t + folded, stretch[folded:])
        write.execute(
            """UPDATE episodes SET length = length + ?1, held = held + ?1, total_reward = total_reward + ?2
               WHERE id = ?3""",
            (folded, float(stretch.records["reward"][:folded].sum()), episode),
        )

    def _continues(self, episode: int, t: int, then: np.ndarray) -> bool:
        """Whether a transition `[1]` at time t begins where the chunk before it in its episode ended."""
        for chunk, length in self._database.rows(
            "SELECT id, length FROM chunks WHERE episode = ? AND t + length = ? ORDER BY t DESC LIMIT 1", (episode, t)
        ):
            end = self.read(chunk, length - 1, 2)
            return end is not None and bool(self.records.follows(end[:1], self.records.states(end[1:]), then)[0])
        return False

    # --- reading ----------------------------------------------------------------------------------------------------

    def pieces(self, since: int = 0, episodes: Sequence[int] | None = None, imagined: bool = False) -> Pieces:
        """Chunks whose id is above `since` and what is staged, of `episodes` only where given, in no order."""
        values: dict[str, Any] = {"world": self._world, "imagined": imagined, "since": since}
        source = _ALL
        if episodes is not None:
            source, values["episodes"] = _CHOSEN, json.dumps([int(episode) for episode in episodes])
        with self._database.view():
            found = self._database.rows(
                "SELECT c.id, c.first, c.last, c.episode, c.t, 0, c.length, c.joined, c.surprise "
                f"{source.format(table='chunks')} AND c.id > :since", values
            )  # fmt: skip
            lived = self._database.rows(
                f"SELECT c.episode, c.t, c.{_ROW.replace(', ', ', c.')} {source.format(table='steps')} "
                "ORDER BY c.episode, c.t", values
            )  # fmt: skip
            rows = [row[:-1] for row in found]
            surprise = [np.frombuffer(b"".join([row[-1] for row in found]), "<f4")]
            staged: dict[int, tuple[np.ndarray, np.ndarray]] = {}
            for episode, group in itertools.groupby(lived, key=lambda row: row[0]):
                steps = list(group)
                t, stretch = steps[0][1], self.records.of_rows([row[2:] for row in steps])
                for start, stop, joined in self.records.cut(stretch, self._continues(episode, t, stretch.records[:1])):
                    part = stretch[start:stop]
                    key, ends = -1 - len(staged), part.records["row"][[0, -1]].tolist()
                    staged[key] = self.records.chunk(part), part.surprise
                    rows.append((key, *ends, episode, t + start, 0, stop - start, joined))
                    surprise.append(part.surprise)
        return Pieces(np.array(rows, PIECE), np.concatenate(surprise), staged)

    def surprise(self, rows: np.ndarray, staged: Staged) -> np.ndarray:
        """The surprise of `rows [E]` of `PIECE` in nats, float32 `[E, LENGTH]`: NaN where there is none, -inf where a
        piece is shorter."""
        values = np.full((len(rows), LENGTH), -np.inf, np.float32)
        flat = zip(*(rows[name].tolist() for name in ("chunk", "start", "length")), strict=True)
        for i, (chunk, start, length) in enumerate(flat):
            if chunk < 0:
                values[i, :length] = staged[chunk][1][start : start + length]
            else:
                found = self._database.rows("SELECT surprise FROM chunks WHERE id = ?", (chunk,))
                known = np.frombuffer(found[0][0], "<f4") if found else np.full(LENGTH, np.nan, np.float32)
                values[i, :length] = known[start : start + length]
        return values

    def read(self, chunk: int, start: int, count: int) -> np.ndarray | None:
        """Records `[count]` of a chunk, not checked; None where it is gone."""
        size = self.records.type.itemsize
        data = self._database.part("records", "data", chunk, start * size, count * size)
        if data is None:
            return None
        if len(data) < count * size:
            raise self._database.damaged(f"chunk {chunk} is cut short")
        return np.frombuffer(data, self.records.type)

    def checked(self, records: np.ndarray) -> np.ndarray:
        """The records `[N]`. Raises `UserError` where they are not as they were written."""
        if not (sound := self.records.sound(records)).all():
            wrong = int((~sound).sum())
            raise self._database.damaged(f"{wrong} of {len(records)} records are not as they were written")
        return records

    def piece(self, row: Any, staged: Staged, start: int = 0, length: int | None = None) -> np.ndarray | None:
        """The records of `length` transitions from `start` on (all where None) of one row of `PIECE`, one more than
        that; None where it was forgotten meanwhile."""
        chunk, first = int(row["chunk"]), int(row["start"]) + start
        count = 1 + (int(row["length"]) - start if length is None else length)
        return staged[chunk][0][first : first + count] if chunk < 0 else self.read(chunk, first, count)

    def transitions(self, rows: np.ndarray, staged: Staged) -> tuple[Transitions, np.ndarray]:
        """The transitions of `rows [E]` of `PIECE`, in that order, and their row numbers int64 `[N]`; what was
        forgotten meanwhile is left out."""
        parts, numbers = [], [np.zeros(0, np.int64)]
        for at in range(0, max(len(rows), 1), _PARTS):
            batch = rows[at : at + _PARTS]
            found = [self.piece(row, staged) for row in batch]
            batch = batch[[records is not None for records in found]]
            there = [records for records in found if records is not None]
            records = self.checked(np.concatenate([np.zeros(0, self.records.type), *there]))
            place, episode, t = laid(batch)
            now, after = records[place], records[place + 1]
            numbers.append(now["row"].astype(np.int64))
            parts.append(Transitions(
                self._layout.columns(now["step"]), self._layout.actions(now["step"]), now["reward"].astype(np.float32),
                now["terminated"].copy(), now["truncated"].copy(), self._layout.columns(after["step"]), episode, t,
            ))  # fmt: skip
        return Transitions.join(parts), np.concatenate(numbers)


def laid(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For pieces whose records lie end to end: each transition's place among them, its episode, its time; int64 [N]."""
    length = rows["length"].astype(np.int64)
    start = np.cumsum(length) - length
    rank = np.arange(length.sum())
    return (
        rank + np.repeat(np.arange(len(rows)), length),
        np.repeat(rows["episode"], length),
        rank + np.repeat(rows["t"] - start, length),
    )
