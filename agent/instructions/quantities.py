"""What is said of quantities: "keep the temperature between 18 and 22", "be at position 0.45", "turn the lamp on".

A clause is read as a bag of words (a quantity, how it compares, numbers with units, whether it is to be kept), and
taken only where they come out even. A number to be reached is a line to be crossed, from the side where the quantity
is when it is told; what must be so is kept where it is so, and else brought about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from lark import Token

from ...errors import UserError
from ...world.rules.evaluate import Rows, truth
from ...world.rules.measures import converted, measure, own_names
from ...world.rules.parse import parse
from ...world.rules.syntax import Maintain
from ...world.rules.text import number, word
from ...world.schema import Feature
from .clause import Clause
from .nouns import Nouns, spoken
from .readings import Choices
from .vocabulary import COMPARING, DOWNWARDS, PLACES, SPEEDS, UPWARDS, VERBS
from .world import World

_SIGNS = {"ABOVE": ">", "LEAST": ">=", "BELOW": "<", "MOST": "<="}
_PASSED_OVER = VERBS | {"THE", "A", "TO", "DOWN", "OF", "WITHIN", "MUST", "KEEP", "NEVER", "ALWAYS", "SHUN", "IT",
                        "EACH"}
_MEANT = COMPARING | {"FEATURE", "TRAIT", "STATE", "ON", "OFF", "MIDDLE", "NUMBER", "UNIT"}


class Quantities:
    """Understands clauses about the scalars of a world, in the state they are told in."""

    def __init__(self, world: World, choices: Choices) -> None:
        self.world, self.choices = world, choices
        self.nouns = Nouns.of(world.schema)

    def __call__(self, words: Sequence[Token]) -> Clause:
        """The meaning of one clause. Raises `UserError` where its words do not come out even."""
        said, kinds = " ".join(map(str, words)), [w.type for w in words]
        strange = next((w for w in words if w.type not in _PASSED_OVER | _MEANT), None)
        if strange is not None:
            raise UserError(f"{said!r} is not understood at {str(strange)!r}; say it as in 'keep the {self._example()} "
                            "below 2', 'get it to 5 within 20 steps'")
        condition = self._condition(words, said)
        is_kept_from = any(a == "from" and b.type in COMPARING for a, b in pairwise(words))
        if "BETWEEN" in kinds and "leave" in [str(w) for w in words]:    # "never leave the range from 1 to 2"
            if "NEVER" not in kinds:
                raise UserError(f"{said!r}: say which side to leave it on, as in 'get it above 2'")
            return Clause("keep", condition)
        if {"NEVER", "SHUN"} & set(kinds) or is_kept_from:
            return Clause("limit", condition)
        if {"KEEP", "ALWAYS"} & set(kinds) or ("MUST" in kinds and self._holds(condition)):
            return Clause("keep", condition)
        return Clause("state", condition)

    def _condition(self, words: Sequence[Token], said: str) -> str:
        kinds = [w.type for w in words]
        signs = [k for k in kinds if k in COMPARING]
        if "WITHIN" in kinds and not signs:
            signs = ["NEAR"]
        names = self._names(words, signs)
        if any(k in ("STATE", "ON", "OFF") for k in kinds):
            return self._chosen(words, names, said)
        feature = self._one(names, said)
        numbers = self._numbers(words, feature)
        if "MIDDLE" in kinds:
            if not numbers:
                raise UserError(f"{said!r}: how near? say it as in 'within 0.1 of the middle'")
            numbers.append(_middle(feature))
        sign = signs[0] if len(signs) == 1 else "" if not signs else "many"
        q = word(feature.name)
        if feature.kind == "boolean" and not numbers and not sign:
            return q
        if any(w.type == "TRAIT" for w in words) and feature.low < 0 and sign in _SIGNS:
            q = f"abs({q})"    # how much it leans, to whichever side
        match sign, numbers:
            case "ABOVE" | "LEAST" | "BELOW" | "MOST", [value]:
                return f"{q} {_SIGNS[sign]} {value}"
            case "BETWEEN", [low, high]:
                return f"{low} <= {q} and {q} <= {high}"
            case "NEAR", [distance] if feature.low == -feature.high:
                return f"abs({q}) <= {distance}"
            case "FAR" | "NEAR", [distance, *target] if len(target) < 2 and (target or sign == "FAR"):
                from_there = q if not target or target[0] == "0" else f"{q} - {target[0]}"
                return f"abs({from_there}) {'>' if sign == 'FAR' else '<='} {distance}"
            case "FASTER" | "SLOWER", [value]:
                return f"{f'abs({q})' if feature.low < 0 else q} {'>' if sign == 'FASTER' else '<'} {value}"
            case "", [value]:
                return self._at(feature, value, words, said)
        raise UserError(f"{said!r} does not come out even; say a quantity, how it compares and a number, as in "
                        f"'keep the {spoken(feature.name)} below 2'")

    def _at(self, feature: Feature, value: str, words: Sequence[Token], said: str) -> str:
        """To be at a number: a whole one is met, a real one crossed."""
        q = word(feature.name)
        if feature.is_discrete:
            return f"{q} == {value}"
        if any(w.type in ("KEEP", "NEVER", "ALWAYS", "SHUN") for w in words):
            raise UserError(f"{said!r}: a real quantity is never just there; say 'within 0.1 of {value}', 'above', "
                            "'below' or 'between'")
        if {str(w) for w in words} & (UPWARDS | DOWNWARDS):
            return f"{q} {'>=' if {str(w) for w in words} & UPWARDS else '<='} {value}"
        is_below = self._holds(f"{q} < {value}")
        return f"{q} {'>=' if is_below else '<='} {value}"

    def _chosen(self, words: Sequence[Token], names: list[str], said: str) -> str:
        """To be on, off, or at one of the values of a category."""
        value = next(str(w) for w in words if w.type in ("STATE", "ON", "OFF"))
        owners = [n for n in (names or self.nouns.scalars) if self._has(self.nouns.scalars[n], value)]
        if not owners or any(w.type in ("NUMBER", "MIDDLE") or w.type in COMPARING for w in words):
            raise UserError(f"{said!r} is not understood: nothing spoken of there can be {value!r}")
        feature = self._one(owners, said)
        if feature.kind == "boolean":
            return word(feature.name) if value == "on" else f"not {word(feature.name)}"
        own = next(v for v in feature.values if spoken(v) == value)
        return f"{word(feature.name)} == {word(own)}"

    @staticmethod
    def _has(feature: Feature, value: str) -> bool:
        if feature.kind == "boolean":
            return value in ("on", "off")
        return value in map(spoken, feature.values)

    # --- which quantity ---

    def _names(self, words: Sequence[Token], signs: Sequence[str]) -> list[str]:
        """The features that all words of the clause agree on."""
        named = [w.split("|") for w in words if w.type in ("FEATURE", "TRAIT")]
        found = named[0] if named else []
        for other in named[1:]:
            found = [n for n in found if n in other]
            if not found:
                return [*named[0], *other]
        is_place = any(w.type in ("FAR", "MIDDLE") or w in ("past", "beyond", "leave") for w in words) or (
            not signs and any(w.type in ("GO", "PUT") or w in ("push", "pull") for w in words))  # fmt: skip
        kinds = PLACES if is_place else SPEEDS if set(signs) & {"FASTER", "SLOWER"} else frozenset()
        if len(found) != 1:
            alike = [n for n in found or self.nouns.scalars if set(n.split("_")) & kinds]
            found = alike or found
        unit = next((str(w) for w in words if w.type == "UNIT"), "")
        if len(found) != 1 and unit:
            found = [n for n in found or self.nouns.scalars if _fits(unit, self.nouns.scalars[n])] or found
        return found

    def _one(self, names: Sequence[str], said: str) -> Feature:
        if not names:
            raise UserError(f"{said!r} names no quantity; this world has: "
                            f"{', '.join(sorted(map(spoken, self.nouns.scalars))) or 'none'}")
        readings = {f"the {spoken(n)}": self.nouns.scalars[n] for n in names}
        return self.choices.among(said, readings)

    # --- numbers ---

    def _numbers(self, words: Sequence[Token], feature: Feature) -> list[str]:
        found = []
        units = {id(w): after for w, after in pairwise(words) if after.type == "UNIT"}
        last = next((str(w) for w in reversed(words) if w.type == "UNIT"), "")
        for w in words:
            if w.type == "NUMBER":
                unit = str(units.get(id(w), last if any(k.type == "BETWEEN" for k in words) else ""))
                found.append(_quantity(float(w), unit, feature))
        return found

    def _holds(self, condition: str) -> bool:
        """Whether a condition holds where it is told."""
        schema = self.world.schema
        statement = parse(f"maintain {condition}", schema).statement
        assert isinstance(statement, Maintain)
        with torch.no_grad():
            return bool(truth(statement.condition, Rows(schema, schema.batch([self.world.row]))).item())

    def _example(self) -> str:
        return next((spoken(n) for n, f in self.nouns.scalars.items() if f.kind == "real"), "speed")


def _quantity(value: float, unit: str, feature: Feature) -> str:
    """A number with its unit as rules write it. Raises `UserError` for one that the feature never reaches."""
    is_share = (feature.low, feature.high) == (0, 1)
    if unit == "deg" and "°" in feature.unit:
        unit = feature.unit
    if is_share and (unit == "%" or (not unit and 1 < value <= 100)):
        value, unit = value / 100, ""
    if not unit or unit == feature.unit:
        return _within(value, feature)
    return f"{number(value)} {unit}"


def _within(value: float, feature: Feature) -> str:
    if not -abs(feature.high - feature.low) <= value <= max(feature.high, feature.high - feature.low):
        raise UserError(f"{number(value)} is outside of the {spoken(feature.name)}, which goes from {feature.low:g} to "
                        f"{feature.high:g} {feature.unit}".rstrip())
    return number(value)


def _fits(unit: str, feature: Feature) -> bool:
    """Whether a quantity is measured in such a unit."""
    if unit == "deg" and "°" in feature.unit:
        return True
    if unit != feature.unit and "%" in (unit, feature.unit):
        return False
    own = own_names({feature.unit})
    said, its = measure(unit, own), measure(feature.unit, own)
    return said is not None and its is not None and converted(1.0, said, its, absolute=False) is not None


def _middle(feature: Feature) -> str:
    is_bounded = math.isfinite(feature.low) and math.isfinite(feature.high) and abs(feature.high) < 1e9
    return number((feature.low + feature.high) / 2) if is_bounded else "0"
