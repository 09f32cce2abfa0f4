"""The random generators that an environment keeps: where they are, how to begin them anew, whether they were used."""

from __future__ import annotations

import random
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import Env

from .cloning import CONSTANT, CONSTANT_NAMES, PLAIN, constants, layers

if TYPE_CHECKING:
    import gymnasium

Path = tuple[tuple[str, Any], ...]
"""The way from an environment to one of its parts: ("layer", k) of its wrappers, ("attribute", name), ("item", key)."""

_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)


def generators(env: gymnasium.Env) -> list[Path]:
    """Where an environment keeps its own random generators."""
    found: list[Path] = []
    seen: set[int] = set()

    def walk(value: Any, path: Path, depth: int) -> None:
        if isinstance(value, PLAIN + CONSTANT) or id(value) in seen or depth > 8:
            return
        seen.add(id(value))
        if isinstance(value, _GENERATORS):
            found.append(path)
        elif isinstance(value, dict):
            for key, v in value.items():
                walk(v, (*path, ("item", key)), depth + 1)
        elif isinstance(value, list | tuple):
            for key, v in enumerate(value):
                walk(v, (*path, ("item", key)), depth + 1)
        elif hasattr(value, "__dict__") and not callable(value):
            shared = constants(value)
            for key, v in vars(value).items():
                if key not in shared and key not in CONSTANT_NAMES and not isinstance(v, Env):
                    walk(v, (*path, ("attribute", key)), depth + 1)

    for k, layer in enumerate(layers(env)):
        walk(layer, (("layer", k),), 0)
    return found


def follow(env: Any, path: Path) -> Any:
    """The part of an environment at the end of a path."""
    (_, outer), *rest = path
    part: Any = next(islice(layers(env), outer, None))
    for how, key in rest:
        part = getattr(part, key) if how == "attribute" else part[key]
    return part


def reseed(generator: Any, seed: int) -> None:
    """Begin a random generator anew."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = type(generator.bit_generator)(seed).state
    elif isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
    else:
        generator.seed(seed % 2**32)


def position(generator: Any) -> Any:
    """Where a random generator is: equal before and after exactly if nothing was drawn."""
    if isinstance(generator, np.random.Generator):
        return repr(generator.bit_generator.state)
    if isinstance(generator, torch.Generator):
        return generator.get_state().numpy().tobytes()
    return repr(generator.getstate() if isinstance(generator, random.Random) else generator.get_state(legacy=False))
