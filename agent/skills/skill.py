"""A skill: a chain of deeds, each an action with what it needs and what it leaves, in the rule language.

A deed is written as a rule, `expect front_state' == open if action == toggle and front_state == locked and ...`, and
read by the parser and the checker of rules: its text is data, and nothing in it can act. A skill is a hint to planners
(a macro operator of which only the milestones are kept; Fikes, Hart & Nilsson 1972), never a claim about the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ...errors import UserError
from ...world.rules.guards import conjuncts
from ...world.rules.milestones import outcome, unprimed
from ...world.rules.parse import parse
from ...world.rules.syntax import Achieve, Expect, Expression, Logical, Name, walk
from ...world.rules.text import to_text
from ...world.schema import Pointed, Schema

LONGEST = 12
"""Deeds of a skill."""
Atoms = tuple[Expression, ...]


@dataclass(frozen=True)
class Deed:
    """An action (`does`), what it `needs` of the state, and its `effect` on the next, each a conjunction of parts."""

    does: Atoms
    needs: Atoms
    effect: Atoms

    @staticmethod
    def read(line: str, schema: Schema) -> Deed:
        """Read a deed from a rule line. Raises `UserError` where it is not one of this schema."""
        statement, actions = parse(line, schema, source="skill").statement, {a.name for a in schema.actions}
        if not isinstance(statement, Expect) or statement.guard is None or statement.weight is not None or (
                statement.probability is not None):
            raise UserError(f"`{line}` is no deed: write `expect EFFECT if ACTION and CONDITION`")
        parts = list(conjuncts(statement.guard))
        does = tuple(p for p in parts if names(p) & actions)
        effect = tuple(conjuncts(statement.effect))
        if not does or any(outcome(p, schema) is None for p in effect):
            raise UserError(f"`{line}` is no deed: it names no action, or does not say what holds afterwards")
        return Deed(does, tuple(p for p in parts if p not in does), effect)

    @property
    def leaves(self) -> Atoms:
        """The effect as conditions on one state."""
        return tuple(unprimed(part) for part in self.effect)

    def __str__(self) -> str:
        return f"expect {_all(self.effect)} if {_all((*self.does, *self.needs))}"

    @property
    def in_words(self) -> str:
        """`toggle if front_state == locked -> front_state == open`."""
        does = " and ".join(to_text(part).split(" == ")[-1] for part in self.does)
        return f"{does}{f' if {_all(self.needs)}' if self.needs else ''} -> {_all(self.leaves)}"


@dataclass(frozen=True)
class Skill:
    """A chain of `deeds` that led to the `purpose`, conditions on a state; to a reward, where there are none."""

    schema: Schema
    deeds: tuple[Deed, ...]
    purpose: Atoms = ()

    @staticmethod
    def read(text: str, purpose: str, schema: Schema) -> Skill:
        """Read a skill, a line a deed. Raises `UserError` where it is none of this schema."""
        lines = text.splitlines()
        if not 1 <= len(lines) <= LONGEST:
            raise UserError(f"a skill of {len(lines)} deeds; it has 1 to {LONGEST}")
        goal: Atoms = ()
        if purpose:
            statement = parse(f"achieve {purpose}", schema, source="skill").statement
            if not isinstance(statement, Achieve) or len(statement.conditions) != 1:
                raise UserError(f"`{purpose}` is not the purpose of a skill: write one condition")
            goal = tuple(conjuncts(statement.conditions[0]))
        return Skill(schema, tuple(Deed.read(line, schema) for line in lines), goal)

    @property
    def text(self) -> str:
        return "\n".join(map(str, self.deeds))

    @property
    def goal(self) -> str:
        return _all(self.purpose) if self.purpose else ""

    @cached_property
    def needs(self) -> Atoms:
        """What must hold before the chain: what its first deed needs, and of the later ones what no earlier deed brings
        about. What later deeds need of a place that is pointed at is come to by walking there."""
        found, left = dict.fromkeys(self.deeds[0].needs), set(self.deeds[0].leaves)
        for deed in self.deeds[1:]:
            found |= dict.fromkeys(p for p in deed.needs if p not in left and not self._points(p))
            left |= set(deed.leaves)
        return tuple(found)

    @cached_property
    def leaves(self) -> Atoms:
        """What holds after the chain: what the last deed leaves, and of the earlier ones what is not written again."""
        found, written = dict.fromkeys(self.deeds[-1].leaves), names(*self.deeds[-1].leaves)
        for deed in reversed(self.deeds[:-1]):
            found |= dict.fromkeys(p for p in deed.leaves if not names(p) & written and not self._points(p))
            written |= names(*deed.leaves)
        return tuple(found)

    @cached_property
    def milestones(self) -> Atoms:
        """Conditions on one state that hold one after the other along the chain."""
        sides = (side for deed in self.deeds for side in (deed.needs, deed.leaves) if side)
        return tuple(dict.fromkeys(side[0] if len(side) == 1 else Logical(operator="and", operands=side)
                                   for side in sides))

    def serves(self, wanted: Sequence[Expression]) -> bool:
        """Whether it led to some part of what is wanted; to a reward, where nothing is."""
        parts = {part for condition in wanted for part in conjuncts(condition)}
        return bool(parts & {*self.purpose, *self.leaves}) if wanted else not self.purpose

    def generalised(self, other: Skill) -> Skill | None:
        """What both have in common, where they do the same to the same effect: of their needs those that all successes
        shared (the most specific generalisation; Mitchell 1982). None where they do not."""
        def done(s: Skill) -> list[tuple[Atoms, Atoms]]:
            return [(d.does, d.effect) for d in s.deeds]

        if done(self) != done(other) or self.purpose != other.purpose:
            return None
        return Skill(self.schema, tuple(Deed(a.does, tuple(p for p in a.needs if p in b.needs), a.effect)
                                        for a, b in zip(self.deeds, other.deeds, strict=True)), self.purpose)

    def __str__(self) -> str:
        return f"for {self.goal or 'a reward'}: " + "; then ".join(deed.in_words for deed in self.deeds)

    def _points(self, part: Expression) -> bool:
        return any(isinstance(self.schema.derivations.get(name), Pointed) for name in names(part))


def names(*parts: Expression) -> set[str]:
    """The features that conditions speak of."""
    return {n.name for part in parts for n in walk(part) if isinstance(n, Name)}


def _all(parts: Atoms) -> str:
    return to_text(parts[0] if len(parts) == 1 else Logical(operator="and", operands=parts))
