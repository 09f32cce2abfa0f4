"""An instruction: its words, the rule lines they mean, and those in words again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...world.rules.parse import parse
from ...world.rules.syntax import Achieve, Avoid, Maintain, Rule
from ...world.rules.text import to_text
from ...world.rules.words import to_words
from ...world.schema import Schema
from ..goals import Goal
from .meaning import lines_of
from .readings import Ask
from .world import World


@dataclass(frozen=True)
class Instruction:
    """What was asked (`text`) and the rules it was understood as: goals, and limits on the way to them."""

    text: str
    rules: tuple[Rule, ...]
    schema: Schema

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(map(to_text, self.rules))

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(to_words(rule, self.schema) for rule in self.rules)

    @property
    def goals(self) -> tuple[Achieve, ...]:
        return tuple(r.statement for r in self.rules if isinstance(r.statement, Achieve))

    @property
    def limits(self) -> tuple[Avoid | Maintain, ...]:
        return tuple(r.statement for r in self.rules if isinstance(r.statement, Avoid | Maintain))

    @property
    def automata(self) -> tuple[Goal, ...]:
        """The goals as terms of an objective, each with its automaton."""
        return tuple(Goal(self.schema, statement) for statement in self.goals)


def understand(text: str, schema: Schema, row: Mapping[str, np.ndarray], ask: Ask | None = None) -> Instruction:
    """Understand an instruction told in the state `row`. Raises `UserError` where it is not understood, or where it may
    mean several things and `ask` is not there to say which."""
    lines = lines_of(text, World.of(schema, dict(row)), ask)
    return Instruction(text, tuple(parse(line, schema, source="instruction") for line in lines), schema)
