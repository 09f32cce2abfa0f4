"""Rule lines as pointers, and back."""

from __future__ import annotations

import pytest

from gedanken.prompts.reader.codec import Codec
from gedanken.prompts.reader.numerals import numerals
from gedanken.world.items import items_of
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text
from gedanken.world.schema_file import schema_from

SCHEMA = schema_from({
    "name": "lift",
    "features": [
        {"name": "door", "kind": "category", "values": {"open": "", "half-open": "", "shut": ""}},
        {"name": "load", "low": -5, "high": 900, "unit": "kg"},
        {"name": "alarm", "kind": "boolean"},
        {"name": "tile", "kind": "category", "values": ["ice", "grass"], "shape": [8, 8]},
        {"name": "x", "kind": "integer", "low": 0, "high": 7},
        {"name": "y", "kind": "integer", "low": 0, "high": 7},
    ],
    "actions": [{"name": "action", "kind": "category", "values": ["up", "down"]},
                {"name": "push", "low": -1, "high": 1}],
})
SENTENCE = "Over 25 kilograms, 80% of the time, at most 206 steps, 12 of them"


@pytest.mark.parametrize("line", [
    "expect door' == open with probability 0.8 if action == up and load > 25",
    "expect not alarm' and load' == load - 12 if tile[x + 1, y] == ice",
    'forbid up if door != "half-open" or load in {1, 2}',
    "forbid push > 0.8",
    "achieve door == open then x == y within 206 steps",
    'always door\' in {open, "half-open"}',
    "expect same(door) if changed(x) and any(tile == ice)",
    "expect load' == load + 2 * push",
    "maintain load > -5",
    "avoid load > 900",
    "reward -12 if door' != shut",
    "prefer abs(x - y) <= 2",
])
def test_what_is_encoded_is_decoded(line: str) -> None:
    codec = Codec(items_of(SCHEMA), numerals(SENTENCE))
    (again,) = codec.decode(codec.encode([line]))
    assert to_text(parse(again, SCHEMA)) == to_text(parse(line, SCHEMA))


def test_several_lines_and_none() -> None:
    codec = Codec(items_of(SCHEMA), numerals(SENTENCE))
    lines = ["forbid action == up if alarm", "end if alarm'"]
    assert codec.decode(codec.encode(lines)) == lines
    assert codec.decode(codec.encode([])) == []


def test_a_number_that_is_nowhere_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="does not name 33"):
        Codec(items_of(SCHEMA), numerals(SENTENCE)).encode(["avoid load > 33"])
