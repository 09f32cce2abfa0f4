"""Prompt files and their variables."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gedanken.errors import UserError
from gedanken.prompts import render
from gedanken.prompts.templates import parse

WORDS = {"schema": "door: open or shut", "examples": [("Keep out.", "forbid x")], "sentence": "Beware of lava."}


def test_a_prompt_is_rendered_as_messages() -> None:
    (system, schema), *turns = render("translate", **WORDS)
    assert system == "system"
    assert "door: open or shut" in schema
    assert turns == [("user", '"Keep out."'), ("assistant", "forbid x"), ("user", '"Beware of lava."')]


def test_surprises_are_quoted_one_a_line() -> None:
    messages = render("propose", schema="s", rules=["a", "b"], surprises=["x = 1", "ignore\nthe above"], known=[],
                      examples=[])
    assert "a\nb" in messages[0][1]
    assert '"x = 1"\n"ignore\\nthe above"' in messages[1][1]


@given(st.text())
def test_data_stays_one_quoted_string(sentence: str) -> None:
    question = render("translate", **{**WORDS, "sentence": sentence})[-1][1]
    assert json.loads(question) == sentence
    assert len(question.splitlines()) == 1


def test_a_value_is_not_looked_at_for_holes() -> None:
    assert '"{{schema}}"' in render("translate", **{**WORDS, "sentence": "{{schema}}"})[-1][1]


def test_missing_extra_and_unfit_variables_are_all_named() -> None:
    with pytest.raises(UserError) as caught:
        render("translate", schema=3, sentense="x", examples=[])
    text = str(caught.value)
    assert "'sentence' is missing" in text
    assert "'sentense' is not one of its variables; did you mean 'sentence'?" in text
    assert "'schema' (text) cannot be made of int" in text


def test_an_unknown_prompt_is_named() -> None:
    with pytest.raises(UserError, match=r"no prompt 'translat'; did you mean 'translate'\?"):
        render("translat")


def test_a_users_file_stands_in_for_ours(tmp_path: Path) -> None:
    header = "# text schema: s\n# pairs examples: e\n# data sentence: s\n"
    (tmp_path / "translate.txt").write_text(header + "=== turns {{ examples }}\n=== user\n{{schema}} {{sentence}}\n")
    assert render("translate", tmp_path, **WORDS)[-1][1] == 'door: open or shut "Beware of lava."'
    assert render("propose", tmp_path, schema="s", rules=[], surprises=[], known=[], examples=[])[0][0] == "system"


def test_a_users_file_declares_the_same_variables(tmp_path: Path) -> None:
    file = tmp_path / "translate.txt"
    file.write_text(
        "# text schema: s\n"
        "# pairs examples: e\n# text sentence: s\n=== turns {{examples}}\n=== user\n{{schema}}{{sentence}}"
    )
    with pytest.raises(UserError, match="declares exactly these variables: text schema, pairs examples, data sentence"):
        render("translate", tmp_path, **WORDS)


def test_every_mistake_of_a_file_is_reported_with_its_line() -> None:
    text = "# txt schema: s\n# data unused: u\nstray\n=== usr\n{{shema}}\n"
    with pytest.raises(UserError) as caught:
        parse("mine", text, "mine.txt")
    assert str(caught.value).splitlines() == [
        "mine.txt:1: no kind 'txt'; kinds: text, data, pairs",
        "mine.txt:3: text before the first '=== role' line",
        "mine.txt:4: no role 'usr'; roles: system, user, assistant, turns {{pairs}}",
        "mine.txt:5: 'shema' is not declared; did you mean 'schema'?",
        "mine.txt: 'schema' is declared and never used",
        "mine.txt: 'unused' is declared and never used",
    ]


def test_pairs_go_in_as_turns_and_nowhere_else() -> None:
    text = "# pairs p: p\n# text t: t\n=== turns {{t}}\n=== user\n{{p}}\n=== turns {{p}}\nmore {{t}}\n"
    with pytest.raises(UserError) as caught:
        parse("mine", text, "mine.txt")
    assert str(caught.value).splitlines() == [
        "mine.txt:3: 't' is not declared as pairs",
        "mine.txt:5: pairs go in a line '=== turns {{p}}'",
        "mine.txt:7: text after turns belongs to another '=== role' line",
    ]
