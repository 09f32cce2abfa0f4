"""Replay: sequences of lived experience, drawn from long-term memory for the world model to learn from.

Transitions are read once and kept in RAM as columns; each call first takes in what any process has written since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import GedankenError, UserError
from .columns import Columns, Growing
from .long_term import LongTerm
from .record import Transitions
from .runs import Runs
from .split import Split

Strategy = Literal["uniform", "recent"]
_CHUNK = 32_768  # rows of the file taken in at a time


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

    def __init__(self, memory: LongTerm, holdout: float = 0.1, seed: int = 0) -> None:
        """Hold out about a share `holdout` of the groups (layouts, levels), and at least one where there are two."""
        self._memory = memory
        self._start(holdout, seed, [])

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

        "uniform": every transition is as likely; "recent": the newest tenth of memory makes up nearly half. `weights
        [M]`, at least 0, one a transition in the order of `transitions(held_out)`, say instead how likely each is.
        Sequences are full wherever a run is long enough. Raises `GedankenError` where there is nothing
        to draw from, `UserError` for a size below 1, an unknown strategy or weights that do not fit.
        """
        if batch < 1 or length < 1:
            raise UserError(f"a sample needs a batch and a length of at least 1, not {batch} and {length}")
        if strategy not in ("uniform", "recent"):
            raise UserError(f"unknown replay strategy '{strategy}'; use 'uniform' or 'recent'")
        self._refresh()
        runs = self._sides[held_out]
        if not len(runs):
            raise GedankenError(self._nothing(held_out))
        if weights is not None and (weights.shape != (len(runs),) or not (weights >= 0).all() or not weights.any()):
            raise UserError(f"weights have shape {weights.shape}; give one of at least 0 to each of the {len(runs)} "
                            "transitions, and not 0 to all")
        return self._gather(*runs.draw(batch, length, rng, strategy == "recent", weights))

    def transitions(self, held_out: bool = False) -> Transitions:
        """Every transition of one side of the split, ordered by episode and time; may be empty."""
        self._refresh()
        return self._columns.take(self._sides[held_out].places)

    def count(self, held_out: bool = False) -> int:
        """The number of transitions of one side of the split."""
        self._refresh()
        return len(self._sides[held_out])

    def __len__(self) -> int:
        """The number of transitions on both sides."""
        self._refresh()
        return len(self._columns)

    def __bool__(self) -> bool:
        return True

    def state_dict(self) -> dict[str, Any]:
        """The split and the position in the file, JSON-able. It is exact where it is taken between two episodes."""
        self._refresh()
        self._meet()
        return {
            "version": 1,
            "holdout": self._split.holdout,
            "seed": self._split.seed,
            "row": self._row,
            "episode": self._episode,
            "skipped": [list(gap) for gap in self._skipped],
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
        self._start(holdout, seed, gaps)
        if exact:
            episodes = self._memory.episodes(since=episode)
            gap = (row, newest, episode, episodes[-1].id if episodes else episode)
            if gap[0] < gap[1] or gap[2] < gap[3]:
                self._skipped = [*gaps, gap]

    def _start(self, holdout: float, seed: int, skipped: list[tuple[int, int, int, int]]) -> None:
        self._split = Split(holdout, seed)
        self._columns = Columns(self._memory.layout)
        self._joined = Growing(bool)  # by arrival: whether it continues the run of the one before
        self._held_out = Growing(bool)  # by arrival
        self._row = self._episode = 0
        self._skipped = skipped  # rows and episodes written after a checkpoint: above, up to, above, up to
        self._by_agent: dict[int, bool] = {}
        self._sides = (Runs(), Runs())  # training, held out
        self._end = -1  # the place of the last transition in order of (episode, time)

    def _refresh(self) -> None:
        """Take in what has been written since the last call."""
        newest = self._memory.position()
        if newest == self._row:
            return
        if not len(self._columns):
            self._columns.reserve(2 * len(self._memory))  # room that is not used costs no RAM
        while self._row < newest:
            upto = min(self._row + _CHUNK, newest)
            arrived, rows = self._memory.arrivals(self._row, upto)
            self._meet()
            keep = np.array([e in self._split for e in arrived.episode.tolist()], bool)
            for above, to, _, _ in self._skipped:
                agent = np.array([self._by_agent[e] for e in arrived.episode.tolist()], bool)
                keep &= ~((rows > above) & (rows <= to) & agent)
            known = len(self._columns)
            self._columns.extend(arrived if keep.all() else arrived.take(keep))
            self._row = upto
            if len(self._columns) > known:
                self._index(known)

    def _meet(self) -> None:
        """Assign new episodes to a side of the split, in order of their ids."""
        fresh = self._memory.episodes(since=self._episode)
        if not fresh:
            return
        self._by_agent |= {e.id: e.source == "agent" for e in fresh}
        self._split.assign(
            e for e in fresh if e.source != "agent" or not any(a < e.id <= b for _, _, a, b in self._skipped)
        )
        self._episode = fresh[-1].id

    def _index(self, known: int) -> None:
        """Sort by (episode, time), find the runs, and split them; `known` transitions were there before.

        What one actor lives comes in order and is added at the end; only episodes that take turns are sorted anew.
        """
        columns = self._columns
        new = np.arange(known, len(columns))
        keys = columns.keys(known)
        if (self._end < 0 or keys[0] > columns.keys(self._end)[0]) and (np.diff(keys) > 0).all():
            order = new
            earlier = np.concatenate([[self._end], new[:-1]])
        else:
            order = np.argsort(columns.keys(), kind="stable")  # nearly sorted as it is: a stable sort makes use of it
            rank = np.empty(len(order), np.int64)
            rank[order] = np.arange(len(order))
            earlier = np.where(rank[new] > 0, order[rank[new] - 1], -1)
            self._sides = (Runs(), Runs())
        joined = earlier >= 0
        joined[joined] = columns.follows(new[joined], earlier[joined])
        self._joined.extend(joined)
        fresh = columns.episode.values[known:].tolist()
        self._held_out.extend(np.array([self._split.is_held_out(e) for e in fresh], bool))
        held_out = self._held_out.values[order]
        for runs, places in zip(self._sides, (order[~held_out], order[held_out]), strict=True):
            runs.extend(places, self._joined.values[places])
        self._end = int(order[-1])

    def _gather(self, place: np.ndarray, mask: np.ndarray) -> Sequences:
        """The sequences whose transitions arrived at `place` `[B, T]`; one gather a column."""
        batch, length = place.shape
        columns = self._columns
        state = np.empty((batch, length + 1), np.int64)  # in [N, 2] laid flat: before is 2i, after is 2i + 1
        state[:, 0] = 2 * place[:, 0]
        state[:, 1:] = 2 * place + 1
        features = {}
        for name, column in columns.states.items():
            pairs = column.values
            features[name] = pairs.reshape(-1, *pairs.shape[2:]).take(state, axis=0)
        return Sequences(
            features,
            columns.action.values.take(place, axis=0),
            np.where(mask, columns.reward.values.take(place), np.float32(0)),
            columns.terminated.values.take(place) & mask,
            mask,
            columns.episode.values[place[:, 0]],
            columns.t.values[place[:, 0]],
        )

    def _nothing(self, held_out: bool) -> str:
        where = str(self._memory.path)
        if not len(self._columns):
            return f"{where}: memory holds no transitions of this world yet; let the agent act first"
        if held_out and self._split.holdout == 0.0:
            return f"{where}: nothing is held out (holdout is 0); use Replay(memory, holdout=0.1)"
        side = "held out" if held_out else "there to train on"
        return f"{where}: nothing is {side} yet; record episodes of another group (layout or level)"
