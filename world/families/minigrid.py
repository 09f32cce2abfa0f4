"""MiniGrid, fully observed: the grid, the agent's pose and what it carries, read off the simulator.

Arrays are indexed `[x, y]`, x growing to the right and y downwards. What a box hides is not seen. The cell ahead is
derived: `front_x`, `front_y` are its coordinates as they are (-1 or the board's size where it lies off the board),
`front_object`, `front_color`, `front_state` its content, which rules may write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError
from ..schema import Derived, Feature, Features, Grid, Pointed, Schema

if TYPE_CHECKING:
    import gymnasium

OBJECTS = ("unseen", "empty", "wall", "floor", "door", "key", "ball", "box", "goal", "lava")
COLORS = ("none", "red", "green", "blue", "purple", "yellow", "grey")
STATES = ("none", "open", "closed", "locked")
CARRIED = ("none", "key", "ball", "box")
DIRECTIONS = ("right", "down", "left", "up")
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
ACTIONS = ("left", "right", "forward", "pickup", "drop", "toggle", "done")
_MEANS = ("turn left on the spot", "turn right on the spot", "walk one cell ahead", "pick up and take what is ahead",
          "put down what is carried", "open, close or unlock the door ahead; open a box", "say that it is done")

_UNKNOWN = "this MiniGrid holds objects or colors of its own; give the environment a `schema` attribute"
# MiniGrid's own codes -> ours: its objects are numbered as OBJECTS; its colors and states lack our "none"
_HAS_COLOR = np.array([name not in ("unseen", "empty") for name in OBJECTS])
_IS_DOOR = np.array([name == "door" for name in OBJECTS])
_CARRIED = np.array([CARRIED.index(name) if name in CARRIED else -1 for name in OBJECTS])


def minigrid(env: gymnasium.Env) -> Schema:
    """Return the schema of any MiniGrid environment, whatever wraps it: W x H cells, pose, and the thing carried."""
    inner: Any = env.unwrapped
    whole = board_schema(int(inner.width), int(inner.height), ACTIONS[: int(inner.action_space.n)])
    return replace(whole, perceive=perceive, restore=restore)


def board_schema(width: int, height: int, actions: tuple[str, ...]) -> Schema:
    """The features, actions and geometry of a board, without perception (`minigrid_view.py` has its own)."""
    board = (width, height)
    features = (
        Feature("object", "category", board, values=OBJECTS, description="what is in each cell, [x, y]"),
        Feature("color", "category", board, values=COLORS, description="the color of what is in each cell, [x, y]"),
        Feature("state", "category", board, values=STATES, description="the state of the door in each cell, [x, y]"),
        Feature("agent_x", "integer", low=0, high=width - 1, description="the agent's column, growing to the right"),
        Feature("agent_y", "integer", low=0, high=height - 1, description="the agent's row, growing downwards"),
        Feature("direction", "category", values=DIRECTIONS, description="where the agent looks"),
        Feature("carrying_object", "category", values=CARRIED, description="what the agent carries"),
        Feature("carrying_color", "category", values=COLORS, description="the color of what the agent carries"),
    )
    return Schema(
        name="minigrid",
        features=features,
        actions=(Feature("action", "category", values=actions, description="one move of the agent",
                         glosses=_MEANS[: len(actions)]),),
        perceive=_unperceived,
        act=lambda row: int(row[0]),
        derived=_front(width, height),
        grid=Grid(("object", "color", "state"), "agent_x", "agent_y", "direction", STEPS),
    )


def _unperceived(observation: Any, env: gymnasium.Env | None) -> dict[str, Any]:
    raise UserError("a board has no perception of its own; use Schema.from_env(env)")


def perceive(observation: Any, env: gymnasium.Env | None) -> dict[str, Any]:
    """Read the whole grid `[W, H]` off the simulator; an observation shows neither all of it nor what is held."""
    if env is None:
        raise UserError("MiniGrid is perceived from the simulator: pass the environment along with its observation "
                        "(an image shows neither the whole grid nor what the agent carries)")
    inner: Any = env.unwrapped
    cells = inner.grid.encode()
    objects, colors, states = own_codes(cells)
    held = inner.carrying.encode() if inner.carrying is not None else None
    x, y = inner.agent_pos
    return {
        "object": objects,
        "color": colors,
        "state": states,
        "agent_x": x,
        "agent_y": y,
        "direction": inner.agent_dir,
        "carrying_object": 0 if held is None else carried_code(held[0]),
        "carrying_color": 0 if held is None else held[1] + 1,
    }


def own_codes(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MiniGrid's encoding of cells `[..., 3]` as our codes of object, color and state, `[...]` each."""
    objects, colors, states = cells[..., 0], cells[..., 1], cells[..., 2]
    if objects.max() >= len(OBJECTS) or colors.max() >= len(COLORS) - 1:
        raise UserError(_UNKNOWN)
    return objects, np.where(_HAS_COLOR[objects], colors + 1, 0), np.where(_IS_DOOR[objects], states + 1, 0)


def carried_code(kind: int) -> int:
    """What is carried, by MiniGrid's number of the object: 0 where it is nothing (empty or unseen)."""
    if kind >= len(OBJECTS) or (_CARRIED[kind] < 0 and OBJECTS[kind] not in ("unseen", "empty")):
        raise UserError(_UNKNOWN)
    return max(0, int(_CARRIED[kind]))


def restore(env: gymnasium.Env, features: Mapping[str, np.ndarray]) -> bool | None:
    """Put the things of the grid, the agent and what it carries where `features` have them. What stays as it is keeps
    what it hides (a box its content). The episode is over on lava and on the goal."""
    from minigrid.core.world_object import WorldObj

    inner: Any = env.unwrapped
    left = inner.grid.get(*inner.agent_pos)
    shown = perceive(None, env)
    cells = np.stack([features[k] for k in ("object", "color", "state")])
    changed = (cells != np.stack([shown[k] for k in ("object", "color", "state")])).any(0)
    for x, y in zip(*changed.nonzero(), strict=True):
        object, color, state = (int(c) for c in cells[:, x, y])
        inner.grid.set(int(x), int(y), WorldObj.decode(object, max(color - 1, 0), max(state - 1, 0)))
    carried, color = int(features["carrying_object"]), int(features["carrying_color"])
    if (carried, color) != (shown["carrying_object"], shown["carrying_color"]):
        name = CARRIED[carried]
        inner.carrying = WorldObj.decode(OBJECTS.index(name), max(color - 1, 0), 0) if carried else None
    inner.agent_pos = (int(features["agent_x"]), int(features["agent_y"]))
    inner.agent_dir = int(features["direction"])
    now = inner.grid.get(*inner.agent_pos)
    if _ends(now):
        return True
    return False if _ends(left) else None


def _ends(thing: Any) -> bool:
    return thing is not None and thing.type in ("goal", "lava")


def _front(width: int, height: int) -> tuple[Derived | Pointed, ...]:
    """The cell ahead: where it is, and what is in it."""
    delta = torch.tensor(STEPS, dtype=torch.int32)

    def ahead(axis: int, name: str) -> Callable[[Features], Tensor]:
        def get(features: Features) -> Tensor:
            heading = features["direction"].int()
            return features[name] + delta[:, axis].to(heading.device).index_select(0, heading)

        return get

    at = _cell_ahead(width, height)
    return (
        Derived(Feature("front_x", "integer", low=-1, high=width, description="the column of the cell ahead"),
                ahead(0, "agent_x")),
        Derived(Feature("front_y", "integer", low=-1, high=height, description="the row of the cell ahead"),
                ahead(1, "agent_y")),
        Pointed(Feature("front_object", "category", values=OBJECTS, description="what is in the cell ahead"),
                "object", at, OBJECTS.index("wall")),
        Pointed(Feature("front_color", "category", values=COLORS, description="the color of what is ahead"),
                "color", at, COLORS.index("none")),
        Pointed(Feature("front_state", "category", values=STATES, description="the state of a door ahead"),
                "state", at, STATES.index("none")),
    )


def _cell_ahead(width: int, height: int) -> Callable[[Features], Tensor]:
    """Return `features -> flat index [N]` of the cell ahead, -1 off the board: one look-up in a table of all poses.

    The table has a rim one cell wide, so that a pose imagined off the board reads -1 or the cell it looks into.
    """
    dx, dy = torch.tensor(STEPS).unbind(1)
    x = torch.arange(-1, width + 1)[:, None, None] + dx                                      # [W + 2, 1, 4]
    y = torch.arange(-1, height + 1)[None, :, None] + dy                                     # [1, H + 2, 4]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    table = torch.where(inside, x * height + y, -1).flatten()

    def at(features: Features) -> Tensor:
        column = features["agent_x"].clamp(-1, width) + 1
        row = features["agent_y"].clamp(-1, height) + 1
        pose = (column * (height + 2) + row) * len(STEPS) + features["direction"]
        return table.to(pose.device).index_select(0, pose)

    return at
