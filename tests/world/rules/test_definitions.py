"""Definitions: a line `let name = ...` makes a derived feature, which works wherever a feature does."""

from __future__ import annotations

import time

import pytest
import torch

from gedanken.errors import UserError
from gedanken.world.rules.check import check, warnings
from gedanken.world.rules.constrain import decoding_grammar
from gedanken.world.rules.definitions import defined, definitions
from gedanken.world.rules.evaluate import Rows, evaluate, robustness, truth
from gedanken.world.rules.parse import RuleError, parse, parse_file, with_definitions
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Derived, Feature, Schema


def extended(schema: Schema, *lines: str) -> Schema:
    found, wrong = with_definitions(lines, schema)
    assert not wrong
    return found


def mistakes(text: str, schema: Schema) -> str:
    with pytest.raises(RuleError) as caught:
        parse_file(text, schema, "r")
    return str(caught.value)


def test_a_definition_is_a_feature_of_its_type(grid_schema: Schema) -> None:
    schema = extended(grid_schema, "let near_wall = agent_x in {0, 6}", "let gap = 6 - agent_x",
                      "let half = agent_x / 2", "let under = object[agent_x, agent_y]", "let cold = battery < 0.1")
    kinds = {name: schema.named[name].kind for name in definitions(schema)}
    assert kinds == {"near_wall": "boolean", "gap": "integer", "half": "real", "under": "category", "cold": "boolean"}
    assert schema.named["under"].values == grid_schema.named["object"].values
    assert schema.identity() == grid_schema.identity()
    assert schema.extended() is schema
    with pytest.raises(UserError, match="'cold' more than once"):
        schema.extended(Derived(Feature("cold"), lambda f: f["battery"]))


def test_it_is_read_now_and_next_as_its_expression_is(plant_schema: Schema) -> None:
    schema = extended(plant_schema, "let gap = abs(position - velocity)", "let wide = gap > 0.5 or open")
    generator = torch.Generator().manual_seed(0)

    def some(n: int = 50) -> dict[str, torch.Tensor]:
        return {f.name: (torch.rand(n, *f.shape, generator=generator) * 2 - 1).to(f.dtype) for f in schema.features}

    rows = Rows(schema, some(), None, some())
    for name, spelled in [("gap", "abs(position - velocity)"), ("wide", "(abs(position - velocity) > 0.5 or open)")]:
        primed = spelled.replace("position", "position'").replace("velocity", "velocity'").replace("open", "open'")
        for text, same in [(name, spelled), (f"{name}'", primed)]:
            sides = [parse(f"end if ({x}) == ({y})", schema).statement for x, y in [(text, same), (same, text)]]
            assert all(truth(side.guard, rows).all() for side in sides)
    condition = parse("avoid gap > 0.3", schema).statement.condition
    assert torch.equal(robustness(condition, rows) > 0, truth(condition, rows))
    assert evaluate(condition.operands[0], rows).dtype == torch.float32


def test_the_whole_file_sees_its_definitions_in_any_order(grid_schema: Schema) -> None:
    lines = parse_file("avoid b\nlet b = a and not lit\n\nlet a = agent_x > 3\nforbid forward if a", grid_schema)
    assert [to_text(x.rule) for x in lines if x.rule][:2] == ["avoid b", "let b = a and not lit"]
    schema = extended(grid_schema, *(x.text for x in lines))
    assert list(definitions(schema)) == ["a", "b"]


@pytest.mark.parametrize(("text", "says"), [
    ("let lit = agent_x > 1", "r:1:5: 'lit' is a feature already"),
    ("let front_object = lit", "'front_object' is a feature already"),
    ("let key = lit", "'key' is a value of 'object'"),
    ("let a = lit'", "the next state's lit' in a definition"),
    ("let a = action == left", "the action 'action' in a definition"),
    ("let a = object", "'object' is an array [7, 7]"),
    ("let a = (1, 2)", "'(1, 2)' is a place in \"let a = (1, 2)\"; a definition is a truth, a number or a category"),
    ("let a = agent_x > ?", "r:1:19: '?' in a definition"),
    ("let a = bateria > 1", "did you mean 'battery'?"),
    ("let a = lit\nlet a = not lit", "r:2:5: 'a' is defined already, as `lit`"),
    ("let a = b\nlet b = a", "r:1:5: 'a' is defined by itself"),
    ("let a = a or lit", "'a' is defined by itself"),
    ("let a = lit\navoid b", "unknown feature 'b'"),
    ("let a = lit\nexpect a' if agent_x == 1", "the derived feature 'a' cannot be an effect"),
    ("let if = lit", "unexpected 'if'"),
    ("let a == lit", "a definition is written let NAME = EXPRESSION"),
    ("x: let a = lit", "unexpected 'let'"),
])
def test_mistakes_are_shown_where_they_stand(text: str, says: str, grid_schema: Schema) -> None:
    assert says in mistakes(text, grid_schema)


def test_the_same_definition_may_be_told_again(grid_schema: Schema) -> None:
    schema = extended(grid_schema, "let a = agent_x > 3")
    again = parse("let a = agent_x > 3", schema)
    assert check(again, schema) == again
    assert list(definitions(defined(schema, [again]))) == ["a"]


def test_definitions_are_bounded(grid_schema: Schema) -> None:
    deep = "let d0 = agent_x + 1\n" + "\n".join(f"let d{k + 1} = d{k} + d{k}" for k in range(40))
    assert "more than 16 deep" in mistakes(deep, grid_schema)
    started = time.monotonic()
    assert "more than 200 definitions" in mistakes("\n".join(f"let d{k} = lit" for k in range(230)), grid_schema)
    mistakes("\n".join(f"let d{k} = d{k + 1}" for k in range(1000)), grid_schema)
    assert time.monotonic() - started < 20


def test_a_definition_reaches_decoding_and_doubts(grid_schema: Schema) -> None:
    schema = extended(grid_schema, "let near_wall = agent_x in {0, 6}")
    assert '"near_wall"' in decoding_grammar(schema)
    assert "let" not in decoding_grammar(schema, statements=["forbid"])
    assert warnings(parse("let a = agent_x > 9", grid_schema), grid_schema) == [
        "the definition never holds: `agent_x > 9` never holds; agent_x: integer from 0 to 6"]
