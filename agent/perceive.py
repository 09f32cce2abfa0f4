"""o_t = P(s_t, M_{t-1}): what the environment shows becomes named features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from ..world.schema import Schema

if TYPE_CHECKING:
    import gymnasium


Last = tuple[Mapping[str, np.ndarray], np.ndarray]
"""What was perceived before, and the action `[A]` since."""


def perceive(
    schema: Schema, observation: Any, env: gymnasium.Env | None, last: Last | None = None
) -> dict[str, np.ndarray]:
    """One observation as features, name -> array `[*shape]`; with a partial view what was seen `last` stays. Raises
    `UserError` where it does not fit the schema."""
    return schema.observe(observation, env, last)


def check_reward(reward: Any) -> float:
    """The reward as a number. Raises `UserError` where it is none: nothing could be learned from it."""
    try:
        value = float(reward)
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise UserError(f"the environment paid a reward of {reward!r}; mend its `step`, rewards must be finite")
    return value
