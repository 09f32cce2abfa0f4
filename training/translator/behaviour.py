"""Statements about how a world behaves: `expect`, `always`, `reward` and `end`.

Each method composes one; None says that this domain has nothing to make it of.
"""

from __future__ import annotations

import re

from .amounts import literal, quantity
from .atoms import spoken, symbol
from .banks import bank
from .composer import Composer, Told, joined
from .domain import Phrase, primed
from .english import be, is_plural, third, with_modal


class Behaviour(Composer):
    """Composes what is expected, certain, paid and final."""

    def expect(self) -> Told | None:
        made = self.deed()
        if made is None:
            return None
        deed, slots = made
        effect, strength = self.chance(self.effects.some())
        slots = slots | {"e": effect.text, "x": effect.subject, "b": effect.verb}
        name = "expect deed guard" if self.rng.random() < 0.6 else "expect deed"
        roll = self.rng.random()
        if effect.verb and roll < 0.3:
            name += " cause"
        elif roll > 0.96 and deed.value:
            text, _ = self.fill(self.frame("other"), slots)
            return text, (f"expect {effect.rule}{strength} if {deed.rule.replace('==', '!=')}",)
        elif roll > 0.92 and (second := self.other(deed)):
            slots |= {"a2": second[1]["a"], "g2": second[1]["g"]}
            text, _ = self.fill(self.frame("two deeds"), slots)
            return text, (f"expect {effect.rule}{strength} if {deed.action} in {{{deed.value}, {second[0].value}}}",)
        avoid = effect.names if self.rng.random() < 0.6 else frozenset()
        text, guard = self.fill(self.frame(name), slots, avoid)
        return text, (f"expect {effect.rule}{strength} if {joined(deed.rule, guard)}",)

    def nothing(self) -> Told | None:
        """An action that does nothing, or leaves one feature alone."""
        made = self.deed()
        if made is None:
            return None
        deed, slots = made
        words = bank("effects")
        slots |= {"i": self.rng.choice(words["idle"]), "o": self.rng.choice(words["nothing"])}
        if self.rng.random() < 0.3:
            feature = self.rng.choice(self.domain.features)
            noun = self.conditions.noun(feature)
            own = {"it": "they", "is": "are"} if is_plural(noun) else {"it": "it", "is": "is"}
            verb = self.rng.choice(words["leaves"]).format(x=noun, **own)
            slots["l"] = "does " + verb if verb.startswith("not ") else third(verb)
            text, guard = self.fill(self.frame(self.rng.choice(("leaves", "leaves guard"))), slots)
            return text, (f"expect same({feature.name}) if {joined(deed.rule, guard)}",)
        text, guard = self.fill(self.frame("idle guard" if self.rng.random() < 0.8 else "idle"), slots)
        return text, (f"expect same if {joined(deed.rule, guard)}",)

    def time(self) -> Told | None:
        """What happens on every step, whatever is done."""
        effect, strength = self.chance(self.effects.one())
        return self.fill(self.frame("expect time"), {"e": effect.text})[0], (f"expect {effect.rule}{strength}",)

    def guarded(self) -> Told | None:
        """What happens in a state, whatever is done."""
        effect, strength = self.chance(self.effects.some())
        avoid = effect.names if self.rng.random() < 0.5 else frozenset()
        text, guard = self.fill(self.frame("expect guard"), {"e": effect.text}, avoid)
        return text, (f"expect {effect.rule}{strength} if {guard}",)

    def push(self) -> Told | None:
        """An effect of a continuous action that is strong enough."""
        numbers = [a for a in self.domain.actions if a.is_number]
        if not numbers:
            return None
        action = self.rng.choice(numbers)
        condition = self.conditions.number(action, self.conditions.noun(action))
        effect, strength = self.chance(self.effects.one())
        text = self.frame("push").format(c=condition.text, e=effect.text)
        return text, (f"expect {effect.rule}{strength} if {condition.rule}",)

    def otherwise(self) -> Told | None:
        feature = self.rng.choice(self.domain.features)
        condition = self.conditions.of(feature)
        one, two = self.effects.one(), self.effects.one()
        if " and " in condition.rule or " or " in condition.rule or one.rule == two.rule:
            return None
        first, last = (self.rng.choice(self.conditions.frames[k]).format(c=condition.text) for k in ("first", "last"))
        slots = {"G": first, "L": last, "e": one.text, "e2": two.text}
        made, deed_rule, name = self.deed(), "", "otherwise"
        if made and self.rng.random() < 0.6:
            slots, deed_rule, name = slots | made[1], made[0].rule, "otherwise deed"
        lines = (
            f"expect {e.rule} if {joined(deed_rule, g)}" for e, g in ((one, condition.rule), (two, condition.inverse))
        )
        return self.frame(name).format(**slots), tuple(lines)

    def always(self) -> Told | None:
        feature = self.rng.choice(self.conditions.scalars or self.domain.features)
        if feature.is_array:
            return None
        noun, x, roll = self.conditions.noun(feature), feature.name, self.rng.random()
        own = {"n": noun, "be": be(noun)} | {
            v: v if is_plural(noun) else third(v) for v in ("stay", "change", "drop", "fall", "rise", "grow", "become")
        }
        if feature.kind == "boolean" or roll < 0.08:
            frame = self.frame("always same")
            return frame.format(**own), (f"{_certain(frame)} same({x})",)
        if feature.kind == "category":
            value = self.rng.choice(feature.values)
            return self.frame("always not").format(v=spoken(value), **own), (f"always {x}' != {symbol(value)}",)
        if roll < 0.25:
            sign = self.rng.choice((">=", "<="))
            frame = self.frame("always trend", sign)
            return frame.format(**own), (f"{_certain(frame)} {x}' {sign} {x}",)
        if roll < 0.4 and (relation := self.conditions.relation()) and (said := with_modal(relation.text, "can never")):
            found = re.fullmatch(r"(\w+) (<|>|<=|>=|==|!=) (\w+)", relation.inverse)
            if found:
                return said, (f"always {found[1]}' {found[2]} {found[3]}",)
        sign = self.rng.choice((">", ">", "<", "<", ">=", "<="))
        if (
            roll < 0.7
            and (edge := feature.high if ">" in sign else feature.low) is not None
            and self.rng.random() < 0.6
        ):
            sign = sign[0]
            verb = self.rng.choice(self.conditions.bounds["verb"][sign]).format(v=quantity(edge, feature, self.rng))
            rule = f"{x} {sign} {literal(edge)}"
        elif roll < 0.7:
            verb, rule = self.conditions.limit(feature, sign, kind="verb")
        else:
            complement, rule = self.conditions.limit(
                feature, self.rng.choice((">=", "<=", ">", "<", "between", "between", "way"))
            )
            return self.frame("always keep").format(w=complement, **own), (f"always {primed(rule, self.names)}",)
        text = self.frame("always bound").format(b=verb, bt=verb if is_plural(noun) else third(verb), **own)
        return text, (f"always {primed(Phrase('', rule).inverse, self.names)}",)

    def reward(self) -> Told | None:
        sign = self.rng.choice("+-")
        slots, value = self.points()
        amount_ = f"reward {sign}{value}"
        roll = self.rng.random()
        if roll < 0.07:
            return self.frame("reward step", sign).format(**slots), (amount_,)
        if roll < 0.55 and (made := self.deed()):
            text, rule = self.frame("reward deed", sign).format(**slots, **made[1]), made[0].rule
            if self.rng.random() < 0.5:
                guard = self.conditions.guard(place="ban")
                text, rule = f"{text} {guard.text}", joined(rule, guard.rule)
            return text, (f"{amount_} if {rule}",)
        outcome = self.outcome()
        first, last = (
            self.rng.choice(self.conditions.frames[k]).format(c=outcome.text) for k in ("event first", "event last")
        )
        return self.frame("reward when", sign).format(**slots, c=outcome.text, G=first, L=last), (
            f"{amount_} if {outcome.rule}",
        )

    def end(self) -> Told | None:
        if self.rng.random() < 0.2 and (made := self.deed()):
            text, guard = self.fill(self.frame("end deed"), made[1])
            return text, (f"end if {joined(made[0].rule, guard)}",)
        outcome = self.outcome()
        first, last = (
            self.rng.choice(self.conditions.frames[k]).format(c=outcome.text) for k in ("event first", "event last")
        )
        return self.frame("end").format(c=outcome.text, G=first, L=last), (f"end if {outcome.rule}",)


def _certain(frame: str) -> str:
    """A law of nature (`can`) is `always`; a plain observation is `expect`."""
    return "always" if re.search(r"\b(can|cannot|can't|nothing)\b", frame) else "expect"
