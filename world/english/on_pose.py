"""What the phrases of `pose.txt` mean: turning and walking otherwise, being taken elsewhere, and things that are gone.

A side is a number of quarter turns to the right. Corners are those of the board within its border.
"""

from __future__ import annotations

from typing import Any

from ..rules import syntax as s
from ..rules.syntax import Expression
from .meaning import Statements
from .on_board import Handle, OnBoard, Sort, Things
from .predicates import compare, joined, negated, primed

Deed = tuple[str, str]    # (action, value)
Cell = tuple[int, int]
FREE = ("empty", "free", "none", "nothing", "floor", "ground", "grass", "goal", "exit", "lava", "water")
"""Kinds of cells that let one in, and below the states of others that do."""
OPEN = ("open",)


class OnPose(OnBoard):
    """The functions of all three grammars, for a schema with a board and a heading."""

    # --- sides and places -----------------------------------------------------------------------------------------

    def ahead_of(self, *parts: Any) -> int:
        return 0

    def right(self, *parts: Any) -> int:
        return 1

    def back(self, *parts: Any) -> int:
        return 2

    def left(self, *parts: Any) -> int:
        return 3

    def _turned(self, heading: int, side: int) -> tuple[int, Cell]:
        """The heading after so many quarter turns to the right, and its step."""
        grid = self.board.grid
        x, y = grid.steps[heading]
        for _ in range(side):
            x, y = (-y, x) if grid.down == 1 else (y, -x)
        return grid.steps.index((x, y)), (x, y)

    def _headings(self) -> list[tuple[int, Expression]]:
        name = str(self.board.grid.heading)
        return [(k, compare(name, "==", s.Symbol(name=value)))
                for k, value in enumerate(self.schema.base[name].values)]

    def _corner(self, is_right: bool, is_low: bool) -> Cell:
        width, height = self.schema.base[self.board.kind].shape
        across, down = (width, height) if self.board.grid.down == 1 else (height, width)
        column, row = across - 2 if is_right else 1, down - 2 if is_low else 1
        return (column, row) if self.board.grid.down == 1 else (row, column)

    def top_right(self, *parts: Any) -> Cell:
        return self._corner(True, False)

    def top_left(self, *parts: Any) -> Cell:
        return self._corner(False, False)

    def bottom_right(self, *parts: Any) -> Cell:
        return self._corner(True, True)

    def bottom_left(self, *parts: Any) -> Cell:
        return self._corner(False, True)

    def _at(self, name: str, steps: int) -> Expression:
        here = s.Name(name=name)
        if not steps:
            return here
        return s.Arithmetic(operator="+" if steps > 0 else "-", left=here, right=s.Number(value=abs(steps)))

    def _arrives(self, x: Expression, y: Expression) -> Expression:
        grid = self.board.grid
        return joined("and", *(s.Compare(operands=(s.Name(name=name, primed=True), to), operators=("==",))
                               for name, to in ((grid.x, x), (grid.y, y))))

    # --- turning and walking ------------------------------------------------------------------------------------------

    def veers(self, deed: Deed, *parts: Any) -> Statements:
        side, name = parts[-1], str(self.board.grid.heading)
        rules = []
        for heading, is_so in self._headings():
            value = self.schema.base[name].values[self._turned(heading, side)[0]]
            effect = s.Compare(operands=(s.Name(name=name, primed=True), s.Symbol(name=value)), operators=("==",))
            rules.append(s.Expect(effect=effect, guard=joined("and", self.deed(deed), is_so)))
        return tuple(rules)

    def veers_twice(self, *parts: Any) -> Statements | None:
        one, other = (p for p in parts if isinstance(p, tuple))
        side, back = (p for p in parts if isinstance(p, int))
        return (*self.veers(one, side), *self.veers(other, back))

    def goes(self, deed: Deed, *parts: Any) -> Statements | None:
        """So many cells to that side, where it is free."""
        steps, side = self.number(parts[-2]), parts[-1]
        return None if steps is None or steps != int(steps) or steps < 1 else self._goes(deed, int(steps), side)

    def goes_by(self, deed: Deed, *parts: Any) -> Statements | None:
        return self.goes(deed, parts[-1], parts[-2])

    def goes_one(self, deed: Deed, *parts: Any) -> Statements | None:
        return self._goes(deed, 1, parts[-1])

    def _goes(self, deed: Deed, steps: int, side: int) -> Statements | None:
        """Where that cell lets one in; else nothing happens."""
        grid, rules = self.board.grid, []
        for heading, is_so in self._headings():
            dx, dy = (steps * d for d in self._turned(heading, side)[1])
            x, y = self._at(grid.x, dx), self._at(grid.y, dy)
            free, acting = self._free(x, y), joined("and", self.deed(deed), is_so)
            rules += [s.Expect(effect=self._arrives(x, y), guard=joined("and", acting, free)),
                      s.Expect(effect=s.Same(), guard=joined("and", acting, negated(free)))]
        return tuple(rules)

    def _free(self, x: Expression, y: Expression) -> Expression:
        """Whether one may stand there, as far as names tell."""
        found = []
        for array in self.board.grid.arrays:
            good = FREE if array == self.board.kind else OPEN
            if values := [v for v in self.schema.base[array].values if v in good]:
                cell = s.Index(array=s.Name(name=array), at=(x, y))
                found.append(s.Member(operand=cell, members=tuple(s.Symbol(name=v) for v in values)) if values[1:] else
                             s.Compare(operands=(cell, s.Symbol(name=values[0])), operators=("==",)))
        return joined("or", *found)

    def together(self, one: Statements, other: Statements) -> Statements:
        return (*one, *other)

    def no_move(self, *parts: Any) -> Statements:
        return self.no_walk(self._walking())

    def no_walk_to(self, *parts: Any) -> Statements | None:
        deed = self.walk(parts[-1])
        name = str(self.board.grid.heading)
        heading = next(p for p in parts if isinstance(p, str) and p in self.schema.base[name].values)
        is_so = compare(name, "==", s.Symbol(name=heading))
        return None if deed is None else self.no_walk(joined("and", deed, is_so))

    # --- being taken elsewhere ----------------------------------------------------------------------------------------

    def to_corner(self, *parts: Any) -> Expression:
        x, y = parts[-1]
        return self._arrives(s.Number(value=x), s.Number(value=y))

    def leads(self, things: Things, *parts: Any) -> Statements | None:
        deed = self.walk(things)
        return None if deed is None else (s.Expect(effect=self.to_corner(parts[-1]), guard=deed),)

    def beyond(self, *parts: Any) -> Expression | None:
        """So many cells beyond what is ahead, in a direction of the board."""
        steps, heading = self.number(parts[-2]), parts[-1]
        if self.board.front is None or steps is None or steps != int(steps):
            return None
        values = self.schema.base[str(self.board.grid.heading)].values
        dx, dy = self.board.grid.steps[values.index(heading)]
        x, y = self.board.front
        return self._arrives(self._at(x, dx * int(steps)), self._at(y, dy * int(steps)))

    # --- gone ---------------------------------------------------------------------------------------------------------

    def gone(self, things: Things, *parts: Any) -> Statements | None:
        return self._gone(parts[-1], self.handle(parts[-1], things))

    def gone_last(self, *parts: Any) -> Statements | None:
        deed, things = parts[-2:]
        return self._gone(deed, self.handle(deed, things))

    def gone_any(self, *parts: Any) -> Statements | None:
        return self._gone(parts[-1], self.handle_it(parts[-1]))

    def _gone(self, deed: Handle, act: Expression | None) -> Statements | None:
        """What was held is neither held nor put down; what was ahead is not there, nor held."""
        nothing = self.board.nothing(self.board.ahead[self.board.kind])
        if act is None or nothing is None:
            return None
        free = compare(self.board.ahead[self.board.kind], "==", s.Symbol(name=nothing))
        if deed[2]:
            empty = [compare(name, "==", s.Symbol(name=value)) for name in self.board.held.values()
                     if (value := self.board.nothing(name))]
            stays = [s.Same(feature=name) for name in self.board.ahead.values()]
            effect = joined("and", *(primed(e, self.schema) for e in empty), *stays)
            return (s.Expect(effect=effect, guard=joined("and", act, free)),) if empty else None
        cleared = self.clears()
        if cleared is None:
            return None
        held = [s.Same(feature=name) for name in self.board.held.values()]
        return (s.Expect(effect=joined("and", cleared, *held), guard=act),)

    def only_handled(self, things: Things, deed: Handle) -> Statements | None:
        there = self.held(things) if deed[2] else self.ahead(things)
        act = compare(deed[0], "==", s.Symbol(name=deed[1]))
        return None if there is None else (s.Expect(effect=s.Same(), guard=joined("and", act, negated(there))),)

    def opens_not(self, lock: Things, turn: Sort, key: Things, other: Things) -> Statements | None:
        """What turns for one thing, and stays as it is for another."""
        rules, acting = self.opens(lock, turn, key), self._turning(turn)
        there, mine = self.ahead(lock), self.held(other)
        if rules is None or acting is None or there is None or mine is None:
            return None
        stays = s.Same(feature=self.board.ahead[turn[0]])
        return (*rules, s.Expect(effect=stays, guard=joined("and", acting, there, mine)))

    def acting_turns(self, deed: Deed, turn: Sort, lock: Things) -> Statements | None:
        return self.opens_deed(lock, turn, self.deed(deed))

    def opens_only_else(self, lock: Things, turn: Sort, key: Things, *rest: Any) -> Statements | None:
        return self.opens_only(lock, turn, key)

    def needs_else(self, lock: Things, key: Things, *rest: Any) -> Statements | None:
        return self.needs_thing(lock, key)

    def handle_only(self, *parts: Any) -> Statements | None:
        return self.only_handled(parts[-1], parts[-2])

    # --- worth --------------------------------------------------------------------------------------------------------

    def worth(self, *parts: Any) -> Statements | None:
        deed, points = self._met(next(p for p in parts if _is_things(p))), parts[-1]
        return None if deed is None else self.deed_pays(deed, points)

    def worth_less(self, *parts: Any) -> Statements | None:
        deed, points = self._met(next(p for p in parts if _is_things(p))), parts[-1]
        return None if deed is None else self.deed_costs(deed, points)

    def _met(self, things: Things) -> Expression | None:
        """To take what can be carried; to walk onto anything else."""
        kind, held = self.board.kind, self.board.held.get(self.board.kind)
        kinds = {value for thing in things for array, value in thing.wanted if array == kind}
        taking = self._taking()
        if held and taking and kinds and kinds <= set(self.schema.base[held].values):
            return self.handle(taking, things)
        return self.walk(things)

    def worth_nothing(self, things: Things, *parts: Any) -> Statements | None:
        return self.worth(things, 0.0)

    def pays_and_ends(self, deed: Expression, *parts: Any) -> Statements:
        points = next(p for p in parts if isinstance(p, float))
        return (*self.deed_pays(deed, points), s.End(guard=deed))

    def costs_and_ends(self, deed: Expression, *parts: Any) -> Statements:
        points = next(p for p in parts if isinstance(p, float))
        return (*self.deed_costs(deed, points), s.End(guard=deed))

    ends_and_pays, ends_and_costs = pays_and_ends, costs_and_ends

    def worth_for(self, *parts: Any) -> Statements | None:
        return self.worth(parts[-1], next(p for p in parts if isinstance(p, float)))

    def worth_less_for(self, *parts: Any) -> Statements | None:
        return self.worth_less(parts[-1], next(p for p in parts if isinstance(p, float)))


def _is_things(part: Any) -> bool:
    return isinstance(part, tuple) and bool(part) and hasattr(part[0], "wanted")
