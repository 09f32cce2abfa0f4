"""Chaining backwards from what is wanted through the rules that bring it about."""

from __future__ import annotations

import torch

from gedanken.agent.planning.subgoals import Subgoals
from gedanken.world.rules.parse import parse
from gedanken.world.rules.syntax import Achieve, Expression
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
WORLD = Schema(
    "house", (Feature("room", "category", values=("hall", "study", "cellar")), Feature("key", "boolean"),
              Feature("lamp", "boolean"), Feature("door", "category", values=("locked", "open")),
              Feature("oil", "integer", low=0, high=9)),
    (Feature("action", "category", values=("go", "take", "turn", "light")),), lambda o, e: {}, lambda a: a)
RULES = ("expect room' == cellar if action == go and door == open and lamp",
         "expect door' == open if action == turn and key and room == hall",
         "expect key' if action == take and room == study",
         "expect lamp' and oil' == oil - 1 if action == light and oil > 0",
         "expect same if action == go and door == locked")


def of(*rules: str, wanted: str = "") -> list[str]:
    found = Subgoals.of(WORLD, [parse(r, WORLD) for r in rules], _milestones(wanted) if wanted else ())
    return [] if found is None else [to_text(c) for c in found.conditions]


def _milestones(text: str) -> tuple[Expression, ...]:
    statement = parse(f"achieve {text}", WORLD).statement
    assert isinstance(statement, Achieve)
    return statement.milestones


def test_guards_become_earlier_subgoals() -> None:
    assert of(*RULES, wanted="room == cellar") == ["room == study", "oil > 0", "key and room == hall",
                                                   "door == open and lamp"]


def test_without_a_goal_what_pays_is_wanted_and_is_itself_a_subgoal() -> None:
    found = of(*RULES, "reward 1 if action == take and room == cellar", "reward -1 if action == go and key")
    assert found[-1] == "room == cellar"
    assert "door == open and lamp" in found
    assert all("action" not in condition for condition in found)


def test_where_no_rule_says_just_that_those_that_write_it_are_asked() -> None:
    assert of(*RULES, wanted="oil < 3") == ["oil > 0"]


def test_rules_in_a_circle_end_and_rules_that_tell_nothing_give_none() -> None:
    circle = ("expect key' if action == take and lamp", "expect lamp' if action == light and key")
    assert of(*circle, wanted="key") == ["lamp"]
    assert of("expect key' if action == take", wanted="key") == []
    assert of(wanted="key") == []


def test_at_most_so_many_the_nearest_to_the_end() -> None:
    found = Subgoals.of(WORLD, [parse(r, WORLD) for r in RULES], _milestones("room == cellar"), most=2)
    assert found is not None
    assert [to_text(c) for c in found.conditions] == ["key and room == hall", "door == open and lamp"]


def test_which_of_them_hold() -> None:
    found = Subgoals.of(WORLD, [parse(r, WORLD) for r in RULES], _milestones("room == cellar"))
    assert found is not None
    held = found({"room": torch.tensor([1, 0, 0]).short(), "key": torch.tensor([False, True, True]),
                  "lamp": torch.tensor([False, False, True]), "door": torch.tensor([0, 0, 1]).short(),
                  "oil": torch.tensor([0, 2, 0]).int()})
    assert held.tolist() == [[True, False, False, False], [False, True, True, False], [False, False, True, True]]
