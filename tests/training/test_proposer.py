"""Training examples for the proposer: a rule that is behind a surprise, in the words and numbers of its text."""

from __future__ import annotations

from itertools import islice

import torch

from gedanken.training.proposer.generate import behind, examples, subjects
from gedanken.training.proposer.targets import grounded
from gedanken.training.proposer.worlds import lived
from gedanken.training.translator.domain import Domain, Phrase, Quantity, bounds_of, schema_of
from gedanken.training.translator.grounding import is_said
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text
from gedanken.world.surprises import surprises


def _category(name: str, *values: str) -> dict[str, object]:
    return {"name": name, "kind": "category", "values": dict.fromkeys(values, ""), "description": ""}


def _domain(name: str) -> Domain:
    return Domain(
        name,
        (
            Quantity(_category("door", "open", "closed"), ("the door",),
                     (Phrase("the door is open", "door == open", "the door"),),
                     (Phrase("the door shuts", "door' == closed"),)),
            Quantity({"name": "load", "kind": "real", "low": 0, "high": 900, "unit": "kg"}, ("the load",)),
            Quantity({"name": "floor", "kind": "integer", "low": 0, "high": 9}, ("the floor",)),
            Quantity({"name": "alarm", "kind": "boolean"}, ("the alarm",)),
        ),
        (Quantity(_category("action", "up", "down", "shut"), verbs={"up": ("ride up",), "down": ("ride down",)}),),
        (("Up it goes.", ("expect floor' == floor + 1 if action == up and door == closed and floor < 9",)),
         ("Too heavy.", ("expect alarm' if load > 750",)),
         ("Shut.", ("expect door' == closed if action == shut and not alarm", "reward -2 if alarm and action == up"))),
    )


def test_every_example_is_a_rule_of_its_world_in_the_numbers_of_its_text() -> None:
    domains = [_domain("lift"), _domain("hoist")]
    made = list(islice(examples(domains, 3), 40))
    assert made == list(islice(examples(domains, 3), 40))
    assert {True, False} == {bool(one.rules) for one in made}
    for one in made:
        schema = schema_of(one.schema)
        for line in one.rules:
            assert to_text(parse(line, schema)) == line
            assert is_said(line, one.text, bounds_of(one.schema["features"] + one.schema["actions"]))


def test_a_surprise_is_answered_by_the_rule_that_shaped_it_in_the_text_s_threshold() -> None:
    schema = schema_of(_domain("lift").schema)
    lines = ("expect alarm' if load > 750 and not alarm", "expect floor' == floor + 1 if action == up and floor < 9")
    rules = [parse(line, schema) for line in lines]
    made = lived(schema, rules, 500, torch.Generator().manual_seed(1), noise=0.0)
    found = surprises(schema, made.transitions)
    alarm = next(one for one in found if one.subjects == ("alarm",) and "becomes true" in one.text)
    assert behind(alarm, rules, made) is rules[0]
    assert subjects(rules[0]) == {"alarm"}
    line = to_text(grounded(rules[0], alarm, schema))
    assert line.split("load > ")[1].split(" ")[0] in alarm.text
    rises = next(one for one in found if "floor rises by 1" in one.text)
    assert to_text(grounded(rules[1], rises, schema)).endswith("if action == up and floor <= 8")
