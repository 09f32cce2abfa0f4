"""Whether an environment's clones are exact, or what leaks from one into the other.

The environment is saved, two clones of it and then it itself are stepped with the same actions: all three must bring
the same, and a step of a clone must change nothing of the original, of its class, of its module, or of the random
generators that the whole process shares.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import Env, spaces
from gymnasium.envs.registration import EnvSpec

from ....errors import UserError
from .cloning import Cloning, cloning_of, layers
from .randomness import position

if TYPE_CHECKING:
    import gymnasium

_DEPTH = 8
_GLOBALS: dict[str, Callable[[], Any]] = {
    "numpy's global generator (np.random)": lambda: repr(np.random.get_state(legacy=False)),
    "Python's global generator (random)": random.getstate,
    "torch's global generator": lambda: torch.get_rng_state().numpy().tobytes(),
}


@dataclass(frozen=True)
class _Brought:
    """What one step brought."""

    observation: Any
    reward: float
    terminated: bool
    truncated: bool


def check_clone(env: gymnasium.Env, cloning: Cloning | None = None, steps: int = 50, seed: int = 0) -> list[str]:
    """Try whether clones of `env` are exact, over `steps` random steps, and return what leaks, each with its remedy
    (empty: cloning is exact). `cloning` is how to clone (see `Simulator`). The environment is reset and stepped.
    """
    try:
        cloning = cloning or cloning_of(env)
        env.reset(seed=seed)
        env.action_space.seed(seed)
        problems: dict[str, None] = {}
        done = 0
        while done < steps and not problems:
            ahead = [env.action_space.sample() for _ in range(min(5, steps - done))]
            ended = _compare(env, cloning, ahead, problems)
            done += len(ahead)
            if ended:
                env.reset()
        return list(problems)
    except UserError as error:
        return [str(error)]


def _compare(env: gymnasium.Env, cloning: Cloning, actions: list[Any], problems: dict[str, None]) -> bool:
    """Two clones and then the original, under the same actions; whether the episode ended."""
    saved = cloning.save(env)
    before = dict(_parts_of(env))
    shared = {name: read() for name, read in _GLOBALS.items()}
    first = _run(cloning.load(saved), actions)
    for name, read in _GLOBALS.items():
        if read() != shared[name]:
            problems[f"a step draws from {name}, which all clones and the rest of the program share: draw from "
                     "`self.np_random`"] = None
    after = dict(_parts_of(env))
    for path in before:
        if path in after and before[path] != after[path]:
            what = "is shared by all clones" if _is_common(path) else "of the original changes when a clone is stepped"
            problems[f"{path} {what}: {_remedy(path)}"] = None
    second = _run(cloning.load(saved), actions)
    _differences(first, second, "two clones of one moment", problems)
    original = _run(env, actions)
    _differences(first, original, "a clone and the original", problems)
    return original[-1].terminated or original[-1].truncated


def _run(env: gymnasium.Env, actions: list[Any]) -> list[_Brought]:
    brought = []
    for action in actions:
        try:
            observation, reward, terminated, truncated, _ = env.step(action)
        except (ValueError, AssertionError) as refusal:
            observation, reward, terminated, truncated = str(refusal), 0.0, False, False
        brought.append(_Brought(_plain(observation), float(reward), bool(terminated), bool(truncated)))
        if terminated or truncated:
            break
    return brought


def _differences(a: list[_Brought], b: list[_Brought], who: str, problems: dict[str, None]) -> None:
    for t, (x, y) in enumerate(zip(a, b, strict=False), 1):
        for name in ("observation", "reward", "terminated", "truncated"):
            if getattr(x, name) != getattr(y, name):
                problems[
                    f"{who} differ in {name} {t} steps later, under the same actions: {_short(getattr(x, name))} and "
                    f"{_short(getattr(y, name))}. Something is not cloned: a variable of the module, the state of a C "
                    "library, a file. Give Simulator(env, cloning=pair(env, get, set)) functions that save and set all "
                    "of it"] = None
                return


def _parts_of(env: gymnasium.Env) -> Iterator[tuple[str, Any]]:
    """Every part of an environment, of its classes and of their modules, by its path, as something to compare."""
    seen: set[int] = set()

    def within(owner: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
        for key, value in vars(owner).items():
            if not key.startswith("__") and not callable(value) and not isinstance(value, Env):
                yield from _walk(value, f"{name}.{key}", seen, depth)

    for layer in layers(env):
        yield from within(layer, "env.unwrapped" if layer is env.unwrapped else type(layer).__name__, 0)
    for cls in type(env.unwrapped).__mro__:
        if not cls.__module__.startswith(("gymnasium.core", "builtins", "typing")):
            yield from within(cls, f"class {cls.__qualname__}", _DEPTH - 3)
            if cls.__module__ in sys.modules:
                yield from within(sys.modules[cls.__module__], f"module {cls.__module__}", _DEPTH - 3)


def _walk(value: Any, path: str, seen: set[int], depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, int | float | complex | bool | str | bytes | np.generic | None):
        yield path, repr(value)
        return
    if isinstance(value, spaces.Space | EnvSpec | type(sys)) or callable(value) or id(value) in seen or depth > _DEPTH:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray | torch.Tensor):
        yield path, _plain(value)
    elif isinstance(value, np.random.Generator | np.random.RandomState | random.Random | torch.Generator):
        yield path, position(value)
    elif isinstance(value, dict):
        yield path + " (its keys)", [repr(k) for k in value]
        for k, v in value.items():
            yield from _walk(v, f"{path}[{k!r}]", seen, depth + 1)
    elif isinstance(value, list | tuple):
        yield path + " (its length)", len(value)
        for k, v in enumerate(value):
            yield from _walk(v, f"{path}[{k}]", seen, depth + 1)
    elif isinstance(value, set | frozenset):
        yield path, sorted(map(repr, value))
    elif hasattr(value, "__dict__"):
        for k, v in vars(value).items():
            yield from _walk(v, f"{path}.{k}", seen, depth + 1)


def _is_common(path: str) -> bool:
    return path.startswith(("class ", "module "))


def _remedy(path: str) -> str:
    if _is_common(path):
        return "make it an attribute of the environment, set in `__init__` or `reset`"
    return "do not share it (copy it in __deepcopy__, or leave it out of `shared`)"


def _plain(value: Any) -> Any:
    """Observations as something that compares."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | torch.Tensor):
        array = np.asarray(value)
        return array.shape, array.dtype.str, array.tobytes()
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
