"""Schemas of the environments we know by name; every other one is read off its spaces.

A family is recognised by the class it inherits from, so nothing is imported that the user has not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ..schema import Schema

if TYPE_CHECKING:
    import gymnasium

# "module.Class" of an environment -> (our module, its function env -> Schema, whether it reads the simulator only)
_FAMILIES: dict[str, tuple[str, str, bool]] = {
    "minigrid.minigrid_env.MiniGridEnv": ("minigrid", "minigrid", True),
    "gymnasium.envs.classic_control.cartpole.CartPoleEnv": ("classic", "cart_pole", False),
    "gymnasium.envs.classic_control.mountain_car.MountainCarEnv": ("classic", "mountain_car", False),
    "gymnasium.envs.classic_control.continuous_mountain_car.Continuous_MountainCarEnv": (
        "classic", "mountain_car_continuous", False),
    "gymnasium.envs.classic_control.pendulum.PendulumEnv": ("classic", "pendulum", False),
    "gymnasium.envs.classic_control.acrobot.AcrobotEnv": ("classic", "acrobot", False),
    "gymnasium.envs.mujoco.mujoco_env.MujocoEnv": ("mujoco", "mujoco", False),
    "gymnasium.envs.toy_text.frozen_lake.FrozenLakeEnv": ("toy", "frozen_lake", False),
    "gymnasium.envs.toy_text.cliffwalking.CliffWalkingEnv": ("toy", "cliff_walking", False),
    "gymnasium.envs.toy_text.taxi.TaxiEnv": ("toy", "taxi", False),
    "gymnasium.envs.toy_text.blackjack.BlackjackEnv": ("toy", "blackjack", False),
}


# families of which an agent may have only a partial view
_VIEWS: dict[str, tuple[str, str]] = {
    "minigrid.minigrid_env.MiniGridEnv": ("minigrid_view", "minigrid_view"),
}


def schema_of(env: gymnasium.Env, view: str = "full", size: tuple[int, int] | None = None) -> Schema:
    """Return the schema of `env`: its own (`env.unwrapped.schema`), its family's, or one read off its spaces.

    A wrapper that changes the observation or action space hides the family: the spaces then speak for themselves.
    """
    if view not in ("full", "partial"):
        raise UserError(f"there is no view '{view}'; use 'full' or 'partial'")
    if view == "partial":
        return _partial(env, size)
    if size is not None:
        raise UserError("a full view has the size that its environment has; leave `size` out, or use view='partial'")
    own = getattr(env.unwrapped, "schema", None)
    own = own() if callable(own) and not isinstance(own, Schema) else own
    if isinstance(own, Schema):
        return own
    for cls in type(env.unwrapped).__mro__:
        module, function, reads_simulator = _FAMILIES.get(f"{cls.__module__}.{cls.__qualname__}", ("", "", False))
        if module and (reads_simulator or _has_own_spaces(env)):
            family: Any = import_module(f"{__name__}.{module}")
            schema: Schema = getattr(family, function)(env)
            return schema
    from .generic import generic

    return generic(env)


def _partial(env: gymnasium.Env, size: tuple[int, int] | None) -> Schema:
    for cls in type(env.unwrapped).__mro__:
        if found := _VIEWS.get(f"{cls.__module__}.{cls.__qualname__}"):
            family: Any = import_module(f"{__name__}.{found[0]}")
            schema: Schema = getattr(family, found[1])(env, size)
            return schema
    raise UserError("a partial view is known of MiniGrid and BabyAI alone; for another world make a Schema with a "
                    "`sight` of your own")


def _has_own_spaces(env: gymnasium.Env) -> bool:
    inner = env.unwrapped
    return env.observation_space == inner.observation_space and env.action_space == inner.action_space
