"""MiniGrid as its agent sees it: the 7 x 7 view put together to a map, with the features of the whole grid.

Only the observation is read (`image [n, n, 3]`, `direction`), never the simulator. The map is in the agent's own frame:
it starts in the middle of a board on which the world has room wherever it began. Where it stands is found by dead
reckoning: of the poses that one step may have led to the one from which the new view fits the map best, so that a step
that slipped or was blocked is noticed. What is carried shows in the view at the agent's own cell.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ...errors import UserError
from ..schema import Features, Schema
from ..sight import Row, Sight, offsets
from .minigrid import ACTIONS, OBJECTS, STATES, STEPS, board_schema, carried_code, own_codes

if TYPE_CHECKING:
    import gymnasium

ARRAYS = ("object", "color", "state")
EMPTY = OBJECTS.index("empty")
EXPECTED, POSSIBLE = 0.0, -2.5
"""Log weight of the pose that the action should lead to, and of the others near by."""
MISMATCH = -4.0
"""Log weight of a cell that does not look as the map has it; the cell that was ahead may well have changed."""
_AROUND = ((0, 0), *STEPS, (1, 1), (1, -1), (-1, 1), (-1, -1))
_OPAQUE = (OBJECTS.index("wall"), OBJECTS.index("door"), STATES.index("open"))


def minigrid_view(env: gymnasium.Env, size: tuple[int, int] | None = None) -> Schema:
    """The schema of a MiniGrid environment of which the agent sees only its view.

    `size` (W, H) is what the user knows the world not to exceed (the environment's own size by default); the map is a
    board of (2W - 1) x (2H - 1). Raises `UserError` where the observation is no such view.
    """
    inner: Any = env.unwrapped
    spaces = getattr(env.observation_space, "spaces", {})
    shape = getattr(spaces.get("image"), "shape", None)
    if shape is None or len(shape) != 3 or shape[0] != shape[1] or "direction" not in spaces:
        raise UserError("a partial view needs observations with 'image' [n, n, 3] and 'direction', as MiniGrid gives "
                        "them unwrapped; take off the wrapper that changes them, or use view='full'")
    width, height = size or (int(inner.width), int(inner.height))
    if min(width, height) < 3:
        raise UserError(f"a world of {width} x {height} cells has no room; give the largest size it can have")
    whole = board_schema(2 * width - 1, 2 * height - 1, ACTIONS[: int(inner.action_space.n)])
    mapping = _Mapping(int(shape[0]), (2 * width - 1, 2 * height - 1))
    grid = whole.grid
    assert grid is not None
    sight = Sight(grid, "object", mapping.follow, int(shape[0]),
                  opaque=None if getattr(inner, "see_through_walls", False) else opaque)
    return replace(whole, perceive=mapping.begin, sight=sight)


def _is_opaque(row: Row, cell: tuple[int, int]) -> bool:
    """Whether one cell of one map is a wall or a door that is not open: nobody stands where light does not go."""
    wall, door, is_open = _OPAQUE
    what = int(row["object"][cell])
    return what == wall or (what == door and int(row["state"][cell]) != is_open)


def opaque(features: Features) -> Tensor:
    """Walls, and doors that are not open: `[N, W, H]`."""
    wall, door, is_open = _OPAQUE
    what = features["object"]
    return (what == wall) | ((what == door) & (features["state"] != is_open))


class _Mapping:
    """The map of one sensor of `window` x `window` cells on a board of `size`. Holds no state."""

    def __init__(self, window: int, size: tuple[int, int]) -> None:
        self.window, self.size = window, size
        self.offsets = offsets(window, STEPS)

    def begin(self, observation: Any, env: object = None) -> dict[str, Any]:
        """The map of a first view, from the middle of the board."""
        empty = {k: np.zeros(self.size, np.int16) for k in ARRAYS}
        empty["object"][self.size[0] // 2, self.size[1] // 2] = EMPTY  # what the agent stands on does not show
        return self._drawn(empty, (self.size[0] // 2, self.size[1] // 2), observation)

    def follow(self, before: Row, action: np.ndarray, observation: Any) -> dict[str, Any]:
        """The map `before` a step, brought up to date by the view after it."""
        return self._drawn({k: np.asarray(before[k]).copy() for k in ARRAYS},
                           self._standing(before, int(np.asarray(action).ravel()[0]), observation), observation)

    def _drawn(self, cells: dict[str, np.ndarray], at: tuple[int, int], observation: Any) -> dict[str, Any]:
        """The map with the view put in: newer sights overwrite older ones; what is occluded stays as it was."""
        view, heading = _view(observation, self.window)
        x, y, on = self._window(at, heading)
        shown = on & (view[0] != 0)
        shown[self.window // 2, -1] = False  # shows what is carried
        for k, seen in zip(ARRAYS, view, strict=True):
            cells[k][x[shown], y[shown]] = seen[shown]
        kind, color, _ = view[:, self.window // 2, -1]
        carried = carried_code(int(kind))
        return {**cells, "agent_x": at[0], "agent_y": at[1], "direction": heading,
                "carrying_object": carried, "carrying_color": int(color) if carried else 0}

    def _window(self, at: tuple[int, int], heading: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column, row and whether it is on the board, of every cell of the window: `[n, n]` each."""
        x, y = (self.offsets[heading] + np.asarray(at)).transpose(2, 0, 1)
        return x, y, (x >= 0) & (x < self.size[0]) & (y >= 0) & (y < self.size[1])

    def _standing(self, before: Row, action: int, observation: Any) -> tuple[int, int]:
        """Where the agent stands now: the likeliest pose by the action and by how well the view fits the map."""
        old = int(before["agent_x"]), int(before["agent_y"])
        view, heading = _view(observation, self.window)
        step = STEPS[int(before["direction"])]
        ahead = old[0] + step[0], old[1] + step[1]
        meant = step if ACTIONS[action] == "forward" and not _is_opaque(before, ahead) else (0, 0)
        best, chosen = -np.inf, old
        for by in _AROUND:
            at = old[0] + by[0], old[1] + by[1]
            if not (0 <= at[0] < self.size[0] and 0 <= at[1] < self.size[1]):
                continue
            weight = (EXPECTED if by == meant else POSSIBLE if by in ((0, 0), *STEPS) else 2 * POSSIBLE)
            weight += self._fit(before, at, heading, view, ahead)
            if weight > best:
                best, chosen = weight, at
        if min(chosen) == 0 or chosen[0] == self.size[0] - 1 or chosen[1] == self.size[1] - 1:
            raise UserError("the agent walked off its map: the world is larger than the size that was told; give "
                            "`size=(W, H)` with the largest size it can have")
        return chosen

    def _fit(self, before: Row, at: tuple[int, int], heading: int, view: np.ndarray, ahead: tuple[int, int]) -> float:
        """The log weight of a view from a pose: known cells that look otherwise."""
        x, y, on = self._window(at, heading)
        shown = on & (view[0] != 0)
        shown[self.window // 2, -1] = False
        shown &= ~((x == ahead[0]) & (y == ahead[1]))  # the cell that was ahead may have changed
        x, y, seen = x[shown], y[shown], view[:, shown]
        known = np.asarray(before["object"])[x, y] != 0
        other = np.zeros_like(known)
        for k, array in enumerate(ARRAYS):
            other |= np.asarray(before[array])[x, y] != seen[k]
        return MISMATCH * float((other & known).sum())


def _view(observation: Any, window: int) -> tuple[np.ndarray, int]:
    """The view in our codes `[3, n, n]` and the heading. Raises `UserError` for anything else."""
    try:
        image, heading = np.asarray(observation["image"]), int(observation["direction"])
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise UserError(f"a partial view is perceived from an observation with 'image' and 'direction' ({error!r})"
                        ) from None
    if image.shape != (window, window, 3) or not 0 <= heading < len(STEPS):
        raise UserError(f"the observation has an image {image.shape} and direction {heading}; expected "
                        f"({window}, {window}, 3) and 0 to 3")
    return np.stack(own_codes(image)).astype(np.int16), heading
