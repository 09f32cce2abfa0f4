"""Hands: what can be picked up, put down and pushed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .keys import DROP, PICKUP, TOGGLE
from .moves import FORWARD, STEPS
from .shift import Changed, Shift


class OnlyBalls(Changed):
    """Only balls can be picked up."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        takes = getattr(self.ahead, "type", "ball") == "ball"
        return act(action) if action != PICKUP or takes else self.stay()


class Exchanged(Changed):
    """`pickup` does what `toggle` did, and the other way round."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        return act({PICKUP: TOGGLE, TOGGLE: PICKUP}.get(action, action))


class Fragile(Changed):
    """What is put down is gone."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        x, y = self.board.front_pos
        breaks = action == DROP and self.board.carrying is not None and self.ahead is None
        outcome = act(action)
        if breaks:
            self.board.grid.set(x, y, None)
            return self.board.gen_obs(), *outcome[1:]
        return outcome


class Pushing(Changed):
    """Boxes are pushed by walking into them, where the cell behind is empty; they cannot be picked up or opened."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        board, box = self.board, self.ahead
        if getattr(box, "type", "") != "box":
            return act(action)
        if action == FORWARD and board.grid.get(*self.cell(2)) is None:
            board.grid.set(*self.cell(2), box)
            board.grid.set(*self.cell(1), None)
        return self.stay() if action in (PICKUP, TOGGLE) else act(action)


def _pushed() -> list[str]:
    rules = []
    for heading, dx, dy in STEPS:
        near, far = ([s and f"{s[0]} {k}" for s in (dx, dy)] for k in (1, 2))
        cell, beyond = (f"[agent_x {x}, agent_y {y}]".replace(" ,", ",").replace(" ]", "]") for x, y in (near, far))
        rules.append(f"expect agent_x' == front_x and agent_y' == front_y and object'{cell} == empty and "
                     f"color'{cell} == none and object'{beyond} == box and color'{beyond} == front_color if "
                     f"action == forward and direction == {heading} and front_object == box and "
                     f"object{beyond} == empty")
    return [*rules, "expect same if action in {pickup, toggle} and front_object == box"]


SHIFTS = (
    Shift("only balls", OnlyBalls, "things", "Only balls can be picked up.",
          ("expect same if action == pickup and front_object != ball",), goal="achieve carrying_object in {key, ball}"),
    Shift("pickup and toggle exchanged", Exchanged, "doors", "Pickup opens doors, and toggle picks things up.",
          ("expect front_state' == open if action == pickup and front_state == closed",
           "expect front_state' == closed if action == pickup and front_state == open",
           "expect same if action == toggle and front_object == door")),
    Shift("dropping destroys", Fragile, "things", "What you put down is gone.",
          ("expect carrying_object' == none and carrying_color' == none and front_object' == empty and "
           "front_color' == none if action == drop and front_object == empty",),
          goal="achieve carrying_object == key then carrying_object == ball and count(object == key) == 0"),
    Shift("boxes are pushed", Pushing, "crate", "A box is pushed by walking into it, and cannot be taken or opened.",
          tuple(_pushed())),
)
