"""Gymnasium's Box2D worlds: what they observe, scaled back to metres, seconds and radians."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..schema import Feature, Schema
from .generic import actions_of

if TYPE_CHECKING:
    import gymnasium

# name, unit, how much of it an observed 1 is, bound of what is observed, description
_LANDER: tuple[tuple[str, str, float, float, str], ...] = (
    ("horizontal_position", "m", 10.0, 2.5, "how far the lander is to the right of the middle of the landing pad"),
    ("height", "m", 20 / 3, 2.5, "how high the lander is above the landing pad, 0 when it stands on it"),
    ("horizontal_velocity", "m/s", 5.0, 10.0, "how fast the lander flies, to the right if positive"),
    ("vertical_velocity", "m/s", 7.5, 10.0, "how fast the lander rises; negative when it comes down"),
    ("tilt", "rad", 1.0, 6.2831855, "how far the lander leans, to the left if positive; 0 when it is upright"),
    ("angular_velocity", "rad/s", 2.5, 10.0, "how fast the lander turns, to the left if positive"),
)
_LEGS = ("left_leg_down", "right_leg_down")


def lunar_lander(env: gymnasium.Env) -> Schema:
    """A lander that shall come down softly and upright between two flags; it crashes where its body touches ground."""
    features = tuple(Feature(name, "real", (), -scale * bound, scale * bound, unit=unit, description=description)
                     for name, unit, scale, bound, description in _LANDER)
    legs = tuple(Feature(name, "boolean", description=f"whether the {name.split('_')[0]} leg touches the ground")
                 for name in _LEGS)

    def perceive(observation: Any, env: gymnasium.Env | None) -> dict[str, Any]:
        seen: dict[str, Any] = {name: observation[k] * scale for k, (name, _, scale, _, _) in enumerate(_LANDER)}
        return seen | {name: bool(observation[len(_LANDER) + k] > 0.5) for k, name in enumerate(_LEGS)}

    is_discrete = not getattr(env.unwrapped, "continuous", False)
    names = ("nothing", "left_engine", "main_engine", "right_engine") if is_discrete else ("main_power", "side_power")
    actions, act = actions_of(env.action_space, names)
    return Schema("lunar_lander", (*features, *legs), actions, perceive, act)
