"""A world's state for people: values in the schema's own words, grids as characters.

What a cell looks like is decided here once,
for the terminal and for the filmstrip: values named like a colour colour it, every other array of the grid adds a mark.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..world.scenes import Row, value_text

if TYPE_CHECKING:
    from ..world.schema import Feature, Grid, Schema

COLORS = {
    "red": "#cc3d33",
    "green": "#3f9b4f",
    "blue": "#3668c9",
    "purple": "#8b4fb8",
    "yellow": "#d9a514",
    "grey": "#7d8288",
    "gray": "#7d8288",
    "orange": "#e07b28",
    "black": "#222222",
    "white": "#fdfdfd",
    "brown": "#8a5a33",
}
BLANK = ("empty", "floor", "frozen", "none")
WALLS = ("wall",)
_TERMINAL = {
    "purple": "magenta",
    "grey": "bright_black",
    "gray": "bright_black",
    "orange": "dark_orange",
    "brown": "orange4",
}
_NOTHING = ("none", "empty")
_AHEAD = {(1, 0): ">", (0, 1): "v", (-1, 0): "<", (0, -1): "^"}


@dataclass(frozen=True)
class Cell:
    """One cell: the name of what is in it, its colour if it has one, and other marks (a door's state)."""

    value: str
    color: str | None = None
    mark: str = ""

    @property
    def is_blank(self) -> bool:
        return self.value in BLANK


def record(schema: Schema, row: Row) -> dict[str, Any]:
    """A state as JSON data: names of categories, numbers, nested lists for arrays."""

    def plain(f: Feature, value: np.ndarray) -> Any:
        if value.ndim:
            return [plain(f, v) for v in value]
        if f.kind == "category":
            return value_text(f, value)
        return bool(value) if f.kind == "boolean" else int(value) if f.kind == "integer" else float(value)

    return {f.name: plain(f, np.asarray(row[f.name])) for f in schema.features}


# --- grids ------------------------------------------------------------------------------------------------------------


def is_drawable(schema: Schema) -> bool:
    """Whether the schema has a board of two dimensions to draw."""
    return schema.grid is not None and len(schema.base[schema.grid.arrays[0]].shape) == 2


def board(schema: Schema, row: Row) -> list[list[Cell]]:
    """The cells as they are drawn: a list a line, from the top, and in it from the left."""
    grid = _grid(schema)
    width, height = schema.base[grid.arrays[0]].shape
    cells = [[_cell(schema, grid, row, (x, y)) for y in range(height)] for x in range(width)]
    return cells if _rows_first(grid) else [list(line) for line in zip(*cells, strict=True)]


def pointer(schema: Schema, row: Row) -> tuple[int, int, tuple[int, int] | None]:
    """Where the agent is drawn, as (column, line), and the (dx, dy) it looks to, None if it does not turn."""
    grid = _grid(schema)
    x, y = int(row[grid.x]), int(row[grid.y])
    step = None
    if grid.heading is not None:
        heading = schema.base[grid.heading]
        step = grid.steps[(int(row[grid.heading]) - heading.offset) % len(grid.steps)]
    if _rows_first(grid):
        return y, x, (step[1], step[0]) if step else None
    return x, y, step


def scalars(schema: Schema) -> list[Feature]:
    return [f for f in schema.features if not f.shape]


def captions(schema: Schema) -> list[Feature]:
    """The scalars that the drawing does not show: what is carried, and the like."""
    grid = schema.grid
    return [f for f in scalars(schema) if grid is None or f.name not in (grid.x, grid.y, grid.heading)]


def state_view(schema: Schema, row: Row) -> Group:
    """A state in the terminal: the board, if there is one, beside the scalar features."""
    names = scalars(schema)
    pad = max((len(f.name) for f in names), default=0)
    lines = []
    for f in names:
        unit = f" {f.unit}" if f.unit else ""
        lines.append(Text.assemble((f"{f.name:<{pad}}  ", "dim"), value_text(f, row[f.name]), (unit, "dim")))
    if is_drawable(schema):
        view = Table.grid(padding=(0, 4, 0, 0))
        view.add_row(board_text(schema, row), Text("\n").join(lines))
        return Group(view, Text(legend(schema, row), "dim"))
    arrays = [Text(f"{f.name}: {np.array2string(np.asarray(row[f.name]))}") for f in schema.features if f.shape]
    return Group(*lines, *arrays)


def board_text(schema: Schema, row: Row, path: Collection[tuple[int, int]] = ()) -> Text:
    """The board in characters, two a cell: the first letter of what is in it and of its mark, and the agent; cells
    (column, line) on a `path` are marked."""
    column, line, step = pointer(schema, row)
    text = Text()
    for v, cells in enumerate(board(schema, row)):
        for u, cell in enumerate(cells):
            first, second, style = _characters(cell)
            if (u, v) in path:
                first, second, style = ("•", " ", "bold cyan") if cell.is_blank else (first, second, f"{style} on cyan")
            if (u, v) == (column, line):
                inside = " " if cell.is_blank else first.lower()
                first, second, style = _AHEAD.get(step, "@") if step else "@", inside, "bold reverse"
            text.append(first + second, style)
        text.append("\n")
    text.right_crop(1)
    return text


def legend(schema: Schema, row: Row) -> str:
    """What the characters on the board stand for."""
    known: dict[str, str] = {}
    for cell in (c for cells in board(schema, row) for c in cells if not c.is_blank and c.value not in WALLS):
        first, second, _ = _characters(cell)
        known[(first + second).strip()] = f"{cell.value}, {cell.mark}" if cell.mark else cell.value
    return "  ".join(f"{k} {v}" for k, v in known.items())


def _characters(cell: Cell) -> tuple[str, str, str]:
    if cell.value in WALLS:
        return "█", "█", "grey50"
    if cell.is_blank:
        return "·", " ", "dim"
    style = f"bold {_TERMINAL.get(cell.color, cell.color)}" if cell.color else "bold"
    return cell.value[:1].upper(), cell.mark[:1] or " ", style


def _cell(schema: Schema, grid: Grid, row: Row, at: tuple[int, int]) -> Cell:
    first, *others = (value_text(schema.base[name], row[name][at]) for name in grid.arrays)
    color = next((v for v in others if v in COLORS), None)
    marks = [v for v in others if v not in COLORS and v not in _NOTHING and v != first]
    return Cell(first, color, marks[0] if marks else "")


def _grid(schema: Schema) -> Grid:
    assert schema.grid is not None
    return schema.grid


def _rows_first(grid: Grid) -> bool:
    """Whether the arrays are indexed [row, column], as those of FrozenLake, rather than [x, y]."""
    return "row" in grid.x


def differing(schema: Schema, a: Row, b: Row) -> Iterator[tuple[int, int]]:
    """Cells, as (column, line), on which two boards differ."""
    for v, (one, other) in enumerate(zip(board(schema, a), board(schema, b), strict=True)):
        yield from ((u, v) for u, (x, y) in enumerate(zip(one, other, strict=True)) if x != y)
