"""Keys and doors: what opens what, and who may pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .boards import NEXT
from .moves import FORWARD
from .shift import Changed, Shift

PICKUP, DROP, TOGGLE, DONE = 3, 4, 5, 6
LOCKED = "action == toggle and front_state == locked"


class Locks(Changed):
    """A locked door opens as `opens(door, held)` has it, and not otherwise."""

    def opens(self, door: Any, held: Any) -> bool:
        raise NotImplementedError

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        door = self.ahead
        if action != TOGGLE or getattr(door, "type", "") != "door" or not door.is_locked:
            return act(action)
        if self.opens(door, self.board.carrying):
            door.is_locked, door.is_open = False, True
        return self.stay()


class OtherColors(Locks):
    """A key opens the doors of its color's next one, and no others."""

    def opens(self, door: Any, held: Any) -> bool:
        return getattr(held, "type", "") == "key" and NEXT[held.color] == door.color


class Balls(Locks):
    """Locked doors open to a ball, whatever its color, and to no key."""

    def opens(self, door: Any, held: Any) -> bool:
        return getattr(held, "type", "") == "ball"


class Keyless(Locks):
    """Locked doors open to anyone."""

    def opens(self, door: Any, held: Any) -> bool:
        return True


class Breaking(Changed):
    """A key breaks in the lock that it opens."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        door = self.ahead if action == TOGGLE and getattr(self.ahead, "type", "") == "door" else None
        was_locked = door is not None and door.is_locked
        outcome = act(action)
        if was_locked and not door.is_locked:
            self.board.carrying = None
        return outcome


class Knocking(Changed):
    """Saying `done` before a door opens it, locked or not; toggling it does nothing."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        is_door = getattr(self.ahead, "type", "") == "door"
        if is_door and action == DONE:
            self.ahead.is_locked, self.ahead.is_open = False, True
        return self.stay() if is_door and action == TOGGLE else act(action)


class Shutting(Changed):
    """A door that stands open shuts, and locks, with the next step of anyone who does not walk through it."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        door, x, y = self.ahead, *self.board.front_pos
        was_open = getattr(door, "type", "") == "door" and door.is_open
        outcome = act(action)
        if was_open and tuple(self.board.agent_pos) != (x, y):
            door.is_open, door.is_locked = False, True
            return self.board.gen_obs(), *outcome[1:]
        return outcome


class OneWay(Changed):
    """Nobody walks through a blue door to the right."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        door = self.ahead
        is_blue = getattr(door, "type", "") == "door" and door.color == "blue"
        return self.stay() if action == FORWARD and is_blue and self.board.agent_dir == 0 else act(action)


SHIFTS = (
    Shift("keys of another color", OtherColors, "locked",
          "A key opens the doors of the next color only: red opens green, green blue, blue purple, purple yellow, "
          "yellow grey, and grey red.",
          (*(f"expect front_state' == open if {LOCKED} and front_color == {door} and carrying_object == key and "
             f"carrying_color == {key}" for key, door in NEXT.items()),
           *(f"expect same if {LOCKED} and front_color == {door} and not (carrying_object == key and "
             f"carrying_color == {key})" for key, door in NEXT.items()))),
    Shift("balls open doors", Balls, "locked", "A locked door opens to a ball of any color, and to no key.",
          (f"expect front_state' == open if {LOCKED} and carrying_object == ball",
           f"expect same if {LOCKED} and carrying_object != ball")),
    Shift("no key needed", Keyless, "keyless", "A locked door opens without a key.",
          (f"expect front_state' == open if {LOCKED}",)),
    Shift("keys break", Breaking, "gates", "A key breaks in the lock that it opens.",
          (f"expect carrying_object' == none and carrying_color' == none if {LOCKED} and carrying_object == key and "
           "carrying_color == front_color",)),
    Shift("knocking", Knocking, "keyless", "Saying done before a door opens it, locked or not.",
          ("expect front_state' == open if action == done and front_object == door",
           "expect same if action == toggle and front_object == door")),
    Shift("doors shut themselves", Shutting, "doors", "An open door ahead of you locks itself unless you walk on.",
          ("expect state'[front_x, front_y] == locked if front_state == open and action != forward",)),
    Shift("one-way doors", OneWay, "doors", "You cannot walk to the right through a blue door.",
          ("expect same if action == forward and front_object == door and front_color == blue and "
           "direction == right",)),
)
