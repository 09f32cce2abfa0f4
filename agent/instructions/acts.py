"""What acts mean, in the rule language: to go to a thing is to face it, to pick it up is the act of taking it with
empty hands, to open it the step that makes it open, to put it next to another to lay it down beside that.

All are events of a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from ...errors import UserError
from ...world.rules.text import word
from .clause import Clause
from .readings import Choices
from .things import Place, Thing, Things
from .vocabulary import SCENERY, THINGS
from .words import Words
from .world import Cell, World


@cache
def _grammar() -> Lark:
    path = Path(__file__).with_name("grammar.lark")
    return Lark(path.read_text(encoding="utf-8"), parser="lalr", lexer=Words, maybe_placeholders=False)


class Acts(Transformer[Token, Any]):
    """Understands clauses one after the other, so that pronouns find what was spoken of."""

    def __init__(self, world: World, choices: Choices) -> None:
        super().__init__()
        self.world, self.choices, self.things = world, choices, Things(world, choices)
        self._last_put: Thing | None = None

    def __call__(self, clause: list[Token]) -> Clause:
        """The meaning of one clause. Raises `UserError` where it is no act that this world has."""
        said = " ".join(map(str, clause))
        if not self.world.ahead and {w.type for w in clause} & THINGS:
            raise UserError(f"{said!r}: the world '{self.world.schema.name}' has no cells with things to go to or "
                            "take; speak of its quantities")
        try:
            tree = _grammar().parse(clause)
        except UnexpectedInput as error:
            at = getattr(error, "token", None)
            where = f" at {str(at)!r}" if at is not None and at.type != "$END" else ": it ends too soon"
            raise UserError(f"{said!r} is not understood{where}; say it as in 'pick up the red ball, then open the "
                            "blue door', 'put the box next to the key', 'never touch lava', 'keep the speed below 2'"
                            ) from None  # fmt: skip
        try:
            found: Clause = self.transform(tree)
        except VisitError as error:
            raise error.orig_exc from None
        return found

    def start(self, parts: Sequence[Any]) -> Clause:
        found = parts[0]
        return found if isinstance(found, Clause) else Clause("goal", found)

    def deadline(self, parts: Sequence[Token]) -> Clause:
        return Clause("deadline", next(str(p) for p in parts if p.type == "NUMBER"))

    def place(self, parts: Sequence[Any]) -> Place:
        return Place(parts[0], tuple(parts[1:]))

    def thing(self, parts: Sequence[Token]) -> list[Token]:
        return list(parts)

    def beside(self, parts: Sequence[Any]) -> list[Token]:
        found: list[Token] = parts[-1]
        return found

    # --- acts ---

    def go(self, parts: Sequence[Any]) -> Clause:
        def gone(thing: Thing) -> str:
            is_ground = thing.wanted.get(self.world.kind) in SCENERY - {"wall"}
            return self._standing(thing) if is_ground else self._ahead(thing, "'")

        return self._each(parts[-1], gone)

    def touch(self, parts: Sequence[Any]) -> Clause:
        def on(thing: Thing) -> str:
            if thing.wanted.get(self.world.kind) not in SCENERY - {"wall"}:
                raise UserError(f"nobody can stand on '{parts[-1]}'; say 'go to' it")
            return self._standing(thing)

        return self._each(parts[-1], on)

    def pick(self, parts: Sequence[Any]) -> Clause:
        return self._each(parts[1], self._taken)

    def turn(self, parts: Sequence[Any]) -> Clause:
        now, then = self._state(), self._state("'")
        act = str(parts[0]).split()[0]
        said = {"open": f"{now} != open and {then} == open", "unlock": f"{now} == locked and {then} != locked",
                "toggle": f"{now} != {then}"}.get(act, f"{now} == open and {then} == closed")  # fmt: skip
        grid = self.world.schema.grid
        assert grid is not None
        pose = [f"same({word(n)})" for n in (grid.x, grid.y, grid.heading) if n]

        def fits(cell: Cell) -> bool:
            state = self.world.state(cell)
            return {"open": state in ("closed", "locked"), "unlock": state == "locked",
                    "toggle": state != "none"}.get(act, state == "open")  # fmt: skip

        return self._each(parts[-1], lambda thing: " and ".join([self._ahead(thing), said, *pose]), fits)

    def put(self, parts: Sequence[Any]) -> Clause:
        verb, (first, *rest) = str(parts[0]), [p for p in parts if isinstance(p, Place)]
        if rest:
            return self._laid([(first, rest[0])])
        if first.beside:
            splits = [(Place(first.head, first.beside[:i]), Place(first.beside[i], first.beside[i + 1 :]))
                      for i in range(len(first.beside))]  # fmt: skip
            return self._laid(splits)
        if verb.startswith("i "):
            return self.pick([parts[0], first])
        if verb == "leave" or any(isinstance(p, Token) and p.type == "DOWN" for p in parts):
            return self.drop([first])
        raise UserError(f"'{verb} {first}': where to? say it as in 'put it next to the red ball', 'put it down'")

    def there(self, parts: Sequence[Any]) -> Clause:
        if self._last_put is None:
            raise UserError("'there' has nothing it speaks of; say next to what")
        return Clause("goal", self._beside(self.things.one(Place([parts[1]])), self._last_put), follows=True)

    def drop(self, parts: Sequence[Any]) -> Clause:
        place, world = next((p for p in parts if isinstance(p, Place)), None), self.world
        if place is not None and place.beside:
            return self._laid([(Place(place.head), Place(place.beside[0], place.beside[1:]))])
        empty = f"{word(world.held[world.kind])}' == {word(world.nothing())}"
        held = {} if place is None else self._named(self.things.one(place)).wanted
        return Clause("goal", f"{world.holding(held)} and {empty}", follows=place is None or _is_it(place))

    def back(self, parts: Sequence[Any]) -> Clause:
        return Clause("back", self.world.home())

    # --- what is never done ---

    def never(self, parts: Sequence[Any]) -> Clause:
        return Clause("limit", parts[-1])

    def shun(self, parts: Sequence[Any]) -> Clause:
        return Clause("limit", self._standing(self._any(parts[-1])))

    def shunned(self, parts: Sequence[Any]) -> str:
        act, thing = parts[0], self._any(parts[-1])
        if act.type == "PICK":
            return self.world.holding(self._named(thing).wanted)
        if act.type == "TURN":
            if not act.startswith("open"):
                raise UserError(f"'never {act}' cannot be kept as a limit on states; say what never to open")
            return f"{self._ahead(thing)} and {self._state()} == open"
        if thing.wanted.get(self.world.kind) in SCENERY or act.type == "TOUCH":
            return self._standing(thing)
        return self._ahead(thing)

    def _any(self, place: Place) -> Thing:
        """What is never to be done is never to be done with any of them."""
        return self.things.one(Place([p for p in place.head if p.type not in ("EACH", "BOTH")], place.beside))

    # --- conditions ---

    def _each(self, place: Place, act: Any, fits: Any = None) -> Clause:
        return Clause("goal", self.things.several(place, lambda thing: act(self._named(thing)), fits), _is_it(place))

    def _named(self, thing: Thing) -> Thing:
        if not thing.is_named:
            raise UserError("what is meant is not named; say it, as in 'the red ball'")
        return thing

    def _ahead(self, thing: Thing, prime: str = "") -> str:
        names = {array: word(name) + prime for array, name in self.world.ahead.items()}
        x, y = (word(name) + prime for name in self.world.at)
        return self._named(thing)(self.world, x, y, names)

    def _standing(self, thing: Thing) -> str:
        grid = self.world.schema.grid
        assert grid is not None
        x, y = word(grid.x), word(grid.y)
        return self._named(thing)(self.world, x, y, {a: f"{word(a)}[{x}, {y}]" for a in grid.arrays})

    def _taken(self, thing: Thing) -> str:
        world = self.world
        empty = f"{word(world.held[world.kind])} == {word(world.nothing())}"
        return " and ".join([empty, self._ahead(thing), world.holding(thing.wanted, prime="'")])

    def _laid(self, splits: list[tuple[Place, Place]]) -> Clause:
        """To lay a thing down beside another, by the split that is meant: 'put A next to B next to C'."""
        found, failed = [], None
        for thing, other in splits:
            try:
                moved = self._named(self.things.one(thing))
                self._last_put = self._named(self.things.one(other))
                self.things.mentioned.append(moved)
                found.append(self._beside(moved, self._last_put))
            except UserError as error:
                failed = error
        if not found and failed is not None:
            raise failed
        text = self.choices.milestone(f"put {splits[0][0]} next to {splits[0][1]}", found)
        return Clause("goal", text, _is_it(splits[0][0]))

    def _beside(self, thing: Thing, other: Thing) -> str:
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
                + "(" + " or ".join(beside) + ")")  # fmt: skip
        is_placed = thing.cells is not None or thing.beyond
        return f"{{{self._taken(thing)} then {laid}}}" if is_placed else laid

    def _state(self, prime: str = "") -> str:
        array = next((a for a in self.world.ahead if "open" in self.world.schema.named[a].values), None)
        if array is None:
            raise UserError("nothing opens or closes in this world")
        return word(self.world.ahead[array]) + prime


def _is_it(place: Place) -> bool:
    return any(p.type == "IT" for p in place.head)
