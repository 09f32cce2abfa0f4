"""What was lived beside what was learned: the model that imagines before rules correct it, with the past at its side.

Memory is taken in when the model has been trained, and between two episodes that are learned from; how far it was taken
in is saved with the agent, so that one that is loaded recalls the same.
"""

from __future__ import annotations

from typing import Literal

from ..world.model import WorldModel
from ..world.models.build import name_of
from ..world.neighbours import Neighbours, NeighboursConfig
from .learn import Experience

MEASURED = ("slots", "ensemble")
"""The models beside which the past was shown to help (`benchmarks/memory.py`); their state is what is seen now."""
_GROWTH = 0.05
"""So much more there must be to recall before it is made ready anew."""


class Recalling:
    """`config` "auto" recalls beside the models for which that was measured to help, None never. Who is `adapting`
    does not, unless told to: a world that has changed would be recalled as it was."""

    def __init__(self, learned: WorldModel, config: NeighboursConfig | Literal["auto"] | None, adapting: bool) -> None:
        helps = name_of(learned).partition("-")[0] in MEASURED and not adapting
        self.config = (NeighboursConfig() if helps else None) if config == "auto" else config
        if "exact" in learned.provides:
            self.config = None
        self.seen = (0, 0)  # transitions to train on and held out ones that were taken in
        self._made: tuple[tuple[int, int, int], WorldModel] | None = None

    def take_in(self, experience: Experience, at_once: bool = True) -> bool:
        """Recall what was lived until now; unless `at_once`, only if it has grown enough. Whether it did."""
        if self.config is None:
            return False
        counts = experience.replay.count(), experience.replay.count(held_out=True)
        if not at_once and sum(counts) < (1 + _GROWTH) * sum(self.seen) + 1:
            return False
        self.seen = counts
        return True

    def beside(self, learned: WorldModel, experience: Experience, version: int) -> WorldModel:
        """`learned` (at its training step `version`) and what was taken in; `learned` itself where that is nothing, or
        is worth nothing."""
        if self.config is None or not self.seen[0]:
            return learned
        key = (*self.seen, version)
        if self._made is None or self._made[0] != key:
            lived, unseen = experience.first(self.seen[0]), experience.first(self.seen[1], held_out=True)
            made = learned if lived is None else Neighbours.of(learned, lived, unseen, self.config)
            self._made = key, made if getattr(made, "is_on", False) else learned
        return self._made[1]
