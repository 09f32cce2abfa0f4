"""What was seen last, of every feature, and when: what is out of sight is still known, as old as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UserError


@dataclass(frozen=True)
class Sight:
    """The value of one feature as it was last seen, at time `seen`; it has been so since `since`. In steps of the
    episode."""

    value: np.ndarray
    seen: int
    since: int


class Seen:
    """The features of this episode as last seen. An observation may hold only some of them: the others stay."""

    def __init__(self) -> None:
        self.t = 0
        self.sights: dict[str, Sight] = {}

    def look(self, features: Mapping[str, Any], t: int) -> None:
        """Take in what is seen at time `t`."""
        self.t = t
        for name, value in features.items():
            array, before = np.array(value), self.sights.get(name)
            is_same = before is not None and np.array_equal(before.value, array)
            self.sights[name] = Sight(array, t, before.since if before is not None and is_same else t)

    def age(self, name: str) -> int:
        """For how many steps a feature has been out of sight; 0 where it is seen now."""
        return self.t - self.sights[name].seen

    def clear(self) -> None:
        self.t, self.sights = 0, {}

    def state_dict(self) -> dict[str, Any]:
        """JSON-able; what is no number (NaN, infinity) is JSON's as Python writes it."""
        sights = {k: [s.value.dtype.name, s.value.tolist(), s.seen, s.since] for k, s in self.sights.items()}
        return {"t": self.t, "sights": sights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raises `UserError` for a state that is not ours."""
        try:
            sights = {str(k): Sight(np.array(value, dtype), int(seen), int(since))
                      for k, (dtype, value, seen, since) in state["sights"].items()}
            t = int(state["t"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"this is not what was seen ({error!r}); pass what state_dict() returned") from error
        self.t, self.sights = t, sights
