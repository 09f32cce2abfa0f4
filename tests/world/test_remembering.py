"""A sentence like one that was told before means the like."""

from __future__ import annotations

import pytest

from gedanken.world.remembering import recalled
from gedanken.world.schema_file import schema_from

SCHEMA = schema_from({
    "name": "kitchen",
    "features": [{"name": "lid", "kind": "category", "values": ["open", "shut"]},
                 {"name": "heat", "low": 0, "high": 300}],
    "actions": [{"name": "action", "kind": "category", "values": ["stir", "wait", "taste"]}],
})
TOLD = [("Hands off the pot over 80 degrees: no tasting.", "forbid action == taste if heat > 80"),
        ("Mind the open lid when stirring.", "forbid action == stir if lid == open")]


@pytest.mark.parametrize(("sentence", "meant"), [
    ("hands off the pot over 120 degrees, no tasting", ["forbid action == taste if heat > 120"]),
    ("Mind the shut lid when stirring.", ["forbid action == stir if lid == shut"]),
    ("Mind the open lid when tasting.", ["forbid action == taste if lid == open"]),
    ("Mind the open lid.", []),
    ("Mind the open pot when stirring.", []),
])
def test_numbers_and_values_are_exchanged(sentence: str, meant: list[str]) -> None:
    assert recalled(sentence, TOLD, SCHEMA) == meant


def test_the_latest_comes_first() -> None:
    told = [*TOLD, ("Mind the open lid when stirring.", "avoid lid == open")]
    assert recalled("Mind the open lid when stirring.", told, SCHEMA) == [
        "avoid lid == open", "forbid action == stir if lid == open"]
