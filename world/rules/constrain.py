"""Constrained decoding: the grammar that a language model decodes under, for one schema.

Made from `grammar.lark`: its statements are translated as they stand, and the five kinds of condition are specialised
to what the schema allows there, by filling the grammar's own expressions with typed operands. What the result accepts
parses and checks; it is a bounded part of the language (a few clauses, no nesting).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence

from ..schema import Derived, Feature, Schema
from .ebnf import Writer, quoted, real
from .measures import measure, own_names
from .text import word

__all__ = ["decoding_grammar"]

_MORE = (1, 3)         # further clauses of a conjunction
_MEMBERS = (1, 3)      # further members of a set
_ENUMERATED = 32       # integers of at most so many values are listed


def decoding_grammar(schema: Schema, *, statements: Sequence[str] | None = None, lines: int = 1) -> str:
    """Return xgrammar's EBNF of rules that are well typed for `schema`: one, or up to `lines`, a rule a line.

    `statements` keeps some kinds only (`["expect", "reward"]`); an unknown kind raises `ValueError`.
    """
    writer = Writer()
    kinds = [form.expansion[0].name for form in writer.rules["statement"]]
    unknown = sorted(set(statements or ()) - set(kinds))
    if unknown:
        raise ValueError(f"no statement is called {', '.join(unknown)}; there are {', '.join(kinds)}")
    _Conditions(writer, schema).define()
    writer.define("statement", [writer.translated(k) for k in kinds if statements is None or k in statements])
    more = f' ("\\n" statement){{0,{lines - 1}}}' if lines > 1 else ""
    rules = "\n".join(f"{name} ::= {body}" for name, body in writer.defined.items())
    return f"root ::= statement{more}\n{rules}\n"


class _Conditions:
    """Defines the five kinds of condition of the grammar for one schema."""

    def __init__(self, writer: Writer, schema: Schema) -> None:
        self.writer = writer
        self.schema = schema
        acting = {a.name for a in schema.actions}
        self.states = [f for f in schema.named.values() if f.name not in acting]
        signs = [quoted(x) for x in re.findall(r"[=!<>]=|[<>]", writer.texts["COMPARISON"])]
        self.equal = [x for x in signs if x in ('"=="', '"!="')]
        self.signs = signs
        self.hole = quoted(writer.texts["HOLE"])
        self.own = own_names({f.unit for f in schema.named.values()})
        self.below = [x for x in signs if x in ('"<"', '"<="')]

    def define(self) -> None:
        """Define `effect`, `transition`, `following`, `present` and `choice`."""
        w, same = self.writer, quoted(self.writer.texts["SAME"])
        still, moving = self.sums("still", self.states), self.sums("moving", [*self.states, *self.schema.actions])
        choices = [a for f in self.schema.actions for a in self.atoms(f, False, still)]
        self.clauses("present", self.all_atoms(False, still))
        w.define("milestone", ["present"])
        relations = [w.fill(r, [self.name(f)], "LPAR") for f in self.states for r in ("same", "changed")]
        self.clauses("transition", [
            *(a for f in self.schema.actions for a in self.atoms(f, False, moving)),
            *self.all_atoms(False, moving), *self.all_atoms(True, moving), *relations, *self.thresholds(),
        ])
        self.clauses("choice", choices, alone=map(quoted, self.action_values()), either=False)
        effects = [a for f in self.states for a in self.effects(f, moving)]
        self.clauses("effect", effects, alone=[same], either=False)
        self.clauses("following", [a for f in self.states for a in self.effects(f, still)], either=False)

    def clauses(self, kind: str, atoms: Iterable[str | None], alone: Iterable[str] = (), either: bool = True) -> None:
        """Define a kind of condition: something said alone, or a conjunction of atoms, or (`either`) one of two."""
        w = self.writer
        atom = w.define(f"{kind}_atom", atoms)
        both = w.define(f"{kind}_all", [atom, w.fill("conjunction", [atom, atom], more=_MORE)])
        w.define(kind, [*alone, both, w.fill("disjunction", [both, both], more=(1, 1)) if either else None])

    def all_atoms(self, primed: bool, sums: Callable[[Feature], str | None]) -> list[str | None]:
        return [a for f in self.states for a in self.atoms(f, primed, sums)]

    # --- atoms --------------------------------------------------------------------------------------------------------

    def atoms(self, f: Feature, primed: bool, sums: Callable[[Feature], str | None]) -> list[str | None]:
        """What may be asked of a feature, or of an array's cells."""
        w, name = self.writer, self.name(f, primed)
        if not f.shape:
            return self.claims(f, name, sums(f), self.signs)
        cells = self.cells(f, primed)
        count = w.fill("call", [cells], "COUNT")
        return [
            w.fill("quantified", [cells], "ANY"), w.fill("quantified", [cells], "ALL"),
            w.fill("compare", [count, "natural"], comparison=self.signs, more=(1, 1)),
            *self.claims(f, self.cell(f, name), self.literal(f), self.signs), *self.space(f, cells),
        ]

    def space(self, f: Feature, cells: str | None) -> list[str | None]:
        """Where cells are: next to the agent, at a place, so far from one."""
        w, grid, axes = self.writer, self.schema.grid, len(f.shape)
        near = []
        if grid is not None and self.schema.named[grid.arrays[0]].shape == f.shape:
            near = [w.fill("near", [cells]), w.fill("near", [cells], "COMMA")]
        if axes < 2:
            return near
        place = w.fill("place", [self.place(n) for n in f.shape], more=(axes - 1, axes - 1))
        found = w.fill("position", [cells])
        steps = w.fill("call", [place, found], "DISTANCE")
        return [*near, w.fill("compare", [found, place], comparison=self.equal, more=(1, 1)),
                w.fill("compare", [steps, "natural"], comparison=self.signs, more=(1, 1))]

    def thresholds(self) -> list[str | None]:
        """Conditions whose number memory shall fit."""
        numbers = [f for f in self.states if f.kind in ("integer", "real") and not f.shape]
        name = self.writer.define("numbers", map(self.name, numbers))
        order = [x for x in self.signs if x not in self.equal]
        return [self.writer.fill("compare", [name, self.hole], comparison=order, more=(1, 1))]

    def fitted(self, f: Feature) -> str | None:
        """What a number becomes by an amount that memory shall fit."""
        w, name = self.writer, self.name(f)
        return w.define(f"fitted_{_index(self.schema, f)}", [
            self.hole, *(w.fill("arithmetic", [name, self.hole], sign) for sign in ("PLUS", "MINUS")),
            w.fill("arithmetic", [self.hole, name], "TIMES"),
        ])

    def effects(self, f: Feature, sums: Callable[[Feature], str | None]) -> list[str | None]:
        """What an effect may say of a feature's next value."""
        w, derived = self.writer, self.schema.derivations.get(f.name)
        if isinstance(derived, Derived) and (derived.put is None or f.shape):
            return []
        name = self.name(f, True)
        target = self.cell(f, name) if f.shape else name
        other = self.literal(f) if f.shape else sums(f)
        signs = [x for x in self.signs if f.kind != "real" or x != '"!="']
        out = [] if f.kind == "real" else [w.fill("member", [target, self.literal(f), self.literal(f)], more=_MEMBERS)]
        out += [w.fill("same", [self.name(f)], "LPAR")]
        if f.kind == "boolean":
            return [*out[1:], target, w.fill("negation", [target], "NOT")]
        if f.kind == "category":
            return [*out, w.fill("compare", [target, other], comparison=self.equal, more=(1, 1))]
        literal = self.literal(f)
        near = w.fill("compare", [target, other], "WITHIN", ['"=="'], (1, 1)) if f.kind == "real" else None
        between = w.fill("compare", [literal, target, literal], comparison=self.below, more=(2, 2))
        open_ = None if f.shape else w.fill("compare", [target, self.fitted(f)], comparison=['"=="'], more=(1, 1))
        return [*out, near, between, open_, w.fill("compare", [target, other], comparison=signs, more=(1, 1))]

    def claims(self, f: Feature, target: str | None, other: str | None, signs: Sequence[str]) -> list[str | None]:
        """Conditions on one value: `target` against `other`, in a set, between two numbers, or itself."""
        w, literal = self.writer, self.literal(f)
        if f.kind == "boolean":
            return [target, w.fill("negation", [target], "NOT")]
        if f.kind == "category":
            return [w.fill("compare", [target, other], comparison=self.equal, more=(1, 1)),
                    w.fill("member", [target, literal, literal], more=_MEMBERS)]
        return [w.fill("compare", [target, other], comparison=signs, more=(1, 1)),
                w.fill("compare", [literal, target, literal], comparison=self.below, more=(2, 2))]

    def cells(self, f: Feature, primed: bool) -> str | None:
        """A condition over the cells of the arrays of this one's shape; one or two clauses."""
        w, key = self.writer, f"cells{'x'.join(map(str, f.shape))}{'next' if primed else ''}"
        if key not in w.defined:
            arrays = [a for a in self.states if a.shape == f.shape]
            claims = [c for a in arrays for c in self.claims(a, self.name(a, primed), self.literal(a), self.signs)]
            atom = w.define(f"{key}_atom", claims)
            w.define(key, [atom, w.fill("conjunction", [atom, atom], more=(1, 1))])
        return key

    def cell(self, f: Feature, name: str) -> str | None:
        """One cell of an array: `object[agent_x + 1, 3]`."""
        return self.writer.fill("index", [name, *map(self.place, f.shape)], more=(n := len(f.shape) - 1, n))

    def place(self, size: int) -> str | None:
        w, key = self.writer, f"place{size}"
        names = [self.name(f) for f in self.states if f.kind == "integer" and not f.shape]
        some = w.define("integers", names)
        constants = [quoted(str(i)) for i in range(size)] if size <= _ENUMERATED else ["natural"]
        moved = [w.fill("arithmetic", [some, '("1" | "2")'], sign) for sign in ("PLUS", "MINUS")]
        return w.define(key, [*constants, some, *moved])

    # --- operands -----------------------------------------------------------------------------------------------------

    def sums(self, key: str, features: Sequence[Feature]) -> Callable[[Feature], str | None]:
        """Returns what a scalar may be compared with: its literals, features of its type, short arithmetic."""
        w = self.writer

        def of(f: Feature) -> str | None:
            scalars = [g for g in features if not g.shape]
            if f.kind == "category":
                alike = [self.name(g) for g in scalars if g.name != f.name and _alike(f, g)]
                return w.define(f"{key}_{_index(self.schema, f)}", [self.literal(f), *alike])
            if f.kind == "boolean":
                return self.literal(f)
            number, kinds = ("integer", ("integer",)) if f.kind == "integer" else ("real", ("integer", "real"))
            plain = "natural" if f.kind == "integer" else "size"
            name = w.define(f"{key}_{number}_name", [self.name(g) for g in scalars if g.kind in kinds])
            scaled = w.fill("arithmetic", [number, name], "TIMES")
            moved = [w.fill("arithmetic", [name, x], sign) for sign in ("PLUS", "MINUS")
                     for x in (plain, name, w.fill("arithmetic", [plain, name], "TIMES"))]
            tail = w.define(f"{key}_{number}", [name, scaled, *moved])
            return w.define(f"{key}_{_index(self.schema, f)}", [self.literal(f), tail])

        return of

    def literal(self, f: Feature) -> str | None:
        """The literals of a feature's own type."""
        if f.kind == "boolean":
            return self.writer.define("truth", [quoted(self.writer.texts[x]) for x in ("TRUE", "FALSE")])
        if f.kind == "category":
            return self.writer.define(f"value_{_index(self.schema, f)}", [quoted(word(v)) for v in self.sayable(f)])
        numbers = [self.number(f)]
        unit = measure(f.unit, self.own)
        if unit is not None and unit.text == f.unit != "":
            numbers.append(f"({numbers[0]}) {quoted(' ' + f.unit)}")
        return self.writer.define(f"value_{_index(self.schema, f)}", numbers)

    def number(self, f: Feature) -> str:
        """A number that a feature may be."""
        if f.kind == "real":
            return real(f.low, f.high)
        if math.isfinite(f.high - f.low) and f.high - f.low < _ENUMERATED:
            return " | ".join(quoted(str(i)) for i in range(int(f.low), int(f.high) + 1))
        return "integer"

    def sayable(self, f: Feature) -> list[str]:
        """The values that mean themselves beside `f`: not the name of a category that shares values with it."""
        named = self.schema.named
        return [v for v in f.values if '"' not in v and not (v in named and set(named[v].values) & set(f.values))]

    def action_values(self) -> list[str]:
        """The values of actions that may stand alone after `forbid`."""
        actions = self.schema.actions
        names = {a.name for a in actions}
        held = [v for a in actions for v in a.values if '"' not in v and v not in names]
        return [word(v) for v in dict.fromkeys(held) if held.count(v) == 1 or ("action" in names)]

    def name(self, f: Feature, primed: bool = False) -> str:
        return quoted(word(f.name) + (self.writer.texts["PRIME"] if primed else ""))


def _alike(f: Feature, g: Feature) -> bool:
    """Whether two categories are worth comparing: they share most values, not a mere `none`."""
    return 2 * len(set(f.values) & set(g.values)) > min(len(f.values), len(g.values))


def _index(schema: Schema, f: Feature) -> int:
    return list(schema.named).index(f.name)
