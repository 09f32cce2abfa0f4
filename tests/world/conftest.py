"""A small invented world with a rule of every kind, and a life in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gedanken.memory.experience.record import Transitions
from gedanken.world.schema import Feature, Schema

Life = Callable[..., Transitions]
CELLAR = Schema(
    "cellar",
    (
        Feature("front", "category", values=("empty", "wall", "key", "door")),
        Feature("carrying", "category", values=("none", "key", "ball")),
        Feature("lamp", "boolean"),
        Feature("oil", "integer", low=0, high=20),
        Feature("heat", low=0, high=100),
        Feature("limit", low=0, high=100),
    ),
    (Feature("action", "category", values=("wait", "pickup", "burn")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)
N = 900


def cellar_life(seed: int = 0, noise: float = 0.0) -> Transitions:
    """A key in front is picked up by free hands, but not in the dark; burning takes 2 of the oil; heat over the limit
    ends it, and a burn above 60 degrees pays."""
    rng = np.random.default_rng(seed)
    now = {"front": rng.integers(0, 4, N), "carrying": rng.integers(0, 3, N), "lamp": rng.random(N) < 0.8,
           "oil": rng.integers(0, 21, N), "heat": rng.integers(0, 101, N).astype(float),
           "limit": rng.integers(0, 101, N).astype(float)}
    action = rng.integers(0, 3, N)
    takes = (action == 1) & (now["front"] == 2) & (now["carrying"] == 0) & now["lamp"]
    burns = (action == 2) & (now["oil"] >= 2)
    next = {**now, "carrying": np.where(takes, 1, now["carrying"]), "front": np.where(takes, 0, now["front"]),
            "oil": np.where(burns, now["oil"] - 2, now["oil"])}
    wrong = rng.random(N) < noise
    next["carrying"] = np.where(wrong, rng.integers(0, 3, N), next["carrying"])
    typed = [{f.name: x[f.name].astype(f.numpy_dtype) for f in CELLAR.features} for x in (now, next)]
    reward = np.where((action == 2) & (now["heat"] > 60), 5.0, 0.0).astype(np.float32)
    no = np.zeros(N, bool)
    return Transitions(typed[0], action[:, None], reward, now["heat"] > now["limit"], no, typed[1],
                       np.zeros(N, np.int64), np.arange(N))


@pytest.fixture
def cellar() -> Schema:
    return CELLAR


@pytest.fixture
def lived() -> Life:
    """`lived(seed=0, noise=0.0) -> Transitions` in the cellar."""
    return cellar_life
