"""A shift: a change of the boards' world, what a person would say of it, and where it is put to the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from .boards import Boards


@dataclass(frozen=True)
class Shift:
    """`wrapper` makes the change. A person says `sentence`; `rules` are its lines. It matters on boards of `kind`;
    `goal` is told beforehand to every arm where reaching the goal square is not the point."""

    name: str
    wrapper: type[gym.Wrapper]
    kind: str
    sentence: str
    rules: tuple[str, ...]
    goal: str = ""

    def env(self, shifted: bool = True, kind: str | None = None) -> gym.Env:
        """Boards on which it matters (or of another `kind`; "" for all), changed or as they were."""
        boards = Boards(*filter(None, [self.kind if kind is None else kind]))
        return self.wrapper(boards) if shifted else boards

    @property
    def told(self) -> str:
        """The sentence with its rule lines indented below, as in a manual."""
        return "\n    ".join((self.sentence, *self.rules))


class Changed(gym.Wrapper):
    """A MiniGrid world in which `around(action, act)` happens, where `act` is what would have happened.

    `act(action)` is the simulator's own step; what it returns, `around` returns, changed or not.
    """

    def step(self, action: Any) -> Any:
        return self.around(int(action), self.env.step)

    def around(self, action: int, act: Callable[[int], Any]) -> Any:
        raise NotImplementedError

    # --- what changes are made of ---------------------------------------------------------------------------------

    @property
    def board(self) -> Any:
        """The simulator."""
        return self.unwrapped

    def cell(self, steps: int) -> tuple[int, int]:
        """The cell so many steps ahead of the agent."""
        (x, y), (dx, dy) = self.board.agent_pos, self.board.dir_vec
        return int(x + steps * dx), int(y + steps * dy)

    @property
    def ahead(self) -> Any:
        """The thing ahead (None: nothing)."""
        return self.board.grid.get(*self.board.front_pos)

    @property
    def underfoot(self) -> Any:
        """The thing the agent stands on."""
        return self.board.grid.get(*self.board.agent_pos)

    def is_free(self, x: int, y: int) -> bool:
        """Whether the agent could stand there."""
        board = self.board
        if not (0 <= x < board.width and 0 <= y < board.height):
            return False
        thing = board.grid.get(x, y)
        return thing is None or bool(thing.can_overlap())

    def go(self, x: int, y: int) -> Any:
        """Spend the step on being there: what the simulator makes of stepping onto what lies there."""
        board = self.board
        outcome = self.env.step(board.actions.done)
        board.agent_pos = (int(x), int(y))
        thing = board.grid.get(int(x), int(y))
        paid = board._reward() if thing is not None and thing.type == "goal" else 0.0
        over = thing is not None and thing.type in ("goal", "lava")
        return board.gen_obs(), paid, over, outcome[3], outcome[4]

    def stay(self) -> Any:
        """Spend the step on nothing."""
        return self.env.step(self.board.actions.done)
