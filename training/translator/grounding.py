"""Where a rule's numbers may come from: the sentence, or the feature's own bounds, and nowhere else.

A translator that may invent constants will; so a pair whose rule has a number that nothing in its sentence says is
not a training pair.
"""

from __future__ import annotations

import re

from .english import ORDINALS, in_words

_DIGITS = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?|(?<!\d)\.\d+")
_LITERAL = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
_WORD_VALUES = {in_words(n): float(n) for n in range(101)} | {
    "dozen": 12.0,
    "half": 0.5,
    "halves": 0.5,
    "halved": 0.5,
    "thrice": 3.0,
    "triple": 3.0,
    "tripled": 3.0,
    "triples": 3.0,
    "quarter": 0.25,
    "third": 1 / 3,
    "fifth": 0.2,
    "tenth": 0.1,
    "hundred": 100.0,
    "thousand": 1000.0,
    "couple": 2.0,
    "pair": 2.0,
    "twice": 2.0,
    "double": 2.0,
    "thirteenth": 13.0,
    "million": 1e6,
}
_NTH = {
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
    "twelfth": 12,
    "twentieth": 20,
    "fortieth": 40,
    "fiftieth": 50,
    "hundredth": 100,
}
_ALWAYS = {0.0, 1.0, 2.0}
_BIG = re.compile(r"\b(?:(\w+(?:-\w+)?) )(hundred|thousand)(?:(?: and)? ([a-z]+(?:-[a-z]+)?))?")


_TOLERANCE = re.compile(r" within [\d.]+(?! steps)(?![\d.])")


def without_tolerance(rule: str, sentence: str) -> str:
    """The rule without a tolerance (`within 0.1`) that the sentence does not say."""
    found = _TOLERANCE.search(rule)
    if found is None or literals(found[0]) <= said_numbers(sentence):
        return rule
    return rule[: found.start()] + rule[found.end() :]


def literals(rule: str) -> set[float]:
    """The numbers of a rule, unsigned."""
    return {float(n) for n in _LITERAL.findall(rule)}


def said_numbers(sentence: str) -> set[float]:
    """Every value that the sentence's digits, number words, percentages and fractions may stand for."""
    text = sentence.lower()
    said = {float(d.replace(",", "")) for d in _DIGITS.findall(text)}
    words = re.findall(r"[a-z]+(?:-[a-z]+)*", text)
    said |= {_WORD_VALUES[p] for w in words for p in (w, *w.split("-")) if p in _WORD_VALUES}
    for factor, scale, rest in _BIG.findall(text):
        value = _WORD_VALUES.get(factor, 1.0) * (100 if scale == "hundred" else 1000)
        said |= {value, value + _WORD_VALUES.get(rest, 0.0)}
    ranks = {float(_NTH[w.removesuffix("s")]) for w in words if w.removesuffix("s") in _NTH}
    said |= ranks | {1 / n for n in ranks}
    if re.search(r"every other|fifty-fifty|half", text):
        said.add(0.5)
    if re.search(r"quarter", text):
        said |= {0.75, 25.0, 75.0}
    if re.search(r"%|per ?cent|/", text):
        said |= {n / 100 for n in said}
    parts = {n for n in said if n <= 1000} | {
        float(ORDINALS[w.removesuffix("s")]) for w in words if w.removesuffix("s") in ORDINALS
    }
    if re.search(r"\b(in|of|out of|chances?)\b|/|-?(third|quarter|fifth|tenth|eighth|sixth)s?\b", text):
        said |= {a / b for a in parts for b in parts if b > a > 0}
    if re.search(r"\bhal(f|ves|ved)\b", text):
        said |= {n + 0.5 for n in said} | {50.0}
    return said


def is_said(rule: str, sentence: str, known: set[float]) -> bool:
    """Whether each number of `rule` stands in the sentence, is 0, 1 or 2, or is a bound in `known`."""
    wanted = literals(rule) - _ALWAYS - {abs(k) for k in known}
    if not wanted:
        return True
    said = said_numbers(sentence)
    return all(any(abs(n - k) < 0.006 * max(1.0, abs(n)) if n < 1 else n == k for k in said) for n in wanted)
