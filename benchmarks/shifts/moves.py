"""Moves: what turning and walking do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .shift import Changed, Shift

LEFT, RIGHT, FORWARD = 0, 1, 2
TURNS = ("right", "down", "left", "up")
AHEAD = "(front_object in {empty, floor, goal, lava} or front_state == open)"
"""A cell ahead that one can walk onto."""
STEPS = (("right", "+ 1", ""), ("left", "- 1", ""), ("down", "", "+ 1"), ("up", "", "- 1"))


class Reversed(Changed):
    """Turning left turns right, and the other way round."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        return act(1 - action if action in (LEFT, RIGHT) else action)


class Swapped(Changed):
    """`left` walks, `forward` turns left."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        return act({LEFT: FORWARD, FORWARD: LEFT}.get(action, action))


class Backwards(Changed):
    """`forward` walks one cell back."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        if action != FORWARD:
            return act(action)
        return self.go(*self.cell(-1)) if self.is_free(*self.cell(-1)) else self.stay()


class Ice(Changed):
    """`forward` slides on over a second empty cell."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        slides = action == FORWARD and self.ahead is None and self.board.grid.get(*self.cell(2)) is None
        return self.go(*self.cell(2)) if slides else act(action)


class Slippery(Ice):
    """As ice, one time in three."""

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        return super().around(action, act) if self.board.np_random.random() < 1 / 3 else act(action)


def _turned(action: str, by: int) -> list[str]:
    return [f"expect direction' == {TURNS[(k + by) % 4]} if action == {action} and direction == {TURNS[k]}"
            for k in range(4)]


def _cell(dx: str, dy: str) -> str:
    return f"[agent_x {dx}, agent_y {dy}]".replace(" ,", ",").replace(" ]", "]")


def _backwards() -> list[str]:
    rules = []
    for heading, dx, dy in STEPS:
        x, y = (t.translate(str.maketrans("+-", "-+")) for t in (dx, dy))
        cell = _cell(x, y)
        free = f"(object{cell} in {{empty, floor, goal, lava}} or state{cell} == open)"
        there = f"agent_x' == agent_x {x}".strip() + f" and agent_y' == agent_y {y}".rstrip()
        rules += [f"expect {there} if action == forward and direction == {heading} and {free}",
                  f"expect same if action == forward and direction == {heading} and not {free}"]
    return rules


def _sliding(chance: str = "") -> list[str]:
    rules = []
    for heading, dx, dy in STEPS:
        cell = _cell(dx and f"{dx[0]} 2", dy and f"{dy[0]} 2")
        axis, sign = ("agent_x", dx) if dx else ("agent_y", dy)
        rules.append(f"expect {axis}' == {axis} {sign[0]} 2{chance} if action == forward and direction == {heading} "
                     f"and front_object == empty and object{cell} == empty")
    return rules


SHIFTS = (
    Shift("turning reversed", Reversed, "field", "Turning left turns you to the right, and turning right to the left.",
          (*_turned("left", 1), *_turned("right", -1))),
    Shift("left and forward swapped", Swapped, "field", "Left walks one cell ahead, and forward turns you left.",
          (*_turned("forward", -1), "expect same(agent_x) and same(agent_y) if action == forward",
           "expect same(direction) if action == left",
           f"expect agent_x' == front_x and agent_y' == front_y if action == left and {AHEAD}",
           f"expect same if action == left and not {AHEAD}")),
    Shift("forward walks backwards", Backwards, "field", "Forward walks one cell backwards.", tuple(_backwards())),
    Shift("ice", Ice, "field", "Walking, you slide over two cells at once if both are empty.", tuple(_sliding())),
    Shift("slippery floor", Slippery, "gap", "One time in three you slide over two cells at once, if both are empty.",
          tuple(_sliding(" with probability 0.3333"))),
)
