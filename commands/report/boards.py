"""States as small SVG drawings that the page defines once and shows wherever they occur.

A board is a symbol of shapes whose colours are the page's own variables, so that it follows light and dark; equal
boards are one symbol.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from ...world.scenes import LEAST, Row, changes, value_text
from ..drawing import COLORS, WALLS, Cell, board, captions, differing, is_drawable, pointer

if TYPE_CHECKING:
    from ...world.schema import Schema

GROUND = ("floor", "goal", "lava", "unseen", "frozen", "start", "hole", "water")
_DOORS = ("open", "closed", "locked")


@dataclass
class Boards:
    """The boards of one page: `add` gives the id of a state's symbol, `symbols` are all of them."""

    ids: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, schema: Schema, row: Row) -> str | None:
        """The symbol of a state; None for a world without a board."""
        if not is_drawable(schema):
            return None
        lines = board(schema, row)
        markup = Markup("").join([_ground(lines), *_items(lines), _agent(*pointer(schema, row))])
        id = self.ids.setdefault(markup, f"b{len(self.ids)}")
        self.sizes[id] = len(lines[0]), len(lines)
        return id

    @property
    def symbols(self) -> list[tuple[str, str, tuple[int, int]]]:
        """Id, shapes and (width, height) of each."""
        return [(id, markup, self.sizes[id]) for markup, id in self.ids.items()]


def departures(schema: Schema, imagined: Row, observed: Row) -> list[tuple[int, int]]:
    """Cells, as (column, line), on which an imagined board differs from the observed one, the agent's included."""
    if not is_drawable(schema):
        return []
    own, other = pointer(schema, imagined), pointer(schema, observed)
    return sorted({*differing(schema, imagined, observed), *([own[:2]] if own != other else [])})


def happened(schema: Schema, before: Row, after: Row) -> list[str]:
    """What differs between two states, a text each."""
    return [text.replace(" -> ", " → ") for text in changes(schema, before, after, LEAST)]


def caption(schema: Schema, row: Row) -> str:
    """What a board does not show: the scalars besides the pose, those that are "none" left out."""
    words = [(f, value_text(f, row[f.name])) for f in captions(schema)]
    return " ".join(reversed([t if f.kind == "category" else f"{f.name} {t}" for f, t in words if t != "none"]))


def _ground(lines: list[list[Cell]]) -> Markup:
    """Floor, walls and whatever fills a cell: a path a kind."""
    cells: dict[str, list[str]] = {}
    for v, line in enumerate(lines):
        for u, cell in enumerate(line):
            kind = "wall" if cell.value in WALLS else cell.value if cell.value in GROUND else ""
            if kind:
                cells.setdefault(kind, []).append(f"M{u} {v}h1v1h-1z")
    width, height = len(lines[0]), len(lines)
    grid = "".join(f"M{u} 0v{height}" for u in range(1, width)) + "".join(f"M0 {v}h{width}" for v in range(1, height))
    ground = Markup('<path class="g" d="M0 0h{}v{}h-{}z"/>').format(width, height, width)
    paths = [Markup('<path class="g-{}" d="{}"/>').format(kind, "".join(d)) for kind, d in cells.items()]
    return Markup("").join([ground, Markup('<path class="gl" d="{}"/>').format(grid), *paths])


def _items(lines: list[list[Cell]]) -> list[Markup]:
    return [
        _item(cell, u, v)
        for v, line in enumerate(lines)
        for u, cell in enumerate(line)
        if not (cell.is_blank or cell.value in WALLS or cell.value in GROUND)
    ]


def _item(cell: Cell, u: int, v: int) -> Markup:
    ink = COLORS.get(cell.color or "", "var(--ink)")
    if cell.mark in _DOORS:
        fill = "none" if cell.mark == "open" else ink
        lock = {
            "locked": Markup('<g fill="#fff"><circle cx=".5" cy=".42" r=".12"/><path d="M.45.45h.1v.25h-.1z"/></g>'),
            "closed": Markup('<circle cx=".74" cy=".5" r=".07" fill="#fff"/>'),
        }.get(cell.mark, "")
        shapes = Markup('<rect x=".1" y=".1" width=".8" height=".8" fill="{}" stroke="{}" stroke-width=".1"/>{}')
        shapes = shapes.format(fill, ink, lock)
    elif cell.value == "key":
        shapes = Markup('<g fill="none" stroke="{}" stroke-width=".1"><circle cx=".5" cy=".3" r=".15"/>'
                        '<path d="M.5.45v.38h.19M.5.66h.15"/></g>').format(ink)
    elif cell.value == "ball":
        shapes = Markup('<circle cx=".5" cy=".5" r=".3" fill="{}"/>').format(ink)
    elif cell.value == "box":
        shapes = Markup('<g fill="none" stroke="{}" stroke-width=".1"><rect x=".2" y=".2" width=".6" height=".6"/>'
                        '<path d="M.2.5h.6"/></g>').format(ink)
    else:
        shapes = Markup('<text x=".5" y=".66" font-size=".5" text-anchor="middle" fill="{}">{}</text>').format(
            ink, cell.value[:2])
    return Markup('<g transform="translate({} {})">{}</g>').format(u, v, shapes)


def _agent(u: int, v: int, step: tuple[int, int] | None) -> Markup:
    if step is None:
        return Markup('<circle class="me" cx="{}" cy="{}" r=".28"/>').format(u + 0.5, v + 0.5)
    turn = {(1, 0): 0, (0, 1): 90, (-1, 0): 180, (0, -1): 270}.get(step, 0)
    return Markup('<path class="me" transform="translate({} {})rotate({})" d="M.36 0L-.26 .28V-.28Z"/>').format(
        u + 0.5, v + 0.5, turn)
