"""Statements about how an agent shall behave and what it shall reach: `forbid` to `achieve`.

Each method composes one; None says that this domain has nothing to make it of.
"""

from __future__ import annotations

import re

from .amounts import bound, literal, number, quantity
from .atoms import spoken, symbol
from .composer import Composer, Told
from .domain import Phrase, Quantity, words_of
from .english import absolute, be, gerund, is_plural, passive, says, third, with_modal

_MUST = ("don't let", "do not let", "keep ", "see to", "prevent", "watch out", "make sure", "guard")
"""How frames begin that ask to keep something so (`maintain`), not to shun something (`avoid`)."""


class Will(Composer):
    """Composes what is forbidden, avoided, kept, wished and aimed at."""

    def forbid(self) -> Told | None:
        made = self.deed()
        if made is None:
            return None
        deed, slots = made
        choice = deed.choice
        roll = self.rng.random()
        if roll < 0.12:
            return self.frame("forbid").format(**slots), (f"forbid {choice}",)
        if roll < 0.34:
            condition = self.conditions.some()
            text = self.frame("only if").format(c=condition.text, **slots)
            return text, (f"forbid {choice} if {condition.inverse}",)
        if roll < 0.38:
            condition = self.conditions.atom()
            if bare := absolute(condition.text):
                return self.frame("forbid without").format(w=bare, **slots), (
                    f"forbid {choice} if {condition.inverse}",
                )
        name = "forbid guard"
        if roll < 0.44 and (found := re.fullmatch(r"(.+?) (?:is|are) (.+)", passive(deed.base) or "")):
            name, slots = "forbid passive", slots | {"px": found[1], "pp": found[2]}
        elif roll < 0.52 and (second := self.other(deed)):
            both = f"{slots['a']} or {second[1]['a']}"
            slots = slots | {
                "a": both,
                "g": f"{slots['g']} or {second[1]['g']}",
                "name": f"{slots['name']} or {second[1]['name']}",
            }
            choice = f"{choice} or {second[0].value}"
        text, guard = self.fill(self.frame(name), slots, last="ban")
        return text, (f"forbid {choice} if {guard}",)

    def forbid_push(self) -> Told | None:
        """A limit on a continuous action."""
        numbers = [a for a in self.domain.actions if a.is_number]
        if not numbers:
            return None
        action = self.rng.choice(numbers)
        noun = self.conditions.noun(action)
        verb, rule = self.conditions.limit(action, self.rng.choice((">", "<", ">=", "way")), kind="verb")
        own = {"n": noun, "be": be(noun), "do": "do" if is_plural(noun) else "does"}
        text = self.frame("let not").format(b=verb, bg=gerund(verb), bt=verb if is_plural(noun) else third(verb), **own)
        if self.rng.random() < 0.5:
            guard = self.conditions.guard(place="ban")
            return f"{text} {guard.text}", (f"forbid {rule} if {guard.rule}",)
        return text, (f"forbid {rule}",)

    def bounded(self, signs: tuple[str, ...], kind: str) -> tuple[Quantity, str, str, str] | None:
        """A number feature, its noun, and a limit on it in words and rules."""
        if not self.conditions.numbers:
            return None
        feature = self.rng.choice(self.conditions.numbers)
        said, rule = self.conditions.limit(feature, self.rng.choice(signs), kind)
        return feature, self.conditions.noun(feature), said, rule

    def avoid(self) -> Told | None:
        if self.rng.random() < 0.45 and (
            made := self.bounded((">", ">", "<", "<", ">=", "<=", "outside", "way"), "verb")
        ):
            _, noun, verb, rule = made
            own = {"n": noun, "be": be(noun), "do": "do" if is_plural(noun) else "does"}
            frame = self.frame("let not")
            text = frame.format(b=verb, bg=gerund(verb), bt=verb if is_plural(noun) else third(verb), **own)
            return text, (f"maintain {Phrase('', rule).inverse}" if frame.startswith(_MUST) else f"avoid {rule}",)
        condition = self.conditions.some()
        if (
            self.rng.random() < 0.35
            and " and " not in condition.rule
            and (said := with_modal(condition.text, self.frame("must never")))
        ):
            return said, (f"avoid {condition.rule}",)
        if (bare := absolute(condition.text)) and self.rng.random() < 0.35:
            return self.frame("avoid absolute").format(w=bare), (f"avoid {condition.rule}",)
        return self.frame("avoid").format(c=condition.text), (f"avoid {condition.rule}",)

    def kept(self, name: str) -> Told | None:
        """Frames of `keep X so`, with a number's limit or a category's value."""
        feature = self.rng.choice(self.conditions.scalars or self.domain.features)
        if feature.is_array or feature.kind == "boolean":
            return None
        noun, x = self.conditions.noun(feature), feature.name
        own = {"n": noun, "be": be(noun)} | {
            v: v if is_plural(noun) else third(v) for v in ("stay", "have", "need", "do")
        }
        if feature.kind == "category":
            v, w = self.rng.sample(feature.values, 2) if len(feature.values) > 1 else feature.values * 2
            if len(feature.values) > 2 and self.rng.random() < 0.25:
                return self.frame(name).format(w=f"{spoken(v)} or {spoken(w)}", **own), (
                    f"{x} in {{{symbol(v)}, {symbol(w)}}}",
                )
            return self.frame(name).format(w=spoken(v), **own), (f"{x} == {symbol(v)}",)
        complement, rule = self.conditions.limit(
            feature, self.rng.choice((">", ">", "<", "<", ">=", "<=", "between", "between", "way"))
        )
        return self.frame(name).format(w=complement, **own), (rule,)

    def maintain(self) -> Told | None:
        if self.rng.random() < 0.6 and (made := self.kept("keep")):
            return made[0], (f"maintain {made[1][0]}",)
        condition = self.conditions.some()
        if (
            self.rng.random() < 0.3
            and " and " not in condition.rule
            and (said := with_modal(condition.text, self.frame("must")))
        ):
            return said, (f"maintain {condition.rule}",)
        return self.frame("maintain").format(c=condition.text), (f"maintain {condition.rule}",)

    def prefer(self) -> Told | None:
        weight, note = "", ""
        if self.rng.random() < 0.12:
            w = literal(self.rng.choice((0.5, 2, 3, 0.1, 5, 0.2)))
            weight, note = (
                f" with weight {w}",
                self.rng.choice(
                    (
                        f" (weight {w})",
                        f", with weight {w}",
                        f", it matters {w} times as much",
                        f" with a weight of {w}",
                    )
                ),
            )
        roll = self.rng.random()
        if roll < 0.45 and (made := self.kept("prefer keep")):
            return made[0] + note, (f"prefer {made[1][0]}{weight}",)
        if roll < 0.58 and (limit := self.bounded((">", "<", ">=", "<="), "verb")):
            _, noun, verb, rule = limit
            text = self.frame("prefer not").format(n=noun, b=verb, do="do" if is_plural(noun) else "does")
            return text + note, (f"prefer {Phrase('', rule).inverse}{weight}",)
        condition = self.conditions.some()
        if roll < 0.68:
            return self.frame("prefer without").format(c=condition.text) + note, (
                f"prefer {condition.inverse}{weight}",
            )
        return self.frame("prefer").format(c=condition.text) + note, (f"prefer {condition.rule}{weight}",)

    def milestone(self, avoid: set[str]) -> tuple[str, str, str] | None:
        """An imperative, the condition as a clause, and its rule."""
        numbers = [f for f in self.conditions.numbers if f.name not in avoid]
        if numbers and self.rng.random() < 0.25:
            feature = self.rng.choice(numbers)
            sign, v = self.rng.choice((">=", ">=", "<=", ">", "<", "==")), bound(feature, self.rng)
            noun, said = self.conditions.noun(feature), quantity(v, feature, self.rng)
            text = self.rng.choice(self.conditions.bounds["raise"][sign]).format(n=noun, v=said)
            verb = self.rng.choice(self.conditions.bounds["verb"][sign]).format(v=said)
            return text, says(noun, verb), f"{feature.name} {sign} {literal(v)}"
        condition = self.conditions.atom(avoid)
        if (
            (bare := absolute(condition.text))
            and self.rng.random() < 0.6
            and condition.about
            and bare.startswith(condition.about + " ")
        ):
            rest = bare[len(condition.about) + 1 :]
            return self.frame("milestone get").format(n=condition.about, w=rest), condition.text, condition.rule
        found = re.fullmatch(
            r"you (are|have|hold|carry|stand|reach|own|wield|sit|wear|get|possess|know) (.+)", condition.text
        )
        if found:
            verb = "be" if found[1] == "are" else found[1]
            return f"{verb} {found[2]}", condition.text, condition.rule
        return self.frame("milestone").format(c=condition.text), condition.text, condition.rule

    def achieve(self) -> Told | None:
        count = self.rng.choices((1, 2, 3), (5, 4, 2))[0]
        used: set[str] = set()
        stones: list[tuple[str, str, str]] = []
        for _ in range(count):
            if stone := self.milestone(used):
                stones.append(stone)
                used |= words_of(stone[2]) & self.names
        name = ("achieve", "then", "then then")[count - 1]
        deadline, text = "", ""
        k = self.rng.choice((3, 5, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 200, self.rng.randint(3, 99)))
        slots = (
            {"c": stones[0][1]}
            | {f"m{i + 1}" if i else "m": stone[0] for i, stone in enumerate(stones)}
            | {f"mg{i + 1}" if i else "mg": gerund(stone[0]) for i, stone in enumerate(stones)}
        )
        if count == 1 and self.rng.random() < 0.3:
            name = "achieve clause"
        text = self.frame(name).format(**slots)
        if self.rng.random() < 0.35:
            deadline = f" within {k} steps"
            if count == 1 and name == "achieve" and self.rng.random() < 0.3:
                text = self.frame("deadline first").format(k=number(k, self.rng), m=stones[0][0])
            else:
                text += self.frame("deadline").format(k=number(k, self.rng))
        elif count > 1 and self.rng.random() < 0.3:
            text = (
                self.rng.choice(
                    ("your task: ", "the plan: ", "the goal: ", "please ", "you should ", "I want you to ", "to win: ")
                )
                + text
            )
        return text, ("achieve " + " then ".join(stone[2] for stone in stones) + deadline,)
