"""Single conditions in English and in rules: on one feature, between two, on an array and its cells."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from .amounts import amount, bound, literal, quantity
from .banks import bank
from .domain import Domain, Phrase, Quantity
from .english import an, be, is_plural, negated, plural, says, third

_BOTH = (
    ("both {a} and {b} are {v}", "{0} and {1}"),
    ("{a} and {b} are both {v}", "{0} and {1}"),
    ("either {a} or {b} is {v}", "({0} or {1})"),
    ("neither {a} nor {b} is {v}", "not ({0} or {1})"),
    ("at least one of {a} and {b} is {v}", "({0} or {1})"),
)
_OWN = {"boolean": 0.85, "category": 0.6, "integer": 0.4, "real": 0.4}
"""How often a condition on a feature is one of its own phrases."""
_AXES = (("x", "y"), ("col", "row"), ("column", "row"))


def spoken(value: str) -> str:
    """The name of a value as a word: `half_open` -> `half open`."""
    return value.replace("_", " ")


def symbol(value: str) -> str:
    return value if value.isidentifier() else f'"{value}"'


class Atoms:
    """Composes conditions on single features of `domain`, every choice drawn from `rng`."""

    def __init__(self, domain: Domain, rng: Random) -> None:
        self.domain, self.rng = domain, rng
        self.frames, self.bounds = bank("conditions"), bank("bounds")
        self.scalars = [f for f in domain.features if not f.is_array]
        self.numbers = [f for f in self.scalars if f.is_number]
        self.arrays = [f for f in domain.features if f.is_array and f.kind == "category"]

    def of(self, feature: Quantity) -> Phrase:
        """A condition on one feature: one of its own phrases, the contrary of one, or a generic one."""
        if feature.is_array:
            return self.array(feature)
        if feature.phrases and self.rng.random() < _OWN[feature.kind]:
            own = self.rng.choice(feature.phrases)
            if self.rng.random() < 0.15 and (text := negated(own.text)):
                return Phrase(text, own.inverse, own.about)
            return own
        noun = self.noun(feature)
        if feature.kind == "category":
            return self.category(feature, noun)
        if feature.kind == "boolean":
            positive = self.rng.random() < 0.6
            frame = self.rng.choice(self.frames["true" if positive else "false"])
            return Phrase(_fit(frame, noun), feature.name if positive else f"not {feature.name}", noun)
        return self.number(feature, noun)

    def noun(self, feature: Quantity) -> str:
        plain = feature.name.replace("_", " ")
        roll = self.rng.random()
        if roll < 0.08 and len(feature.name) > 2:
            return "the " + plain if not is_plural(plain) or roll < 0.06 else plain
        return self.rng.choice(feature.nouns)

    def category(self, feature: Quantity, noun: str) -> Phrase:
        values = self.rng.sample(feature.values, min(2, len(feature.values)))
        v, w = spoken(values[0]), spoken(values[-1])
        roll = self.rng.random()
        if roll < 0.58:
            frame, rule = "is", f"{feature.name} == {symbol(values[0])}"
        elif roll < 0.80 or len(feature.values) < 3:
            frame, rule = "isnt", f"{feature.name} != {symbol(values[0])}"
        else:
            members = f"{feature.name} in {{{symbol(values[0])}, {symbol(values[1])}}}"
            frame, rule = ("either", members) if roll < 0.92 else ("neither", f"not {members}")
        return Phrase(_fit(self.rng.choice(self.frames[frame]), noun, v=v, w=w), rule, noun)

    def number(self, feature: Quantity, noun: str) -> Phrase:
        return self.limited(
            feature,
            noun,
            self.rng.choice((">", ">", "<", "<", ">=", ">=", "<=", "<=", "==", "!=", "between", "outside", "way")),
        )

    def limited(self, feature: Quantity, noun: str, sign: str) -> Phrase:
        """`noun` against a bound: `sign` is a comparison, `between`, `outside` or `way` (either way of zero)."""
        complement, rule = self.limit(feature, sign)
        if complement and self.rng.random() < 0.6:
            verb = self.rng.choice(("be", "be", "be", "be", "be", "read", "stay", "stand at"))
            verb = "be" if verb == "stand at" and not complement[0].isdigit() else verb
            return Phrase(says(noun, f"{verb} {complement}"), rule, noun)
        verb, rule = self.limit(feature, sign, kind="verb")
        return Phrase(says(noun, verb), rule, noun)

    def limit(self, feature: Quantity, sign: str, kind: str = "complement") -> tuple[str, str]:
        """A complement (`above 5`) or verb phrase (`exceed 5`) and the rule that it stands for."""
        x = feature.name
        if sign == "way" and (feature.low is None or feature.low < 0):
            sign = self.rng.choice(("<", "<=", ">", ">="))
            value = abs(bound(feature, self.rng))
            frame = self.rng.choice(self.bounds["either_way"][sign])
            text = frame.format(v=quantity(value, feature, self.rng))
            return (text if kind == "complement" else "be " + text), f"abs({x}) {sign} {literal(value)}"
        sign = "<" if sign == "way" else sign
        if self.rng.random() < 0.14 and (edge := self.edge(feature)):
            return ("be " if kind == "verb" else "") + edge[0], edge[1]
        value, other = bound(feature, self.rng), bound(feature, self.rng)
        if sign in {"between", "outside"} and value != other:
            value, other = sorted((value, other))
            text = self.rng.choice(self.bounds[kind][sign]).format(
                v=literal(value), w=quantity(other, feature, self.rng, digits=True)
            )
            low, high = literal(value), literal(other)
            return text, f"{low} <= {x} <= {high}" if sign == "between" else f"({x} < {low} or {x} > {high})"
        said = quantity(value, feature, self.rng)
        if sign == "!=":
            return ("be " if kind == "verb" else "") + self.rng.choice(
                ("anything but {v}", "not {v}", "other than {v}")
            ).format(v=said), f"{x} != {literal(value)}"
        sign = "==" if sign in {"between", "outside"} else sign
        if sign in {"<", ">"} and value in {feature.low, feature.high}:
            sign += "=" if self.rng.random() < 0.5 else ""
        return self.rng.choice(self.bounds[kind][sign]).format(v=said), f"{x} {sign} {literal(value)}"

    def edge(self, feature: Quantity) -> tuple[str, str] | None:
        """A complement about the ends of the range, zero, the sign, or even and odd."""
        x, low, high = feature.name, feature.low, feature.high
        rules: dict[str, str] = {}
        if high is not None:
            rules |= {"high": f"{x} == {literal(high)}", "below high": f"{x} < {literal(high)}"}
        if low is not None and low < 0:
            rules |= {"positive": f"{x} > 0", "negative": f"{x} < 0", "not negative": f"{x} >= 0"}
        elif low is not None:
            rules |= {"low": f"{x} == {literal(low)}", "above low": f"{x} > {literal(low)}"}
        if low == 0:
            rules |= {"zero": f"{x} == 0", "some": f"{x} > 0"}
        if feature.kind == "integer" and self.rng.random() < 0.3:
            rules = {"even": f"{x} % 2 == 0", "odd": f"{x} % 2 == 1"}
        if not rules:
            return None
        name = self.rng.choice(list(rules))
        return self.rng.choice(self.bounds["edge"][name]), rules[name]

    def comparable(self) -> tuple[Quantity, Quantity] | None:
        """Two features that may be compared: numbers of one unit, or categories that share values."""
        pairs = [(a, b) for a in self.scalars for b in self.scalars if a.name != b.name and alike(a, b)]
        return self.rng.choice(pairs) if pairs else None

    def relation(self) -> Phrase | None:
        pair = self.comparable()
        if pair is None:
            return None
        a, b = pair
        nouns = {"a": self.noun(a), "b": self.noun(b)}
        if a.is_number and self.rng.random() < 0.3:
            rule, frames = self.rng.choice(list(self.bounds["difference"].items()))
            v = amount(a, self.rng)
            text = self.rng.choice(frames).format(v=quantity(v, a, self.rng), **nouns)
            return Phrase(_agree(text, nouns["a"]), rule.format(a=a.name, b=b.name, v=literal(v)), nouns["a"])
        shared = sorted(set(a.values) & set(b.values))
        if shared and self.rng.random() < 0.3:
            value = self.rng.choice(shared)
            frame, rule = self.rng.choice(_BOTH)
            one, two = (f"{q.name} == {symbol(value)}" for q in (a, b))
            return Phrase(frame.format(**nouns, v=spoken(value)), rule.format(one, two))
        sign = self.rng.choice((">", "<", ">=", "<=", "==", "!=") if a.is_number else ("==", "==", "!="))
        text = self.rng.choice(self.bounds["relation"][sign]).format(**nouns)
        return Phrase(_agree(text, nouns["a"]), f"{a.name} {sign} {b.name}")

    def array(self, feature: Quantity | None = None) -> Phrase:
        feature = feature or self.rng.choice(self.arrays)
        own = feature.phrases
        if (own and self.rng.random() < 0.45) or feature.kind != "category":
            return self.rng.choice(own) if own else self.of(self.rng.choice(self.scalars))
        value = self.rng.choice(feature.values)
        rule, v, n = f"{feature.name} == {symbol(value)}", spoken(value), self.noun(feature)
        av = an(v) if self.rng.random() < 0.6 else v
        if (pointer := self.pointer(feature)) and self.rng.random() < 0.45:
            x, y = pointer
            if self.rng.random() < 0.5:
                return Phrase(
                    self.rng.choice(self.frames["here"]).format(v=v, av=av),
                    f"{feature.name}[{x}, {y}] == {symbol(value)}",
                )
            at, frames = self.rng.choice(list(self.frames["beside"].items()))
            return Phrase(
                self.rng.choice(frames).format(v=v, av=av), f"{feature.name}[{at.format(x=x, y=y)}] == {symbol(value)}"
            )
        words = {
            "n": n,
            "v": v,
            "av": av,
            "vs": plural(v),
            "is": "is",
            "are": "are",
            "contain": "contain" if is_plural(n) else "contains",
        }
        if not is_plural(n):
            words["are"] = "is"
        kind = self.rng.choice(("any", "any", "none", "none", "all", "notall", "count", "count"))
        if kind == "count":
            sign = self.rng.choice((">=", ">=", "<", "<=", ">", "=="))
            k = self.rng.randint(2, 6)
            text = self.rng.choice(self.frames["count"][sign]).format(
                k=quantity(k, None, self.rng), **words | {"are": "are"}
            )
            return Phrase(text, f"count({rule}) {sign} {k}")
        text = self.rng.choice(self.frames[kind]).format(**words)
        whole = "any" if kind in {"any", "none"} else "all"
        return Phrase(text, ("not " if kind in {"none", "notall"} else "") + f"{whole}({rule})")

    def pointer(self, feature: Quantity) -> tuple[str, str] | None:
        """The two integers that point into a board, by their names: `x` and `y`, `a_x` and `a_y`, `col` and `row`."""
        if len(feature.entry.get("shape", ())) != 2:
            return None
        names = {f.name for f in self.numbers if f.kind == "integer"}
        return next(
            (
                (x, y)
                for x in sorted(names)
                for a, b in _AXES
                if re.search(rf"(^|_|p){a}$", x) and (y := x.removesuffix(a) + b) in names
            ),
            None,
        )


def alike(a: Quantity, b: Quantity) -> bool:
    """Whether two features may sensibly be compared."""
    if a.is_array or b.is_array:
        return False
    if a.is_number and b.is_number:
        return a.unit == b.unit and (a.kind == b.kind) and (a.unit != "" or a.high == b.high)
    return a.kind == b.kind == "category" and len(set(a.values) & set(b.values)) >= 2


def _fit(frame: str, noun: str, **words: Any) -> str:
    """Fill a frame; the verb straight after the noun agrees with it."""
    return _agree(frame.format(n=noun, be=be(noun), **words), noun)


_BASE: dict[str, str] = {
    third(v): v
    for v in (
        "happen",
        "read",
        "show",
        "say",
        "equal",
        "stand",
        "hold",
        "apply",
        "differ",
        "fail",
        "exceed",
        "beat",
        "outweigh",
        "fall",
        "lag",
        "cover",
        "match",
        "coincide",
        "agree",
        "do",
    )
} | {"is": "are"}


def _agree(text: str, noun: str) -> str:
    if not is_plural(noun) or not text.startswith(noun + " "):
        return text
    verb, _, rest = text[len(noun) + 1 :].partition(" ")
    return f"{noun} {_BASE.get(verb, verb)}" + (" " + rest if rest else "")
