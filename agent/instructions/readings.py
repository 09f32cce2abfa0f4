"""Readings: what words may mean, asked back only where the readings differ.

Readings are compared in one order of what has none (`A also B` is `B also A`); what differs is shown in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...errors import UserError
from ...world.rules.parse import parse
from ...world.rules.syntax import Achieve, Avoid, Bounded, Combined, Logical, Maintain, Rule
from ...world.rules.text import to_text
from ...world.rules.words import to_words
from ...world.schema import Schema

Ask = Callable[[str, list[str]], int | None]
"""(question, readings) -> the index of the one that was meant, or None."""
T = TypeVar("T")


class Ambiguous(UserError):
    """The words may mean several things, and nobody said which."""


@dataclass
class Choices:
    """Asks which reading is meant, once for the same words. Without `ask` a question is a `UserError`."""

    schema: Schema
    ask: Ask | None = None
    _answers: dict[str, int] = field(default_factory=dict)

    def among(self, said: str, readings: dict[str, T], hint: str = "say which") -> T:
        """The reading that is meant, where there is more than one. Keys are the readings in words."""
        names = list(readings)
        if len(names) == 1:
            return readings[names[0]]
        if said not in self._answers:
            answer = self.ask(f"which one is {said!r}?", names) if self.ask else None
            if answer is None:
                raise Ambiguous(f"{said!r} may be {' or '.join(names)}; {hint}")
            if not 0 <= answer < len(names):
                raise UserError(f"there is no reading {answer}: choose from 0 to {len(names) - 1}, or None")
            self._answers[said] = answer
        return readings[names[self._answers[said]]]

    def milestone(self, said: str, texts: Sequence[str]) -> str:
        """The one of several milestones that is meant; those with the same automaton are one."""
        found: dict[str, str] = {}
        for text in texts:
            found.setdefault(canonical(parse(f"achieve {text}", self.schema)), text)
        words = {to_words(parse(f"achieve {text}", self.schema), self.schema): text for text in found.values()}
        return self.among(said, words, "say it in two sentences")


def canonical(rule: Rule) -> str:
    """A rule's text in one order of all that has none, so that two goals with one automaton have one text."""
    match rule.statement:
        case Achieve(milestones=milestones, within=within):
            whole: Any = Combined(operator="then", parts=milestones)
            return f"achieve {_ordered(whole)}" + ("" if within is None else f" within {within}")
        case Avoid(condition=condition) | Maintain(condition=condition):
            return f"{rule.statement.kind} {_ordered(condition)}"
    return to_text(rule)


def _ordered(node: Any) -> str:
    match node:
        case Combined(operator=operator):
            texts = [_ordered(p) for p in _flat(node, operator)]
            if operator == "then":
                texts = [t for i, t in enumerate(texts) if i == 0 or t != texts[i - 1]]
            else:
                texts = sorted(set(texts))
            return texts[0] if len(texts) == 1 else "{" + f" {operator} ".join(texts) + "}"
        case Bounded(part=part, within=within, keeping=keeping):
            kept = "" if keeping is None else f" while {_ordered(keeping)}"
            return "{" + _ordered(part) + ("" if within is None else f" within {within}") + "}" + kept
        case Logical(operator="and" | "or" as operator):
            return "(" + f" {operator} ".join(sorted({_ordered(p) for p in _flat(node, operator)})) + ")"
    return to_text(node)


def _flat(node: Any, operator: str) -> list[Any]:
    """The parts of a milestone, or of a condition, that one operator joins, however they are nested."""
    parts = node.parts if isinstance(node, Combined) else node.operands if isinstance(node, Logical) else ()
    return [leaf for part in parts for leaf in _flat(part, operator)] if parts and node.operator == operator else [node]
