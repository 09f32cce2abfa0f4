"""Constrained decoding: what the grammar lets through parses and checks, what is ill typed does not get through."""

from __future__ import annotations

import random
from typing import Any

import pytest
import xgrammar as xgr
from xgrammar.testing import _is_grammar_accept_string as accepts

from gedanken.world.rules.check import check
from gedanken.world.rules.constrain import decoding_grammar
from gedanken.world.rules.parse import parse, parse_file
from gedanken.world.rules.text import STATEMENTS, to_text
from gedanken.world.schema import Schema

STOP = 256


def compiled(grammar: str) -> Any:
    bytes_only = xgr.TokenizerInfo([bytes([i]) for i in range(256)] + [b"</s>"], stop_token_ids=[STOP])
    return xgr.GrammarCompiler(bytes_only).compile_grammar(xgr.Grammar.from_ebnf(grammar))


def sample(grammar: Any, rng: random.Random) -> str:
    """Decode a random text, a byte a token, as a language model without any sense would."""
    matcher, out = xgr.GrammarMatcher(grammar), bytearray()
    mask = xgr.allocate_token_bitmask(1, STOP + 1)
    while True:
        matcher.fill_next_token_bitmask(mask)
        words = mask[0].tolist()
        token = rng.choice([i for i in range(STOP + 1) if words[i // 32] >> (i % 32) & 1])
        assert matcher.accept_token(token)
        if token == STOP:
            return out.decode()
        out.append(token)


@pytest.mark.parametrize("world", ["grid_schema", "plant_schema"])
def test_whatever_is_decoded_parses_checks_and_prints_within_the_grammar(
    world: str, request: pytest.FixtureRequest
) -> None:
    schema: Schema = request.getfixturevalue(world)
    text = decoding_grammar(schema)
    grammar, whole, rng = compiled(text), xgr.Grammar.from_ebnf(text), random.Random(0)
    seen = set()
    for _ in range(80):
        rule = parse(sample(grammar, rng), schema)
        assert check(rule, schema) == rule
        assert accepts(whole, to_text(rule))
        seen.add(rule.statement.kind)
    assert len(seen) >= 6


@pytest.mark.parametrize("kind", STATEMENTS)
@pytest.mark.parametrize("world", ["grid_schema", "plant_schema"])
def test_one_kind_of_statement_can_be_asked_for(kind: str, world: str, request: pytest.FixtureRequest) -> None:
    schema: Schema = request.getfixturevalue(world)
    grammar, rng = compiled(decoding_grammar(schema, statements=[kind])), random.Random(1)
    assert {parse(sample(grammar, rng), schema).statement.kind for _ in range(4)} == {kind}


@pytest.mark.parametrize(("text", "is_accepted"), [
    ("expect carrying_object' == key and front_object' == empty if action == pickup and front_object == key", True),
    ("expect same if action == forward and front_object == wall", True),
    ("expect agent_x' == agent_x + 1 with probability 0.9 if action == forward", True),
    ("expect object'[agent_x + 1, agent_y] == empty if lit", True),
    ("expect carrying_object' == front_object if action == pickup", True),
    ("reward +1 if any(object' == goal)", True),
    ("forbid forward if front_object == lava", True),
    ("avoid count(object == key and color == red) > 1 with weight 2", True),
    ("achieve carrying_object == key then front_state == open then agent_x == 3 within 100 steps", True),
    ("always 0 <= battery' <= 1", True),
    ("expect battery' == battery - ? if action == forward", True),
    ("expect lit' with probability ? if battery < ?", True),
    ("reward ? if lit", True),
    ("avoid near(object == lava)", True),
    ("avoid near(object == lava and color == red, 2) and lit", True),
    ("avoid distance((agent_x, agent_y), position of (object == goal)) > 3", True),
    ("end if position of (object' == box) == (3, agent_y + 1)", True),
    ("achieve any(object == ball and next_to(object == key))", True),
    ("avoid any(object == door and color == red and on_left) or next_to(object == lava)", True),
    ("reward +1 if count(object' == box and left_of(object' == key)) > 1", True),
    ("end if all(object' == box and ahead')", True),
    ("avoid any(object == box and ahead')", False),
    ("avoid any(object == box and next_to(lit))", False),
    ("avoid ahead", False),
    ("avoid battery < ?", False),
    ("avoid distance(agent_x, 3) > 3", False),
    ("avoid near(lit)", False),
    ("avoid position of (object == box) < (1, 2)", False),
    ("expect near(object' == box)", False),
    ("avoid ((lit))", False),    # well typed: the grammar is a part of the language, without nesting
    ("forbid fly", False),
    ("avoid bateria < 0.1", False),
    ("avoid front_object == red", False),
    ("avoid front_object < key", False),
    ("avoid direction == 3", False),
    ("avoid agent_x == key", False),
    ("avoid battery' < 0.1", False),
    ("avoid action == left", False),
    ("avoid object == key", False),
    ("expect agent_x == 3", False),
    ("expect agent_x' == agent_y'", False),
    ("expect front_x' == 3", False),
    ("expect lit' or not lit'", False),
    ("expect lit' with probability 1.5", False),
    ("import os", False),
])
def test_the_grammar_accepts_the_well_typed_only(text: str, is_accepted: bool, grid_schema: Schema) -> None:
    assert accepts(xgr.Grammar.from_ebnf(decoding_grammar(grid_schema)), text) == is_accepted


def test_continuous_actions_and_awkward_names(plant_schema: Schema) -> None:
    grammar = xgr.Grammar.from_ebnf(decoding_grammar(plant_schema))
    for text in ("expect velocity' == velocity + 0.1 * torque within 0.01 if not brake", "forbid torque > 1.5 if open",
                 "forbid high", "avoid temperature > 60 °C",
                 "expect speed' == ? * speed if brake", 'avoid door == "half-open" and "count" > 3',
                 "expect levels'[0] >= 0.5"):
        assert accepts(grammar, text), text
        parse(text, plant_schema)
    for text in ("avoid torque > 1", "avoid speed > 2 km/h", "avoid weight > 2 m", "avoid near(levels > 3)"):
        assert not accepts(grammar, text), text


def test_several_lines(grid_schema: Schema) -> None:
    text = decoding_grammar(grid_schema, statements=["forbid", "end"], lines=3)
    grammar, rng = compiled(text), random.Random(2)
    counts = {len([x for x in parse_file(sample(grammar, rng), grid_schema) if x.rule]) for _ in range(12)}
    assert counts <= {1, 2, 3}
    assert len(counts) > 1


def test_unknown_statements_are_refused(grid_schema: Schema) -> None:
    with pytest.raises(ValueError, match="no statement is called wish"):
        decoding_grammar(grid_schema, statements=["wish"])
