"""Any environment, read off its spaces by generic names: `observation_0`, `action`, and so on.

A vector of up to 32 numbers becomes scalars, which rules can name; a larger Box stays one array. Dict and Tuple spaces
are flattened, their keys joined with `_`. Bounds are the space's; where it has none, so has the feature.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from ...errors import UserError
from ..schema import Act, Feature, Schema

if TYPE_CHECKING:
    import gymnasium

SCALARS = 32
"""The longest vector that is split into one feature a number."""


@dataclass(frozen=True)
class _Leaf:
    """A part of the observation: how to find it, and the features it becomes (one, or one a number)."""

    path: tuple[str | int, ...]
    features: tuple[Feature, ...]
    start: np.ndarray | int = 0

    def read(self, observation: Any) -> dict[str, Any]:
        for key in self.path:
            observation = observation[key]
        value = np.asarray(observation)
        expected = len(self.features) if len(self.features) > 1 else int(np.prod(self.features[0].shape))
        if value.size != expected:
            raise UserError(f"'{self.features[0].name}' of an observation stands for {expected} numbers, got "
                            f"{value.size} of shape {value.shape}; the environment's space and observations differ")
        if value.dtype.kind not in "biuf":
            raise UserError(f"'{self.features[0].name}' of an observation is not numeric: {observation!r}")
        value = value - self.start if self.features[0].kind == "category" else value
        if len(self.features) == 1:
            return {self.features[0].name: value.reshape(self.features[0].shape)}
        return {f.name: v for f, v in zip(self.features, value.reshape(-1), strict=True)}


def generic(env: gymnasium.Env) -> Schema:
    """Return a schema of generic names; raises `UserError` for a space it cannot read, naming it."""
    leaves = tuple(_leaves(env.observation_space, "", ()))

    def perceive(observation: Any, env: gymnasium.Env | None) -> dict[str, Any]:
        return {name: value for leaf in leaves for name, value in leaf.read(observation).items()}

    actions, act = actions_of(env.action_space)
    features = tuple(f for leaf in leaves for f in leaf.features)
    if not features or any(0 in f.shape for f in features):
        raise UserError(f"the observation space {env.observation_space} is empty: there is nothing to see; give the "
                        "environment an observation, at least a constant one")
    return Schema(env.spec.id if env.spec else type(env.unwrapped).__name__, features, actions, perceive, act)


def _leaves(space: spaces.Space, name: str, path: tuple[str | int, ...]) -> Iterator[_Leaf]:
    """The parts of a space that hold numbers, in its own order."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        inner = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, part in inner:
            stem = name or ("" if isinstance(space, spaces.Dict) else "observation")
            yield from _leaves(part, f"{stem}_{_word(key)}" if stem else _word(key), (*path, key))
        return
    name = name if name.isidentifier() else f"observation_{name}".rstrip("_")
    if isinstance(space, spaces.Discrete):
        yield _Leaf(path, (_choice(name, int(space.n), int(space.start)),), int(space.start))
    elif isinstance(space, spaces.MultiDiscrete):
        starts = np.asarray(space.start)
        parts = [_choice(f"{name}_{k}", int(n), int(starts.flat[k])) for k, n in enumerate(space.nvec.flat)]
        yield _Leaf(path, tuple(parts), starts)
    elif isinstance(space, spaces.MultiBinary):
        yield _Leaf(path, _numbers(name, "boolean", tuple(space.shape), np.zeros(space.shape), np.ones(space.shape)))
    elif isinstance(space, spaces.Box):
        kind = "real" if np.issubdtype(space.dtype, np.floating) else "integer"
        yield _Leaf(path, _numbers(name, kind, tuple(space.shape), *bounds_of(space)))
    else:
        raise UserError(f"the {type(space).__name__} space of '{name}' has no features of a fixed size: give the "
                        "environment a `schema` attribute (a gedanken.Schema), or wrap its observations in a Box")


def _numbers(name: str, kind: Any, shape: tuple[int, ...], low: np.ndarray, high: np.ndarray) -> tuple[Feature, ...]:
    """One feature a number of a small vector, else one array."""
    if shape == () or (len(shape) == 1 and shape[0] == 1):
        return (Feature(name, kind, (), float(low.min()), float(high.max())),)
    if len(shape) == 1 and shape[0] <= SCALARS:
        return tuple(Feature(f"{name}_{k}", kind, (), float(low[k]), float(high[k])) for k in range(shape[0]))
    return (Feature(name, kind, shape, float(low.min()), float(high.max())),)


def bounds_of(space: spaces.Space) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest numbers of a Box, of its shape; what is written as 1e30 or more has no bound."""
    if not isinstance(space, spaces.Box):
        raise UserError(f"{space} is not a Box")
    return np.where(space.low <= -1e30, -np.inf, space.low), np.where(space.high >= 1e30, np.inf, space.high)


def _choice(name: str, n: int, start: int = 0) -> Feature:
    return Feature(name, "category", values=tuple(f"{name}_{k}" for k in range(start, start + n)))


def _word(key: str | int) -> str:
    return re.sub(r"\W", "_", str(key))


def actions_of(space: spaces.Space, names: tuple[str, ...] = ()) -> tuple[tuple[Feature, ...], Act]:
    """Return an action space's features and `act`, from a row `[A]` to what `env.step` takes.

    `names` are the real actions of a Box, or the values of a Discrete one, where the world has names for them.
    """
    if isinstance(space, spaces.Discrete):
        start = int(space.start)
        values = names[: int(space.n)] or _choice("action", int(space.n), start).values
        return (Feature("action", "category", values=values),), lambda row: int(row[0]) + start
    if isinstance(space, spaces.MultiDiscrete):
        starts = np.asarray(space.start)
        choices = tuple(_choice(f"action_{k}", int(n), int(starts.flat[k])) for k, n in enumerate(space.nvec.flat))
        return choices, _shaped(space, starts)
    if isinstance(space, spaces.MultiBinary):
        return tuple(Feature(f"action_{k}", "boolean") for k in range(int(np.prod(space.shape)))), _shaped(space, 0)
    if isinstance(space, spaces.Box):
        if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
            raise UserError(f"the action space {space} has no bounds, which planning needs: wrap the environment with "
                            "gymnasium.wrappers.RescaleAction or ClipAction after giving it finite bounds")
        size = int(np.prod(space.shape))
        if not size:
            raise UserError(f"the action space {space} is empty: there is nothing to do; give it an action")
        names = names or (("action",) if size == 1 else tuple(f"action_{k}" for k in range(size)))
        bounds = zip(names, space.low.flat, space.high.flat, strict=True)
        if not np.issubdtype(space.dtype, np.floating):
            raise UserError(f"the action space {space} counts in whole numbers: make it MultiDiscrete")
        return tuple(Feature(n, "real", (), float(low), float(high)) for n, low, high in bounds), _shaped(space, 0)
    raise UserError(f"a {type(space).__name__} action space cannot be planned in: give the environment a `schema` "
                    "attribute (a gedanken.Schema) with actions that are categories, booleans or bounded numbers")


def _shaped(space: spaces.Space, start: np.ndarray | int) -> Callable[[np.ndarray], Any]:
    def act(row: np.ndarray) -> Any:
        return (np.asarray(row).reshape(space.shape) + start).astype(space.dtype)

    return act
