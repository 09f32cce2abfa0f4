"""Ground: what walking onto things does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .moves import FORWARD
from .shift import Changed, Shift

UNDER = "object'[agent_x', agent_y']"
COLOR = "color'[agent_x', agent_y']"


def _is(thing: Any, kind: str, color: str) -> bool:
    return thing is not None and (thing.type, thing.color) == (kind, color)


class SafeLava(Changed):
    """Lava does no harm."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        seen, paid, over, broken_off, info = act(action)
        return seen, paid, over and getattr(self.underfoot, "type", "") != "lava", broken_off, info


class DeadlyFloor(Changed):
    """Blue floor ends the episode."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        seen, paid, over, broken_off, info = act(action)
        return seen, paid, over or _is(self.underfoot, "floor", "blue"), broken_off, info


class CostlyFloor(Changed):
    """To be on blue floor costs 2 a step."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        seen, paid, over, broken_off, info = act(action)
        return seen, -2.0 if _is(self.underfoot, "floor", "blue") else paid, over, broken_off, info


class Ghostly(Changed):
    """One can walk through purple walls."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        passes = action == FORWARD and _is(self.ahead, "wall", "purple")
        return self.go(*self.board.front_pos) if passes else act(action)


class Teleporter(Changed):
    """Who steps onto blue floor is in the corner at the upper right."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        jumps = action == FORWARD and _is(self.ahead, "floor", "blue")
        return self.go(self.board.width - 2, 1) if jumps else act(action)


class Springboard(Changed):
    """Who steps onto green floor lands three cells to the right of it."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        x, y = self.board.front_pos
        jumps = action == FORWARD and _is(self.ahead, "floor", "green") and self.is_free(x + 3, y)
        return self.go(x + 3, y) if jumps else act(action)


class Conveyor(Changed):
    """Who is on blue floor is carried one cell down with every step, where there is blue floor."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        x, y = self.board.agent_pos
        carried = _is(self.underfoot, "floor", "blue") and _is(self.board.grid.get(x, y + 1), "floor", "blue")
        return self.go(x, y + 1) if carried else act(action)


class Prize(Changed):
    """The goal pays only who carries a key."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        seen, paid, over, broken_off, info = act(action)
        has_key = getattr(self.board.carrying, "type", "") == "key"
        return seen, paid if has_key else 0.0, over, broken_off, info


SHIFTS = (
    Shift("safe lava", SafeLava, "river", "Lava is safe to walk on.", (f"end with probability 0 if {UNDER} == lava",)),
    Shift("deadly floor", DeadlyFloor, "ford", "Stepping onto blue floor ends the episode.",
          (f"end if {UNDER} == floor and {COLOR} == blue",)),
    Shift("costly floor", CostlyFloor, "ford", "A step on blue floor costs 2.",
          (f"reward -2 if {UNDER} == floor and {COLOR} == blue",)),
    Shift("ghostly walls", Ghostly, "hedge", "You can walk through purple walls.",
          ("expect agent_x' == front_x and agent_y' == front_y if action == forward and front_object == wall and "
           "front_color == purple",)),
    Shift("teleporter", Teleporter, "isle", "Stepping onto blue floor takes you to the corner at the upper right.",
          ("expect agent_x' == 6 and agent_y' == 1 if action == forward and front_object == floor and "
           "front_color == blue",)),
    Shift("springboard", Springboard, "river", "Stepping onto green floor takes you three cells to the right of it.",
          ("expect agent_x' == front_x + 3 and agent_y' == front_y if action == forward and front_object == floor and "
           "front_color == green",)),
    Shift("conveyor", Conveyor, "ford", "On blue floor you are carried down, whatever you do, as far as it is blue.",
          ("expect agent_x' == agent_x and agent_y' == agent_y + 1 and same(direction) and same(object) and "
           "same(color) and same(state) and same(carrying_object) and same(carrying_color) if "
           "object[agent_x, agent_y] == floor and color[agent_x, agent_y] == blue and "
           "object[agent_x, agent_y + 1] == floor and color[agent_x, agent_y + 1] == blue",)),
    Shift("prize", Prize, "prize", "The goal pays nothing unless you carry a key.",
          (f"reward 0 if {UNDER} == goal and carrying_object != key",)),
)
