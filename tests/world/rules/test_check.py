"""Types: what each statement may say of a world, every mistake at once, and doubts about what cannot be meant."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.world.rules import syntax as s
from gedanken.world.rules.check import RuleError, check, warnings
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import RESERVED, STATEMENTS, to_text
from gedanken.world.schema import Schema


def mistakes(text: str, schema: Schema) -> str:
    with pytest.raises(RuleError) as caught:
        parse(text, schema)
    return "\n".join(f"{e.column}: {e.message}" for e in caught.value.errors)


@pytest.mark.parametrize(("text", "says"), [
    ("avoid bateria < 0.1", "7: unknown feature 'bateria'; did you mean 'battery'?"),
    ("avoid front_object == kay", "23: unknown value 'kay'; did you mean 'key'?"),
    ("avoid front_objct == key", "7: unknown feature 'front_objct'; did you mean 'front_object'?"),
    ("avoid key == ball", "7: unknown feature 'key'; 'key' is a value of 'object': write object == key"),
    ("expect key' == front_object", "8: unknown feature 'key'; 'key' is a value of 'object', it has no prime"),
    ("avoid front_object == 3", "7: 'front_object' is a category, '3' is a number; compare it with unseen, empty"),
    ("avoid direction < up", "7: '<' on 'direction', which has no order; use == or !="),
    ("avoid front_object == agent_x", "7: 'front_object' is a category, 'agent_x' is a number"),
    ("avoid front_color == front_object", "7: 'front_color' and 'front_object' have no value in common"),
    ("avoid lit > 3", "7: '>' on 'lit', which has no order"),
    ("avoid lit == 3", "14: '3' is a number, 'lit' is true or false"),
    ("avoid lit + 1 > 3", "7: 'lit' is true or false, where a number is wanted"),
    ("avoid front_object", "7: 'front_object' is a category, not a condition; compare it: front_object == unseen"),
    ("avoid battery", "7: 'battery' is a number, not a condition"),
    ("avoid not 3", "11: '3' is a number, not a condition"),
    ("avoid front_object in {key, kay}", "29: unknown value 'kay'"),
    ("avoid direction == up within 0.1", "7: 'within' without an equality of numbers"),
    ("avoid agent_x < 3 within 0.1", "7: 'within' without an equality of numbers"),
    ("avoid object == key", "7: 'object' is an array [7, 7]; name a cell, object[0, 0], or write any(object ...)"),
    ("avoid any(battery > 0)", "7: any(...) names no array; it runs over the cells of object, color, state"),
    ("avoid any(object[0, 0] == key)", "7: any(...) names no array"),
    ("avoid object[1] == key", "7: 'object' has 2 axes, not 1"),
    ("avoid object[1, up] == key", "17: unknown feature 'up'"),
    ("avoid battery[1] > 3", "7: 'battery' is not an array; arrays are object, color, state"),
    ("avoid battery' > 3", "7: the next state's battery' in `avoid`, which speaks of one state; write it without"),
    ("prefer changed(lit)", "8: 'changed(lit)' in `prefer`, which speaks of one state"),
    ("avoid action == left", "7: the action 'action' in `avoid`, which speaks of states"),
    ("always lit' == (action == left)", "17: the action 'action' in `always`"),
    ("forbid forward if front_object' == lava", "19: the next state's front_object' in `forbid`"),
    ("expect action' == left", "8: 'action' is an action, it has no next value"),
    ("expect same(action)", "8: 'action' is an action"),
    ("end if same(objct)", "8: unknown feature 'objct'; did you mean 'object'?"),
    ("avoid forward", "7: unknown feature 'forward'; 'forward' is a value of 'action': write action == forward"),
    ("forbid fly", "8: unknown action 'fly'; there are left, right, forward, pickup, drop, toggle, done"),
    ("forbid foward", "8: unknown action 'foward'; did you mean 'forward'?"),
    ("forbid lit", "8: `forbid` names no action"),
    ("achieve agent_x == 1 within 100", "9: 'within' without 'steps' in `achieve`; write `within 100 steps`"),
    ("achieve lit within 0 steps", "1: within 0 steps; give at least one"),
    ("expect lit' with probability 1.5", "1: probability 1.5; it is above 0 and at most 1"),
    ("prefer lit with weight 0", "1: weight 0; it is above 0"),
])
def test_ill_typed_rules_say_why(text: str, says: str, grid_schema: Schema) -> None:
    found = mistakes(text, grid_schema)
    assert found.startswith(says)
    assert "\n" not in found or text.count("key") > 0    # one mistake is reported once


@pytest.mark.parametrize(("text", "says"), [
    ("expect agent_x' == 3 - changed(lit) and lit'", "is true or false, where a number is wanted"),
    ("expect agent_x' == agent_x' + 1", "says agent_x' of itself; write the present value, agent_x, on one side"),
    ("always 2 * battery' > battery'", "says battery' of itself"),
    ("expect object'[0, 1] == object'[0, 1]", "says object'[0, 1] of itself; write the present value, object[0, 1]"),
    ("expect object'[position of (object' == key)] == empty", "a cell of object' at a place that is read from object'"),
    ("expect position of (object' == key) == (1, 2)", "in an effect is not supported; name each cell"),
    ("expect lit or battery > 1", "does not speak of the next state; write lit'"),
    ("expect lit' or front_x' == 1", "the derived feature 'front_x' cannot be an effect: it has no setter"),
    ("expect lit' or changed(front_x)", "of a derived feature in an effect that ties several"),
    ("expect agent_x == 1", "does not speak of the next state; write agent_x'"),
    ("always battery <= 1", "does not speak of the next state; write battery'"),
    ("expect changed(lit)", "'changed(lit)' as an effect; write lit' != lit"),
    ("expect true", "says nothing of the next state"),
    ("expect lit' and same", "'same' beside other effects"),
    ("expect front_x' == 3", "the derived feature 'front_x' cannot be an effect: it has no setter"),
    ("expect same(front_x)", "the derived feature 'front_x' cannot be an effect"),
    ("expect battery' in {0, 1}", "'in' on a real feature as an effect; give it bounds"),
    ("expect battery' != 1", "'!=' on a real feature as an effect"),
    ("expect agent_x' < agent_y < 3", "a chain of comparisons in an effect; write it in two"),
])
def test_what_no_effect_can_say(text: str, says: str, grid_schema: Schema) -> None:
    assert says in mistakes(text, grid_schema)


def test_every_mistake_of_a_rule_is_reported(grid_schema: Schema) -> None:
    text = "expect carrying_object' == kay and agent_x' == agent_x' with weight 0 if action == pickp and foo > 1"
    assert [line.split(":")[0] for line in mistakes(text, grid_schema).splitlines()] == ["1", "28", "36", "84", "94"]


def test_words_are_resolved_beside_what_they_are_compared_with(plant_schema: Schema) -> None:
    rule = parse("avoid door == open and open", plant_schema)
    assert isinstance(rule.statement, s.Avoid)
    compare, boolean = rule.statement.condition.operands    # type: ignore[union-attr]
    assert compare.operands[1] == s.Symbol(name="open")
    assert boolean == s.Name(name="open")
    assert to_text(parse("avoid code == 1", plant_schema)) == 'avoid code == "1"'


def test_the_action_of_forbid_is_spelled_out(grid_schema: Schema, plant_schema: Schema) -> None:
    rule = parse("forbid forward", grid_schema).statement
    assert rule == s.Forbid(action=s.Compare(operands=(s.Name(name="action"), s.Symbol(name="forward")),
                                             operators=("==",)))
    assert to_text(parse("forbid high if open", plant_schema)) == "forbid gear == high if open"


def test_trees_made_by_programs_are_checked_in_their_own_text(grid_schema: Schema) -> None:
    bad = s.Rule(statement=s.Avoid(condition=s.Not(operand=s.Name(name="lid"))))
    with pytest.raises(RuleError) as caught:
        check(bad, grid_schema)
    assert str(caught.value).startswith("rule:1:11: unknown feature 'lid' in \"avoid not lid\"; did you mean 'lit'?")


def _deep(levels: int) -> s.Rule:
    node: s.Expression = s.Name(name="lit")
    for _ in range(levels):
        node = s.Not(operand=node)
    return s.Rule(statement=s.Avoid(condition=node))


@pytest.mark.parametrize("rule", [
    _deep(5_000),
    s.Rule(statement=s.Avoid(condition=s.Logical(operator="and", operands=(s.Name(name="lit"),)))),
    s.Rule(statement=s.Avoid(condition=s.Logical(operator="implies", operands=(s.Name(name="lit"),) * 3))),
    s.Rule(statement=s.Avoid(condition=s.Compare(operands=(s.Number(value=1),) * 2, operators=("<", "<")))),
    s.Rule(statement=s.Avoid(condition=s.Compare(operands=(s.Number(value=1),), operators=()))),
    s.Rule(statement=s.Achieve(milestones=())),
    s.Rule(name="two words", statement=s.Avoid(condition=s.Name(name="lit"))),
    s.Rule(name="reward", statement=s.Avoid(condition=s.Name(name="lit"))),
], ids=lambda r: r.name or r.statement.kind)
def test_trees_that_no_text_can_say_are_refused(rule: s.Rule, grid_schema: Schema) -> None:
    with pytest.raises(RuleError):
        check(rule, grid_schema)


@pytest.mark.parametrize(("text", "says"), [
    ("avoid agent_x == 99", "there is nothing to avoid: `agent_x == 99` never holds; agent_x: integer from 0 to 6"),
    ("avoid 7 <= agent_x", "there is nothing to avoid"),
    ("avoid agent_x == 2.5", "there is nothing to avoid"),
    ("avoid not battery <= 1", "there is nothing to avoid"),
    ("reward 1 if front_object == key and lit and front_object == ball", "it leaves no value for front_object"),
    ("end if front_object == key and front_object != key", "the rule never fires"),
    ("expect lit' and not lit'", "the effect can never come true"),
    ("expect lit' if direction == up and (agent_x > 3 and agent_x < 4)", "the rule never fires"),
    ("expect battery' == 1.2 within 0.1", "the effect can never come true"),
    ("always agent_x' == 7", "`always` asks for what cannot be"),
    ("maintain any(object == key and object == ball)", "`maintain` asks for what cannot be"),
    ("maintain front_object in {key, ball} and not front_object == key and front_object != ball", "cannot be"),
    ("achieve lit then agent_x == 9 or agent_y == 9", "the goal cannot be reached"),
    ("forbid forward and left", "nothing is ever forbidden"),
    ("forbid forward if agent_x < 0", "nothing is ever forbidden"),
])
def test_rules_that_cannot_be_meant_are_doubted(text: str, says: str, grid_schema: Schema) -> None:
    assert says in "\n".join(warnings(parse(text, grid_schema), grid_schema))


@pytest.mark.parametrize("text", [
    "avoid agent_x >= 6", "avoid battery >= 1", "avoid front_object == key and carrying_object == ball",
    "expect battery' == 1.2 within 0.3", "expect lit' if not lit", "achieve lit then not lit",
    "avoid object[1, 1] == key and object[1, 2] == ball", "avoid any(object == key) and any(object == ball)",
    "expect front_object' == empty if front_object == key", "avoid not (agent_x == 3 and agent_x == 4)",
    "avoid agent_x > 6 or lit", "avoid lit implies agent_x > 9",
])
def test_sound_rules_raise_no_doubts(text: str, grid_schema: Schema) -> None:
    assert warnings(parse(text, grid_schema), grid_schema) == []


VOCABULARY = [
    *STATEMENTS, *sorted(RESERVED), "steps", "weight", "probability", *"()[]{},'<>+-*/%", "==", "!=", "<=", ">=",
    "0", "1", "2.5", "agent_x", "battery", "lit", "object", "front_object", "front_x", "action", "direction", "key",
]


@settings(max_examples=300, derandomize=True, deadline=None)
@given(start=st.sampled_from(STATEMENTS), rest=st.lists(st.sampled_from(VOCABULARY), max_size=12),
       parts=st.lists(st.sampled_from(["lit", "object == key", "battery' > 1", "action == left", "agent_x", "not 3"]),
                      min_size=1, max_size=4), between=st.sampled_from([" and ", " == ", " + ", " if ", " < "]))
def test_any_text_is_a_rule_or_a_rule_error(
    start: str, rest: list[str], parts: list[str], between: str, grid_schema: Schema
) -> None:
    for text in (f"{start} {' '.join(rest)}", f"{start} {between.join(parts)}", f"{start} any({between.join(parts)})"):
        rule, error = _outcome(text, grid_schema)
        if error is not None:
            assert (error.line, 1 <= error.column <= len(text) + 1) == (1, True)
        if rule is not None:
            assert check(rule, grid_schema) == rule
            warnings(rule, grid_schema)


def _outcome(text: str, schema: Schema) -> tuple[s.Rule | None, RuleError | None]:
    try:
        return parse(text, schema), None
    except RuleError as error:
        return None, error
