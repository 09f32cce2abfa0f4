"""The boards: one MiniGrid world of 8 x 6 cells, whose layouts are drawn from a few kinds.

An agent learns in `Boards()`, all kinds mixed, and is tested on one kind. The start is to the left of a wall, the goal
to the right of it; what is between them, and what lies about, is the kind's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Ball, Box, Door, Floor, Goal, Key, Lava, Wall
from minigrid.minigrid_env import MiniGridEnv

COLORS = ("red", "green", "blue", "purple", "yellow", "grey")
NEXT = dict(zip(COLORS, (*COLORS[1:], COLORS[0]), strict=True))
"""Each color's next one."""


class Boards(MiniGridEnv):
    """Layouts of the given `kinds` (all), drawn evenly."""

    def __init__(self, *kinds: str, **options: Any) -> None:
        self.kinds = kinds or tuple(KINDS)
        super().__init__(mission_space=MissionSpace(lambda: "get to the goal"), width=8, height=6, max_steps=60,
                         see_through_walls=True, **options)

    def _gen_grid(self, width: int, height: int) -> None:
        self.mission = "get to the goal"
        self.grid = Grid(width, height)
        self.grid.wall_rect(0, 0, width, height)
        KINDS[str(self._rand_elem(self.kinds))](self)

    # --- what kinds are made of ---------------------------------------------------------------------------------------

    def column(self, x: int, thing: Callable[[], Any]) -> int:
        """Fill a column with things; return a row of it, drawn."""
        for y in range(1, self.height - 1):
            self.grid.set(x, y, thing())
        return int(self._rand_int(1, self.height - 1))

    def left(self, x: int, *things: Any) -> None:
        """Put things somewhere to the left of column x, each where nothing is."""
        for thing in things:
            self.place_obj(thing, (1, 1), (x - 1, self.height - 2))

    def start(self, x: int) -> None:
        """The agent somewhere to the left of column x, the goal to the right of it."""
        self.place_obj(Goal(), (x + 1, 1), (self.width - 2 - x, self.height - 2))
        self.place_agent((1, 1), (x - 1, self.height - 2))

    def color(self) -> str:
        return str(self._rand_elem(COLORS))


def field(b: Boards) -> None:
    """Nothing between the agent and the goal."""
    b.start(int(b._rand_int(3, 5)))


def prize(b: Boards) -> None:
    """A field with a key lying about."""
    x = int(b._rand_int(3, 5))
    b.left(x, Key(b.color()))
    b.start(x)


def things(b: Boards) -> None:
    """A field with a key and a ball."""
    x = int(b._rand_int(3, 5))
    b.left(x, Key(b.color()), Ball(b.color()))
    b.start(x)


def doors(b: Boards) -> None:
    """A wall with two doors, a red and a blue one."""
    x = int(b._rand_int(3, 5))
    y = b.column(x, Wall)
    b.grid.set(x, y, Door("red"))
    b.grid.set(x, y % (b.height - 2) + 1, Door("blue"))
    b.start(x)


def locked(b: Boards) -> None:
    """A wall with a locked door; its key, the key of the color before, and a ball."""
    x, color = int(b._rand_int(3, 5)), b.color()
    b.grid.set(x, b.column(x, Wall), Door(color, is_locked=True))
    before = next(c for c in COLORS if NEXT[c] == color)
    b.left(x, Key(color), Key(before), Ball(b.color()))
    b.start(x)


def keyless(b: Boards) -> None:
    """A wall with a locked door, and a ball; no key."""
    x = int(b._rand_int(3, 5))
    b.grid.set(x, b.column(x, Wall), Door(b.color(), is_locked=True))
    b.left(x, Ball(b.color()))
    b.start(x)


def gates(b: Boards) -> None:
    """Two walls, each with a locked door of one color; two keys."""
    color = b.color()
    for x in (3, 5):
        b.grid.set(x, b.column(x, Wall), Door(color, is_locked=True))
    b.left(3, Key(color), Key(color))
    b.place_obj(Goal(), (6, 1), (1, b.height - 2))
    b.place_agent((1, 1), (2, b.height - 2))


def river(b: Boards) -> None:
    """Lava from wall to wall; a green floor somewhere on this side."""
    b.column(3, Lava)
    b.grid.set(2, int(b._rand_int(1, b.height - 1)), Floor("green"))
    b.place_obj(Goal(), (6, 1), (1, b.height - 2))
    b.place_agent((1, 1), (2, b.height - 2))


def gap(b: Boards) -> None:
    """Lava with one gap."""
    x = int(b._rand_int(3, 5))
    b.grid.set(x, b.column(x, Lava), None)
    b.start(x)


def ford(b: Boards) -> None:
    """Blue floor from wall to wall, but for one red cell."""
    x = int(b._rand_int(3, 5))
    b.grid.set(x, b.column(x, lambda: Floor("blue")), Floor("red"))
    b.start(x)


def hedge(b: Boards) -> None:
    """A purple wall from grey wall to grey wall."""
    x = int(b._rand_int(3, 5))
    b.column(x, lambda: Wall("purple"))
    b.start(x)


def isle(b: Boards) -> None:
    """A wall without a door; a blue floor on this side."""
    b.column(4, Wall)
    b.grid.set(int(b._rand_int(1, 4)), int(b._rand_int(1, b.height - 1)), Floor("blue"))
    b.place_obj(Goal(), (6, 1), (1, b.height - 2))
    b.place_agent((1, 1), (3, b.height - 2))


def crate(b: Boards) -> None:
    """A wall with one gap, a box in it; another one lies about."""
    x = int(b._rand_int(3, 5))
    b.grid.set(x, b.column(x, Wall), Box(b.color()))
    b.left(x, Box(b.color()))
    b.start(x)


KINDS: dict[str, Callable[[Boards], None]] = {
    kind.__name__: kind
    for kind in (field, prize, things, doors, locked, keyless, gates, river, gap, ford, hedge, isle, crate)
}
