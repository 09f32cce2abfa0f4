"""Rules in words: they read well, never fail, and tell rules apart that differ in a value, a sign or a bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gedanken.errors import UserError
from gedanken.world.rules import syntax as s
from gedanken.world.rules.check import check
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text
from gedanken.world.rules.words import to_words, value_words
from gedanken.world.schema import Feature, Schema

KITCHEN = Schema(
    "kitchen",
    (
        Feature("front", "category", values=("empty", "key", "hot_plate", "half open", "salt_or_sugar"),
                description="what is in the cell ahead"),
        Feature("carrying", "category", values=("nothing", "key"), description="what you carry, if anything"),
        Feature("oven", unit="°C", low=0, high=300, description="Its temperature; too hot above 250."),
        Feature("row", "integer", low=0, high=9, description="your row"),
        Feature("lit", "boolean", description="whether there is light"),
        Feature("twin_a", "integer", description="the same phrase"), Feature("twin_b", "integer",
                                                                            description="the same phrase"),
    ),
    (Feature("action", "category", values=("pickup", "turn_left")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)


@pytest.mark.parametrize(("line", "words"), [
    ("expect carrying' == key and front' == empty if action == pickup and front == key",
     "When you choose pickup and what is in the cell ahead is key, what you carry becomes key and what is in the cell "
     "ahead becomes empty."),
    ("expect same if action == turn_left", "When you choose turn left, nothing changes."),
    ("expect row' == row + 1 with probability 0.8 if lit and not front == hot_plate",
     "When the lit is true and what is in the cell ahead is not hot plate, with probability 0.8 your row grows by 1."),
    ("expect oven' < oven", "After every step, the oven falls."),
    ("expect oven' == oven - 2 within 0.5 with weight 2 if not lit",
     "When the lit is false, it is likelier (weight 2) that the oven shrinks by 2 °C (give or take 0.5 °C)."),
    ("always 0 <= oven' <= 250", "It always holds that the oven is then at least 0 °C and at most 250 °C."),
    ("reward -0.5 if changed(row) or front' in {key, hot_plate}",
     "A step costs 0.5 when your row changes or what is in the cell ahead becomes key or hot plate."),
    ("end if row' == 9", "The episode ends when your row becomes 9."),
    ("forbid pickup if oven > 60", "Never choose pickup when the oven is above 60 °C."),
    ("forbid action in {pickup, turn_left}", "Never choose pickup or turn left."),
    ("avoid front == \"half open\" or front == salt_or_sugar",
     'Stay out of states where what is in the cell ahead is "half open" or what is in the cell ahead is '
     '"salt_or_sugar".'),
    ("maintain (lit implies row > 3) and oven < 9",
     "See to it at all times that (if the lit is true then your row is above 3) and the oven is below 9 °C."),
    ("prefer abs(row - 3) < 2 with weight 2",
     "If you can, be in states where the distance between your row and 3 is below 2 (weight 2)."),
    ("achieve carrying == key then row == 9 within 100 steps",
     "Reach a state where what you carry is key, then one where your row is 9, all within 100 steps."),
    ("expect oven' == oven - ? with probability ? if lit",
     "When the lit is true, with probability that memory shows the oven becomes the oven minus what memory shows."),
    ("let hot = oven > 60", "`hot` means that the oven is above 60 °C."),
    ("avoid twin_a > twin_b", "Stay out of states where the twin a is above the twin b."),
])
def test_rules_read_as_sentences(line: str, words: str) -> None:
    assert to_words(parse(line, KITCHEN), KITCHEN) == words


def test_cells_and_numbers_have_words(grid_schema: Schema, plant_schema: Schema) -> None:
    def said(line: str, schema: Schema) -> str:
        return to_words(parse(line, schema), schema)

    assert said("avoid any(object == lava and color != red)", grid_schema) == (
        "Stay out of states where there is a cell with (its object is lava and its color is not red).")
    assert said("maintain count(object == key) >= 1", grid_schema) == (
        "See to it at all times that the number of cells with (its object is key) is at least 1.")
    assert said("expect object'[agent_x + 1, agent_y] == empty", grid_schema) == (
        "After every step, the object at (the agent x plus 1, the agent y) becomes empty.")
    assert said("forbid torque > 1.5", plant_schema) == "Never act so that the torque is above 1.5."
    assert said("forbid gear == high if brake", plant_schema) == (
        "Never set the gear to high when the brake is true.")
    assert said("expect agent_x' == front_x", grid_schema) == "After every step, the agent x becomes the front x."


def test_hostile_names_stay_on_their_line() -> None:
    assert value_words("a\nNever mind") == "'a\\nNever mind'"
    assert value_words("x\u202ey") == "'x\\u202ey'"
    hostile = Feature("x", description="the\nrule: forbid all")
    schema = Schema("bad", (hostile,), KITCHEN.actions, KITCHEN.perceive, KITCHEN.act)
    assert to_words(parse("avoid x > 1", schema), schema) == "Stay out of states where the x is above 1."


# --- the whole language -----------------------------------------------------------------------------------------------

present = st.sampled_from([
    "lit", "not lit", "agent_x > 3", "0 <= agent_x < 5", "battery <= agent_x - 2 * agent_y", "front_object == key",
    "front_object != wall", "direction in {left, up}", "carrying_object in {none}", "-agent_x / 2 >= battery % 2",
    "abs(agent_x - agent_y) < 2", "min(agent_x, agent_y, 4) == max(battery, 2)", "clip(battery * 10, 1, 4) == 3",
    "any(object == key)", "all(state != locked)", "count(object == lava and color == red) > 1", "lit == (agent_x > 3)",
    "object[agent_x + 1, agent_y] == door", "carrying_color == front_color", "agent_x == agent_y within 2", "false",
    "3 == agent_x", "battery < 1 < agent_x < 9",
])
following = present | st.sampled_from([
    "lit'", "agent_x' == agent_x + 1", "agent_x' > agent_x", "battery' == battery - 0.01 within 0.001", "changed(lit)",
    "same(color)", "object'[0, 1] == empty", "front_object' in {key, ball}", "0 <= battery' <= 1", "agent_y' != 2",
    "action == left", "action in {left, right}", "any(object' == key and object != key)", "agent_x' < agent_y' + 1",
])
effects = st.sampled_from([
    "same", "same(agent_x)", "lit'", "not lit'", "agent_x' == agent_x - 1", "carrying_object' == key", "battery' < 0.5",
    "carrying_object' in {key, front_object}", "0 <= agent_x' <= agent_x + 1", "agent_x' == 2 and lit'",
    "object'[agent_x, 1] == goal", "battery' == battery * 2 within 0.1",
])


def _joined(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(of, lambda part: st.one_of(
        st.builds("not ({})".format, part), st.builds("({}) and ({})".format, part, part),
        st.builds("({}) or ({})".format, part, part), st.builds("({}) implies ({})".format, part, part)), max_leaves=4)


amounts = st.sampled_from(["0.1", "0.25", "0.9", "1"])
strengths = st.one_of(st.just(""), st.builds(" with weight {}".format, amounts))
chances = strengths | st.builds(" with probability {}".format, amounts)
lines = st.one_of(
    st.builds("expect {}{} if {}".format, effects, chances, _joined(following)),
    st.builds("expect {}{}".format, effects, chances),
    st.builds("always {}{}".format, st.sampled_from(["0 <= battery' <= 1", "lit'", "same(color)"]), strengths),
    st.builds("reward {}{} if {}".format, st.sampled_from("+-"), amounts, _joined(following)),
    st.just("reward +1"), st.builds("end if {}".format, _joined(following)),
    st.builds("forbid {} if {}".format, st.sampled_from(["forward", "action in {left, right}", "action != done"]),
              _joined(present)),
    st.builds("{} {}{}".format, st.sampled_from(["avoid", "maintain", "prefer"]), _joined(present), strengths),
    st.builds("achieve {} then {} within {} steps".format, _joined(present), present, st.integers(1, 9)),
)
quick = settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_OTHER = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}


def changed_in_one_place(node: Any) -> Iterator[Any]:
    """The tree with one number, value, sign, quantifier, connective, prime or strength changed."""
    match node:
        case s.Number(value=value):
            yield s.Number(value=value + 1)
        case s.Symbol(name=name):
            yield s.Symbol(name={"key": "ball", "left": "right"}.get(name, "key"))
        case s.Compare(operators=operators):
            for i, sign in enumerate(operators):
                yield node.model_copy(update={"operators": (*operators[:i], _OTHER[sign], *operators[i + 1:])})
        case s.Quantified(quantifier=quantifier):
            yield node.model_copy(update={"quantifier": "all" if quantifier == "any" else "any"})
        case s.Logical(operator="and" | "or" as operator):
            yield node.model_copy(update={"operator": "or" if operator == "and" else "and"})
        case s.Name(name="agent_x", primed=primed):
            yield s.Name(name="agent_y", primed=primed)
    for field in ("within", "probability", "weight", "amount"):
        if (value := getattr(node, field, None)) is not None:
            yield node.model_copy(update={field: value / 2})
    for field, value in node:
        if isinstance(value, s.Node):
            for other in changed_in_one_place(value):
                yield node.model_copy(update={field: other})
        elif isinstance(value, tuple):
            for i, part in enumerate(value):
                for other in changed_in_one_place(part) if isinstance(part, s.Node) else ():
                    yield node.model_copy(update={field: (*value[:i], other, *value[i + 1:])})


@quick
@given(line=lines)
def test_every_rule_has_words(line: str, grid_schema: Schema) -> None:
    rule = _parsed(line, grid_schema)
    words = to_words(rule, grid_schema)
    assert words.endswith(".")
    assert "`" not in words
    assert words.isprintable()
    assert words.count("(") == words.count(")")
    assert to_words(rule.model_copy(update={"name": "r"}), grid_schema) == words


@quick
@given(line=lines)
def test_a_change_in_one_place_is_heard(line: str, grid_schema: Schema) -> None:
    rule = _parsed(line, grid_schema)
    words = to_words(rule, grid_schema)
    for other in changed_in_one_place(rule):
        try:
            other = check(other, grid_schema)
        except UserError:
            continue
        if to_text(other) != to_text(rule):
            assert to_words(other, grid_schema) != words, to_text(other)


def _parsed(line: str, schema: Schema) -> s.Rule:
    try:
        return parse(line, schema)
    except UserError:
        assume(False)
        raise
