"""Statements: whole sentences about how a world behaves, how an agent shall behave, and what it shall reach.

Each method composes one statement and returns `(sentence, rule lines)`, without capital and full stop. None says
that this domain has nothing to make it of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from random import Random

from .amounts import bound, literal, number, probability, quantity
from .banks import bank
from .conditions import Conditions, spoken, symbol
from .deeds import Deed, deeds_of
from .domain import Domain, Phrase, Quantity, primed, words_of
from .effects import Effect, Effects
from .english import absolute, be, gerund, is_plural, passive, says, third, with_modal

Told = tuple[str, tuple[str, ...]]

_MUST = ("don't let", "do not let", "keep ", "see to", "prevent", "watch out", "make sure", "guard")


class Statements:
    """Composes statements about `domain`, every choice drawn from `rng`."""

    def __init__(self, domain: Domain, rng: Random) -> None:
        self.domain, self.rng = domain, rng
        self.conditions = Conditions(domain, rng)
        self.effects = Effects(domain, self.conditions, rng)
        self.frames = bank("statements")
        self.actors = bank("surface")["actors"]
        self.names = {f.name for f in domain.features}
        self.makers: list[tuple[float, Callable[[], Told | None]]] = [
            (30, self.expect), (4, self.nothing), (3, self.time), (12, self.guarded), (2, self.push), (2, self.otherwise),
            (11, self.forbid), (2, self.forbid_push), (7, self.avoid), (9, self.maintain), (6, self.prefer), (7, self.achieve),
            (6, self.always), (9, self.reward), (5, self.end),
        ]

    def one(self) -> Told:
        """One statement of any kind."""
        weights = [w for w, _ in self.makers]
        while True:
            if told := self.rng.choices(self.makers, weights)[0][1]():
                return told

    # --- parts --------------------------------------------------------------------------------------------------------

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

    def fill(self, frame: str, slots: dict[str, str], avoid: Set[str] = frozenset(), last: str = "last") -> tuple[str, str]:
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
            if guard.about and "e" in slots and slots["e"].startswith(guard.about + " ") and self.rng.random() < 0.5 \
                    and frame.find("{e}") > max(frame.find(k) for k in ("{c}", "{G}", "{L}")):
                it = "they" if is_plural(guard.about) else "it"
                if guard.about != "you":
                    slots["e"] = it + slots["e"][len(guard.about):]
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
                text = self.rng.choice(("there is a {k}% chance that ", "the chance is {k}% that ", "with {k}% odds ", "there is a {k} percent probability that ",
                                        "chances are {k}% that ", "in {k} of 100 cases ")).format(k=percent) + effect.text
            verb = f"{effect.verb} {adverb}" if effect.verb else ""
            return Effect(text, effect.rule, effect.subject, verb, effect.names), f" with probability {literal(p)}"
        if roll < 0.15:
            w = self.rng.choice((0.5, 2, 3, 4, 1.5, 5))
            note = self.rng.choice((" (weight {k})", ", with weight {k}", " with a weight of {k}", " (weighted {k})")).format(k=literal(w))
            return Effect(effect.text + note, effect.rule, names=effect.names), f" with weight {literal(w)}"
        return effect, ""

    # --- how the world behaves ----------------------------------------------------------------------------------------

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
        lines = (f"expect {e.rule} if {joined(deed_rule, g)}" for e, g in ((one, condition.rule), (two, condition.inverse)))
        return self.frame(name).format(**slots), tuple(lines)

    def always(self) -> Told | None:
        feature = self.rng.choice(self.conditions.scalars or self.domain.features)
        if feature.is_array:
            return None
        noun, x, roll = self.conditions.noun(feature), feature.name, self.rng.random()
        own = {"n": noun, "be": be(noun)} | {v: v if is_plural(noun) else third(v) for v in ("stay", "change", "drop", "fall", "rise", "grow", "become")}
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
        if roll < 0.7 and (edge := feature.high if ">" in sign else feature.low) is not None and self.rng.random() < 0.6:
            sign = sign[0]
            verb = self.rng.choice(self.conditions.bounds["verb"][sign]).format(v=quantity(edge, feature, self.rng))
            rule = f"{x} {sign} {literal(edge)}"
        elif roll < 0.7:
            verb, rule = self.conditions.limit(feature, sign, kind="verb")
        else:
            complement, rule = self.conditions.limit(feature, self.rng.choice((">=", "<=", ">", "<", "between", "between", "way")))
            return self.frame("always keep").format(w=complement, **own), (f"always {primed(rule, self.names)}",)
        text = self.frame("always bound").format(b=verb, bt=verb if is_plural(noun) else third(verb), **own)
        return text, (f"always {primed(Phrase('', rule).inverse, self.names)}",)

    def points(self, short: bool = False) -> tuple[dict[str, str], str]:
        value = self.rng.choice((1, 1, 2, 5, 5, 10, 10, 3, 4, 20, 50, 100, 0.5, 0.1, 0.01, 25, self.rng.randint(1, 60), 1.5, 2.5, 0.2))
        frame = "{k}" if short else self.frame("points")
        said = frame.format(k=number(value, self.rng))
        if value == 1:
            said = re.sub(r"(point|credit|pt)s$", r"\1", said)
        return {"k": said, "d": literal(value)}, literal(value)

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
        first, last = (self.rng.choice(self.conditions.frames[k]).format(c=outcome.text) for k in ("event first", "event last"))
        return self.frame("reward when", sign).format(**slots, c=outcome.text, G=first, L=last), (f"{amount_} if {outcome.rule}",)

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
            effect = self.effects.made(feature, self.rng.choice(bank("effects")[way]), f"{feature.name}' {sign} {feature.name}")
            return Phrase(effect.text, effect.rule)
        condition = self.conditions.some()
        return Phrase(condition.text, primed(condition.rule, self.names))

    def end(self) -> Told | None:
        if self.rng.random() < 0.2 and (made := self.deed()):
            text, guard = self.fill(self.frame("end deed"), made[1])
            return text, (f"end if {joined(made[0].rule, guard)}",)
        outcome = self.outcome()
        first, last = (self.rng.choice(self.conditions.frames[k]).format(c=outcome.text) for k in ("event first", "event last"))
        return self.frame("end").format(c=outcome.text, G=first, L=last), (f"end if {outcome.rule}",)

    # --- how the agent shall behave -----------------------------------------------------------------------------------

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
                return self.frame("forbid without").format(w=bare, **slots), (f"forbid {choice} if {condition.inverse}",)
        name = "forbid guard"
        if roll < 0.44 and (found := re.fullmatch(r"(.+?) (?:is|are) (.+)", passive(deed.base) or "")):
            name, slots = "forbid passive", slots | {"px": found[1], "pp": found[2]}
        elif roll < 0.52 and (second := self.other(deed)):
            both = f"{slots['a']} or {second[1]['a']}"
            slots = slots | {"a": both, "g": f"{slots['g']} or {second[1]['g']}", "name": f"{slots['name']} or {second[1]['name']}"}
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
        if self.rng.random() < 0.45 and (made := self.bounded((">", ">", "<", "<", ">=", "<=", "outside", "way"), "verb")):
            _, noun, verb, rule = made
            own = {"n": noun, "be": be(noun), "do": "do" if is_plural(noun) else "does"}
            frame = self.frame("let not")
            text = frame.format(b=verb, bg=gerund(verb), bt=verb if is_plural(noun) else third(verb), **own)
            return text, (f"maintain {Phrase('', rule).inverse}" if frame.startswith(_MUST) else f"avoid {rule}",)
        condition = self.conditions.some()
        if self.rng.random() < 0.35 and " and " not in condition.rule and (said := with_modal(condition.text, self.frame("must never"))):
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
        own = {"n": noun, "be": be(noun)} | {v: v if is_plural(noun) else third(v) for v in ("stay", "have", "need", "do")}
        if feature.kind == "category":
            v, w = self.rng.sample(feature.values, 2) if len(feature.values) > 1 else feature.values * 2
            if len(feature.values) > 2 and self.rng.random() < 0.25:
                return self.frame(name).format(w=f"{spoken(v)} or {spoken(w)}", **own), (f"{x} in {{{symbol(v)}, {symbol(w)}}}",)
            return self.frame(name).format(w=spoken(v), **own), (f"{x} == {symbol(v)}",)
        complement, rule = self.conditions.limit(feature, self.rng.choice((">", ">", "<", "<", ">=", "<=", "between", "between", "way")))
        return self.frame(name).format(w=complement, **own), (rule,)

    def maintain(self) -> Told | None:
        if self.rng.random() < 0.6 and (made := self.kept("keep")):
            return made[0], (f"maintain {made[1][0]}",)
        condition = self.conditions.some()
        if self.rng.random() < 0.3 and " and " not in condition.rule and (said := with_modal(condition.text, self.frame("must"))):
            return said, (f"maintain {condition.rule}",)
        return self.frame("maintain").format(c=condition.text), (f"maintain {condition.rule}",)

    def prefer(self) -> Told | None:
        weight, note = "", ""
        if self.rng.random() < 0.12:
            w = literal(self.rng.choice((0.5, 2, 3, 0.1, 5, 0.2)))
            weight, note = f" with weight {w}", self.rng.choice((f" (weight {w})", f", with weight {w}", f", it matters {w} times as much", f" with a weight of {w}"))
        roll = self.rng.random()
        if roll < 0.45 and (made := self.kept("prefer keep")):
            return made[0] + note, (f"prefer {made[1][0]}{weight}",)
        if roll < 0.58 and (limit := self.bounded((">", "<", ">=", "<="), "verb")):
            _, noun, verb, rule = limit
            text = self.frame("prefer not").format(n=noun, b=verb, do="do" if is_plural(noun) else "does")
            return text + note, (f"prefer {Phrase('', rule).inverse}{weight}",)
        condition = self.conditions.some()
        if roll < 0.68:
            return self.frame("prefer without").format(c=condition.text) + note, (f"prefer {condition.inverse}{weight}",)
        return self.frame("prefer").format(c=condition.text) + note, (f"prefer {condition.rule}{weight}",)

    # --- what it shall reach ------------------------------------------------------------------------------------------

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
        if (bare := absolute(condition.text)) and self.rng.random() < 0.6 and condition.about and bare.startswith(condition.about + " "):
            rest = bare[len(condition.about) + 1 :]
            return self.frame("milestone get").format(n=condition.about, w=rest), condition.text, condition.rule
        found = re.fullmatch(r"you (are|have|hold|carry|stand|reach|own|wield|sit|wear|get|possess|know) (.+)", condition.text)
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
        slots = {"c": stones[0][1]} | {f"m{i + 1}" if i else "m": stone[0] for i, stone in enumerate(stones)} \
            | {f"mg{i + 1}" if i else "mg": gerund(stone[0]) for i, stone in enumerate(stones)}
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
            text = self.rng.choice(("your task: ", "the plan: ", "the goal: ", "please ", "you should ", "I want you to ", "to win: ")) + text
        return text, ("achieve " + " then ".join(stone[2] for stone in stones) + deadline,)

    # --- two in one sentence ------------------------------------------------------------------------------------------

    def two(self) -> Told:
        """Two rules in one sentence: an effect and what it pays, or any two statements."""
        if self.rng.random() < 0.4:
            told = self.expect()
            if told and " with " not in told[1][0]:
                sign = self.rng.choice("+-")
                slots, value = self.points()
                guard = told[1][0].split(" if ", 1)[1]
                return told[0] + self.frame("and pay", sign).format(**slots), (*told[1], f"reward {sign}{value} if {guard}")
        one, two = self.one(), self.one()
        return one[0] + self.frame("connect") + two[0], one[1] + two[1]

    def unsayable(self) -> str:
        """A sentence that no rule says: a question, an opinion, small talk."""
        made = self.deed()
        slots = made[1] if made else {"a": "go on", "g": "going on", "s": "you go on", "p": "gone on"}
        noun = self.conditions.noun(self.rng.choice(self.domain.features))
        frame = self.rng.choice(bank("unsayable")[self.rng.choice(("talk", "beyond"))])
        condition, effect, k = self.conditions.atom().text, self.effects.one().text, self.rng.randint(3, 99)
        return str(frame.format(**slots, n=noun, c=condition, e=effect, k=k))


def _unlike(guard: str, frame: str) -> str:
    """The guard with another conjunction than the one the frame begins with."""
    first = guard.split(" ")[0]
    return "while" + guard[len(first):] if frame.startswith(first + " ") and first in {"if", "when", "whenever", "once"} else guard


def joined(first: str, second: str) -> str:
    """Two guards as one conjunction; either may be empty."""
    parts = [f"({p})" if re.search(r" or ", p) and not _wrapped(p) else p for p in (first, second) if p]
    return " and ".join(parts) if len(parts) > 1 else (first or second)


def _wrapped(rule: str) -> bool:
    """Whether one pair of parentheses or braces already holds every `or` of the rule together."""
    bare = re.sub(r"\([^()]*\)", "", rule)
    return " or " not in bare


def _certain(frame: str) -> str:
    """A law of nature (`can`) is `always`; a plain observation is `expect`."""
    return "always" if re.search(r"\b(can|cannot|can't|nothing)\b", frame) else "expect"
