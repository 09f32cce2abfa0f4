"""What replay draws from: an index of a memory file's chunks in order, on the two sides of a split, kept up to date."""

from __future__ import annotations

import numpy as np

from ..long_term import LongTerm
from .chunks import PIECE, Pieces, Staged
from .columns import Columns, Growing
from .runs import ENTRY, Runs, entries
from .split import Split


class Index:
    """What there is to draw from. `sides` are training and held out; `staged` are the records of what is not folded
    yet; `columns` hold all records as long as they fit `cache_bytes`, and are None from then on.

    `row` and `episode` are the place in the file up to which it was taken in; `skipped` are rows and episodes that the
    agent wrote after a checkpoint it went back to, each from above, up to, above, up to, and that are left out.
    """

    def __init__(
        self, memory: LongTerm, split: Split, skipped: list[tuple[int, int, int, int]], cache_bytes: int
    ) -> None:
        self.split, self.skipped = split, skipped
        self.row = self.episode = 0
        self._memory, self._cache_bytes = memory, cache_bytes
        self._by_agent: dict[int, bool] = {}
        self._version: object = None
        self._begin(-1)

    def _begin(self, revision: int) -> None:
        """Know of nothing in the file, which was changed `revision` times."""
        self._revision = revision
        self._chunk = 0  # the newest one taken in
        self._folded = Growing(ENTRY)
        self.columns: Columns | None = Columns(self._memory.layout)
        self._kept = 0  # records of chunks in the columns; those of what is staged follow
        self.staged: Staged = {}
        self.sides = (Runs(np.zeros(0, ENTRY)), Runs(np.zeros(0, ENTRY)))  # training, held out

    def refresh(self) -> None:
        """Take in what has been written since the last call."""
        database = self._memory.database
        if (version := database.version()) == self._version:
            return
        with database.view():
            ((revision,),) = database.rows("SELECT number FROM revision")
            if revision != self._revision:
                self._begin(revision)
            found = self._memory.chunks.pieces(self._chunk)
            self.row = self._memory.position()
            self._meet()
            rows = self._known(found)
            self.staged = found.staged
            staged = rows["piece"]["chunk"] < 0
            self._fill(rows, staged)
        self._folded.extend(rows[~staged])
        self._chunk = max(self._chunk, int(found.rows["chunk"].max(initial=0)))
        everything = np.concatenate([self._folded.values, rows[staged]])
        pieces = everything["piece"]
        everything = everything[np.lexsort((pieces["t"], pieces["episode"]))]
        self.sides = (Runs(everything[~everything["held_out"]]), Runs(everything[everything["held_out"]]))
        self._version = version

    def _meet(self) -> None:
        """Assign new episodes to a side of the split, in order of their ids."""
        fresh = self._memory.episodes(since=self.episode)
        if not fresh:
            return
        self._by_agent |= {e.id: e.source == "agent" for e in fresh}
        self.split.assign(
            e for e in fresh if e.source != "agent" or not any(a < e.id <= b for _, _, a, b in self.skipped)
        )
        self.episode = fresh[-1].id

    def _known(self, found: Pieces) -> np.ndarray:
        """What of it is learned from, `ENTRY [E]`, on its side of the split: without what a checkpoint leaves out."""
        pieces, surprise = found.rows, found.surprise
        for above, to, _, _ in self.skipped:
            pieces, surprise = self._without(above, to, pieces, surprise, found.staged)
        ids, episode = np.unique(pieces["episode"], return_inverse=True)
        keep = np.array([e in self.split for e in ids.tolist()], bool)[episode]
        rows = entries(pieces, surprise)[keep]
        side = np.array([e in self.split and self.split.is_held_out(e) for e in ids.tolist()], bool)
        rows["held_out"] = side[episode][keep]
        return rows

    def _without(
        self, above: int, to: int, pieces: np.ndarray, surprise: np.ndarray, staged: Staged
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pieces and surprise without the agent's own rows above `above` up to `to`."""
        parts, kept = [np.zeros(0, PIECE)], np.ones(len(surprise), bool)
        at = 0
        for piece in pieces:
            span = slice(at, at := at + int(piece["length"]))
            if piece["first"] <= to and piece["last"] > above and self._by_agent[int(piece["episode"])]:
                records = self._memory.chunks.piece(piece, staged)
                assert records is not None  # the file is read in one view
                row = records["row"][:-1]
                kept[span] = (row <= above) | (row > to)
                edges = np.flatnonzero(np.diff(np.concatenate([[False], kept[span], [False]]))).reshape(-1, 2)
                part = np.repeat(piece[None], len(edges))
                for i, (start, stop) in enumerate(edges.tolist()):
                    part[i]["first"], part[i]["last"] = row[start], row[stop - 1]
                    part[i]["t"] += start
                    part[i]["start"] += start
                    part[i]["length"] = stop - start
                    part[i]["joined"] |= start > 0
                parts.append(part)
            else:
                parts.append(piece[None])
        return np.concatenate(parts), surprise[kept]

    def _fill(self, rows: np.ndarray, staged: np.ndarray) -> None:
        """Keep the records of new entries `[E]` in RAM, as long as all of them fit."""
        if self.columns is None:
            return
        length = rows["piece"]["length"].astype(np.int64) + 1
        if (self._kept + length.sum()) * self._memory.chunks.records.type.itemsize > self._cache_bytes:
            self.columns = None
            return
        self.columns.truncate(self._kept)
        for part in (~staged, staged):
            rows["place"][part] = len(self.columns) + np.cumsum(length[part]) - length[part]
            found = [self._memory.chunks.piece(piece, self.staged) for piece in rows["piece"][part]]
            if records := [r for r in found if r is not None]:
                self.columns.extend(self._memory.chunks.checked(np.concatenate(records)))
        self._kept += int(length[~staged].sum())
