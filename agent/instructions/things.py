"""Things that are spoken of: what they are, where, and which of several.

Where a thing is said to be ("on your left", "next to the box") is bound, when it is told, to the cells where such
things are then, or, where none is in sight, to that side of where the agent stood. So is which of several is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from lark import Token

from ...errors import UserError
from ...world.rules.text import word
from .readings import Choices
from .vocabulary import NUMERALS
from .world import Cell, World

Parts = Sequence[Token]
_SIDES = ("LEFT", "RIGHT", "FRONT", "BEHIND")
_MOST = 24    # things spoken of at once


@dataclass(frozen=True)
class Thing:
    """A description: what it is (array: value), and where: one of `cells`, or beyond a line."""

    wanted: dict[str, str]
    cells: tuple[Cell, ...] | None = None
    beyond: str = ""  # a condition on the coordinates "{x}" and "{y}"
    is_named: bool = True

    def __call__(self, world: World, x: str, y: str, names: dict[str, str]) -> str:
        """The condition that such a thing is at (x, y), where `names` are what is there, by array."""
        if self.wanted.get(world.kind):
            parts = []
        else:
            parts = [f"{names[world.kind]} in {{{', '.join(map(word, world.things()))}}}"]
        parts += [f"{names[array]} == {word(value)}" for array, value in self.wanted.items()]
        if self.cells is not None:
            spots = [f"{x} == {cx} and {y} == {cy}" for cx, cy in self.cells]
            parts.append(spots[0] if len(spots) == 1 else "(" + " or ".join(spots) + ")")
        elif self.beyond:
            parts.append(self.beyond.format(x=x, y=y))
        return " and ".join(parts)


@dataclass(frozen=True)
class Place:
    """A thing in words, and what it is said to be next to."""

    head: Parts
    beside: tuple[Parts, ...] = ()

    def __str__(self) -> str:
        return " next to ".join(" ".join(map(str, parts)) for parts in (self.head, *self.beside))


class Things:
    """Binds words to things of a world; `mentioned` are those spoken of so far."""

    def __init__(self, world: World, choices: Choices) -> None:
        self.world, self.choices = world, choices
        self.mentioned: list[Thing] = []

    def one(self, place: Place) -> Thing:
        """The thing that is meant. Raises `UserError` where several are, or it is not clear which."""
        if {p.type for p in place.head} & {"EACH", "BOTH", "COUNT"}:
            raise UserError(f"'{place}' are several; say one")
        found = self._bound(place)
        self.mentioned.append(found)
        return found

    def several(self, place: Place, act: Callable[[Thing], str], fits: Callable[[Cell], bool] | None = None) -> str:
        """What it is to do something with what is meant: with one, with each, or with so many of those there are."""
        kinds = {p.type: str(p) for p in place.head}
        if not kinds.keys() & {"EACH", "BOTH", "COUNT"}:
            return act(self.one(place))
        bare = Place([p for p in place.head if p.type not in ("EACH", "BOTH", "COUNT", "THE")], place.beside)
        thing = self._bound(bare)
        cells = list(thing.cells if thing.cells is not None else self.world.cells(thing.wanted))
        cells = [c for c in cells if fits is None or fits(c)]
        n = len(cells)
        if "COUNT" in kinds:
            n = NUMERALS.get(kinds["COUNT"]) or int(kinds["COUNT"])
        elif "BOTH" in kinds:
            n = 2
            if len(cells) > 2:
                raise UserError(f"'{place}' are {len(cells)} here; say 'all', or which two")
        if not cells or n > len(cells) or len(cells) > _MOST:
            raise UserError(f"'{place}': {len(cells)} such things are in sight that this can be done with")
        acts = [act(replace(thing, cells=(cell,))) for cell in cells]
        groups = ["{" + " also ".join(chosen) + "}" if n > 1 else chosen[0] for chosen in combinations(acts, n)]
        if len(groups) > 2 * _MOST:
            raise UserError(f"'{place}' may be done in {len(groups)} ways; say which")
        self.mentioned.append(thing)
        return groups[0] if len(groups) == 1 else "{" + " else ".join(groups) + "}"

    # --- binding ---

    def _bound(self, place: Place) -> Thing:
        """The thing said, by the attachment that is meant: 'the ball next to the box on your left'."""
        if not place.beside:
            return self._placed(place.head, None)
        last = place.beside[-1]
        sides = [p for p in last if p.type in _SIDES]
        nested = self._near(place.head, place.beside[0], place.beside[1:])
        if not sides:
            return nested
        bare = [p for p in last if p.type not in _SIDES]
        flat = self._near([*place.head, *sides], place.beside[0] if len(place.beside) > 1 else bare,
                          (*place.beside[1:-1], bare) if len(place.beside) > 1 else ())
        if not nested.cells or not flat.cells or set(nested.cells) == set(flat.cells):
            return nested if nested.cells else flat
        head, other = (" ".join(map(str, p)) for p in (place.head, bare))
        side = str(sides[0])
        readings = {f"{head} next to {other} that is {side}": nested, f"{head} that is {side}, next to {other}": flat}
        return self.choices.among(str(place), readings)

    def _near(self, head: Parts, other: Parts, rest: tuple[Parts, ...]) -> Thing:
        base = self._bound(Place(other, rest))
        spots = base.cells if base.cells is not None else self.world.cells(base.wanted)
        near = {(x + dx, y + dy) for x, y in spots for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy}
        found = self._placed(head, near)
        if not found.cells:
            raise UserError(f"'{' '.join(map(str, head))}' is not seen next to '{' '.join(map(str, other))}' here")
        return found

    def _placed(self, parts: Parts, near: set[Cell] | None) -> Thing:
        world, kinds = self.world, {p.type for p in parts}
        if kinds <= {"THE", "A", "IT"}:
            if not self.mentioned or "IT" not in kinds:
                return Thing({}, is_named=False)
            return self.mentioned[-1]
        wanted = {world.array_of(str(p)): str(p) for p in parts if p.type == "WORD"}
        if "ONE" in kinds and world.kind not in wanted:
            of = next((t.wanted[world.kind] for t in reversed(self.mentioned) if world.kind in t.wanted), None)
            if of is None:
                raise UserError(f"'{' '.join(map(str, parts))}': one of what? name it, as in 'the red ball'")
            wanted = {world.kind: of, **wanted}
        thing = Thing(wanted)
        side = next((s for s in _SIDES if s in kinds), None)
        (ax, ay), found = world.pose()[0], world.cells(wanted)
        if near is not None:
            found = [cell for cell in found if cell in near]
        if side is not None:
            dx, dy = world.direction(side)
            room = world.room()
            found = [(x, y) for x, y in found if (x - ax) * dx + (y - ay) * dy > 0 and (x, y) in room]
            if not found:
                name, origin, sign = ("{x}", ax, dx) if dx else ("{y}", ay, dy)
                return replace(thing, beyond=f"{name} {'>' if sign > 0 else '<'} {origin}")
        is_placed = side is not None or near is not None
        if "NEAREST" in kinds and found:
            least = min(abs(x - ax) + abs(y - ay) for x, y in found)
            return replace(thing, cells=tuple(c for c in found if abs(c[0] - ax) + abs(c[1] - ay) == least)[:1])
        if "THE" in kinds and len(found) > 1:
            before = [t for t in self.mentioned if wanted.items() < t.wanted.items()]
            if before and not is_placed and all(t == before[0] for t in before):
                return before[0]
            return self._asked(thing, found, is_placed)
        return replace(thing, cells=tuple(found)) if is_placed else thing

    def _asked(self, thing: Thing, found: list[Cell], is_placed: bool) -> Thing:
        """Which of several is meant, where they look different."""
        world = self.world
        names = [a for a in ("color", world.kind) if a in world.ahead]
        looks: dict[str, list[Cell]] = {}
        for cell in found:
            seen = [world.schema.named[a].values[int(world.row[a][cell])] for a in names]
            looks.setdefault("the " + " ".join(seen), []).append(cell)
        if len(looks) == 1:
            return replace(thing, cells=tuple(found)) if is_placed else thing
        said = " ".join(["the", *reversed(thing.wanted.values())])
        readings = {look: replace(thing, cells=tuple(cells)) for look, cells in looks.items()}
        return self.choices.among(said, readings, "say which, or 'a' for any of them")
