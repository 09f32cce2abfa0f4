"""How an environment is cloned: copied layer by layer, or through a pair of functions that get and set its state.

A copy shares what never changes (spaces, the spec, a MuJoCo model, the walls of a grid) and draws nothing. It does not
go through `copy.deepcopy(env)`: environments that pickle by their constructor's arguments would come back as new ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from gymnasium import Wrapper, spaces
from gymnasium.envs.registration import EnvSpec

from ....errors import UserError

if TYPE_CHECKING:
    import gymnasium

PLAIN = (int, float, complex, bool, str, bytes, type(None), np.generic, type, ModuleType)
CONSTANT = (spaces.Space, EnvSpec)
CONSTANT_NAMES = frozenset({"metadata", "_metadata", "spec", "_cached_spec", "_saved_kwargs", "_ezpickle_kwargs"})
_CONSTANTS: dict[str, frozenset[str]] = {
    "gymnasium.envs.toy_text": frozenset({"P", "desc", "initial_state_distrib", "locs", "_cliff"}),
}
"""Package -> attributes of its environments that never change, and would be slow to copy."""
_STATIC = frozenset({"Wall", "Floor", "Goal", "Lava"})
"""MiniGrid's objects that never change: all clones of a grid share them."""
_DRAWING = ("pygame", "mujoco.renderer", "gymnasium.envs.mujoco.mujoco_rendering")
_IDLE = frozenset({"PassiveEnvChecker", "OrderEnforcing", "RecordVideo", "HumanRendering", "RenderCollection"})
"""Wrappers that only watch, record or show: clones go without."""


class Cloning(Protocol):
    """Saves where an environment is, and comes back to it as often as one likes."""

    def save(self, env: gymnasium.Env) -> Any:
        """Where `env` is. No later step of it changes what was saved. Raises `UserError` where it cannot be saved."""

    def load(self, saved: Any) -> gymnasium.Env:
        """An environment there, to be stepped; the caller's own until the next `load`."""

    def keep(self, env: gymnasium.Env) -> Any:
        """The same as `save`, of an environment that `load` gave and that is not needed any more."""


@dataclass(frozen=True)
class Copies:
    """Copies of the whole environment. `shared` names attributes that never change; they are not copied."""

    shared: frozenset[str] = frozenset()

    def save(self, env: gymnasium.Env) -> gymnasium.Env:
        memo: dict[int, Any] = {}
        olds = list(layers(env))
        news = [object.__new__(type(old)) for old in olds]
        for old, new in zip(olds, news, strict=True):
            memo[id(old)] = new
        for old, new in zip(olds, news, strict=True):
            vars(new).update(_parts(old, memo, self.shared))
        for outer, inner in pairwise(news):
            vars(outer)["env"] = inner  # past the idle wrappers
        first: gymnasium.Env = news[0]
        return first

    def load(self, saved: gymnasium.Env) -> gymnasium.Env:
        return self.save(saved)

    def keep(self, env: gymnasium.Env) -> gymnasium.Env:
        return env


@dataclass(frozen=True)
class Pair:
    """`get(inner) -> state` and `set(inner, state)`, called with `env.unwrapped`; what the wrappers remember (a step
    count, stacked frames) is saved beside it. `worker` is a second environment of the same make and wrappers, where
    imagined steps are taken; `pair` makes it."""

    get: Callable[[Any], Any]
    set: Callable[[Any, Any], None]
    worker: gymnasium.Env

    def save(self, env: gymnasium.Env) -> tuple[Any, list[dict[str, Any]]]:
        return self.get(env.unwrapped), [_memory(layer) for layer in layers(env) if isinstance(layer, Wrapper)]

    def load(self, saved: tuple[Any, list[dict[str, Any]]]) -> gymnasium.Env:
        state, memories = saved
        self.set(self.worker.unwrapped, state)
        for layer, memory in zip((w for w in layers(self.worker) if isinstance(w, Wrapper)), memories, strict=True):
            _remember(layer, memory)
        return self.worker

    def keep(self, env: gymnasium.Env) -> tuple[Any, list[dict[str, Any]]]:
        return self.save(env)


def cloning_of(env: gymnasium.Env) -> Cloning:
    """The way to clone an environment: ALE and MuJoCo by their own states, everything else by copies."""
    inner: Any = env.unwrapped
    if hasattr(inner, "ale") and hasattr(inner, "clone_state"):
        return pair(env, lambda e: e.clone_state(include_rng=True), lambda e, state: e.restore_state(state))
    if type(getattr(inner, "data", None)).__name__ == "MjData":
        return pair(env, _body, _set_body)
    return Copies()


def pair(
    env: gymnasium.Env,
    get: Callable[[Any], Any],
    set: Callable[[Any, Any], None],
    worker: gymnasium.Env | None = None,
) -> Pair:
    """A `Pair` for `env`; its worker is a copy, or made from the spec. Raises `UserError` where neither can be."""
    import gymnasium

    if worker is None:
        try:
            worker = Copies().save(env)
        except UserError as error:
            if env.spec is None:
                raise UserError(
                    f"imagined steps need an environment of their own; this one cannot be copied ({error}), nor made "
                    "anew, as it is not registered with Gymnasium: give pair(env, get, set, worker=...) a second one"
                ) from error
            worker = gymnasium.make(env.spec)
            worker.reset()
    own, other = ([type(layer).__name__ for layer in layers(e)] for e in (env, worker))
    if own != other:
        raise UserError(f"the worker is wrapped as {' in '.join(other)}, the environment as {' in '.join(own)}; give "
                        "pair(env, get, set, worker=...) one that is wrapped in the same way")
    return Pair(get, set, worker)


_SHOWN = ("xpos", "xquat", "xmat", "xipos", "ximat", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat", "cinert",
          "cvel", "cfrc_ext", "qfrc_actuator", "actuator_force", "subtree_com", "sensordata")
"""What a MuJoCo environment reads before it steps, and what lags behind its positions by part of a step."""


def _body(inner: Any) -> tuple[np.ndarray, list[np.ndarray], dict[str, Any]]:
    """A MuJoCo environment: the integrator's state, what is shown of it, and the environment's own attributes."""
    import mujoco

    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    state = np.empty(mujoco.mj_stateSize(inner.model, kind))
    mujoco.mj_getState(inner.model, inner.data, state, kind)
    return state, [getattr(inner.data, name).copy() for name in _SHOWN], _memory(inner)


def _set_body(inner: Any, saved: tuple[np.ndarray, list[np.ndarray], dict[str, Any]]) -> None:
    import mujoco

    state, shown, memory = saved
    mujoco.mj_setState(inner.model, inner.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
    for name, value in zip(_SHOWN, shown, strict=True):
        getattr(inner.data, name)[:] = value
    _remember(inner, memory)


def layers(env: gymnasium.Env) -> Iterator[gymnasium.Env]:
    """An environment's wrappers from the outside in, then itself; those that only watch are left out."""
    layer: Any = env
    while isinstance(layer, Wrapper):
        if type(layer).__name__ not in _IDLE:
            yield layer
        layer = layer.env
    yield layer


def is_constant(name: str, value: Any, shared: frozenset[str] = frozenset()) -> bool:
    """Whether an attribute is taken never to change, so that clones share it."""
    return (
        name in shared
        or name in CONSTANT_NAMES
        or isinstance(value, PLAIN + CONSTANT)
        or type(value).__name__ == "MjModel"
    )


def constants(layer: Any) -> frozenset[str]:
    """The attributes of an environment that its package never changes."""
    module = type(layer).__module__
    return frozenset().union(*(names for package, names in _CONSTANTS.items() if module.startswith(package)))


_ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None), np.float64, np.float32, np.int64, np.bool_})
_ENGINE = frozenset({"env", "data", "model", "mujoco_renderer", "render_mode"})
"""What a worker keeps of its own."""


def _parts(layer: Any, memo: dict[int, Any], shared: frozenset[str], leave: frozenset[str] = frozenset()
           ) -> dict[str, Any]:
    """The attributes of one layer, copied where they may change; those to `leave` out are not there."""
    shared = shared | constants(layer)
    for thing in getattr(getattr(layer, "grid", None), "grid", ()) or ():
        if type(thing).__name__ in _STATIC and type(thing).__module__ == "minigrid.core.world_object":
            memo[id(thing)] = thing
    return {k: v if type(v) in _ATOMS and k != "render_mode" else _part(k, v, memo, shared, layer)
            for k, v in vars(layer).items() if k not in leave}


def _part(name: str, value: Any, memo: dict[int, Any], shared: frozenset[str], layer: Any) -> Any:
    if name == "render_mode" or type(value).__module__.startswith(_DRAWING):
        return None  # nobody looks at an imagined step
    if is_constant(name, value, shared):
        return value
    if isinstance(value, np.random.Generator) and id(value) not in memo:
        made = type(value.bit_generator)(0)
        made.state = value.bit_generator.state
        memo[id(value)] = np.random.Generator(made)
    try:
        return copy.deepcopy(value, memo)
    except Exception as error:
        raise UserError(
            f"{type(layer).__name__}.{name} (a {type(value).__name__}) cannot be copied: {error}; name it in "
            "Copies(shared={...}) if it never changes, or clone by functions: cloning=pair(env, get, set)"
        ) from error


def _memory(layer: Any) -> dict[str, Any]:
    """What a layer of an environment remembers, apart from the engine or the layer inside it."""
    return _parts(layer, {}, frozenset(), _ENGINE)


def _remember(layer: Any, memory: dict[str, Any]) -> None:
    """Give a layer back what `_memory` took of it, as often as one likes."""
    memo: dict[int, Any] = {}
    for k, v in memory.items():
        vars(layer)[k] = v if type(v) in _ATOMS else _part(k, v, memo, frozenset(), layer)
