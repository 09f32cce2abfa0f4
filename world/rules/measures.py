"""Units of measurement: what a unit's text means, products of units, conversion. The physics is pint's.

A unit that pint does not know ("fuel"), or knows as something else ("points"), is a dimension of its own where a
schema uses it. Units are read factor by factor, so that nothing but single names ever reaches pint, which is loaded
when the first unit is met.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

from .text import RESERVED

_FACTOR = re.compile(r"(°?[^\W\d_]{1,24})(?:\^(-?\d))?")
_WRITABLE = re.compile(rf"{_FACTOR.pattern}(?:[*/]{_FACTOR.pattern}){{0,5}}")
_GAMES = ("point", "points", "dot", "dots", "pixel", "pixels", "bit", "bits")    # of print and data to pint
_POWERS = str.maketrans({"²": "^2", "³": "^3"})
_SAID = {"%": "percent"}


@dataclass(frozen=True)
class Measure:
    """A unit: its text as a rule writes it, and what pint makes of it, as a value and (`delta`) as a difference."""

    text: str
    unit: Any = None
    delta: Any = None

    def __str__(self) -> str:
        return self.text or "no unit"


BARE = Measure("")
"""Of a feature whose schema tells no unit."""


@cache
def registry() -> Any:
    """pint's units."""
    import pint

    return pint.UnitRegistry()


def own_names(texts: Collection[str]) -> frozenset[str]:
    """Which of a schema's units, or names in them, are dimensions of their own."""
    found: set[str] = set()
    for text in texts:
        names = [name for name, _ in _factors(text)]
        found |= {n for n in names if n in _GAMES or _known(n) is None} if names else {text} - {"", *_SAID}
    return frozenset(found)


def measure(text: str, own: Collection[str] = ()) -> Measure | None:
    """What a unit's text means, or None if that is unknown; `own` are names that the schema gives a meaning."""
    if not text:
        return BARE
    if text in own:
        return _single(text, _own_unit(text))
    factors = _factors(text)
    if not factors:
        return None
    parts = [(_own_unit(name) if name in own else _known(name), power) for name, power in factors]
    if any(unit is None for unit, _ in parts):
        return None
    if len(parts) == 1 and parts[0][1] == 1:
        return _single(text, parts[0][0])
    whole = registry().Unit("")
    for unit, power in parts:
        whole = whole * _delta(unit) ** power
    return Measure(text if _is_writable(text) else _text(whole), whole, whole)


def product(first: Measure | None, second: Measure | None, power: int = 1) -> Measure | None:
    """The unit of a product, or with a `power` of -1 of a quotient. A plain number (None) adds nothing."""
    if second is None or second == BARE:
        return first
    one = registry().Unit("")
    unit = (one if first is None or first == BARE else first.delta) * second.delta**power
    return Measure(_text(unit), unit, unit)


def converted(value: float, source: Measure, target: Measure, absolute: bool) -> float | None:
    """A number in another unit, to 8 digits: as a value (`absolute`: 32 °F is 0 °C) or as a difference. None where
    the two do not measure the same thing."""
    if source.text == target.text:
        return value
    try:
        if absolute:
            found = registry().Quantity(value, source.unit).to(target.unit).magnitude
        else:
            found = registry().Quantity(value, source.delta).to(target.delta).magnitude
        return float(f"{found:.8g}") if math.isfinite(found) else None
    except Exception:    # pint raises errors of many kinds, all of which mean that there is no such conversion
        return None


def is_same(first: Measure, second: Measure) -> bool:
    """Whether two units are one, however written."""
    return first.text == second.text or (first != BARE and second != BARE and first.unit == second.unit)


def _factors(text: str) -> list[tuple[str, int]]:
    """The names in a unit's text with their powers; none where the text cannot be read as a product."""
    text = _SAID.get(text, text).translate(_POWERS)
    if len(text) > 80 or not _WRITABLE.fullmatch(text):
        return []
    found, sign = [], 1
    for part in re.split(r"([*/])", text):
        if part in "*/":
            sign = 1 if part == "*" else -1
        else:
            name, power = _FACTOR.fullmatch(part).groups()  # type: ignore[union-attr]
            found.append((name, sign * int(power or 1)))
    return found


@cache
def _known(name: str) -> Any:
    try:
        unit = registry().parse_units(name)
    except Exception:    # an unknown name is an error of many kinds, by its letters
        return None
    return unit if len(dict(unit._units)) == 1 or name in ("percent",) else None


def _own_unit(name: str) -> Any:
    key = f"own_{name.encode().hex()}"
    if key not in registry():
        registry().define(f"{key} = [{key}]")
    return registry().Unit(key)


def _single(text: str, unit: Any) -> Measure:
    return Measure(text if _is_writable(text) else _text(unit), unit, _delta(unit))


@cache
def _delta(unit: Any) -> Any:
    """The unit of a difference: of temperatures in °C, a degree."""
    try:
        is_offset = abs(registry().Quantity(0.0, unit).to_root_units().magnitude) > 0
    except Exception:    # a logarithmic unit
        return unit
    return registry().Unit(f"delta_{unit}") if is_offset else unit


def _text(unit: Any) -> str:
    """A unit as a rule writes it: `m/s^2`; "" for none. Not always writable: see `_is_writable`."""
    powers = [(_symbol(name), power) for name, power in unit._units.items()]
    above = [(name, power) for name, power in powers if power > 0]
    if not above:
        return "*".join(f"{name}^{power:g}" for name, power in powers)
    text = "*".join(name if power == 1 else f"{name}^{power:g}" for name, power in above)
    return text + "".join(f"/{name}" if power == -1 else f"/{name}^{-power:g}" for name, power in powers if power < 0)


def _symbol(name: str) -> str:
    if name.startswith("own_"):
        return bytes.fromhex(name.removeprefix("own_")).decode()
    name = name.removeprefix("delta_")
    symbol = str(registry().get_symbol(name))
    return symbol if _FACTOR.fullmatch(symbol) and symbol not in RESERVED else name.replace("_", "")


def _is_writable(text: str) -> bool:
    return bool(_WRITABLE.fullmatch(text)) and not any(text == w or re.match(rf"{w}\b", text) for w in RESERVED)
