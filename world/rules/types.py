"""The types of expressions: every bare word resolved, every comparison between things that can be compared.

Used by `check`, which knows the statements. Every mistake is noted and typing goes on, so that a person sees them all
at once; what is already wrong gets no type (None) and causes no further mistakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from ...errors import nearest
from ..schema import Feature, Schema
from . import syntax as s
from .source import Mistake
from .syntax import Expression, Node
from .text import number, to_text, word

N = TypeVar("N", bound=Node)


@dataclass(frozen=True)
class Scope:
    """What a condition may speak of. `what` names its statement in messages; `holes`: a `?` that memory shall fit;
    `cells` is true inside any, all, count, position of and relations between cells."""

    what: str
    primes: bool = False
    actions: bool = False
    holes: bool = False
    cells: bool = False


@dataclass(frozen=True)
class Type:
    """A value's type; `values` are a category's, `shape` is () except for a whole array, a place has `axes`."""

    kind: Literal["number", "category", "boolean", "place"]
    values: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    axes: int = 0

    @staticmethod
    def of(feature: Feature) -> Type:
        if feature.kind == "category":
            return Type("category", feature.values, feature.shape)
        return Type("boolean" if feature.kind == "boolean" else "number", (), feature.shape)

    def __str__(self) -> str:
        return {"boolean": "true or false"}.get(self.kind, f"a {self.kind}")


NUMBER, BOOLEAN = Type("number"), Type("boolean")
_ARITY = {"abs": (1, 1), "min": (2, 99), "max": (2, 99), "clip": (3, 3), "count": (1, 1), "distance": (2, 2)}


class Typer:
    """Types expressions of one rule; `offsets` says where each node stands, by its `id`."""

    def __init__(self, schema: Schema, offsets: Mapping[int, int]) -> None:
        self.schema = schema
        self.offsets = dict(offsets)
        self.mistakes: list[Mistake] = []
        self.actions = {a.name for a in schema.actions}
        self._kept: list[Node] = []    # so that an `id` in `offsets` is never used twice

    def wrong(self, node: Node, message: str, hint: str = "") -> None:
        mistake = Mistake(message, self.offsets.get(id(node), 0), hint)
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)

    def placed(self, old: Node, new: N) -> N:
        """Let `new` stand where `old` stood."""
        self.offsets[id(new)] = self.offsets.get(id(old), 0)
        self._kept.append(new)
        return new

    def rebuilt(self, node: N, **parts: Any) -> N:
        """`node` with other parts, in its place."""
        return self.placed(node, node.model_copy(update=parts))

    # --- conditions ---------------------------------------------------------------------------------------------------

    def condition(self, node: Expression, scope: Scope) -> Expression:
        """Type a condition: what is true or false of a row (or, inside any, all, count, of a cell)."""
        match node:
            case s.Boolean():
                return node
            case s.Compare():
                return self._compare(node, scope)
            case s.Member(operand=operand, members=members):
                return self._member(node, operand, members, scope)
            case s.Not(operand=operand):
                return self.rebuilt(node, operand=self.condition(operand, scope))
            case s.Logical(operands=operands):
                return self.rebuilt(node, operands=tuple(self.condition(o, scope) for o in operands))
            case s.Quantified(quantifier=quantifier, condition=condition):
                return self.rebuilt(node, condition=self._over_cells(node, quantifier, condition, scope)[0])
            case s.Relation(condition=condition):
                return self._related_cells(node, condition, scope)
            case s.Side():
                return self._side(node, node, scope)
            case s.Name(name=name) if scope.cells and name in s.SIDES and name not in self.schema.named:
                return self._side(node, s.Side(side=name, primed=node.primed), scope)  # type: ignore[arg-type]
            case s.Same(feature=feature) | s.Changed(feature=feature):
                self._relation(node, feature, scope)
                return node
            case s.Name() | s.Index():
                checked, type_ = self.value(node, scope)
                if type_ is not None and type_.kind != "boolean":
                    example = f"== {word(type_.values[0])}" if type_.kind == "category" else "< ..."
                    hint = f"; compare it: {to_text(node)} {example}"
                    self.wrong(node, f"'{to_text(node)}' is {type_}, not a condition", hint)
                return checked
            case s.Place() | s.Position():
                text = to_text(node)
                self.wrong(node, f"'{text}' is a place, not a condition", f"; compare it: {text} == (x, y)")
                return node
            case _:
                text = to_text(node)
                self.wrong(node, f"'{text}' is a number, not a condition", f"; compare it: {text} < ...")
                return node

    def _relation(self, node: Node, feature: str | None, scope: Scope) -> None:
        if not scope.primes:
            self.wrong(node, f"'{to_text(node)}' in {scope.what}, which speaks of one state, not of a step")
        elif feature is not None and feature not in self.schema.named:
            self.wrong(node, f"unknown feature '{feature}'", nearest(feature, self.schema.named))
        elif feature in self.actions:
            self.wrong(node, f"'{feature}' is an action, it has no next value")

    def _over_cells(
        self, node: Expression, function: str, condition: Expression, scope: Scope
    ) -> tuple[Expression, tuple[int, ...]]:
        """Type a condition over cells; returns it with the shape of the arrays it names (() after a mistake)."""
        before = len(self.mistakes)
        checked = self.condition(condition, replace(scope, cells=True, holes=False))
        if len(self.mistakes) > before:
            return checked, ()
        shapes = set(self._shapes(checked)) - {()}
        if not shapes:
            self.wrong(node, f"{function}(...) names no array", f"; it runs over the cells of {self._arrays()}")
        if len(shapes) > 1:
            sizes = " and ".join(str(list(shape)) for shape in sorted(shapes))
            self.wrong(node, f"{function}(...) runs over arrays of different sizes: {sizes}")
        return checked, shapes.pop() if len(shapes) == 1 else ()

    def _shapes(self, condition: Expression) -> Iterable[tuple[int, ...]]:
        """The shapes of what a condition over cells is about: `()` of a scalar."""
        for part in _bare_parts(condition):
            if isinstance(part, s.Name):
                yield self.schema.named[part.name].shape
            elif self.schema.grid is not None:
                yield self.schema.named[self.schema.grid.arrays[0]].shape

    def _related_cells(self, node: s.Relation, condition: Expression, scope: Scope) -> Expression:
        """`near(...)` and the like: over cells the mask itself; else of the cell that the world's grid points to."""
        called = node.relation
        checked, shape = self._over_cells(node, called, condition, scope)
        grid = self.schema.grid
        if called in ("above", "below") and len(shape) == 1:
            self.wrong(node, f"{called}(...) over cells in one row", "; write left_of(...) or right_of(...)")
        elif not scope.cells and shape and grid is None:
            self.wrong(node, f"{called}(...) in a world that does not say where the agent stands",
                       f"; write any({to_text(node)} and ...) over cells, or distance(..., position of (...)) <= 1")
        elif not scope.cells and shape and grid is not None and self.schema.named[grid.arrays[0]].shape != shape:
            self.wrong(node, f"{called}(...) over cells that '{grid.x}' and '{grid.y}' do not point into",
                       f"; they point into {listed(grid.arrays)}")
        return self.rebuilt(node, condition=checked, over_cells=scope.cells)

    def _side(self, node: Node, side: s.Side, scope: Scope) -> Expression:
        """`agent`, `ahead`, ...: cells that the agent's pose tells."""
        grid, text = self.schema.grid, to_text(side)
        if not scope.cells:
            self.wrong(node, f"'{text}' names cells", f"; write any({text} and ...), all(...) or count(...)")
        elif grid is None:
            self.wrong(node, f"'{text}' in a world that does not say where the agent stands")
        elif side.side != "agent" and grid.heading is None:
            self.wrong(node, f"'{text}' in a world that does not say where the agent looks",
                       "; write left_of(agent), right_of(agent), above(agent) or below(agent)")
        elif side.primed and not scope.primes:
            self.wrong(node, f"the next state's {text} in {scope.what}, which speaks of one state",
                       "; write it without the prime")
        return self.placed(node, side)

    def _arrays(self) -> str:
        return listed([f.name for f in self.schema.named.values() if f.shape]) or "an array (this world has none)"

    # --- comparisons --------------------------------------------------------------------------------------------------

    def _compare(self, node: s.Compare, scope: Scope) -> Expression:
        peeks = [self._peek(o) for o in node.operands]
        typed: list[tuple[Expression, Type | None]] = []
        for i, operand in enumerate(node.operands):
            beside = [p for p in (*peeks[max(i - 1, 0) : i], *peeks[i + 1 : i + 2]) if p is not None]
            neighbours = (*node.operands[max(i - 1, 0) : i], *node.operands[i + 1 : i + 2])
            is_value = isinstance(operand, s.Name | s.Symbol) and self._is_value(operand.name)
            if is_value and any(map(self._is_unknown, neighbours)):
                typed.append((operand, None))    # the name beside it is the mistake
            else:
                typed.append(self._operand(operand, beside, scope))
        links = zip(typed, node.operators, typed[1:], strict=False)
        for (left, of_left), operator, (right, of_right) in links:
            self._comparable(node, (left, of_left), operator, (right, of_right))
        if node.within is not None:
            if isinstance(node.within, s.Hole):
                self._hole(node.within, scope)
            elif node.within < 0:
                self.wrong(node, f"within {number(node.within)}", "; a tolerance is at least 0")
            if set(node.operators) != {"=="} or any(t is not None and t.kind != "number" for _, t in typed):
                self.wrong(node, "'within' without an equality of numbers", "; write x == y within 0.01")
        return self.rebuilt(node, operands=tuple(o for o, _ in typed))

    def _member(
        self, node: s.Member, operand: Expression, members: Sequence[Expression], scope: Scope
    ) -> Expression:
        peek, scope = self._peek(operand), replace(scope, holes=False)
        first = self._operand(operand, [p for m in members if (p := self._peek(m)) is not None], scope)
        rest = [self._operand(m, [peek] if peek else [], scope) for m in members]
        for member in rest:
            self._comparable(node, first, "==", member)
        return self.rebuilt(node, operand=first[0], members=tuple(m for m, _ in rest))

    def _is_value(self, name: str) -> bool:
        return any(name in f.values for f in self.schema.named.values())

    def _is_unknown(self, node: Expression) -> bool:
        return isinstance(node, s.Name) and node.name not in self.schema.named and not self._is_value(node.name)

    def _peek(self, node: Expression) -> Type | None:
        """The type of a feature or cell, known before its mistakes are noted."""
        match node:
            case s.Name(name=name) | s.Index(array=s.Name(name=name)) if name in self.schema.named:
                return Type.of(self.schema.named[name])
        return None

    def _operand(self, node: Expression, beside: Sequence[Type], scope: Scope) -> tuple[Expression, Type | None]:
        """Type an operand of a comparison; a value of a category `beside` it becomes a `Symbol` (of no type)."""
        values = list(dict.fromkeys(v for t in beside for v in t.values))
        match node:
            case s.Name(name=text, primed=False) | s.Symbol(name=text):
                own = self.schema.named.get(text)
                if text in values and not (own and set(own.values) & set(values)):
                    return self.placed(node, s.Symbol(name=text)), None
                if own is None and values:
                    hint = nearest(text, [*values, *self.schema.named]) or f"; there are {listed(values)}"
                    self.wrong(node, f"unknown value '{text}'", hint)
                    return node, None
            case s.Number(value=value, unit="") if number(value) in values:
                return self.placed(node, s.Symbol(name=number(value))), None
        return self.value(node, scope)

    def _comparable(
        self, node: Node, left: tuple[Expression, Type | None], operator: str, right: tuple[Expression, Type | None]
    ) -> None:
        (a, of_a), (b, of_b) = left, right
        category = next((t for t in (of_a, of_b) if t is not None and t.kind == "category"), None)
        if (isinstance(a, s.Symbol) or isinstance(b, s.Symbol)) and category is None:
            return
        has_order = not any(t is not None and t.kind != "number" for t in (of_a, of_b))
        if operator not in ("==", "!=") and not has_order:
            what = next((e for e, t in (left, right) if t is not None and t.kind != "number"), a)
            self.wrong(what, f"'{operator}' on '{to_text(what)}', which has no order", "; use == or !=")
        elif of_a is None or of_b is None:
            return
        elif of_a.kind != of_b.kind:
            hint = f"; compare it with {listed(category.values)}" if category else ""
            odd = a if category is of_a else b
            other = b if odd is a else a
            self.wrong(odd, f"'{to_text(odd)}' is {of_a if odd is a else of_b}, "
                            f"'{to_text(other)}' is {of_b if odd is a else of_a}", hint)
        elif of_a.axes != of_b.axes:
            self.wrong(b, f"'{to_text(a)}' has {of_a.axes} coordinates, '{to_text(b)}' has {of_b.axes}")
        elif category and not set(of_a.values) & set(of_b.values):
            self.wrong(a, f"'{to_text(a)}' and '{to_text(b)}' have no value in common")

    # --- values -------------------------------------------------------------------------------------------------------

    def value(self, node: Expression, scope: Scope) -> tuple[Expression, Type | None]:
        """Type a value; returns it resolved, with its type (None after a mistake)."""
        match node:
            case s.Number():
                return node, NUMBER
            case s.Hole():
                self._hole(node, scope)
                return node, NUMBER
            case s.Name() | s.Symbol():
                return self._name(node, scope)
            case s.Place(at=at):
                still = replace(scope, cells=False, holes=False)
                return self.rebuilt(node, at=tuple(self._number(x, still) for x in at)), Type("place", axes=len(at))
            case s.Position(condition=condition):
                condition, shape = self._over_cells(node, "position of ", condition, scope)
                return self.rebuilt(node, condition=condition), Type("place", axes=len(shape)) if shape else None
            case s.Index(array=array, at=at):
                return self._index(node, array, at, scope)
            case s.Negative(operand=operand):
                return self.rebuilt(node, operand=self._number(operand, scope)), NUMBER
            case s.Arithmetic(left=left, right=right):
                return self.rebuilt(node, left=self._number(left, scope), right=self._number(right, scope)), NUMBER
            case s.Call(function="count", arguments=(condition,)):
                return self.rebuilt(node, arguments=(self._over_cells(node, "count", condition, scope)[0],)), NUMBER
            case s.Call(function=function, arguments=arguments):
                low, high = _ARITY[function]
                if not low <= len(arguments) <= high:
                    self.wrong(node, f"{function}(...) of {len(arguments)} values", f"; it takes {low}")
                if function == "distance":
                    return self._distance(node, arguments, scope), NUMBER
                return self.rebuilt(node, arguments=tuple(self._number(a, scope) for a in arguments)), NUMBER
            case _:
                return self.condition(node, scope), BOOLEAN

    def _hole(self, node: s.Hole, scope: Scope) -> None:
        if not scope.holes:
            self.wrong(node, f"'?' in {scope.what}" + (" over cells" if scope.cells else ""),
                       ", where memory cannot fit it; write a number")

    def _distance(self, node: s.Call, arguments: Sequence[Expression], scope: Scope) -> Expression:
        typed = [self.value(a, scope) for a in arguments]
        for (place, type_), argument in zip(typed, arguments, strict=True):
            if type_ is not None and type_.kind != "place":
                self.wrong(argument, f"'{to_text(place)}' is {type_}, where a place is wanted",
                           "; write (x, y) or position of (...)")
        axes = [type_.axes for _, type_ in typed if type_ is not None and type_.kind == "place"]
        if len(set(axes)) > 1:
            self.wrong(node, f"distance(...) of places with {' and '.join(map(str, axes))} coordinates")
        return self.rebuilt(node, arguments=tuple(place for place, _ in typed))

    def _number(self, node: Expression, scope: Scope) -> Expression:
        checked, type_ = self.value(node, scope)
        if type_ is not None and type_.kind != "number":
            self.wrong(node, f"'{to_text(node)}' is {type_}, where a number is wanted")
        return checked

    def _name(self, node: s.Name | s.Symbol, scope: Scope) -> tuple[Expression, Type | None]:
        name, primed = node.name, isinstance(node, s.Name) and node.primed
        feature = self.schema.named.get(name)
        if feature is None and name in s.SIDES and self.schema.grid is not None:
            self.wrong(node, f"'{name}' names cells", f"; write any({name} and ...), or {self.schema.grid.x} and "
                                                      f"{self.schema.grid.y} for where the agent stands")
            return node, None
        if feature is None:
            self.wrong(node, f"unknown feature '{name}'", self._near(name, primed))
            return node, None
        before = len(self.mistakes)
        if name in self.actions:
            if primed:
                self.wrong(node, f"'{name}' is an action, it has no next value", "; write it without the prime")
            elif not scope.actions:
                self.wrong(node, f"the action '{name}' in {scope.what}, which speaks of states",
                           "; actions stand after `if`, and in `forbid`")
        elif primed and not scope.primes:
            self.wrong(node, f"the next state's {word(name)}' in {scope.what}, which speaks of one state",
                       "; write it without the prime")
        if feature.shape and not scope.cells:
            corner = ", ".join("0" for _ in feature.shape)
            self.wrong(node, f"'{name}' is an array {list(feature.shape)}",
                       f"; name a cell, {name}[{corner}], or write any({name} ...), all({name} ...), count({name} ...)")
        found = node if isinstance(node, s.Name) else self.placed(node, s.Name(name=name))
        return found, Type.of(feature) if len(self.mistakes) == before else None

    def _near(self, name: str, primed: bool) -> str:
        for feature in self.schema.named.values():
            if name in feature.values:
                if primed:
                    return f"; '{name}' is a value of '{feature.name}', it has no prime"
                return f"; '{name}' is a value of '{feature.name}': write {feature.name} == {name}"
        return nearest(name, self.schema.named)

    def _index(
        self, node: s.Index, array: s.Name, at: Sequence[Expression], scope: Scope
    ) -> tuple[Expression, Type | None]:
        before = len(self.mistakes)
        name, of_array = self._name(array, replace(scope, cells=True))
        still = replace(scope, cells=False, holes=False)
        axes = len(at)
        places: tuple[Expression, ...]
        if len(at) == 1 and isinstance(at[0], s.Place | s.Position):
            place, of_place = self.value(at[0], still)
            places, axes = (place,), of_place.axes if of_place else 0
        else:
            places = tuple(self._number(place, still) for place in at)
        if of_array is not None and not of_array.shape:
            self.wrong(node, f"'{array.name}' is not an array", f"; arrays are {self._arrays()}")
        elif of_array is not None and axes and len(of_array.shape) != axes:
            self.wrong(node, f"'{array.name}' has {len(of_array.shape)} axes, not {axes}")
        checked = self.rebuilt(node, array=name, at=places)
        return checked, replace(of_array, shape=()) if of_array and len(self.mistakes) == before else None


def _bare_parts(node: Node) -> Iterable[s.Name | s.Side]:
    """What in a condition over cells has a value a cell, or may have: names and sides that are not inside an index, a
    place or an inner any, all or count."""
    inner = s.Index | s.Quantified | s.Place | s.Position
    if isinstance(node, s.Name | s.Side):
        yield node
    elif not isinstance(node, inner) and not (isinstance(node, s.Call) and node.function == "count"):
        for child in s.children(node):
            yield from _bare_parts(child)


def listed(names: Iterable[str]) -> str:
    some = list(names)
    return ", ".join(some[:12]) + (", ..." if len(some) > 12 else "")
