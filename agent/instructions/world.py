"""What instructions speak of in a world of cells: things ahead and in hand, by the schema's own names."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...errors import UserError
from ...world.rules.text import number, word
from ...world.schema import Pointed, Schema
from .nouns import quantities
from .vocabulary import NOTHING, PLACES, SCENERY

Cell = tuple[int, int]


@dataclass(frozen=True)
class World:
    """The roles of a schema's features, and the state the words are told in (features of one row)."""

    schema: Schema
    row: dict[str, np.ndarray]
    ahead: dict[str, str]  # an array: the feature that reads the cell ahead
    held: dict[str, str]  # an array: what of it is carried
    at: tuple[str, str]  # the coordinates of the cell ahead

    @staticmethod
    def of(schema: Schema, row: dict[str, np.ndarray]) -> World:
        """The world as it is now; without cells, or a feature that reads the one ahead, there are no things in it."""
        ahead = {d.of: name for name, d in schema.derivations.items() if isinstance(d, Pointed)}
        if schema.grid is None or not set(schema.grid.arrays) & set(ahead):
            return World(schema, row, {}, {}, ("", ""))
        held = {array: f.name for array in schema.grid.arrays for f in schema.features
                if not f.shape and f.kind == "category" and f.name.endswith(f"_{array}")}
        side = ahead[schema.grid.arrays[0]].removesuffix(schema.grid.arrays[0])
        at = (side + schema.grid.x.rsplit("_", 1)[-1], side + schema.grid.y.rsplit("_", 1)[-1])
        return World(schema, row, ahead, held, at)

    @property
    def kind(self) -> str:
        """The array that says what things are."""
        assert self.schema.grid is not None
        return self.schema.grid.arrays[0]

    def home(self) -> str:
        """The condition to be where the agent is now: in its cell, or as near as a twentieth of the way there is.
        Raises `UserError` where the world has no place, or one without ends."""
        if self.schema.grid is not None:
            grid = self.schema.grid
            return " and ".join(f"{word(n)} == {int(self.row[n])}" for n in (grid.x, grid.y))
        near = []
        for f in quantities(self.schema):
            if set(f.name.split("_")) & PLACES and f.kind in ("real", "integer") and f.name in self.row:
                here = float(self.row[f.name])
                if f.is_discrete:
                    near.append(f"{word(f.name)} == {int(here)}")
                elif math.isfinite(f.high - f.low) and f.high - f.low < 1e9:
                    near.append(f"abs({word(f.name)} - {number(round(here, 4))}) <= {number((f.high - f.low) / 20)}")
        if not near:
            raise UserError("this world has no place with ends to come back to; say a quantity and a number instead")
        return " and ".join(near)

    def state(self, cell: Cell) -> str:
        """The state (open, closed, locked) of what is in a cell; "none" without one."""
        array = next((a for a in self.ahead if "open" in self.schema.named[a].values), None)
        return "none" if array is None else self.schema.named[array].values[int(self.row[array][cell])]

    def array_of(self, value: str) -> str:
        assert self.schema.grid is not None
        return next(a for a in self.schema.grid.arrays if value in self.schema.named[a].values)

    def things(self) -> list[str]:
        return [v for v in self.schema.named[self.kind].values if v not in SCENERY]

    def nothing(self) -> str:
        """The value of what is held where nothing is; raises `UserError` where nothing can be carried."""
        values = self.schema.named[self.held[self.kind]].values if self.kind in self.held else ()
        found = next((v for v in NOTHING if v in values), None)
        if found is None:
            raise UserError("nothing can be carried in this world")
        return found

    def cells(self, wanted: dict[str, str]) -> list[Cell]:
        """Where there is such a thing now."""
        fits = np.ones(self.row[self.kind].shape, bool)
        if self.kind not in wanted:
            values = self.schema.named[self.kind].values
            fits &= np.isin(self.row[self.kind], [values.index(v) for v in self.things()])
        for array, value in wanted.items():
            fits &= self.row[array] == self.schema.named[array].values.index(value)
        return [(int(x), int(y)) for x, y in zip(*fits.nonzero(), strict=True)]

    def pose(self) -> tuple[Cell, Cell]:
        """Where the agent stands, and one step ahead of it as (dx, dy)."""
        grid = self.schema.grid
        assert grid is not None
        heading = int(self.row[grid.heading]) if grid.heading else 0
        return (int(self.row[grid.x]), int(self.row[grid.y])), grid.steps[heading]

    def direction(self, side: str) -> Cell:
        """The step to that side of the agent, y growing downwards."""
        dx, dy = self.pose()[1]
        return {"FRONT": (dx, dy), "BEHIND": (-dx, -dy), "RIGHT": (-dy, dx), "LEFT": (dy, -dx)}[side]

    def room(self) -> set[Cell]:
        """The cells that can be come to without passing a wall or a door, and those that border on them."""
        codes, values = self.row[self.kind], self.schema.named[self.kind].values
        closed = {i for i, v in enumerate(values) if v in ("wall", "door", "unseen")}
        start = self.pose()[0]
        inside, queue = {start}, [start]
        while queue:
            x, y = queue.pop()
            for cell in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                is_on = 0 <= cell[0] < codes.shape[0] and 0 <= cell[1] < codes.shape[1]
                if is_on and cell not in inside and int(codes[cell]) not in closed:
                    inside.add(cell)
                    queue.append(cell)
        return {(x + dx, y + dy) for x, y in inside for dx in (-1, 0, 1) for dy in (-1, 0, 1)}

    def holding(self, wanted: dict[str, str], prime: str = "") -> str:
        """The condition that such a thing is in hand."""
        said = {self.held[a]: v for a, v in wanted.items() if a in self.held}
        parts = [f"{word(name)}{prime} == {word(v)}" for name, v in said.items()]
        if self.kind not in wanted:
            parts.insert(0, f"{word(self.held[self.kind])}{prime} != {word(self.nothing())}")
        return " and ".join(parts)
