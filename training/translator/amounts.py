"""Numbers as people say them: digits, words, percentages, fractions, units."""

from __future__ import annotations

from random import Random

from .banks import bank
from .domain import Quantity
from .english import in_words

_UNITS: dict[str, list[str]] = bank("units")
_COUNTED = {"seconds", "metres", "litres", "minutes", "hours", "euros", "dollars", "grams", "points", "coins"}


def literal(value: float) -> str:
    """A number as a rule writes it."""
    return repr(float(value)).removesuffix(".0")


def bound(of: Quantity, rng: Random) -> float:
    """A value somewhere inside the range of a number, round as people's limits are."""
    low = 0.0 if of.low is None else float(of.low)
    high: float = max(low + 1.0, 100.0 if low >= 0 else -low) if of.high is None else float(of.high)
    if of.kind == "integer":
        first, last = int(low), int(high)
        if last - first > 40 and rng.random() < 0.7:
            step = 10 if last - first > 100 else 5
            return float(min(last, max(first, round(rng.uniform(first, last) / step) * step)))
        return float(rng.randint(first + (last - first > 2), last))
    digits = next((d for d in range(4) if (high - low) * 10**d > 15), 3)
    value = round(rng.uniform(low, high), digits)
    if digits == 0 and high - low > 60 and rng.random() < 0.75:
        value = float(round(value / 5) * 5)
    return value if low <= value <= high else low


def amount(of: Quantity, rng: Random) -> float:
    """A small positive step of a number, as by which it rises or falls."""
    if of.kind == "integer":
        span = 10 if of.high is None or of.low is None else max(1, int(of.high - of.low))
        return float(rng.choice([1, 1, 1, 2, 2, 3, 4, 5, 10, 6][: 10 if span > 10 else 7 if span > 5 else 5]))
    low, high = (0.0 if of.low is None else of.low), (100.0 if of.high is None else of.high)
    span = max(high - low, 1e-3)
    scale = 10 ** next(e for e in range(-5, 9) if 10.0**e * 15 > span)
    return round(rng.choice([1, 2, 3, 4, 5, 0.5, 0.2, 1.5, 2.5, 0.1, 8]) * scale, 4)


def quantity(value: float, of: Quantity | None, rng: Random, digits: bool = False) -> str:
    """The number in a sentence: digits or (unless `digits`) a word, now and then with its unit."""
    unit = of.unit if of else ""
    plain = literal(value)
    if value >= 1000 and value == int(value) and rng.random() < 0.2:
        plain = f"{int(value):,}"
    if (
        unit == ""
        and of
        and of.kind == "real"
        and of.low == 0
        and of.high == 1
        and 0 < value < 1
        and not digits
        and rng.random() < 0.4
    ):
        percent = literal(round(value * 100, 6))
        return (
            "half" if value == 0.5 and rng.random() < 0.4 else percent + rng.choice(["%", " percent", " per cent", "%"])
        )
    if digits:
        plain = literal(value)
    elif value == int(value) and 0 <= value <= 20 and rng.random() < 0.45:
        plain = "a dozen" if value == 12 and rng.random() < 0.4 else in_words(int(value))
    elif value == int(value) and 20 < value <= 100 and rng.random() < 0.12:
        plain = in_words(int(value))
    elif value < 0 and rng.random() < 0.4:
        plain = "minus " + literal(-value)
    if not unit or rng.random() < 0.25:
        return plain
    said = rng.choice(_UNITS.get(unit, [unit]))
    if value == 1 and said in _COUNTED:
        said = said[:-1]
    digit = plain[-1].isdigit()
    if said in {"$", "€"}:
        return said + literal(value) if value >= 0 else literal(value) + said
    if said in {"%", "°", "°C"} and not digit:
        said = {"%": "percent"}.get(said, "degrees")
    return plain + ("" if said in {"%", "°"} else " ") + said


def number(value: float, rng: Random) -> str:
    """A number without a feature: points, moves, counts."""
    if value == int(value) and 0 < value <= 20 and rng.random() < 0.4:
        return "a dozen" if value == 12 and rng.random() < 0.3 else in_words(int(value))
    return literal(value)


_OUT_OF = [
    (0.5, 1, 2),
    (0.25, 1, 4),
    (0.75, 3, 4),
    (0.2, 1, 5),
    (0.4, 2, 5),
    (0.6, 3, 5),
    (0.8, 4, 5),
    (0.1, 1, 10),
    (0.9, 9, 10),
    (0.3, 3, 10),
    (0.7, 7, 10),
    (0.05, 1, 20),
    (0.95, 19, 20),
    (0.01, 1, 100),
    (0.99, 99, 100),
]


def probability(rng: Random) -> tuple[float, list[str]]:
    """A probability and adverbial phrases that say it."""
    value, some, of = rng.choice(_OUT_OF) if rng.random() < 0.5 else (round(rng.randint(1, 99) / 100, 2), 0, 0)
    percent, digits = literal(round(value * 100, 4)), literal(value)
    said = [
        f"{percent}% of the time",
        f"in {percent}% of cases",
        f"with probability {digits}",
        f"with a chance of {digits}",
        f"with a {percent}% chance",
        f"{percent} percent of the time",
        f"at a probability of {digits}",
        f"with {percent} percent probability",
        f"with a likelihood of {percent}%",
        f"(probability {digits})",
        f"in {percent} out of 100 cases",
        f"(p = {digits})",
        f"with {percent}% likelihood",
    ]
    if some:
        a, b = in_words(some), in_words(of)
        more = [
            f"{a} times out of {b}",
            f"in {a} of {b} cases",
            f"{some} time{'s' if some > 1 else ''} in {of}",
            f"{a} in {b}",
            f"in {some} out of {of} tries",
            f"with a {some} in {of} chance",
            f"{a} time{'s' if some > 1 else ''} out of {b}",
        ]
        said = more * 2 + said
        if value == 0.5:
            said += ["half the time", "half of the time", "in half the cases", "every other time"] * 3
        if value in (0.25, 0.75):
            part = "a quarter" if value == 0.25 else "three quarters"
            said += [f"{part} of the time", f"in {part} of cases"] * 3
    return value, said
