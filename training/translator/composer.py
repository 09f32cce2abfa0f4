"""What every statement is composed of: frames filled with actions, guards, effects, chances, points and outcomes."""

from __future__ import annotations

import re
from collections.abc import Set
from random import Random

from .amounts import literal, number, probability
from .banks import bank
from .conditions import Conditions
from .deeds import Deed, deeds_of
from .domain import Domain, Phrase, primed
from .effects import Effect, Effects
from .english import is_plural

Told = tuple[str, tuple[str, ...]]
"""A sentence without capital and full stop, and its rule lines."""


class Composer:
    """The parts of statements about `domain`, every choice drawn from `rng`."""

    def __init__(self, domain: Domain, rng: Random) -> None:
        self.domain, self.rng = domain, rng
        self.conditions = Conditions(domain, rng)
        self.effects = Effects(domain, self.conditions, rng)
        self.frames = bank("statements")
        self.actors = bank("surface")["actors"]
        self.names = {f.name for f in domain.features}

    def frame(self, name: str, sign: str = "") -> str:
        found = self.frames[name]
        return str(self.rng.choice(found[sign] if sign else found))

    def deed(self) -> tuple[Deed, dict[str, str]] | None:
        deed = deeds_of(self.domain, self.conditions, self.rng)
        return (deed, deed.slots(self.rng, self.actors)) if deed else None

    def other(self, deed: Deed) -> tuple[Deed, dict[str, str]] | None:
        """Another value of the same action, where chance finds one."""
        second = self.deed()
        fits = second and deed.value and second[0].action == deed.action and second[0].value not in {"", deed.value}
        return second if fits else None

    def fill(
        self, frame: str, slots: dict[str, str], avoid: Set[str] = frozenset(), last: str = "last"
    ) -> tuple[str, str]:
        """Fill a frame; where it asks for a condition (`c`, `G` with a conjunction first, `L` last), add one.

        `last` names the conjunctions that may stand last: `only if` is not for a ban.
        """
        asked = set(re.findall(r"\{(\w+)\}", frame))
        rule = ""
        if asked & {"c", "G", "L"}:
            if "c" in asked:
                guard = self.conditions.some(avoid)
                slots = slots | {"c": guard.text}
            else:
                guard = self.conditions.guard(avoid, "first" if "G" in asked else last)
                slots = slots | {"G": guard.text, "L": _unlike(guard.text, frame)}
            rule = guard.rule
            if (
                guard.about
                and "e" in slots
                and slots["e"].startswith(guard.about + " ")
                and self.rng.random() < 0.5
                and frame.find("{e}") > max(frame.find(k) for k in ("{c}", "{G}", "{L}"))
            ):
                it = "they" if is_plural(guard.about) else "it"
                if guard.about != "you":
                    slots["e"] = it + slots["e"][len(guard.about) :]
        return frame.format(**slots), rule

    def chance(self, effect: Effect) -> tuple[Effect, str]:
        """The effect, perhaps with a probability or a weight, and the words of the rule for it."""
        roll = self.rng.random()
        if roll < 0.13:
            p, said = probability(self.rng)
            adverb = self.rng.choice(said)
            in_front = self.rng.random() < 0.25 and not adverb.startswith("(")
            text = f"{adverb} {effect.text}" if in_front else f"{effect.text} {adverb}"
            if self.rng.random() < 0.15:
                percent = literal(round(p * 100, 4))
                text = (
                    self.rng.choice(
                        (
                            "there is a {k}% chance that ",
                            "the chance is {k}% that ",
                            "with {k}% odds ",
                            "there is a {k} percent probability that ",
                            "chances are {k}% that ",
                            "in {k} of 100 cases ",
                        )
                    ).format(k=percent)
                    + effect.text
                )
            verb = f"{effect.verb} {adverb}" if effect.verb else ""
            return Effect(text, effect.rule, effect.subject, verb, effect.names), f" with probability {literal(p)}"
        if roll < 0.15:
            w = self.rng.choice((0.5, 2, 3, 4, 1.5, 5))
            note = self.rng.choice(
                (" (weight {k})", ", with weight {k}", " with a weight of {k}", " (weighted {k})")
            ).format(k=literal(w))
            return Effect(effect.text + note, effect.rule, names=effect.names), f" with weight {literal(w)}"
        return effect, ""

    def points(self, short: bool = False) -> tuple[dict[str, str], str]:
        value = self.rng.choice(
            (1, 1, 2, 5, 5, 10, 10, 3, 4, 20, 50, 100, 0.5, 0.1, 0.01, 25, self.rng.randint(1, 60), 1.5, 2.5, 0.2)
        )
        frame = "{k}" if short else self.frame("points")
        said = frame.format(k=number(value, self.rng))
        if value == 1:
            said = re.sub(r"(point|credit|pt)s$", r"\1", said)
        return {"k": said, "d": literal(value)}, literal(value)

    def outcome(self) -> Phrase:
        """What the next state is: an effect's clause, a change, or a condition primed."""
        roll = self.rng.random()
        feature = self.rng.choice(self.domain.features)
        if roll < 0.3 and feature.becomes:
            return self.rng.choice(feature.becomes)
        if roll < 0.42 and feature.kind != "real" and not feature.is_array:
            effect = self.effects.made(feature, self.rng.choice(bank("effects")["changes"]), f"changed({feature.name})")
            return Phrase(effect.text, effect.rule)
        if roll < 0.5 and feature.is_number and not feature.is_array:
            way, sign = self.rng.choice((("rises", ">"), ("falls", "<")))
            effect = self.effects.made(
                feature, self.rng.choice(bank("effects")[way]), f"{feature.name}' {sign} {feature.name}"
            )
            return Phrase(effect.text, effect.rule)
        condition = self.conditions.some()
        return Phrase(condition.text, primed(condition.rule, self.names))


def _unlike(guard: str, frame: str) -> str:
    """The guard with another conjunction than the one the frame begins with."""
    first = guard.split(" ")[0]
    return (
        "while" + guard[len(first) :]
        if frame.startswith(first + " ") and first in {"if", "when", "whenever", "once"}
        else guard
    )


def joined(first: str, second: str) -> str:
    """Two guards as one conjunction; either may be empty."""
    parts = [f"({p})" if re.search(r" or ", p) and not _wrapped(p) else p for p in (first, second) if p]
    return " and ".join(parts) if len(parts) > 1 else (first or second)


def _wrapped(rule: str) -> bool:
    """Whether one pair of parentheses or braces already holds every `or` of the rule together."""
    bare = re.sub(r"\([^()]*\)", "", rule)
    return " or " not in bare
