"""Replay: sequences of lived experience, drawn from long-term memory for the world model to learn from.

What is in RAM is an index of chunks, some 70 bytes each; sequences are read from the file as they are drawn. Only a
memory that fits `cache_bytes` is kept in RAM as columns. Each call first takes in what any process has written since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import GedankenError, UserError
from ..long_term import LongTerm
from .chunks import laid
from .index import Index
from .record import Transitions
from .runs import Runs, Strategy, Windows
from .split import Split

CACHE_BYTES = 64 << 20


@dataclass(frozen=True)
class Sequences:
    """B sequences of T transitions (T + 1 states). Past an episode's end the last state is repeated, the reward is 0
    and `mask` is False."""

    features: dict[str, np.ndarray]  # [B, T+1, ...]
    action: np.ndarray  # [B, T, ...]; features[:, i], action[:, i] -> features[:, i+1]
    reward: np.ndarray  # float32 [B, T]
    terminated: np.ndarray  # bool [B, T]
    mask: np.ndarray  # bool [B, T]
    episode: np.ndarray  # int64 [B]
    t: np.ndarray  # int64 [B]: time in its episode of the first transition


class Replay:
    """Sequences sampled from long-term memory; refreshed when new transitions arrive.

    A sequence stays inside one run: consecutive transitions of an episode, each starting exactly where the one
    before it ended. Not for several threads at once: give each its own, over the same memory.
    """

    def __init__(
        self, memory: LongTerm, holdout: float = 0.1, seed: int = 0, cache_bytes: int = CACHE_BYTES
    ) -> None:
        """Hold out about a share `holdout` of the groups (layouts, levels), and at least one where there are two. A
        memory of at most `cache_bytes` is kept in RAM."""
        self._memory = memory
        self._cache_bytes = cache_bytes
        self._index = Index(memory, Split(holdout, seed), [], cache_bytes)

    def sample(
        self,
        batch: int,
        length: int,
        rng: np.random.Generator,
        held_out: bool = False,
        strategy: Strategy = "uniform",
        weights: np.ndarray | None = None,
    ) -> Sequences:
        """Draw `batch` sequences of `length` transitions.

        "uniform": every transition is as likely; "recent": the newest tenth of memory makes up nearly half;
        "surprising": the more it surprised, the likelier (see `Runs.draw`). `weights [M]`, at least 0, one a transition
        in the order of `transitions(held_out)`, say instead how likely each is. Sequences are full wherever a run is
        long enough. Raises `GedankenError` where there is nothing to draw from, `UserError` for a size below 1, an
        unknown strategy, weights that do not fit, or a damaged file.
        """
        if batch < 1 or length < 1:
            raise UserError(f"a sample needs a batch and a length of at least 1, not {batch} and {length}")
        if strategy not in ("uniform", "recent", "surprising"):
            raise UserError(f"unknown replay strategy '{strategy}'; use 'uniform', 'recent' or 'surprising'")
        while True:
            self._index.refresh()
            runs = self._index.sides[held_out]
            if not len(runs):
                raise GedankenError(self._nothing(held_out))
            if weights is not None:
                _check(weights, len(runs))
            windows = runs.draw(batch, length, rng, strategy, weights, self._surprise_of)
            if self._index.columns is not None:
                return self._gather(runs, windows, length)
            if (found := self._read(runs, windows, length)) is not None:
                return found  # else another process forgot some of it just now: draw again

    def transitions(self, held_out: bool = False) -> Transitions:
        """Every transition of one side of the split, ordered by episode and time; may be empty."""
        self._index.refresh()
        runs = self._index.sides[held_out]
        if self._index.columns is None:
            return self._memory.chunks.transitions(runs.pieces, self._index.staged)[0]
        _, episode, t = laid(runs.pieces)
        return self._index.columns.transitions(runs.places, episode, t)

    def surprise(self, held_out: bool = False) -> np.ndarray:
        """The surprise of each transition of `transitions(held_out)` that memory has, float32 `[M]` in nats; NaN where
        none is known."""
        self._index.refresh()
        surprise = self._surprise_of(self._index.sides[held_out].pieces)
        return surprise[surprise != -np.inf]

    def update_surprise(self, episode: np.ndarray, t: np.ndarray, surprise: np.ndarray) -> None:
        """Store how much transitions surprise the model now, by episode and time, int64 `[K]`, in nats `[K]`."""
        self._memory.chunks.update_surprise(episode, t, surprise)

    def count(self, held_out: bool = False) -> int:
        """The number of transitions of one side of the split."""
        self._index.refresh()
        return len(self._index.sides[held_out])

    def __len__(self) -> int:
        """The number of transitions on both sides."""
        self._index.refresh()
        return sum(len(side) for side in self._index.sides)

    def __bool__(self) -> bool:
        return True

    def state_dict(self) -> dict[str, Any]:
        """The split and the position in the file, JSON-able. It is exact where it is taken between two episodes."""
        index = self._index
        index.refresh()
        return {
            "version": 1,
            "holdout": index.split.holdout,
            "seed": index.split.seed,
            "row": index.row,
            "episode": index.episode,
            "skipped": [list(gap) for gap in index.skipped],
        }

    def load_state_dict(self, state: Mapping[str, Any], exact: bool = True) -> None:
        """Return to a checkpoint: the same transitions in the same order, then whatever is written from now on.

        With `exact`, what the agent itself wrote after the checkpoint is left out, since it will live that time
        again; what others wrote (demonstrations) is kept. Raises `UserError` for a state that is not one of ours,
        or of another memory file.
        """
        try:
            row, episode = int(state["row"]), int(state["episode"])
            gaps = [(int(a), int(b), int(c), int(d)) for a, b, c, d in state["skipped"]]
            holdout, seed, version = float(state["holdout"]), int(state["seed"]), int(state["version"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"this is not a replay checkpoint ({error!r}); pass what state_dict() returned") from error
        if version != 1:
            raise UserError(f"this replay checkpoint has format {version}, this version reads 1; upgrade gedanken")
        newest = self._memory.position()
        if newest < row:
            raise UserError(
                f"{self._memory.path}: ends at transition {newest}, but the checkpoint was made at {row}; open the "
                "memory file that belongs to it"
            )
        if exact:
            episodes = self._memory.episodes(since=episode)
            gap = (row, newest, episode, episodes[-1].id if episodes else episode)
            if gap[0] < gap[1] or gap[2] < gap[3]:
                gaps.append(gap)
        self._index = Index(self._memory, Split(holdout, seed), gaps, self._cache_bytes)

    def _surprise_of(self, pieces: np.ndarray) -> np.ndarray:
        return self._memory.chunks.surprise(pieces, self._index.staged)

    def _gather(self, runs: Runs, windows: Windows, length: int) -> Sequences:
        """The sequences in RAM; one gather a column."""
        columns = self._index.columns
        assert columns is not None
        place, mask = windows.ranks(length)
        place = runs.places[place]
        state = np.concatenate([place[:, :1], place + 1], axis=1)
        return self._sequences(
            runs, windows, mask,
            {name: column.values.take(state, axis=0) for name, column in columns.states.items()},
            columns.action.values.take(place, axis=0), columns.reward.values.take(place),
            columns.terminated.values.take(place),
        )  # fmt: skip

    def _read(self, runs: Runs, windows: Windows, length: int) -> Sequences | None:
        """The sequences from the file, of each chunk only what is in them; None where some of it is gone."""
        chunks, layout = self._memory.chunks, self._memory.layout
        batch = len(windows.start)
        records = np.empty((batch, length + 1), chunks.records.type)
        size = records.itemsize
        raw = records.view(np.uint8).reshape(batch, -1)  # copied as bytes, not field by field
        where = runs.piece_of(windows.start)
        for i, (rank, count, at) in enumerate(
            zip(windows.start.tolist(), windows.count.tolist(), where.tolist(), strict=True)
        ):
            done = 0
            while done < count:
                piece = runs.pieces[at]
                start = rank + done - int(runs.starts[at])
                n = min(int(piece["length"]) - start, count - done)
                found = chunks.piece(piece, self._index.staged, start, n)
                if found is None:
                    return None
                # The next chunk begins with the state that this one ends with.
                raw[i, done * size : (done + n + 1) * size] = found.view(np.uint8)
                done, at = done + n, at + 1
            records[i, count + 1 :] = records[i, count]
        chunks.checked(records.reshape(-1))
        place, mask = windows.ranks(length)
        lived = np.take_along_axis(records, place - place[:, :1], axis=1) if not mask.all() else records[:, :-1]
        return self._sequences(
            runs, windows, mask, layout.columns(records["step"]), layout.actions(lived["step"]),
            lived["reward"].astype(np.float32), lived["terminated"],
        )  # fmt: skip

    def _sequences(
        self, runs: Runs, windows: Windows, mask: np.ndarray, features: dict[str, np.ndarray], action: np.ndarray,
        reward: np.ndarray, terminated: np.ndarray,
    ) -> Sequences:  # fmt: skip
        at = runs.piece_of(windows.start)
        piece = runs.pieces[at]
        return Sequences(features, action, np.where(mask, reward, np.float32(0)), terminated & mask, mask,
                         piece["episode"], piece["t"] + windows.start - runs.starts[at])  # fmt: skip

    def _nothing(self, held_out: bool) -> str:
        where = str(self._memory.path)
        if not len(self):
            return f"{where}: memory holds no transitions of this world yet; let the agent act first"
        if held_out and self._index.split.holdout == 0.0:
            return f"{where}: nothing is held out (holdout is 0); use Replay(memory, holdout=0.1)"
        side = "held out" if held_out else "there to train on"
        return f"{where}: nothing is {side} yet; record episodes of another group (layout or level)"


def _check(weights: np.ndarray, size: int) -> None:
    if weights.shape != (size,) or not (weights >= 0).all() or not weights.any():
        raise UserError(f"weights have shape {weights.shape}; give one of at least 0 to each of the {size} "
                        "transitions, and not 0 to all")  # fmt: skip
