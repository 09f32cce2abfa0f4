"""What instructions mean, in the rule language: to go to a thing is to face it, to pick it up is the act of taking it
with empty hands, to open it the step that makes it open, to put it next to another to lay it down beside that.

All are events of a step. Where a thing is said to be ("on your left") is bound, when it is told, to the cells where
such things are then, or, where none is in sight, to that side of where the agent stood.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput

from ...errors import UserError
from ...world.rules.text import word
from .vocabulary import SCENERY
from .words import Words, tokens
from .world import Cell, World

Ask = Callable[[str, list[str]], int | None]
_SIDES = ("LEFT", "RIGHT", "FRONT", "BEHIND")


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


def lines_of(text: str, world: World, ask: Ask | None = None) -> list[str]:
    """The rule lines an instruction means in the state it is told in. Raises `UserError` where it is not understood."""
    found = tokens(text, world.schema)
    try:
        tree = _grammar().parse(found)  # type: ignore[arg-type]
    except UnexpectedInput as error:
        at = getattr(error, "token", None)
        where = f" at {str(at)!r}" if at is not None and at.type != "$END" else ": it ends too soon"
        raise UserError(f"{text!r} is not understood{where}; say it as in 'pick up the red ball, then open the blue "
                        "door', 'put the box next to the key', 'never touch lava'") from None
    try:
        lines: list[str] = _Meaning(world, ask).transform(tree)
    except Exception as error:
        cause = getattr(error, "orig_exc", error)
        raise cause from None
    return lines


@cache
def _grammar() -> Lark:
    path = Path(__file__).with_name("grammar.lark")
    return Lark(path.read_text(encoding="utf-8"), parser="lalr", lexer=Words, maybe_placeholders=False)


class _Meaning(Transformer[Token, Any]):
    """From the bottom up: things, then acts as milestones, then their order."""

    def __init__(self, world: World, ask: Ask | None) -> None:
        super().__init__()
        self.world, self.ask = world, ask
        self.last: Thing | None = None

    def start(self, parts: Sequence[Any]) -> list[str]:
        order = [p for p in parts if isinstance(p, str) and not p.startswith("avoid ")]
        deadline = next((p for p in parts if isinstance(p, int)), None)
        limits = [p for p in parts if isinstance(p, str) and p.startswith("avoid ")]
        within = "" if deadline is None else f" within {deadline} steps"
        return [f"achieve {o}{within}" for o in order] + limits

    def within(self, parts: Sequence[Token]) -> int:
        return int(parts[0])

    # --- order ---

    def then(self, parts: Sequence[str]) -> str:
        return " then ".join(parts)

    def only_then(self, parts: Sequence[str]) -> str:
        """The later one must not have been done before: to do it breaks the earlier one."""
        return f"{{{parts[0]}}} while not ({parts[1]}) then {parts[1]}"

    def before(self, parts: Sequence[str]) -> str:
        return f"{parts[0]} then {parts[1]}"

    def after(self, parts: Sequence[str]) -> str:
        return f"{parts[1]} then {parts[0]}"

    def together(self, parts: Sequence[str]) -> str:
        return "{" + " also ".join(parts) + "}"

    def either(self, parts: Sequence[str]) -> str:
        return "{" + " else ".join(parts) + "}"

    # --- acts ---

    def go(self, parts: Sequence[Any]) -> str:
        thing = parts[-1]
        if thing.wanted.get(self.world.kind) in SCENERY - {"wall"}:
            return self._standing(thing)
        return self._ahead(thing, "'")

    def pick(self, parts: Sequence[Any]) -> str:
        return self._taken(parts[-1])

    def turn(self, parts: Sequence[Any]) -> str:
        act, thing = parts
        now, then = self._state(), self._state("'")
        said = {"OPEN": f"{now} != open and {then} == open", "CLOSE": f"{now} == open and {then} == closed",
                "UNLOCK": f"{now} == locked and {then} != locked", "TOGGLE": f"{now} != {then}"}[act.type]
        grid = self.world.schema.grid
        assert grid is not None
        pose = [f"same({word(n)})" for n in (grid.x, grid.y, grid.heading) if n]
        return " and ".join([self._ahead(thing), said, *pose])

    def put(self, parts: Sequence[Any]) -> str:
        _, thing, other = parts
        world, empty = self.world, self.world.nothing()
        x, y = (f"{word(name)}'" for name in world.at)
        beside = []
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            cx = x if not dx else f"{x} {'+' if dx > 0 else '-'} 1"
            cy = y if not dy else f"{y} {'+' if dy > 0 else '-'} 1"
            names = {a: f"{word(a)}'[{cx}, {cy}]" for a in world.ahead}
            beside.append(other(world, cx, cy, names))
        carried = word(world.held[world.kind])
        laid = (f"{world.holding(thing.wanted)} and {carried}' == {word(empty)} and "
                + "(" + " or ".join(beside) + ")")
        is_placed = thing.cells is not None or thing.beyond
        return f"{{{self._taken(thing)} then {laid}}}" if is_placed else laid

    def drop(self, parts: Sequence[Any]) -> str:
        thing, world = parts[1], self.world
        return f"{world.holding(thing.wanted)} and {word(world.held[world.kind])}' == {word(world.nothing())}"

    def shunned(self, parts: Sequence[Any]) -> str:
        act, thing = parts if len(parts) > 1 else (None, parts[0])
        if act is not None and act.type == "PICK":
            return f"avoid {self.world.holding(thing.wanted)}"
        if act is not None and act.type == "OPEN":
            return f"avoid {self._ahead(thing)} and {self._state()} == open"
        if thing.wanted.get(self.world.kind) in SCENERY or act is None or act.type == "TOUCH":
            return f"avoid {self._standing(thing)}"
        return f"avoid {self._ahead(thing)}"

    # --- things ---

    def thing(self, parts: Sequence[Token]) -> Thing:
        world, kinds = self.world, {p.type for p in parts}
        if kinds <= {"THE", "A", "IT"}:
            return self.last if self.last is not None and "IT" in kinds else Thing({}, is_named=False)
        wanted = {world.array_of(str(p)): str(p) for p in parts if p.type == "WORD"}
        self.last = self._placed(Thing(wanted), kinds)
        return self.last

    def _placed(self, thing: Thing, kinds: set[str]) -> Thing:
        world, side = self.world, next((s for s in _SIDES if s in kinds), None)
        (ax, ay), found = world.pose()[0], world.cells(thing.wanted)
        if side is not None:
            dx, dy = world.direction(side)
            room = world.room()
            found = [(x, y) for x, y in found if (x - ax) * dx + (y - ay) * dy > 0 and (x, y) in room]
            if not found:
                name, origin, sign = ("{x}", ax, dx) if dx else ("{y}", ay, dy)
                return replace(thing, beyond=f"{name} {'>' if sign > 0 else '<'} {origin}")
        if "NEAREST" in kinds and found:
            near = min(abs(x - ax) + abs(y - ay) for x, y in found)
            found = [(x, y) for x, y in found if abs(x - ax) + abs(y - ay) == near][:1]
        elif "THE" in kinds and len(found) > 1:
            return self._asked(thing, found, side is not None)
        return replace(thing, cells=tuple(found)) if side or "NEAREST" in kinds else thing

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
        readings = list(looks)
        said = " ".join(["the", *reversed(thing.wanted.values())])
        answer = self.ask(f"which one is {said}?", readings) if self.ask else None
        if answer is None:
            raise UserError(f"{said!r} may be {' or '.join(readings)}; say which, or 'a' for any of them")
        return replace(thing, cells=tuple(looks[readings[answer]]))

    # --- conditions ---

    def _ahead(self, thing: Thing, prime: str = "") -> str:
        if not thing.is_named:
            raise UserError("what is meant is not named; say it, as in 'the red ball'")
        names = {array: word(name) + prime for array, name in self.world.ahead.items()}
        x, y = (word(name) + prime for name in self.world.at)
        return thing(self.world, x, y, names)

    def _standing(self, thing: Thing) -> str:
        grid = self.world.schema.grid
        assert grid is not None
        x, y = word(grid.x), word(grid.y)
        return thing(self.world, x, y, {a: f"{word(a)}[{x}, {y}]" for a in grid.arrays})

    def _taken(self, thing: Thing) -> str:
        world = self.world
        empty = f"{word(world.held[world.kind])} == {word(world.nothing())}"
        return " and ".join([empty, self._ahead(thing), world.holding(thing.wanted, prime="'")])

    def _state(self, prime: str = "") -> str:
        array = next((a for a in self.world.ahead if "open" in self.world.schema.named[a].values), None)
        if array is None:
            raise UserError("nothing opens or closes in this world")
        return word(self.world.ahead[array]) + prime
