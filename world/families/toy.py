"""Gymnasium's toy text worlds: the state's number taken apart into what it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError
from ..schema import Feature, Grid, Perceive, Restore, Schema
from .generic import actions_of

if TYPE_CHECKING:
    import gymnasium

TILES = ("start", "frozen", "hole", "goal")
STANDS = ("red", "green", "yellow", "blue")


def frozen_lake(env: gymnasium.Env) -> Schema:
    """A walk over the ice: the agent's cell, and the map `tile[row, col]`, which does not change."""
    inner: Any = env.unwrapped
    letters = np.asarray(inner.desc)
    tiles = np.select([letters == letter for letter in (b"S", b"F", b"H", b"G")], range(4), -1)
    rows, cols = tiles.shape

    def perceive(observation: Any, env: gymnasium.Env | None) -> dict[str, Any]:
        row, col = divmod(int(observation), cols)
        return {"row": row, "col": col, "tile": tiles}

    def restore(env: gymnasium.Env, features: Mapping[str, np.ndarray]) -> bool:
        inner: Any = env.unwrapped
        if not np.array_equal(features["tile"], tiles):
            raise UserError("the map of a frozen lake is fixed: rules can move the agent in its simulator, not the ice")
        inner.s = int(features["row"]) * cols + int(features["col"])
        return TILES[int(tiles[features["row"], features["col"]])] in ("hole", "goal")

    tile = Feature("tile", "category", (rows, cols), values=TILES, description="what is in each cell, [row, col]")
    grid = Grid(("tile",), "row", "col", down=0)
    return _schema(env, "frozen_lake", (*_cell(rows, cols), tile), ("left", "down", "right", "up"), perceive, grid,
                   restore=restore)


def cliff_walking(env: gymnasium.Env) -> Schema:
    """A walk along the bottom row, which between its two ends is a cliff."""
    inner: Any = env.unwrapped
    rows, cols = (int(n) for n in inner.shape)

    def perceive(observation: Any, env: gymnasium.Env | None) -> dict[str, Any]:
        row, col = divmod(int(observation), cols)
        return {"row": row, "col": col}

    def restore(env: gymnasium.Env, features: Mapping[str, np.ndarray]) -> bool:
        inner: Any = env.unwrapped
        inner.s = int(features["row"]) * cols + int(features["col"])
        return inner.s == rows * cols - 1

    actions = ("up", "right", "down", "left")
    return _schema(env, "cliff_walking", _cell(rows, cols), actions, perceive, restore=restore)


def taxi(env: gymnasium.Env) -> Schema:
    """A taxi that fetches a passenger at one of four stands and takes them to another."""
    features = (
        Feature("taxi_row", "integer", low=0, high=4, description="the taxi's row, growing downwards"),
        Feature("taxi_col", "integer", low=0, high=4, description="the taxi's column, growing to the right"),
        Feature("passenger", "category", values=(*STANDS, "in_taxi"), description="where the passenger is"),
        Feature("destination", "category", values=STANDS, description="the stand the passenger wants to go to"),
    )

    def perceive(observation: Any, env: gymnasium.Env | None) -> dict[str, Any]:
        place = np.unravel_index(int(observation), (5, 5, 5, 4))
        return {f.name: value for f, value in zip(features, place, strict=True)}

    def restore(env: gymnasium.Env, row: Mapping[str, np.ndarray]) -> bool:
        inner: Any = env.unwrapped
        place = tuple(int(row[f.name]) for f in features)
        inner.s = int(np.ravel_multi_index(place, (5, 5, 5, 4)))
        return place[2] == place[3]

    actions = ("south", "north", "east", "west", "pickup", "dropoff")
    return _schema(env, "taxi", features, actions, perceive, restore=restore)


def blackjack(env: gymnasium.Env) -> Schema:
    """A hand of blackjack against a dealer who shows one card."""
    features = (
        Feature("player_sum", "integer", low=0, high=31, description="the sum of the player's cards; above 21 is lost"),
        Feature("dealer_card", "integer", low=1, high=10, description="the card the dealer shows, 1 for an ace"),
        Feature("usable_ace", "boolean", description="whether the player holds an ace that counts 11"),
    )

    def perceive(observation: Any, env: gymnasium.Env | None) -> dict[str, Any]:
        return {f.name: value for f, value in zip(features, observation, strict=True)}

    return _schema(env, "blackjack", features, ("stick", "hit"), perceive)


def _cell(rows: int, cols: int) -> tuple[Feature, Feature]:
    return (
        Feature("row", "integer", low=0, high=rows - 1, description="the agent's row, growing downwards"),
        Feature("col", "integer", low=0, high=cols - 1, description="the agent's column, growing to the right"),
    )


def _schema(
    env: gymnasium.Env,
    name: str,
    features: tuple[Feature, ...],
    actions: tuple[str, ...],
    perceive: Perceive,
    grid: Grid | None = None,
    restore: Restore | None = None,
) -> Schema:
    action, act = actions_of(env.action_space, actions)
    return Schema(name, features, action, perceive, act, grid=grid, restore=restore)
