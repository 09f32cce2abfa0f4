"""Numbers in a sentence: digits, words, fractions, percentages."""

from __future__ import annotations

import pytest

from gedanken.prompts.reader.numerals import numerals


@pytest.mark.parametrize(("sentence", "values"), [
    ("above 12.5 degrees", {12.5}),
    ("1,200 litres and .5 more", {1200, 0.5}),
    ("eighty per cent", {80, 0.8}),
    ("80% of the time", {80, 0.8}),
    ("twenty-five or thirty", {25, 30}),
    ("a dozen eggs, a couple of cups", {12, 2}),
    ("two hundred and six", {206}),
    ("four times out of five", {4, 5, 0.8}),
    ("one in four", {1, 4, 0.25}),
    ("nine days in ten", {9, 10, 0.9}),
    ("a third of it", {1 / 3}),
    ("two thirds", {2, 2 / 3}),
    ("it doubles, or is halved", {2, 0.5}),
    ("nothing of the kind", set()),
])
def test_every_number_is_found(sentence: str, values: set[float]) -> None:
    assert sorted({n.value for n in numerals(sentence)}) == pytest.approx(sorted(values))


def test_each_says_where_it_stands() -> None:
    sentence = "Above sixty, 20% of it"
    assert {(sentence[n.start : n.end], n.value) for n in numerals(sentence)} == {
        ("sixty", 60.0), ("20", 20.0), ("20", 0.2)}
