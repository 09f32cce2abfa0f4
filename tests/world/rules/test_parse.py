"""Mistakes of syntax: where they are, what they say, and that hostile text is refused quickly."""

from __future__ import annotations

import contextlib
import time

import pytest

from gedanken.errors import UserError
from gedanken.world.rules.parse import RuleError, parse, parse_file
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Schema


@pytest.mark.parametrize(("text", "column", "says"), [
    ("forbit x", 1, "unknown statement 'forbit' in \"forbit x\"; did you mean 'forbid'?"),
    ("xyz abc", 1, "a rule begins with expect, always, reward, end, forbid"),
    ("", 1, "the line ends too soon; expected a statement"),
    ("avoid x = 3", 9, "write '==' to compare"),
    ("avoid x && y", 9, "write 'and'"),
    ("avoid x’ == 3", 8, "the prime is a plain '"),
    ("avoid x > and y", 11, "unexpected 'and'"),
    ("avoid x >", 10, "the line ends too soon in \"avoid x >\"; expected a name or a number"),
    ("avoid x > # why", 10, "the line ends too soon"),
    ("avoid x y", 9, "expected the end of the line, 'and', 'or', 'with', a comparison"),
    ("expect x' == 3 wih weight 2", 16, "did you mean 'with'?"),
    ("avoid foo(x) > 3", 7, "unknown function 'foo'"),
    ("avoid mix(x, y) > 3", 7, "did you mean 'min'?"),
    ("avoid abs(x, y) > 3", 12, "unexpected ','"),
    ("avoid object[1 > 3", 16, "expected ',', ']'"),
    ("avoid (x > 3", 13, "the line ends too soon"),
    ("avoid x > 1e999", 11, "a number too large"),
    ("reward x if y", 8, "unexpected 'x' in \"reward x if y\"; expected '?', a number"),
    ("avoid x > 3\navoid y > 3", 12, "write one rule a line"),
    ("expect x' == 1 with probability 0.5 with weight 2", 37, "unexpected 'with'"),
    ("achieve x == 3 within 100 step s", 32, "unexpected 's'"),
])
def test_mistakes_say_where_and_what(text: str, column: int, says: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (1, column)
    assert says in str(caught.value)
    assert isinstance(caught.value, UserError)


def test_the_caret_stands_under_the_place() -> None:
    with pytest.raises(RuleError) as caught:
        parse("avoid x = 3", source="rules.txt", line=7)
    first, shown, caret = str(caught.value).splitlines()
    assert first.startswith("rules.txt:7:9: unexpected '='")
    assert shown[caret.index("^")] == "="


def test_long_lines_are_shown_in_part_and_control_characters_not_at_all() -> None:
    with pytest.raises(RuleError) as caught:
        parse("avoid " + "x > 3 and " * 30 + "\x1b[31m = 3" + " and x > 3" * 30)
    assert "\x1b" not in str(caught.value)
    assert max(map(len, str(caught.value).splitlines())) < 200


@pytest.mark.parametrize("text", [
    "(" * 10_000, "avoid " + "(" * 1_900, "avoid " + "(" * 60 + "x" + ")" * 60, "avoid " + "not " * 450 + "x",
    "avoid " + "-" * 1_900 + "x > 3", "avoid " + "+".join("x" * 900) + " > 3", "avoid x" + " implies x" * 180,
    "avoid " + "any(" * 300 + "x" + ")" * 300, "x" * 10**6, '"' * 2_000, "avoid x > " + "9" * 1_900, "#" * 3_000,
])
def test_hostile_lines_are_refused_quickly(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(RuleError):
        parse(text)
    assert time.perf_counter() - start < 1


def test_wide_conditions_are_not_deep() -> None:
    assert len(parse("avoid " + " or ".join(["x > 3"] * 200)).statement.condition.operands) == 200    # type: ignore


def test_reserved_words_are_names_in_quotes() -> None:
    assert to_text(parse('avoid "count" > 3 and weight > steps')) == 'avoid "count" > 3 and weight > steps'
    with pytest.raises(RuleError, match="unexpected 'then'"):
        parse("avoid then > 3")


def test_a_file_keeps_comments_and_blank_lines(grid_schema: Schema) -> None:
    text = '# The grid.\n\nkeys: avoid count(object == key) > 1  # one is enough\n  avoid "lit" # a "quoted # name"\n'
    lines = parse_file(text, grid_schema)
    assert [line.number for line in lines] == [1, 2, 3, 4]
    assert [line.comment for line in lines] == ["# The grid.", "", "# one is enough", '# a "quoted # name"']
    assert [line.rule is not None for line in lines] == [False, False, True, True]
    assert lines[2].rule is not None
    assert lines[2].rule.name == "keys"
    assert "\n".join(line.text for line in lines) + "\n" == text


def test_every_mistake_of_a_file_is_reported_at_once(grid_schema: Schema) -> None:
    text = "avoid lit\navoid bateria < 0.1 and agent_z > 1\n# fine\nforbit x\na: avoid lit\na: avoid not lit\n"
    with pytest.raises(RuleError) as caught:
        parse_file(text, grid_schema)
    assert [(e.line, e.column) for e in caught.value.errors] == [(2, 7), (2, 25), (4, 1), (6, 1)]
    assert (caught.value.line, caught.value.column) == (2, 7)
    assert caught.value.message == "unknown feature 'bateria'; did you mean 'battery'?"
    assert str(caught.value).startswith(
        "rules.txt:2:7: unknown feature 'bateria' in \"avoid bateria < 0.1 and agent_z > 1\"; did you mean 'battery'?\n"
    )


def test_a_file_has_limits(grid_schema: Schema) -> None:
    with pytest.raises(RuleError, match=r"rules.txt:10001:1: a file of 10002 lines and 10002 characters; at most"):
        parse_file("\n" * 10_002)
    with pytest.raises(RuleError, match=r"a file of 1 lines and 1000001 characters"):
        parse_file("#" * 1_000_001)
    with pytest.raises(RuleError, match=r"too many mistakes") as caught:
        parse_file("forbit x\n" * 9_000)
    assert len(caught.value.errors) == 1_001


def test_a_line_of_many_mistakes_shows_the_first(grid_schema: Schema) -> None:
    with pytest.raises(RuleError, match="80 more mistakes from here on") as caught:
        parse("avoid " + " and ".join(["x > 3"] * 100), grid_schema)
    assert len(caught.value.errors) == 21


@pytest.mark.parametrize("line", [
    "avoid " + "near(" * 300 + "x" + ")" * 300,
    "avoid " + "position of (" * 140 + "x" + ")" * 140,
    "avoid " + "(" * 600 + "1, 2" + ")" * 600,
    "avoid x > 5 " + "m*" * 900,
    "avoid x > " + "5 " * 900,
    "let " + "a" * 1900 + " = 1",
    "let a = " + "? + " * 480 + "1",
    "expect x' == x within " + "9" * 1900,
    "avoid \u202e\u200bx > 5 \ufeffm",
    "avoid ｘ > ５ ｍ",
    "avoid x > 5 m\u0301\u0301",
    "let 𝕩 = 1 \x00",
    "avoid '" + '"' * 999,
])
def test_hostile_lines_are_read_or_refused_quickly(line: str) -> None:
    parse("avoid x > 5 m")
    started = time.monotonic()
    with contextlib.suppress(RuleError):
        assert parse(to_text(parse(line))) == parse(line)
    assert time.monotonic() - started < 3


def test_a_hostile_file_is_bounded() -> None:
    started = time.monotonic()
    with pytest.raises(RuleError, match="too many mistakes"):
        parse_file("avoid near(x > 5 m*\n" * 3_000)
    with pytest.raises(RuleError, match="at most 10000"):
        parse_file("let a = b\n" * 20_000)
    assert time.monotonic() - started < 30
