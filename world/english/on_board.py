"""What the phrases of `board.txt` mean: things ahead and in hand, walking onto them, and what comes of it.

A thing is what an array of the board says of its cell, (array, value) pairs; `alike` names the arrays in which what is
held is to be like what is ahead. Several things are alternatives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..rules import syntax as s
from ..rules.syntax import Expression
from ..schema import Schema
from .board import Board
from .meaning import Meaning, Statements
from .morphology import verb_of
from .predicates import compare, joined, negated, primed

Sort = tuple[str, str]    # (array, value)
Handle = tuple[str, str, bool]    # (action, value, whether it is done to what is held)


@dataclass(frozen=True)
class Thing:
    wanted: tuple[Sort, ...]
    alike: tuple[str, ...] = ()


Things = tuple[Thing, ...]


class OnBoard(Meaning):
    """The functions that both grammars name, for a schema with a board."""

    def __init__(self, schema: Schema, board: Board) -> None:
        super().__init__(schema)
        self.board = board
        self.table |= {"same_walk": lambda deed: deed}

    # --- things ---------------------------------------------------------------------------------------------------

    def thing(self, sort: Sort, *rest: Any) -> Things:
        return (Thing((sort,)),)

    def thing_alike(self, *parts: Any) -> Things:
        sort = next(p for p in parts if isinstance(p, tuple))
        named = tuple(p for p in parts if isinstance(p, str))
        return (Thing((sort,), named or tuple(a for a in self.board.grid.arrays[1:2] if a in self.board.held)),)

    def thing_with(self, sort: Sort, things: Things) -> Things | None:
        if any(array == sort[0] for thing in things for array, _ in thing.wanted):
            return None
        return tuple(replace(thing, wanted=(*thing.wanted, sort)) for thing in things)

    def thing_so(self, kind: Sort, sort: Sort) -> Things | None:
        return self.thing_with(sort, self.thing(kind))

    def things(self, one: Things, more: Things) -> Things:
        return (*one, *more)

    def ahead(self, things: Any) -> Expression | None:
        return self._any([None if t.alike else self.board.is_ahead(t.wanted) for t in things])

    def held(self, things: Any) -> Expression | None:
        found = []
        for thing in things:
            own = self.board.is_held(thing.wanted)
            alike = [compare(self.board.held[a], "==", s.Name(name=self.board.ahead[a])) for a in thing.alike
                     if a in self.board.held and a in self.board.ahead]
            found.append(None if own is None or len(alike) < len(thing.alike) else joined("and", own, *alike))
        return self._any(found)

    def under(self, things: Things) -> Expression | None:
        return self._any([None if t.alike else self.board.is_under(t.wanted) for t in things])

    def _any(self, conditions: list[Expression | None]) -> Expression | None:
        return None if not conditions or None in conditions else joined("or", *conditions)    # type: ignore[arg-type]

    def held_not(self, things: Things) -> Expression | None:
        condition = self.held(things)
        return None if condition is None else negated(condition)

    def held_none(self, *parts: Any) -> Expression | None:
        name = self.board.held.get(self.board.kind)
        value = self.board.nothing(name) if name else None
        return compare(name, "==", s.Symbol(name=value)) if name and value else None

    def held_some(self, *parts: Any) -> Expression | None:
        condition = self.held_none()
        return None if condition is None else negated(condition)

    def thing_ahead(self, kind: Sort, sort: Sort) -> Expression | None:
        return self.ahead((Thing((kind, sort)),))

    def thing_ahead_not(self, kind: Sort, sort: Sort) -> Expression | None:
        is_kind, is_so = self.ahead((Thing((kind,)),)), self.ahead((Thing((sort,)),))
        return None if is_kind is None or is_so is None else joined("and", is_kind, negated(is_so))

    # --- deeds ----------------------------------------------------------------------------------------------------

    def walk(self, *parts: Any) -> Expression | None:
        there = self.ahead(parts[-1])
        return None if there is None else joined("and", self._walking(), there)

    def _walking(self) -> Expression:
        return compare(self.board.action, "==", s.Symbol(name=self.board.walking))

    def handle(self, deed: Handle, things: Things) -> Expression | None:
        action, value, is_of_held = deed
        there = self.held(things) if is_of_held else self.ahead(things)
        return None if there is None else joined("and", compare(action, "==", s.Symbol(name=value)), there)

    def handle_it(self, deed: Handle) -> Expression | None:
        action, value, is_of_held = deed
        act = compare(action, "==", s.Symbol(name=value))
        some = self.held_some() if is_of_held else None
        return joined("and", act, some) if some is not None else act

    # --- results, of the deed that is the subject ---------------------------------------------------------------------

    def takes(self, *parts: Any) -> Expression | None:
        pairs = [(self.board.held[a], self.board.ahead[a]) for a in self.board.held if a in self.board.ahead]
        return joined("and", *(_becomes(mine, s.Name(name=there)) for mine, there in pairs)) if pairs else None

    def takes_thing(self, *parts: Any) -> Expression | None:
        return self.takes()

    def clears(self, *parts: Any) -> Expression | None:
        name = self.board.ahead[self.board.kind]
        value = self.board.nothing(name)
        return _becomes(name, s.Symbol(name=value)) if value else None

    def lets_go(self, *parts: Any) -> Expression | None:
        condition = self.held_none()
        return None if condition is None else primed(condition, self.schema)

    def puts_down(self, *parts: Any) -> Expression | None:
        pairs = [(self.board.ahead[a], self.board.held[a]) for a in self.board.held if a in self.board.ahead]
        return joined("and", *(_becomes(there, s.Name(name=mine)) for there, mine in pairs)) if pairs else None

    def makes(self, sort: Sort) -> Expression | None:
        array, value = sort
        return _becomes(self.board.ahead[array], s.Symbol(name=value)) if array in self.board.ahead else None

    def makes_thing(self, sort: Sort, things: Things) -> Expression | None:
        return self.makes(sort)

    def moves(self, *parts: Any) -> Expression | None:
        if self.board.front is None:
            return None
        grid, (x, y) = self.board.grid, self.board.front
        return joined("and", _becomes(grid.x, s.Name(name=x)), _becomes(grid.y, s.Name(name=y)))

    def stays_put(self, *parts: Any) -> Expression:
        return joined("and", s.Same(feature=self.board.grid.x), s.Same(feature=self.board.grid.y))

    # --- where one may walk -------------------------------------------------------------------------------------------

    def may_walk(self, *parts: Any) -> Statements | None:
        effect = self.moves()
        return None if effect is None else (s.Expect(effect=effect, guard=parts[-1]),)

    def may_walk_on(self, things: Things) -> Statements | None:
        deed = self.walk(things)
        return None if deed is None else self.may_walk(deed)

    def no_walk(self, *parts: Any) -> Statements:
        return (s.Expect(effect=self.stays_put(), guard=parts[-1]),)

    def no_walk_on(self, things: Things) -> Statements | None:
        deed = self.walk(things)
        return None if deed is None else self.no_walk(deed)

    def deadly(self, things: Any) -> Statements | None:
        deed = self.walk(things) if isinstance(things, tuple) else things
        return None if deed is None else (s.End(guard=deed),)

    def harmless(self, things: Any) -> Statements | None:
        deed = self.walk(things) if isinstance(things, tuple) else things
        return None if deed is None else (s.End(guard=deed, probability=0.0),)

    # --- keys and locks -----------------------------------------------------------------------------------------------

    def opens(self, lock: Things, turn: Sort, key: Things, is_only: bool = False) -> Statements | None:
        """A lock that turns so to a key; if only to that, it stays as it is for anything else."""
        there, mine, effect = self.ahead(lock), self.held(key), self.makes(turn)
        if there is None or mine is None or effect is None:
            return None
        acting = self._turning(turn)
        if acting is None:
            return None
        rules = [s.Expect(effect=effect, guard=joined("and", acting, there, mine))]
        if is_only:
            stays = s.Same(feature=self.board.ahead[turn[0]])
            rules.append(s.Expect(effect=stays, guard=joined("and", acting, there, negated(mine))))
        return tuple(rules)

    def _turning(self, turn: Sort) -> Expression | None:
        """The deed that brings a state about: the one whose words have its verb."""
        for words, kind, deed, _ in self.board.entries():
            if kind == "HANDLE" and words == (verb_of(turn[1]),):
                return compare(deed[0], "==", s.Symbol(name=deed[1]))
        return None

    def opens_only(self, lock: Things, turn: Sort, key: Things) -> Statements | None:
        return self.opens(lock, turn, key, True)

    def opened(self, key: Things, turn: Sort, lock: Things) -> Statements | None:
        return self.opens(lock, turn, key)

    def opened_only(self, key: Things, turn: Sort, lock: Things) -> Statements | None:
        return self.opens(lock, turn, key, True)

    def fits(self, key: Things, lock: Things) -> Statements | None:
        turn = self._open()
        return None if turn is None else self.opens(lock, turn, key)

    def _open(self) -> Sort | None:
        arrays = self.board.grid.arrays[1:]
        return next(((a, "open") for a in arrays if "open" in self.schema.base[a].values), None)

    def needs(self, *parts: Any) -> Statements | None:
        key, deed, lock = parts[-3:]
        return self.needed(deed, lock, key)

    def needed(self, *parts: Any) -> Statements | None:
        """With it a lock opens, without it the deed does nothing; what opens no lock only does nothing without it."""
        deed, lock, key = parts[-3:]
        act, mine, turn = self.handle(deed, lock), self.held(key), self._open()
        if act is None or mine is None:
            return None
        turning = None if turn is None else self._turning(turn)
        idle = s.Expect(effect=s.Same(), guard=joined("and", act, negated(mine)))
        is_turn = turning == compare(deed[0], "==", s.Symbol(name=deed[1]))
        effect = self.makes(turn) if turn is not None and is_turn else None
        return (idle,) if effect is None else (s.Expect(effect=effect, guard=joined("and", act, mine)), idle)

    def needs_thing(self, lock: Things, key: Things, *turn: Sort) -> Statements | None:
        way = turn[0] if turn else self._open()
        return None if way is None else self.opens(lock, way, key, True)

    def opens_without(self, lock: Things, turn: Sort, key: Things) -> Statements | None:
        there, acting, effect = self.ahead(lock), self._turning(turn), self.makes(turn)
        if there is None or acting is None or effect is None:
            return None
        return (s.Expect(effect=effect, guard=joined("and", acting, there)),)

    def opens_deed(self, lock: Things, turn: Sort, deed: Expression) -> Statements | None:
        there, effect = self.ahead(lock), self.makes(turn)
        if there is None or effect is None:
            return None
        return (s.Expect(effect=effect, guard=joined("and", deed, there)),)

    def opens_handled(self, lock: Things, turn: Sort, deed: Handle) -> Statements | None:
        return self.opens_deed(lock, turn, compare(deed[0], "==", s.Symbol(name=deed[1])))

    # --- hands --------------------------------------------------------------------------------------------------------

    def one_hand(self, *parts: Any) -> Statements | None:
        """What takes a thing does nothing with full hands."""
        some, taking = self.held_some(), self._taking()
        if some is None or taking is None:
            return None
        act = compare(taking[0], "==", s.Symbol(name=taking[1]))
        return (s.Expect(effect=s.Same(), guard=joined("and", act, some)),)

    def _taking(self) -> Handle | None:
        """The deed that takes what is ahead."""
        return next((deed for words, kind, deed, _ in self.board.entries()
                     if kind == "HANDLE" and words == ("take",)), None)

    def no_handle(self, *parts: Any) -> Statements | None:
        deed, things = (parts[-2:] if isinstance(parts[-1][0], Thing) else parts[::-1])
        act = self.handle(deed, things)
        return None if act is None else (s.Expect(effect=s.Same(), guard=act),)

    def no_handle_held(self, *parts: Any) -> Statements | None:
        some, rules = self.held_some(), self.no_handle(*parts)
        return None if some is None or rules is None else self.given(some, rules)

    # --- limits and goals ---------------------------------------------------------------------------------------------

    def shun(self, things: Things) -> Statements | None:
        there = self.under(things)
        return None if there is None else (s.Avoid(condition=there),)

    def shun_near(self, things: Things) -> Statements | None:
        near = [s.Relation(relation="near", condition=joined("and", *(compare(a, "==", s.Symbol(name=v))
                for a, v in thing.wanted))) for thing in things if not thing.alike]
        return (s.Avoid(condition=joined("or", *near)),) if len(near) == len(things) else None

    def shun_held(self, *parts: Any) -> Statements | None:
        mine = self.held(parts[-1])
        return None if mine is None else (s.Avoid(condition=mine),)

    def do_handle(self, deed: Handle, things: Things) -> Statements | None:
        act = self.handle(deed, things)
        return None if act is None else (s.Achieve(milestones=(act,)),)

    def do_reach(self, things: Things) -> Statements | None:
        there = self.ahead(things)
        return None if there is None else (s.Achieve(milestones=(there,)),)


def _becomes(name: str, value: Expression) -> Expression:
    return s.Compare(operands=(s.Name(name=name, primed=True), value), operators=("==",))
