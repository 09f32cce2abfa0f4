"""Numbers in a sentence: digits, words, fractions and percentages, each with the place where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Form = Literal["plain", "percent", "fraction"]
FORMS: tuple[Form, ...] = ("plain", "percent", "fraction")
_UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]
_DECADES = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_TENS = {w: 10 * i for i, w in enumerate(_DECADES, start=2)}
_SMALL = {w: float(i) for i, w in enumerate(_UNITS)} | {w: float(v) for w, v in _TENS.items()}
_WORDS = _SMALL | {"no": 0.0, "nil": 0.0, "single": 1.0, "once": 1.0, "couple": 2.0, "pair": 2.0, "twice": 2.0,
                   "double": 2.0, "doubles": 2.0, "doubled": 2.0, "both": 2.0, "thrice": 3.0, "triple": 3.0,
                   "triples": 3.0, "tripled": 3.0, "dozen": 12.0, "hundred": 100.0, "thousand": 1000.0,
                   "million": 1e6, "half": 0.5, "halve": 0.5, "halves": 0.5, "halved": 0.5}
_PARTS = {"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
          "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10,
          "seventh": 7, "ninth": 9, "twentieth": 20, "twentieths": 20, "hundredth": 100, "hundredths": 100}
_SCALES = {"hundred": 100.0, "thousand": 1000.0, "dozen": 12.0, "million": 1e6}
_DIGITS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_WORD = rf"(?:{'|'.join(_TENS)})[- ](?:{'|'.join(_UNITS[1:10])})|[a-z]+"
_TOKEN = re.compile(rf"(?P<digits>{_DIGITS})|(?P<word>{_WORD})|(?P<percent>%)|(?P<slash>/)", re.IGNORECASE)
_PART = re.compile(rf"\b(?:an?|the|one|every|each)[\s-]+({'|'.join(_PARTS)})\b", re.IGNORECASE)
_OF = re.compile(r"\s+(?:[a-z]+\s+)?(?:out\s+of|in|of)\s+(?:every\s+|each\s+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Numeral:
    """A number that the sentence names from character `start` to `end`; what is `percent` is divided by 100."""

    start: int
    end: int
    value: float
    form: Form = "plain"


def numerals(sentence: str) -> list[Numeral]:
    """The numbers of a sentence, from left to right. "80%" is 80 and 0.8, "one in four" is 1, 4 and 0.25."""
    plain = list(_plain(sentence))
    found = list(plain)
    for i, n in enumerate(plain):
        after = sentence[n.end :].lstrip().lower()
        if after.startswith(("%", "percent", "per cent")):
            found.append(Numeral(n.start, n.end, n.value / 100, "percent"))
        part = re.match(r"[\s-]*([a-z]+)", sentence[n.end :], re.IGNORECASE)
        if part and part[1].lower() in _PARTS and n.value == int(n.value):
            found.append(Numeral(n.start, n.end + part.end(), n.value / _PARTS[part[1].lower()], "fraction"))
        if i + 1 < len(plain) and 0 <= n.value <= plain[i + 1].value:
            between = sentence[n.end : plain[i + 1].start]
            if plain[i + 1].value and (_OF.fullmatch(between) or between.strip() == "/"):
                found.append(Numeral(n.start, plain[i + 1].end, n.value / plain[i + 1].value, "fraction"))
    for match in _PART.finditer(sentence):
        found.append(Numeral(match.start(), match.end(), 1 / _PARTS[match[1].lower()], "fraction"))
    unique = {(n.value, n.form, n.start): n for n in found}
    return sorted(unique.values(), key=lambda n: (n.start, n.end, n.form))


def _plain(sentence: str) -> list[Numeral]:
    found: list[Numeral] = []
    for match in _TOKEN.finditer(sentence):
        value = _value(match)
        if value is None:
            continue
        scale = _SCALES.get(match[0].lower())
        last = found[-1] if found else None
        if scale and last and not sentence[last.end : match.start()].strip() and last.value < scale:
            found[-1] = Numeral(last.start, match.end(), last.value * scale)
        elif last and _continues(last, value, sentence, match):
            found[-1] = Numeral(last.start, match.end(), last.value + value)
        else:
            found.append(Numeral(match.start(), match.end(), value))
    return found


def _continues(last: Numeral, value: float, sentence: str, match: re.Match[str]) -> bool:
    """Whether a number word goes on with the last one: two hundred and six."""
    between = sentence[last.end : match.start()]
    spelled = bool(match["word"]) and sentence[last.start].isalpha()
    return spelled and last.value >= 100 > value and between.split() == ["and"]


def _value(match: re.Match[str]) -> float | None:
    if match["digits"]:
        return float(match["digits"].replace(",", ""))
    word = (match["word"] or "").lower()
    if word in _WORDS:
        return _WORDS[word]
    first, _, second = word.replace("-", " ").partition(" ")
    return _TENS[first] + _SMALL[second] if first in _TENS and second in _SMALL else None
