"""What happens, in English and in rules: effects on the next state."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .amounts import amount, bound, literal, number, quantity
from .atoms import alike, spoken, symbol
from .banks import bank
from .conditions import Conditions
from .domain import Domain, Quantity, primed
from .english import is_plural, says

_FUTURE = ("will", "will", "will", "should")


@dataclass(frozen=True)
class Effect:
    """A finite clause and its effect in rules; where known, its subject and base verb phrase, and the features."""

    text: str
    rule: str
    subject: str = ""
    verb: str = ""
    names: frozenset[str] = frozenset()


class Effects:
    """Composes effects on the features of `domain`, every choice drawn from `rng`."""

    def __init__(self, domain: Domain, conditions: Conditions, rng: Random) -> None:
        self.domain, self.conditions, self.rng = domain, conditions, rng
        self.frames = bank("effects")

    def some(self) -> Effect:
        """One effect; in one of seven, two on different features."""
        first = self.one()
        if self.rng.random() > 0.14:
            return first
        second = self.one()
        if first.names & second.names:
            return first
        between = self.rng.choice(
            (" and ", " and ", ", and ", " and then ", " while ", "; also, ", " and at the same time ")
        )
        return Effect(
            first.text + between + second.text, f"{first.rule} and {second.rule}", names=first.names | second.names
        )

    def one(self) -> Effect:
        feature = self.rng.choice(self.domain.features)
        if feature.becomes and self.rng.random() < (0.8 if feature.is_array else 0.42):
            own = self.rng.choice(feature.becomes)
            return Effect(own.text, own.rule, own.about, names=frozenset({feature.name}))
        if feature.is_array:
            pointer = self.conditions.pointer(feature) if feature.kind == "category" else None
            return self.cell(feature, pointer) if pointer and self.rng.random() < 0.8 else self.kept(feature)
        if self.rng.random() < 0.07:
            return self.kept(feature)
        if feature.kind == "category":
            return self.category(feature)
        if feature.kind == "boolean":
            kind = self.rng.choice(("true", "true", "false", "false", "flip"))
            x = feature.name
            return self.made(
                feature,
                self.rng.choice(self.frames[kind]),
                {"true": f"{x}'", "false": f"not {x}'", "flip": f"{x}' != {x}"}[kind],
            )
        return self.number(feature)

    def made(self, feature: Quantity, verb: str, rule: str, noun: str = "") -> Effect:
        noun = noun or self.conditions.noun(feature)
        own = (
            {"it": "they", "its": "their", "was": "were", "is": "are"}
            if is_plural(noun)
            else {"it": "it", "its": "its", "was": "was", "is": "is"}
        )
        if noun.startswith("you "):
            own |= {"it": "you", "its": "your"}
        verb = verb.format(**own) if "{" in verb else verb
        if verb.startswith(("not ", "never ", "no longer ", "now ")):
            modal = "will " + verb if not verb.startswith(("never", "no ", "now")) else ""
            if not modal:
                adverb, _, rest = verb.rpartition(" ") if verb.startswith("no longer") else verb.partition(" ")
                finite = (
                    says("the thing" if not is_plural(noun) else "the things", rest)
                    .removeprefix("the things ")
                    .removeprefix("the thing ")
                )
                return Effect(f"{noun} {adverb} {finite}", rule, noun, "", frozenset({feature.name}))
            return Effect(
                f"{noun} {'do' if is_plural(noun) else 'does'} {verb}", rule, noun, verb, frozenset({feature.name})
            )
        text = f"{noun} {self.rng.choice(_FUTURE)} {verb}" if self.rng.random() < 0.12 else says(noun, verb)
        return Effect(text, rule, noun, verb, frozenset({feature.name}))

    def cell(self, feature: Quantity, pointer: tuple[str, str]) -> Effect:
        """A cell at or beside the pointer takes a value."""
        value, (x, y) = self.rng.choice(feature.values), pointer
        at, frames = (
            self.rng.choice(list(self.frames["cell"].items()))
            if self.rng.random() < 0.5
            else ("{x}, {y}", self.frames["cell"]["{x}, {y}"])
        )
        rule = f"{feature.name}'[{at.format(x=x, y=y)}] == {symbol(value)}"
        return Effect(self.rng.choice(frames).format(v=spoken(value)), rule, names=frozenset({feature.name}))

    def kept(self, feature: Quantity) -> Effect:
        other = self.rng.choice(self.domain.features)
        if other.name != feature.name and self.rng.random() < 0.35:
            text = self.rng.choice(self.frames["keeps two"]).format(
                x=self.conditions.noun(feature), y=self.conditions.noun(other)
            )
            return Effect(
                text, f"same({feature.name}) and same({other.name})", names=frozenset({feature.name, other.name})
            )
        return self.made(feature, self.rng.choice(self.frames["keeps"]), f"same({feature.name})")

    def category(self, feature: Quantity) -> Effect:
        x, roll = feature.name, self.rng.random()
        others = [f for f in self.conditions.scalars if f.name != x and alike(f, feature)]
        if others and roll < 0.25:
            other = self.rng.choice(others)
            return self.made(
                feature,
                self.rng.choice(self.frames["copy"]).format(y=self.conditions.noun(other)),
                f"{x}' == {other.name}",
            )
        v, w = self.rng.sample(feature.values, 2) if len(feature.values) > 1 else feature.values * 2
        if roll > 0.95:
            return self.made(feature, self.rng.choice(self.frames["changes"]), f"{x}' != {x}")
        if roll > 0.90 and len(feature.values) > 2:
            return self.made(
                feature,
                self.rng.choice(self.frames["among"]).format(v=spoken(v), w=spoken(w)),
                f"{x}' in {{{symbol(v)}, {symbol(w)}}}",
            )
        if roll > 0.85:
            return self.made(feature, self.rng.choice(self.frames["unset"]).format(v=spoken(v)), f"{x}' != {symbol(v)}")
        return self.made(feature, self.rng.choice(self.frames["set"]).format(v=spoken(v)), f"{x}' == {symbol(v)}")

    def number(self, feature: Quantity) -> Effect:
        x, rng, f = feature.name, self.rng, self.frames
        others = [o for o in self.conditions.numbers if o.name != x]
        pushes = [a for a in self.domain.actions if a.is_number]
        kind = rng.choice(
            ["step"] * 9
            + ["put"] * 3
            + ["trend"] * 3
            + ["bounded", "scale"]
            + ["other"] * (3 if others else 0)
            + ["push"] * (4 if pushes else 0)
        )
        if kind == "step":
            k, way = amount(feature, rng), rng.choice(("up", "down"))
            rule = f"{x}' == {x} {'+' if way == 'up' else '-'} {literal(k)}"
            verb = (
                rng.choice(f[way + " one"])
                if k == 1 and rng.random() < 0.7
                else rng.choice(f[way]).format(k=quantity(k, feature, rng, digits=feature.high == 1))
            )
            edge = feature.high if way == "up" else feature.low
            if edge is not None and rng.random() < 0.15:
                limit = float(edge) if rng.random() < 0.7 else bound(feature, rng)
                verb += rng.choice(f["cap" if way == "up" else "floor"]).format(k=quantity(limit, feature, rng))
                sum_ = rule.split(" == ")[1]
                rule = f"{x}' == {'min' if way == 'up' else 'max'}({sum_}, {literal(limit)})"
            return self.made(feature, verb, rule)
        if kind == "put":
            if feature.low == 0 and rng.random() < 0.4:
                return self.made(feature, rng.choice(f["zero"]), f"{x}' == 0")
            k = bound(feature, rng)
            if feature.kind == "real" and rng.random() < 0.15:
                slack = amount(feature, rng)
                verb = rng.choice(f["put"]).format(k=quantity(k, feature, rng)) + rng.choice(f["roughly"]).format(
                    k=quantity(slack, feature, rng)
                )
                return self.made(feature, verb, f"{x}' == {literal(k)} within {literal(slack)}")
            return self.made(feature, rng.choice(f["put"]).format(k=quantity(k, feature, rng)), f"{x}' == {literal(k)}")
        if kind == "trend":
            way, sign = rng.choice(
                (
                    ("rises", ">"),
                    ("falls", "<"),
                    ("rises", ">"),
                    ("falls", "<"),
                    ("not rises", "<="),
                    ("not falls", ">="),
                )
            )
            return self.made(feature, rng.choice(f[way]), f"{x}' {sign} {x}")
        if kind == "bounded":
            complement, rule = self.conditions.limit(feature, rng.choice(("<", "<=", ">", ">=", "between")))
            return self.made(feature, rng.choice(f["bounded"]).format(b=complement), primed(rule, {x}))
        if kind == "scale":
            way, rule = rng.choice((("double", f"2 * {x}"), ("halve", f"0.5 * {x}"), ("triple", f"3 * {x}")))
            return self.made(feature, rng.choice(f[way]), f"{x}' == {rule}")
        if kind == "push":
            other = rng.choice(pushes)
        else:
            other = rng.choice(others)
            if alike(other, feature) and rng.random() < 0.35:
                if rng.random() < 0.2:
                    a, b = self.conditions.noun(feature), self.conditions.noun(other)
                    return Effect(
                        rng.choice(f["swap"]).format(x=a, y=b),
                        f"{x}' == {other.name} and {other.name}' == {x}",
                        names=frozenset({x, other.name}),
                    )
                return self.made(
                    feature, rng.choice(f["copy"]).format(y=self.conditions.noun(other)), f"{x}' == {other.name}"
                )
        y, roll = self.conditions.noun(other), rng.random()
        if roll < 0.3:
            way, sign = rng.choice((("add", "+"), ("subtract", "-")))
            return self.made(feature, rng.choice(f[way]).format(y=y), f"{x}' == {x} {sign} {other.name}")
        if roll < 0.45:
            return self.made(feature, rng.choice(f["half added"]).format(y=y), f"{x}' == {x} + 0.5 * {other.name}")
        k = rng.choice((0.1, 0.2, 0.05, 0.02, 0.5, 2, 3, 0.25, 1.5, 0.01, 0.3, round(rng.uniform(0.01, 3), 2)))
        way, sign = rng.choice((("scaled", "+"), ("scaled", "+"), ("unscaled", "-")))
        return self.made(
            feature, rng.choice(f[way]).format(y=y, k=number(k, rng)), f"{x}' == {x} {sign} {literal(k)} * {other.name}"
        )
