"""Which layouts a model never trains on: the split of memory into training and held-out groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ...errors import UserError
from ..long_term import Episode


class Split:
    """Groups (layouts, levels) assigned once, in order of arrival: what was trained on is never held out later.

    A group is held out where a hash of its name and the seed says so; an episode without a group is a group of its
    own. The first group always trains, and the second is held out if no other is, so that both sides have data.
    """

    def __init__(self, holdout: float, seed: int) -> None:
        """Raises `UserError` where `holdout` is not from 0 (nothing is held out) to below 1."""
        if not 0.0 <= holdout < 1.0:
            raise UserError(f"holdout is {holdout}; give the share of held-out groups, from 0 to below 1")
        self.holdout = holdout
        self.seed = seed
        self._held_out: dict[str, bool] = {}  # by group
        self._of_episode: dict[int, bool] = {}
        self._unnamed = 0

    def assign(self, episodes: Iterable[Episode]) -> None:
        """Take in new episodes, oldest first."""
        for episode in episodes:
            name = "group " + episode.group
            if not episode.group:
                name = f"episode {self._unnamed}"  # counted, not the id: ids differ in a restored run
                self._unnamed += 1
            if name not in self._held_out:
                self._held_out[name] = self._decide(name)
            self._of_episode[episode.id] = self._held_out[name]

    def is_held_out(self, episode: int) -> bool:
        """Whether an episode taken in before is held out."""
        return self._of_episode[episode]

    def __contains__(self, episode: int) -> bool:
        return episode in self._of_episode

    def _decide(self, name: str) -> bool:
        if not self._held_out or self.holdout == 0.0:
            return False
        digest = hashlib.blake2b(f"{self.seed}\x1f{name}".encode(), digest_size=8).digest()
        chosen = int.from_bytes(digest, "big") / 2.0**64 < self.holdout
        return chosen or not any(self._held_out.values())
