"""What rules give away without data: contradictions, redundancy, what never fires, goals out of reach."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gedanken.world.checking.equivalence import equivalent
from gedanken.world.checking.logic import Finding, examine
from gedanken.world.rulebook import Entry
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Feature, Pointed, Schema

OBJECTS = ("empty", "wall", "key", "door", "lava")
SCHEMA = Schema(
    "hall",
    (
        Feature("x", "integer", low=0, high=5), Feature("heat", low=0, high=100), Feature("speed"),
        Feature("lit", "boolean"), Feature("hand", "category", values=("none", "key", "lava")),
        Feature("door", "category", values=("open", "closed", "locked")),
        Feature("tile", "category", (6,), values=OBJECTS),
    ),
    (Feature("action", "category", values=("wait", "forward", "pickup", "toggle")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
    (Pointed(Feature("front", "category", values=OBJECTS), "tile", lambda f: (f["x"].long() + 1) % 6),),
)


def found(*texts: str, schema: Schema = SCHEMA) -> list[Finding]:
    rules = [parse(text, schema) for text in texts]
    told = datetime.now(UTC)
    return examine([Entry(id=f"r{i}", rule=r, text=to_text(r), told=told) for i, r in enumerate(rules, 1)], schema)


def kinds(*texts: str) -> list[str]:
    return [f.kind for f in found(*texts)]


# --- contradictions ---------------------------------------------------------------------------------------------------


def test_a_contradiction_names_both_lines_and_a_state() -> None:
    (finding,) = found("expect x' == x + 1 if action == forward", "expect same if action == forward and front == wall")
    assert finding.kind == "contradiction"
    assert finding.rules == ("r1", "r2")
    assert "`expect x' == x + 1 if action == forward` (r1)" in finding.message
    assert "(r2)" in finding.message
    assert "action = forward" in finding.witness
    assert "front = wall" in finding.witness
    assert "x = " in finding.witness
    assert "x = 5" not in finding.witness    # there the first alone cannot come true


@pytest.mark.parametrize(("a", "b"), [
    ("expect lit' if x > 2", "expect not lit' if x > 4"),
    ("expect speed' == speed + 1 if lit", "expect speed' < speed if lit"),
    ("expect speed' == speed + 1 within 0.5 if lit", "expect speed' > speed + 1.6 if heat > 3 and lit"),
    ("expect door' == open", "always door' != open"),
    ("expect door' == open with probability 0.8 if lit", "expect door' == closed with probability 0.7 if lit"),
    ("expect tile'[0] == wall if lit", "expect tile'[0] in {lava, key} if lit"),
    ("expect hand' == front if action == pickup", "expect hand' == none if action == pickup"),
])
def test_rules_that_cannot_both_hold(a: str, b: str) -> None:
    assert kinds(a, b) == ["contradiction"]


@pytest.mark.parametrize(("a", "b"), [
    ("expect lit' if x > 2", "expect not lit' if x < 2"),
    ("expect speed' == speed + 1 if lit", "expect speed' <= speed + 100 if x > 1"),
    ("expect door' == open with probability 0.3 if lit", "expect door' == closed with probability 0.7 if lit"),
    ("expect door' == open with weight 2 if lit", "expect door' == closed if lit"),
    ("expect x' == 1 if lit", "expect speed' == 1 if lit"),
])
def test_rules_that_can(a: str, b: str) -> None:
    assert kinds(a, b) == []


# --- redundancy and idle rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "less"), [
    ("expect lit' and x' == 1 if x > 2", "expect lit' if x > 3"),
    ("expect x' == 2 if lit", "expect x' < 4 if lit and door == open"),
    ("avoid heat > 50", "maintain heat <= 60"),
    ("forbid forward or pickup if lit", "forbid pickup if lit and x == 1"),
    ("end if x' == 3", "end if x' == 3 and lit"),
])
def test_what_another_rule_implies_is_redundant(more: str, less: str) -> None:
    (finding,) = found(more, less)
    assert finding.kind == "redundant"
    assert finding.rules == ("r2", "r1")
    assert found(less, more)[0].rules == ("r1", "r2")


def test_of_two_that_are_equal_the_later_is_redundant() -> None:
    (finding,) = found("expect x' < 3 if lit", "expect x' <= 2 if lit")
    assert finding.rules == ("r2", "r1")


@pytest.mark.parametrize("text", [
    "expect lit' if x > 2 and x * 2 < 5 and not (x == 2)", "forbid pickup if heat > 50 and heat < 40",
    "reward 1 if count(tile == key) > 6", "achieve hand == key then x > 3 and x < 1", "avoid abs(speed) < 0",
])
def test_a_rule_that_never_fires(text: str) -> None:
    (finding,) = found(text)
    assert finding.kind == "never fires"
    assert text.split(" ")[0] in finding.message


# --- goals ------------------------------------------------------------------------------------------------------------


def test_a_goal_that_a_limit_rules_out() -> None:
    finding, = found("achieve heat > 70", "avoid lit", "maintain heat <= 60")
    assert finding.kind == "unreachable"
    assert finding.rules == ("r1", "r3")


def test_a_goal_that_two_limits_rule_out_together() -> None:
    finding, = found("achieve x == 3", "avoid x == 3 and lit", "maintain lit or x < 3 or x > 4")
    assert finding.rules == ("r1", "r2", "r3")


def test_a_goal_whose_every_way_is_forbidden() -> None:
    opens = "expect door' == open if action == toggle and hand == key"
    (finding,) = found("achieve door == open", opens, "forbid toggle if door != open", "forbid toggle if door == open")
    assert finding.kind == "unreachable"
    assert set(finding.rules) == {"r1", "r2", "r3", "r4"}
    assert kinds("achieve door == open", opens, "forbid toggle if lit") == []


def test_a_state_in_which_every_action_is_forbidden() -> None:
    (finding,) = found("forbid action in {wait, pickup} if lit", "forbid forward if front == lava",
                       "forbid toggle if door == open")
    assert finding.kind == "no way out"
    assert "door = open" in finding.witness
    assert "front = lava" in finding.witness
    assert "lit = true" in finding.witness


# --- what is not decided ----------------------------------------------------------------------------------------------


def test_what_is_beyond_the_solver_is_said() -> None:
    board = Schema("board", (Feature("cells", "category", (20, 20), values=("a", "b")), Feature("x", "integer")),
                   SCHEMA.actions, SCHEMA.perceive, SCHEMA.act)
    findings = found("avoid any(cells == b)", "expect x' == x / x if x > 0", "expect x' == 1 if x > 1", schema=board)
    assert [f.kind for f in findings] == ["undecided", "undecided"]
    assert "400 cells" in findings[0].message
    still = found("expect same(cells) if action == wait", "expect same if action == wait", schema=board)
    assert [f.rules for f in still] == [("r1", "r2")]


def test_the_time_is_limited() -> None:
    rule = parse("expect lit'", SCHEMA)
    entries = [Entry(id="r1", rule=rule, text="expect lit'", told=datetime.now(UTC))]
    (finding,) = examine(entries, SCHEMA, timeout_s=0)
    assert finding.kind == "undecided"


def test_the_solver_settles_what_samples_cannot() -> None:
    first = parse("expect lit' if 12345.6 < speed < 12345.7", SCHEMA)
    assert equivalent(first, parse("expect lit' if speed > 12345.6 and not (speed >= 12345.7)", SCHEMA), SCHEMA)
    assert not equivalent(first, parse("expect lit' if 12345.6 < speed < 12345.700001", SCHEMA), SCHEMA)
