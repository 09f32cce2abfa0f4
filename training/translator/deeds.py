"""What can be done: actions in all the forms that a sentence needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from .atoms import spoken, symbol
from .conditions import Conditions
from .domain import Domain
from .english import gerund, participle, passive, third

_PLAIN = {"you", "I", "we", "they", "people"}
"""Subjects with which the verb stays as it is."""


@dataclass(frozen=True)
class Deed:
    """An action: its base verb phrase, the condition on the action, its name in speech, the action and its value.

    `value` is the choice as a rule writes it, empty where the action is a number.
    """

    base: str
    rule: str
    name: str
    action: str
    value: str = ""

    @property
    def choice(self) -> str:
        """What `forbid` names."""
        return self.value or self.rule

    def slots(self, rng: Random, actors: list[str]) -> dict[str, str]:
        """The forms that frames ask for: base, gerund, subject with verb, the action's own name."""
        actor = rng.choice(actors) if rng.random() < 0.22 and not re.search(r"\byour?\b", self.base) else "you"
        clause = f"{actor} {self.base if actor in _PLAIN else third(self.base)}"
        if actor == "you" and rng.random() < 0.06:
            clause = passive(self.base) or clause
        return {
            "a": self.base,
            "g": gerund(self.base),
            "s": clause,
            "name": self.name,
            "p": participle(self.base),
            "t3": third(self.base),
        }


def deeds_of(domain: Domain, conditions: Conditions, rng: Random) -> Deed | None:
    """A discrete action of the domain, or None where it has none with a verb."""
    known = [(a, v) for a in domain.actions for v in a.verbs]
    if not known:
        return None
    action, key = rng.choice(known)
    base = rng.choice(action.verbs[key])
    if action.kind != "category":
        return Deed(base, key, gerund(base), action.name)
    if rng.random() < 0.06:
        base = rng.choice(
            (
                'choose "{v}"',
                'pick "{v}"',
                "take the action {v}",
                "use the {v} action",
                'play "{v}"',
                "choose {v}",
                "do action {v}",
            )
        ).format(v=spoken(key))
    name = key if rng.random() < 0.4 else rng.choice((f'"{spoken(key)}"', spoken(key)))
    return Deed(base, f"{action.name} == {symbol(key)}", name, action.name, symbol(key))
