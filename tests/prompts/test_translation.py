"""Sentences to rule lines."""

import re

import pytest

from gedanken.prompts import (
    Asking,
    Gateway,
    LocalChatModel,
    ModelUnavailable,
    ScriptedChatModel,
    propose,
    split_sentences,
    translate,
)
from gedanken.prompts.translation import rule_lines

SCHEMA = "battery: real, 0..1, the charge\ntemperature: real, -20..120, degrees Celsius\nactions: charge, drive"
EXAMPLES = [
    ("Do not let the battery fall under a third.", "maintain battery > 0.33"),
    ("It should stay warmer than 5 degrees.", "maintain temperature > 5"),
]
GRAMMAR = """root ::= verb " " name " " sign " " number
verb ::= "avoid" | "maintain"
name ::= "battery" | "temperature"
sign ::= "<" | ">"
number ::= [0-9]{1,3} ("." [0-9]{1,2})?"""


def test_the_real_model_reads_a_sentence_under_the_grammar(local: LocalChatModel) -> None:
    gateway = Gateway(local)
    sentence = "Never let the temperature go above 60 degrees."
    readings = translate(sentence, SCHEMA, EXAMPLES, gateway, GRAMMAR, Asking(readings=3, max_tokens=24))
    assert 1 <= len(readings) <= 3
    assert len({reading.text for reading in readings}) == len(readings)
    for reading in readings:
        assert re.fullmatch(r"(avoid|maintain) (battery|temperature) [<>] \d{1,3}(\.\d{1,2})?", reading.text)
        assert 0 < reading.confidence <= 1
    assert readings == sorted(readings, key=lambda reading: -reading.confidence)
    assert "temperature" in readings[0].text
    assert readings == translate(sentence, SCHEMA, EXAMPLES, gateway, GRAMMAR, Asking(readings=3, max_tokens=24))


def test_a_model_without_scores_or_seeds_is_asked_once() -> None:
    gateway = Gateway(ScriptedChatModel(answers=["```\n- `maintain battery > 0.2`\n```\nThat is the rule."]))
    (reading,) = translate("Keep the battery over 20 %.", SCHEMA, EXAMPLES, gateway, GRAMMAR)
    assert (reading.text, reading.confidence) == ("maintain battery > 0.2", 0.5)


def test_an_answer_that_is_never_whole_gives_no_reading(local: LocalChatModel) -> None:
    asking = Asking(readings=2, max_tokens=1)
    assert translate("Keep cool.", SCHEMA, EXAMPLES, Gateway(local), GRAMMAR, asking) == []


def test_without_a_model_translation_says_so() -> None:
    with pytest.raises(ModelUnavailable):
        translate("Keep cool.", SCHEMA, EXAMPLES, Gateway(None), GRAMMAR)


def test_proposals_may_be_several_lines() -> None:
    gateway = Gateway(ScriptedChatModel(answers=["1. avoid battery < 0.1\n2. avoid temperature > 90"]))
    proposals = propose(SCHEMA, ["maintain battery > 0.2"], ["battery 0.05 -> stopped"], gateway, GRAMMAR)
    assert [reading.text for reading in proposals] == ["avoid battery < 0.1", "avoid temperature > 90"]
    assert "stopped" in gateway.calls[0].prompt


def test_rule_lines_are_unwrapped_and_otherwise_left_alone() -> None:
    assert rule_lines("Rule: `a == -1`\n* b\n\n```text\nreward -1 if x < 2.5\n```") == [
        "a == -1",
        "b",
        "reward -1 if x < 2.5",
    ]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Lava kills. Keys open doors!", ["Lava kills.", "Keys open doors!"]),
        ("Keep it over 0.2, e.g. 0.5. Never exceed 60 °C.", ["Keep it over 0.2, e.g. 0.5.", "Never exceed 60 °C."]),
        ("A line that\ngoes on.\n\nAnother", ["A line that goes on.", "Another"]),
        ("# Manual\n- one thing\n- another; and more\n3) a third.", ["one thing", "another; and more", "a third."]),
        ('He said "stop." Then nothing. ...', ['He said "stop."', "Then nothing."]),
        ("Keys, etc. Lava. The answer is no. It ends.", ["Keys, etc.", "Lava.", "The answer is no.", "It ends."]),
        ("If door.state is shut, e.g.\nlocked, wait", ["If door.state is shut, e.g. locked, wait"]),
        ("0.5 is the limit.", ["0.5 is the limit."]),
        ("", []),
    ],
)  # fmt: skip
def test_a_text_is_cut_into_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences
