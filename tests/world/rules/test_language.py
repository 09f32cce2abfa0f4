"""The language as a whole: what parses, what it prints as, and that printing is the inverse of parsing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gedanken.world.rules import syntax as s
from gedanken.world.rules.check import check
from gedanken.world.rules.parse import parse, parse_file
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Schema

GRID = """
expect carrying_object' == key and front_object' == empty if action == pickup and front_object == key
expect same if action == forward and front_object == wall
expect same(agent_x) if changed(direction)
expect front_state' == open with probability 0.9 if action == toggle and carrying_object == key
expect battery' == battery - 0.01 within 0.001 with weight 2
expect battery' < battery if action == forward
expect lit' and not lit' and carrying_object' in {key, front_object}
expect object'[agent_x + 1, agent_y] == empty if object[agent_x + 1, agent_y] == door
expect 0 <= agent_x' <= agent_x + 1
always 0 <= battery' <= 1
always same(color) with weight 3
reward +1 if agent_x' == 5 and agent_y' == 5
reward -0.5 if any(object' == key and color' == red)
reward +1
end if front_object' == lava or not lit'
forbid forward if front_object == lava
forbid action in {left, right} if lit
avoid count(object == key) > 1 and all(state != locked) with weight 0.5
maintain battery > 0.2
prefer abs(agent_x - 3) + min(agent_x, agent_y, 4) < clip(battery * 10, 1, 4) % 2 with weight 2
achieve carrying_object == key then front_state == open then agent_x == 3 within 100 steps
achieve lit within 1 step
door_needs_key: expect same if action == toggle and front_state == locked and carrying_object != key
expect battery' == battery - ? within ? with probability ? if action == forward and agent_x > ?
reward ? if action == drop
end if battery < ?
avoid near(object == lava) or any(near(object == door, 2) and color == red)
avoid distance((agent_x, agent_y), position of (object == goal)) < 3 and position of (state == open) != (1, 2)
avoid object[position of (color == red)] == key and (agent_x, agent_y) in {(1, 2), (agent_y, 3)}
end if near(object' == lava)
avoid any(object == ball and next_to(object == key)) and all(object != lava or above(object == wall, 2))
reward +1 if any(object' == door and on_left') and not any(object == door and on_left)
prefer left_of(object == goal) and count(ahead and near(agent, 2) and object == empty) > 2
avoid distance(position of (agent), position of (object == door and behind)) < 3
let near_lava = near(object == lava) and battery < 0.5
let here = object[agent_x, agent_y]
let far = abs(agent_x - 3) + 1
avoid (lit implies battery > 0.5) implies lit == (agent_x > 3) or -agent_x / 2 >= -1 and true
""".strip().splitlines()

PLANT = """
expect position' == position + 0.02 * velocity within 0.01
expect velocity' == velocity + 0.1 * torque if not brake
expect energy' > 0
expect speed' < speed if brake and gear == low
expect levels'[0] >= levels[1] - (levels[2] - 1e-05) / 2
forbid torque > 1.5
forbid brake and gear == high if speed > 3
forbid gear == high
avoid temperature - 5 °C > 60 °C and speed < 2.5 m/s
let warm = max(temperature, 20 °C)
avoid temperature > 60
prefer speed < 1 with weight 2
avoid door == open and open or door in {"half-open", "then"} or code == "0" or weight > "count"
""".strip().splitlines()


@pytest.mark.parametrize("text", GRID)
def test_canonical_rules_of_a_grid_print_as_they_stand(text: str, grid_schema: Schema) -> None:
    rule = parse(text, grid_schema)
    assert to_text(rule) == text
    assert check(rule, grid_schema) == rule
    assert parse(text) == parse(to_text(parse(text)))


@pytest.mark.parametrize("text", PLANT)
def test_canonical_rules_of_a_plant_print_as_they_stand(text: str, plant_schema: Schema) -> None:
    rule = parse(text, plant_schema)
    assert to_text(rule) == text
    assert check(rule, plant_schema) == rule


@pytest.mark.parametrize(("text", "canonical"), [
    ("expect  lit'if action==drop   with probability .90 # why", "expect lit' with probability 0.9 if action == drop"),
    ("expect lit' if battery > 1.0 with weight 2.50", "expect lit' with weight 2.5 if battery > 1"),
    ("reward 1", "reward +1"),
    ("reward - 0.50 if lit", "reward -0.5 if lit"),
    ("reward 0", "reward 0"),
    ("forbid action == forward", "forbid forward"),
    ("forbid forward or left", "forbid action == forward or action == left"),
    ('forbid "forward" if (lit)', "forbid forward if lit"),
    ("expect 3 == agent_x'", "expect agent_x' == 3"),
    ("expect agent_x < agent_x'", "expect agent_x' > agent_x"),
    ("avoid ((lit and (lit and lit)))", "avoid lit and (lit and lit)"),
    ("avoid agent_x - (agent_y - 1) > (battery - 1) - 1", "avoid agent_x - (agent_y - 1) > battery - 1 - 1"),
    ("avoid not (not (agent_x > +1e0))", "avoid not not agent_x > 1"),
    ("avoid -(1) < - agent_x and - 2 < --agent_x", "avoid -(1) < -agent_x and -2 < --agent_x"),
    ("avoid near( lit and any(object==key) or state == open , 1)",
     "avoid near(lit and any(object == key) or state == open)"),
    ("avoid distance( (1,2) ,position  of (object==key))>= 1",
     "avoid distance((1, 2), position of (object == key)) >= 1"),
    ("avoid exists  a cell where(object==ball and next_to( object==key))",
     "avoid any(object == ball and next_to(object == key))"),
    ("let  far=(agent_x)>3 # here", "let far = agent_x > 3"),
    ("avoid lit implies (lit implies lit)", "avoid lit implies lit implies lit"),
])
def test_other_spellings_print_canonically(text: str, canonical: str, grid_schema: Schema) -> None:
    assert to_text(parse(text, grid_schema)) == canonical
    assert to_text(parse(canonical, grid_schema)) == canonical


def test_documented_rules_parse(grid_schema: Schema) -> None:
    page = (Path(__file__).parents[3] / "docs" / "rules.md").read_text()
    blocks = re.findall(r"```rules\n(.*?)```", page, re.S)
    assert len(blocks) >= 5
    for code in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(code, {})
    rules = [line.rule for block in blocks for line in parse_file(block, grid_schema, "rules.md") if line.rule]
    assert {r.statement.kind for r in rules} == {
        "expect", "always", "reward", "end", "forbid", "avoid", "maintain", "prefer", "achieve", "let"
    }


# --- printing is the inverse of parsing: any tree, typed or not -------------------------------------------------------

words = st.sampled_from(["a", "b_2", "ключ", "weight", "steps", "reward", "count", "then", "half-open", "a # b", "near",
                         "distance", "position", "of", "let", "m", "agent", "left_of", "exists"])
units = st.sampled_from(["", "", "", "m", "°C", "km/h", "kg*m/s^2", "µm", "s^-1", "ключ"])
numbers = st.one_of(st.integers(-20, 20).map(float), st.floats(allow_nan=False, allow_infinity=False))
sizes = st.one_of(st.integers(0, 20).map(float), st.floats(0, 1e30))
names = st.builds(s.Name, name=words, primed=st.booleans())
leaves = st.one_of(
    names, st.builds(s.Number, value=numbers, unit=units), st.just(s.Hole()), st.builds(s.Boolean, value=st.booleans()),
    st.builds(s.Same, feature=st.none() | words), st.builds(s.Changed, feature=words),
)
signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


def _some(of: st.SearchStrategy[Any], low: int, high: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, min_size=low, max_size=high).map(tuple)


@st.composite
def _comparisons(draw: st.DrawFn, of: st.SearchStrategy[Any]) -> s.Compare:
    operands = draw(_some(of, 2, 3))
    operators = tuple(draw(signs) for _ in operands[1:])
    within = draw(st.none() | sizes | st.just(s.Hole()))
    return s.Compare(operands=operands, operators=operators, within=within,
                     unit=draw(units) if isinstance(within, float) else "")


def _grown(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def call(name: str, low: int, high: int) -> st.SearchStrategy[Any]:
        return st.builds(s.Call, function=st.just(name), arguments=_some(of, low, high))

    return st.one_of(
        st.builds(s.Index, array=names, at=_some(of, 1, 2)), st.builds(s.Negative, operand=of),
        st.builds(s.Arithmetic, operator=st.sampled_from("+-*/%"), left=of, right=of),
        call("abs", 1, 1), call("min", 2, 3), call("max", 2, 3), call("clip", 3, 3), call("count", 1, 1),
        _comparisons(of), st.builds(s.Member, operand=of, members=_some(of, 1, 3)), st.builds(s.Not, operand=of),
        st.builds(s.Logical, operator=st.sampled_from(["and", "or"]), operands=_some(of, 2, 3)),
        st.builds(s.Logical, operator=st.just("implies"), operands=_some(of, 2, 2)),
        st.builds(s.Quantified, quantifier=st.sampled_from(["any", "all"]), condition=of),
        st.builds(s.Place, at=_some(of, 2, 3)), st.builds(s.Position, condition=of), call("distance", 2, 2),
        st.builds(s.Relation, relation=st.just("near"), condition=of, steps=st.integers(1, 3)),
        st.builds(s.Relation, relation=st.just("next_to"), condition=of),
        st.builds(s.Relation, relation=st.sampled_from(s.RELATIONS[2:]), condition=of,
                  steps=st.none() | st.integers(1, 100)),
    )


trees = st.recursive(leaves, _grown, max_leaves=12)
maybe = st.none() | trees
statements = st.one_of(
    st.builds(s.Expect, effect=trees, guard=maybe, probability=sizes | st.just(s.Hole())),
    st.builds(s.Expect, effect=trees, weight=sizes),
    st.builds(s.Expect, effect=trees, guard=maybe), st.builds(s.Always, condition=trees, weight=st.none() | sizes),
    st.builds(s.Reward, amount=numbers | st.just(s.Hole()), guard=maybe), st.builds(s.End, guard=trees),
    st.builds(s.Forbid, action=trees, guard=maybe), st.builds(s.Avoid, condition=trees, weight=st.none() | sizes),
    st.builds(s.Maintain, condition=trees), st.builds(s.Prefer, condition=trees, weight=st.none() | sizes),
    st.builds(s.Achieve, milestones=_some(trees, 1, 3), within=st.none() | st.integers(0, 10**6)),
)
rules = st.builds(s.Rule, name=st.none() | st.sampled_from(["r1", "steps", "door_needs_key"]), statement=statements) | (
    st.builds(s.Rule, statement=st.builds(s.Let, name=st.sampled_from(["a", "near", "ключ"]), value=trees)))


@settings(max_examples=250, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules)
def test_any_tree_survives_printing_and_parsing(rule: s.Rule) -> None:
    text = to_text(rule)
    assume(len(text) <= 2000)
    assert parse(text) == rule
    assert to_text(parse(text)) == text


# Well-typed trees over the grid, with their symbols resolved, as the checker returns them.

_VALUES = {
    "front_object": ["wall", "key", "door"], "direction": ["left", "up"], "front_state": ["none", "open"],
    "carrying_object": ["none", "ball"],
}
ACTION = s.Name(name="action")


def typed_values(primed: bool) -> st.SearchStrategy[Any]:
    name = st.builds(s.Name, name=st.sampled_from(["agent_x", "battery", "front_y"]), primed=_prime(primed))
    return st.recursive(st.one_of(st.builds(s.Number, value=st.floats(-99, 99)), name), lambda of: st.one_of(
        st.builds(s.Arithmetic, operator=st.sampled_from("+-*/%"), left=of, right=of),
        st.builds(s.Negative, operand=of),
        st.builds(s.Call, function=st.just("clip"), arguments=_some(of, 3, 3)),
    ), max_leaves=4)


def _prime(primed: bool) -> st.SearchStrategy[bool]:
    return st.booleans() if primed else st.just(False)


def _equal(left: s.Expression, right: s.Expression, operator: Any = "==") -> s.Compare:
    return s.Compare(operands=(left, right), operators=(operator,))


def _cells(prime: st.SearchStrategy[bool]) -> st.SearchStrategy[Any]:
    mask = st.builds(_equal, st.builds(s.Name, name=st.just("color"), primed=prime), st.just(s.Symbol(name="red")))
    side = st.builds(s.Side, side=st.sampled_from(s.SIDES), primed=prime)
    parts = mask | side | st.builds(s.Relation, relation=st.sampled_from(s.RELATIONS[1:]), condition=mask,
                                    over_cells=st.just(True))
    return mask | st.builds(s.Logical, operator=st.just("and"), operands=st.tuples(mask, parts)) | st.builds(
        s.Relation, relation=st.just("near"), condition=parts, steps=st.integers(1, 3), over_cells=st.just(True))


def typed_conditions(primed: bool = True, action: bool = True) -> st.SearchStrategy[Any]:
    prime = _prime(primed)
    atoms: list[st.SearchStrategy[Any]] = [
        _comparisons(typed_values(primed)).map(lambda c: c.model_copy(update={"within": None, "unit": ""})),
        st.builds(s.Name, name=st.just("lit"), primed=prime),
        st.builds(_equal, st.builds(s.Index, array=st.builds(s.Name, name=st.just("object"), primed=prime),
                                    at=_some(typed_values(primed), 2, 2)), st.just(s.Symbol(name="goal"))),
        st.builds(s.Quantified, quantifier=st.sampled_from(["any", "all"]), condition=st.builds(
            _equal, st.builds(s.Name, name=st.just("object"), primed=prime), st.just(s.Symbol(name="key")))),
        st.builds(s.Relation, relation=st.just("near"), condition=_cells(prime), steps=st.integers(1, 3)),
        st.builds(s.Relation, relation=st.just("below"), condition=_cells(prime), steps=st.none() | st.just(2)),
        st.builds(_equal, st.builds(s.Position, condition=_cells(prime)),
                  st.builds(s.Place, at=_some(typed_values(primed), 2, 2)), st.sampled_from(["==", "!="])),
    ]
    for category, values in _VALUES.items():
        scalar = st.builds(s.Name, name=st.just(category), primed=prime)
        symbol = st.builds(s.Symbol, name=st.sampled_from(values))
        atoms += [st.builds(_equal, scalar, symbol, st.sampled_from(["==", "!="])),
                  st.builds(s.Member, operand=scalar, members=_some(symbol, 1, 2))]
    if primed:
        atoms.append(st.builds(s.Changed, feature=st.sampled_from(["lit", "object"])))
    if action:
        atoms.append(st.just(_equal(ACTION, s.Symbol(name="left"))))
    return st.recursive(st.one_of(atoms), lambda of: st.one_of(
        st.builds(s.Not, operand=of),
        st.builds(s.Logical, operator=st.sampled_from(["and", "or"]), operands=_some(of, 2, 3)),
        st.builds(s.Logical, operator=st.just("implies"), operands=_some(of, 2, 2)),
    ), max_leaves=4)


typed_effects = st.one_of(
    st.just(s.Same()), st.just(s.Same(feature="direction")), st.just(s.Name(name="lit", primed=True)),
    st.builds(lambda o, v: s.Compare(operands=(s.Name(name="agent_x", primed=True), v), operators=(o,)),
              signs, typed_values(False)),
    st.just(_equal(s.Name(name="front_object", primed=True), s.Symbol(name="empty"))),
)
typed_rules = st.builds(s.Rule, statement=st.one_of(
    st.builds(s.Expect, effect=typed_effects, guard=st.none() | typed_conditions(),
              probability=st.none() | st.floats(0.01, 1)),
    st.builds(s.Reward, amount=numbers, guard=typed_conditions()), st.builds(s.End, guard=typed_conditions()),
    st.builds(s.Forbid, action=st.just(_equal(ACTION, s.Symbol(name="drop"))),
              guard=st.none() | typed_conditions(primed=False)),
    st.builds(s.Avoid, condition=typed_conditions(primed=False, action=False)),
    st.builds(s.Achieve, milestones=_some(typed_conditions(primed=False, action=False), 1, 2),
              within=st.none() | st.integers(1, 500)),
))


@settings(max_examples=120, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rule=typed_rules)
def test_any_checked_tree_survives_printing_parsing_and_checking(rule: s.Rule, grid_schema: Schema) -> None:
    text = to_text(rule)
    assume(len(text) <= 2000)
    assert check(rule, grid_schema) == rule
    assert parse(text, grid_schema) == rule
    assert s.Rule.model_validate_json(rule.model_dump_json()) == rule
