"""Gymnasium's classic control: the numbers of the observation by their physical names and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..schema import Derived, Feature, Features, Restore, Schema
from .generic import actions_of, bounds_of

if TYPE_CHECKING:
    import gymnasium


def cart_pole(env: gymnasium.Env) -> Schema:
    """A pole hinged on a cart that is pushed left or right; 0 is the middle of the track and the upright pole."""
    return _vector(env, "cart_pole", (
        ("cart_position", "m", "where the cart is on its track; the episode ends beyond 2.4 on either side"),
        ("cart_velocity", "m/s", "how fast the cart moves, to the right if positive"),
        ("pole_angle", "rad", "how far the pole leans, to the right if positive; the episode ends beyond 0.2095"),
        ("pole_angular_velocity", "rad/s", "how fast the pole turns, to the right if positive"),
    ), ("left", "right"), restore=_restore_cart_pole)


def mountain_car(env: gymnasium.Env) -> Schema:
    """A car in a valley, too weak to climb out without a swing."""
    return _vector(env, "mountain_car", _CAR, ("left", "idle", "right"), restore=_restore_car)


def mountain_car_continuous(env: gymnasium.Env) -> Schema:
    """The same car with a motor of any force."""
    return _vector(env, "mountain_car_continuous", _CAR, ("force",), restore=_restore_car)


def pendulum(env: gymnasium.Env) -> Schema:
    """A pendulum to swing up by a motor; `angle` is derived."""
    angle = Feature("angle", "real", (), -np.pi, np.pi, unit="rad", description="how far from upright, from -pi to pi")
    return _vector(env, "pendulum", (
        ("cos_angle", "", "1 when the pendulum is upright, -1 when it hangs"),
        ("sin_angle", "", "0 when the pendulum is upright or hangs"),
        ("angular_velocity", "rad/s", "how fast the pendulum turns"),
    ), ("torque",), (Derived(angle, lambda f: torch.atan2(f["sin_angle"], f["cos_angle"])),),
        restore=_restore_pendulum)


def acrobot(env: gymnasium.Env) -> Schema:
    """Two links hanging from a hinge, with a motor between them; the angles and the tip's height are derived."""
    def angle(k: int) -> Derived:
        feature = Feature(f"angle_{k}", "real", (), -np.pi, np.pi, unit="rad", description=_ACROBOT_ANGLES[k - 1])
        return Derived(feature, lambda f: torch.atan2(f[f"sin_angle_{k}"], f[f"cos_angle_{k}"]))

    height = Feature("tip_height", "real", (), -2.0, 2.0, unit="m",
                     description="how high the free end is above the hinge; the episode ends above 1")
    return _vector(env, "acrobot", (
        ("cos_angle_1", "", "cosine of the first link's angle"),
        ("sin_angle_1", "", "sine of the first link's angle"),
        ("cos_angle_2", "", "cosine of the second link's angle"),
        ("sin_angle_2", "", "sine of the second link's angle"),
        ("angular_velocity_1", "rad/s", "how fast the first link turns"),
        ("angular_velocity_2", "rad/s", "how fast the second link turns against the first"),
    ), ("negative_torque", "no_torque", "positive_torque"), (angle(1), angle(2), Derived(height, _tip_height)),
        restore=_restore_acrobot)


_CAR = (
    ("position", "", "where the car is; the valley's bottom is at -0.5, the goal at the right end"),
    ("velocity", "", "how fast the car moves in a step, to the right if positive"),
)
_ACROBOT_ANGLES = ("the first link's angle, 0 when it hangs down", "the second link's angle against the first")


def _tip_height(f: Features) -> Tensor:
    """-cos(a) - cos(a + b) of the links' angles a and b."""
    bent = f["cos_angle_1"] * f["cos_angle_2"] - f["sin_angle_1"] * f["sin_angle_2"]
    return -f["cos_angle_1"] - bent


# --- writing features back into the environment -------------------------------------------------------------------

Row = Mapping[str, np.ndarray]


def updated(old: Any, new: Any) -> np.ndarray:
    """The new numbers, but for those that the old ones show already: these keep the digits that float32 has not."""
    old = np.asarray(old, np.float64)
    return np.where(old.astype(np.float32) == np.asarray(new, np.float32), old, np.asarray(new, np.float64))


def _restore_cart_pole(env: gymnasium.Env, features: Row) -> bool:
    inner: Any = env.unwrapped
    inner.state = updated(inner.state, list(features.values()))
    inner.steps_beyond_terminated = None
    position, _, angle, _ = inner.state
    return bool(abs(position) > inner.x_threshold or abs(angle) > inner.theta_threshold_radians)


def _restore_car(env: gymnasium.Env, features: Row) -> bool:
    inner: Any = env.unwrapped
    position, velocity = updated(inner.state, list(features.values()))
    is_tuple = isinstance(inner.state, tuple)
    inner.state = (position, velocity) if is_tuple else np.array([position, velocity], inner.state.dtype)
    return bool(position >= inner.goal_position and velocity >= inner.goal_velocity)


def _restore_pendulum(env: gymnasium.Env, features: Row) -> bool:
    inner: Any = env.unwrapped
    angle, velocity = inner.state
    inner.state = np.array([_angle(angle, features["cos_angle"], features["sin_angle"]),
                            updated(velocity, features["angular_velocity"])])
    return False


def _restore_acrobot(env: gymnasium.Env, features: Row) -> bool:
    inner: Any = env.unwrapped
    angles = [_angle(inner.state[k - 1], features[f"cos_angle_{k}"], features[f"sin_angle_{k}"]) for k in (1, 2)]
    speeds = [features["angular_velocity_1"], features["angular_velocity_2"]]
    inner.state = np.concatenate([angles, updated(inner.state[2:], speeds)])
    return bool(inner._terminal())


def _angle(old: float, cos: np.ndarray, sin: np.ndarray) -> float:
    """The angle with this cosine and sine; the old one, if it has them."""
    is_same = np.float32(np.cos(old)) == cos and np.float32(np.sin(old)) == sin
    return float(old if is_same else np.arctan2(sin, cos))


def _vector(
    env: gymnasium.Env,
    name: str,
    fields: tuple[tuple[str, str, str], ...],
    actions: tuple[str, ...],
    derived: tuple[Derived, ...] = (),
    *,
    restore: Restore,
) -> Schema:
    """The schema of an observation vector; `fields` are (name, unit, description), in order."""
    low, high = bounds_of(env.observation_space)
    features = tuple(
        Feature(field, "real", (), float(low[k]), float(high[k]), unit=unit, description=description)
        for k, (field, unit, description) in enumerate(fields)
    )

    def perceive(observation: Any, env: gymnasium.Env | None) -> dict[str, Any]:
        return {field: observation[k] for k, (field, _, _) in enumerate(fields)}

    action, act = actions_of(env.action_space, actions)
    return Schema(name, features, action, perceive, act, derived, restore=restore)
