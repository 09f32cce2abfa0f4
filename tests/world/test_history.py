"""The life of a rule: who made it and how, what happened to it since, and that old files still load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gedanken.errors import UserError
from gedanken.prompts import Gateway, ScriptedChatModel
from gedanken.world.history import edits
from gedanken.world.knowledge import KnowledgeBase

from .hall import COOL, OPENS, SCHEMA


@pytest.fixture
def kb() -> KnowledgeBase:
    return KnowledgeBase(SCHEMA)


def kinds(kb: KnowledgeBase, id: str) -> list[str]:
    return [event.kind for event in kb.entry(id).history]


def test_what_a_model_wrote_says_which_model_and_prompt() -> None:
    model = ScriptedChatModel(answers=lambda messages: OPENS, model="some-model")
    kb = KnowledgeBase(SCHEMA, Gateway(model))
    (told,) = kb.tell("A push opens the door.", ask=lambda sentence, readings: 0)
    (entry,) = told.entries
    assert entry.origin is not None
    assert entry.origin.model == "some-model"
    assert entry.origin.prompt.startswith("translate ")
    assert (entry.sentence, entry.source) == ("A push opens the door.", "user")
    kb.tell(COOL)
    assert kb.entry("r2").origin is None


def test_retiring_and_reviving_are_dated_once(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell(OPENS)
    kb.retire("r1")
    kb.retire("r1")
    kb.revive("r1")
    kb.retire("r1")
    kb.tell(OPENS)
    assert kinds(kb, "r1") == ["retired", "revived", "retired", "revived"]
    kb.save(tmp_path)
    kb.load(tmp_path)
    assert kinds(kb, "r1") == ["retired", "revived", "retired", "revived"]
    times = [event.at for event in kb.entry("r1").history]
    assert times == sorted(times)


def test_a_person_accepts_what_was_proposed(kb: KnowledgeBase) -> None:
    kb.tell(COOL, source="miner")
    assert kb.active() == []
    entry = kb.accept("r1")
    assert (entry.source, entry.history[-1].kind, entry.history[-1].note) == ("user", "accepted", "miner")
    assert kb.active() == [entry]
    assert kb.accept("r1") == entry
    with pytest.raises(UserError, match="no rule 'r7'"):
        kb.accept("r7")


def test_an_edited_line_keeps_its_earlier_texts(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell(f"{OPENS}\n{COOL}")
    for limit in (60, 70):
        kb.save(tmp_path)
        file = tmp_path / "rules.txt"
        file.write_text(file.read_text().replace(f"heat > {limit - 10}", f"heat > {limit}"))
        kb.load(tmp_path)
    newest = kb.entry("r4")
    assert newest.text == "avoid heat > 70"
    assert [(e.kind, e.note) for e in newest.history] == [("edited", COOL), ("edited", "avoid heat > 60")]
    assert [e.status for e in kb.entries] == ["untested", "retired", "retired", "untested"]


def test_a_name_given_later_is_noted(kb: KnowledgeBase) -> None:
    kb.tell(OPENS)
    kb.tell(f"opening: {OPENS}")
    assert [(e.kind, e.note) for e in kb.entry("opening").history] == [("named", OPENS)]


@pytest.mark.parametrize(("before", "after", "expected"), [
    (["avoid a", "avoid b"], ["avoid a", "avoid c"], [("avoid b", "avoid c")]),
    (["avoid a"], ["avoid a", "avoid c"], []),
    (["avoid a"], [], []),
    (["avoid a"], ["forbid a"], []),
    (["avoid a", "avoid b"], ["avoid c"], []),
])
def test_only_lines_rewritten_in_place_are_edits(
    before: list[str], after: list[str], expected: list[tuple[str, str]]
) -> None:
    assert list(edits(before, after)) == expected


def test_files_from_before_there_was_a_history_load(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell(OPENS)
    kb.save(tmp_path)
    file = tmp_path / "rules.json"
    data = json.loads(file.read_text())
    for entry in data["entries"]:
        for field in ("history", "origin", "evidence_from"):
            del entry[field]
    file.write_text(json.dumps(data))
    kb.load(tmp_path)
    assert kb.entry("r1").history == ()
