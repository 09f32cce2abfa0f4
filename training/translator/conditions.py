"""Conditions as sentences have them: atoms joined by `and` and `or`, and guards with their conjunctions."""

from __future__ import annotations

import re
from collections.abc import Set

from .atoms import Atoms
from .domain import Phrase, words_of
from .english import absolute, telegraphic


class Conditions(Atoms):
    """Composes conditions on the present state, alone or in company."""

    def atom(self, avoid: Set[str] = frozenset()) -> Phrase:
        """A condition that names none of the features `avoid`."""
        for _ in range(6):
            found = self._atom()
            if not words_of(found.rule) & avoid:
                return found
        return found

    def _atom(self) -> Phrase:
        roll = self.rng.random()
        if roll < 0.10 and (made := self.relation()):
            return made
        if self.arrays and roll < 0.10 + 0.5 * len(self.arrays) / len(self.domain.features) and (made := self.array()):
            return made
        return self.of(self.rng.choice(self.scalars or list(self.domain.features)))

    def some(self, avoid: Set[str] = frozenset()) -> Phrase:
        """One condition, or two or three joined."""
        first = self.atom(avoid)
        roll = self.rng.random()
        if roll > 0.34 or " or " in first.rule:
            return first
        second = self.atom(avoid | words_of(first.rule))
        if words_of(first.rule) & words_of(second.rule) & {f.name for f in self.domain.features}:
            return first
        if roll < 0.07 and not first.text.startswith("either"):
            text = self.rng.choice(self.frames["or"]).format(c=first.text, d=second.text)
            return Phrase(text, f"{first.rule} or {second.rule}")
        seconds = [second]
        if roll < 0.11:
            third_one = self.atom(avoid | words_of(first.rule) | words_of(second.rule))
            if (
                not words_of(third_one.rule)
                & (words_of(first.rule) | words_of(second.rule))
                & {f.name for f in self.domain.features}
            ):
                seconds.append(third_one)
        rule = " and ".join(grouped(p.rule) for p in (first, *seconds))
        if len(seconds) == 2:
            text = f"{first.text}, {second.text} and {seconds[1].text}"
        elif (bare := absolute(second.text)) and self.rng.random() < 0.25:
            text = f"{first.text} with {bare}"
        else:
            frames = self.frames["and"][: 4 if re.match("both|either|neither", first.text) else None]
            text = self.rng.choice(frames).format(c=first.text, d=second.text)
        return Phrase(text, rule, first.about)

    def guard(self, avoid: Set[str] = frozenset(), place: str = "first") -> Phrase:
        """A condition with its conjunction: `if the door is open`, `unless ...`, `with the door open`."""
        condition = self.some(avoid)
        roll = self.rng.random()
        if roll < 0.12 and " and " not in condition.rule and not re.search(r"^not|!=", condition.rule):
            return Phrase(
                self.rng.choice(self.frames["unless"]).format(c=condition.text), condition.inverse, condition.about
            )
        short = telegraphic(condition.text)
        if short and roll > 0.95:
            return Phrase(f"{short}:" if place == "first" else f"({short})", condition.rule)
        bare = absolute(condition.text)
        if bare and roll < 0.4:
            return Phrase("with " + bare, condition.rule, condition.about)
        return Phrase(self.rng.choice(self.frames[place]).format(c=condition.text), condition.rule, condition.about)


def grouped(rule: str) -> str:
    """In parentheses where an `or` would otherwise reach too far."""
    return f"({rule})" if " or " in rule and not rule.startswith("(") else rule
