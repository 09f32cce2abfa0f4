"""Units: quantities are converted to the unit of what they stand beside, and what cannot be is refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.world.rules import measures
from gedanken.world.rules.check import check
from gedanken.world.rules.parse import RuleError, parse
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Feature, Schema

WORLD = Schema(
    "world",
    (
        Feature("position", unit="m"), Feature("far", unit="km"), Feature("velocity", unit="m/s"),
        Feature("temperature", unit="°C"), Feature("score", unit="points"), Feature("x"), Feature("n", "integer"),
        Feature("angle", unit="rad"), Feature("fill", unit="%"), Feature("waited", unit="min"),
        Feature("spin", unit="degrees per second"), Feature("area", unit="m²"), Feature("levels", shape=(3,), unit="m"),
    ),
    (Feature("force", unit="N"),),
    lambda observation, env: {},
    lambda row: row,
)


@pytest.mark.parametrize(("text", "canonical"), [
    ("avoid temperature > 60 °C", "avoid temperature > 60 °C"),
    ("avoid temperature > 140°F", "avoid temperature > 60 °C"),
    ("avoid -5 °F < temperature", "avoid -20.555556 °C < temperature"),
    ("avoid temperature + 9 °F > 300 K", "avoid temperature + 5 °C > 26.85 °C"),
    ("maintain velocity < 10 km/h", "maintain velocity < 2.7777778 m/s"),
    ("avoid abs(velocity) * 2 < 36 km/h", "avoid abs(velocity) * 2 < 10 m/s"),
    ("expect position' == position + 20 ms * velocity within 1 cm",
     "expect position' == position + 0.02 s * velocity within 0.01 m"),
    ("avoid far > 300 m", "avoid far > 0.3 km"),
    ("avoid 5 m < position < 1 km", "avoid 5 m < position < 1000 m"),
    ("avoid position in {5 cm, 2}", "avoid position in {0.05 m, 2}"),
    ("avoid velocity > position / 500 ms", "avoid velocity > position / 0.5 s"),
    ("avoid clip(position, 1 cm, 1 km) > 1", "avoid clip(position, 0.01 m, 1000 m) > 1"),
    ("avoid area > position * 5 ft", "avoid area > position * 1.524 m"),
    ("avoid n * 30 s > waited", "avoid n * 0.5 minute > waited"),
    ("avoid abs(angle) > 180 deg", "avoid abs(angle) > 3.1415927 rad"),
    ("avoid fill < 20 percent", "avoid fill < 20 percent"),
    ("avoid score > 5 points", "avoid score > 5 points"),
    ("avoid any(levels > 5 cm)", "avoid any(levels > 0.05 m)"),
    ("avoid levels[0] > 5 cm and position > velocity", "avoid levels[0] > 0.05 m and position > velocity"),
    ("forbid force > 1 kN", "forbid force > 1000 N"),
    ("avoid 3 m < 5 km", "avoid 3 m < 5000 m"),
    ("let slow = velocity < 36 km/h", "let slow = velocity < 10 m/s"),
    ("avoid position > 5", "avoid position > 5"),
])
def test_quantities_are_converted_and_printed_in_the_unit_of_the_schema(text: str, canonical: str) -> None:
    rule = parse(text, WORLD)
    assert to_text(rule) == canonical
    assert parse(canonical, WORLD) == rule == check(rule, WORLD)


@pytest.mark.parametrize(("text", "column", "says"), [
    ("avoid x > 5 m", 11, "'x' has no unit in \"avoid x > 5 m\"; write a plain number"),
    ("avoid count(levels > 1) > 5 m", 27, "'count(levels > 1)' has no unit"),
    ("avoid position > 5 s", 18, "'5 s' is in s, where 'position' is in m"),
    ("avoid score > 5 m", 15, "'5 m' is in m, where 'score' is in points"),
    ("avoid position > 5 points", 18, "'5 points' is in points, where 'position' is in m"),
    ("avoid spin > 5 rad/s", 14, "'5 rad/s' is in rad/s, where 'spin' is in degrees per second"),
    ("avoid far + 5 m > position", 7, "'far' is in km, where 'position' is in m"),
    ("avoid position > 3 velocity", 18, "unknown unit 'velocity'"),
    ("avoid position > 3 m*velocity", 18, "unknown unit 'm*velocity'"),
    ("avoid levels[1 m] > 3", 14, "'1 m' as a cell's coordinate"),
    ("avoid x > 3 in", 13, "unexpected 'in'"),
])
def test_what_cannot_be_converted_is_refused(text: str, column: int, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(text, WORLD)
    assert caught.value.column == column
    assert says in str(caught.value)


def test_a_word_of_the_language_is_no_unit() -> None:
    for text in ("expect x' == 5 if n > 3", "avoid n > 3 and x > 1e5 or x < 3", "avoid n % 2 == 1",
                 "achieve n == 3 then n == 4 within 10 steps", "always x' == 3 within 0.1 with weight 2"):
        assert parse(text, WORLD)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12))
def test_any_unit_is_read_or_refused(unit: str) -> None:
    try:
        rule = parse(f"avoid position > 5 {unit}", WORLD)
    except RuleError:
        return
    assert parse(to_text(rule), WORLD) == rule


@pytest.mark.parametrize("unit", [
    "m" * 1500, "m^9*m^9*m^9*m^9*m^9*m^9", "m^9^9^9^9", "m*" * 700 + "m", "((((m", "m**9**9**9", "k" * 24, "__class__",
    "µ" * 40, "1e999", "½", "m^-9/s^-9",
])
def test_hostile_units_are_refused_quickly(unit: str) -> None:
    parse("avoid position > 1 m", WORLD)
    started = time.monotonic()
    with pytest.raises(RuleError):
        parse(f"avoid position > 5 {unit}", WORLD)
    assert time.monotonic() - started < 2


def test_the_units_library_is_not_loaded_for_plain_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded() -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(measures, "registry", loaded)
    assert parse("avoid position > 3 and velocity < 0.5", WORLD)
