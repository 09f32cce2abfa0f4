"""Remembering what was meant: a sentence like one that was told before means the like.

Two sentences are alike when they differ in nothing but numbers and the names of values of one feature; the rules of the
one, with these exchanged, are then a reading of the other. So the translator gets better with its user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..prompts.reader.links import stem
from ..prompts.reader.numerals import numerals
from .rules.text import number, word
from .schema import Schema

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"(?<![\w.'\"])\d+(?:\.\d+)?(?![\w.])")


def recalled(sentence: str, told: Sequence[tuple[str, str]], schema: Schema) -> list[str]:
    """Readings of a sentence, as rule lines, by what was told before as (sentence, rule lines); the latest first."""
    found = (_moved(sentence, before, lines, schema) for before, lines in reversed(told))
    return list(dict.fromkeys(lines for lines in found if lines is not None))


def _moved(sentence: str, before: str, lines: str, schema: Schema) -> str | None:
    """`lines`, which `before` meant, as `sentence` has it; None where the two are not alike."""
    one, other = _units(before), _units(sentence)
    if len(one) != len(other):
        return None
    numbers: dict[str, str] = {}
    values: dict[str, str] = {}
    for a, b in zip(one, other, strict=True):
        if a == b:
            continue
        if isinstance(a, float) and isinstance(b, float):
            exchanged, pair = numbers, (number(a), number(b))
        elif isinstance(a, str) and isinstance(b, str) and (names := _values(a, b, schema)) is not None:
            exchanged, pair = values, names
        else:
            return None
        if exchanged.setdefault(*pair) != pair[1]:
            return None
    return _exchanged(lines, numbers, values)


def _units(sentence: str) -> list[str | float]:
    """The words of a sentence, stemmed, its numbers as numbers."""
    units: list[str | float] = []
    end = 0
    for found in (n for n in numerals(sentence) if n.form == "plain" and sentence[n.start].isdigit()):
        units += [stem(w) for w in _WORD.findall(sentence[end : found.start])]
        units.append(found.value)
        end = found.end
    return units + [stem(w) for w in _WORD.findall(sentence[end:])]


def _values(a: str, b: str, schema: Schema) -> tuple[str, str] | None:
    """The values of one category that two words name, if they do."""
    for feature in schema.named.values():
        named = {stem(v): v for v in feature.values}
        if a in named and b in named:
            return named[a], named[b]
    return None


def _exchanged(lines: str, numbers: Mapping[str, str], values: Mapping[str, str]) -> str | None:
    """Rule lines with numbers and values exchanged, all at once; None where one of them does not stand there."""
    if any(a not in _NUMBER.findall(lines) for a in numbers):
        return None
    lines = _NUMBER.sub(lambda m: numbers.get(m[0], m[0]), lines)
    names = {word(a): word(b) for a, b in values.items()}
    if not names:
        return lines
    either = re.compile("|".join(rf"(?<![\w\"]){re.escape(a)}(?![\w\"'])" for a in names))
    return either.sub(lambda m: names[m[0]], lines) if all(either.search(lines) for _ in names) else None
