"""`rules.txt` and the knowledge base in step: what a person edits while an agent runs is taken on, never lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gedanken.errors import UserError
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.rules.parse import RuleError

from .test_fitting import CAR, drives


@pytest.fixture
def kb() -> KnowledgeBase:
    return KnowledgeBase(CAR)


def standing(kb: KnowledgeBase) -> list[str]:
    return [e.text for e in kb.entries if e.status != "retired"]


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "rules.txt"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# --- edits during a run -----------------------------------------------------------------------------------------------


def test_edits_made_during_a_run_are_merged(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell("avoid load > 9\nslow: maintain speed < 5\nforbid push if load > 4")
    kb.save(tmp_path)
    edit(tmp_path, "slow: maintain speed < 5\n", "# mine\nslow: maintain speed < 6  # because\n")    # changed
    edit(tmp_path, "avoid load > 9\n", "")    # gone
    edit(tmp_path, "forbid push", "prefer load < 2\nforbid push")    # new
    kb.tell("avoid speed > 15")    # meanwhile
    kb.retire("r3")
    kb.save(tmp_path)
    assert standing(kb) == ["avoid speed > 15", "slow: maintain speed < 6", "prefer load < 2"]
    text = (tmp_path / "rules.txt").read_text()
    assert "# mine\nslow: maintain speed < 6  # because\nprefer load < 2\n" in text
    assert text.endswith("avoid speed > 15\n")
    assert [e.source for e in kb.entries] == ["user"] * 6
    again = KnowledgeBase(CAR)
    again.load(tmp_path)
    assert standing(again) == standing(kb)
    again.save(tmp_path)
    assert (tmp_path / "rules.txt").read_text() == text


def test_a_file_that_nobody_edited_is_simply_written(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell("avoid load > 9")
    kb.save(tmp_path)
    kb.tell("avoid speed > 15")
    kb.save(tmp_path)
    kb.retire("r1")
    kb.save(tmp_path)
    assert standing(kb) == ["avoid speed > 15"]
    assert "load" not in (tmp_path / "rules.txt").read_text()


def test_a_file_with_mistakes_is_never_written_over(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell("avoid load > 9")
    kb.save(tmp_path)
    edit(tmp_path, "load > 9", "lod > 9  # ten?")
    edited = (tmp_path / "rules.txt").read_text()
    kb.tell("avoid speed > 15")
    for _ in range(2):
        with pytest.raises(UserError, match="did you mean 'load'"):
            kb.save(tmp_path)
    assert (tmp_path / "rules.txt").read_text() == edited
    assert [e["text"] for e in json.loads((tmp_path / "rules.json").read_text())["entries"]] == [
        "avoid load > 9", "avoid speed > 15"]
    with pytest.raises(RuleError):
        KnowledgeBase(CAR).load(tmp_path)
    edit(tmp_path, "lod > 9", "load > 8")
    again = KnowledgeBase(CAR)
    again.load(tmp_path)
    assert sorted(standing(again)) == ["avoid load > 8", "avoid speed > 15"]    # what was told meanwhile is not lost
    kb.save(tmp_path)
    assert sorted(standing(kb)) == ["avoid load > 8", "avoid speed > 15"]


def test_what_a_person_names_keeps_the_name(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell("avoid load > 9")
    kb.save(tmp_path)
    edit(tmp_path, "avoid load > 9", "avoid load > 9\nlimit: avoid speed > 11")
    kb.tell("limit: avoid speed > 15")
    kb.save(tmp_path)
    assert sorted(standing(kb)) == ["avoid load > 9", "avoid speed > 15", "limit: avoid speed > 11"]


def test_edits_that_do_not_go_with_what_was_told_stay(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell("let heavy = load > 9\navoid heavy")
    kb.save(tmp_path)
    edit(tmp_path, "let heavy = load > 9\navoid heavy\n", "")
    edited = (tmp_path / "rules.txt").read_text()
    kb.tell("forbid push if heavy")
    with pytest.raises(UserError, match="unknown feature 'heavy'"):
        kb.save(tmp_path)
    assert (tmp_path / "rules.txt").read_text() == edited
    assert "forbid push if heavy" in standing(kb)


def test_a_deleted_file_is_written_anew(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell("avoid load > 9")
    kb.save(tmp_path)
    (tmp_path / "rules.txt").unlink()
    kb.save(tmp_path)
    assert standing(kb) == ["avoid load > 9"]


# --- definitions ------------------------------------------------------------------------------------------------------


def test_definitions_are_kept_where_they_stand(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell("avoid load > 9\nlet slow = speed < 3\nexpect same if slow and action == wait")
    kb.tell("let crawls = slow and load > 1")
    assert [e.text for e in kb.definitions()] == ["let slow = speed < 3", "let crawls = slow and load > 1"]
    assert kb.schema.named["crawls"].kind == "boolean"
    assert kb.schema is kb.schema
    assert kb.schema.identity() == CAR.identity()
    assert kb.compiled().schema is kb.schema
    kb.tell("forbid push if crawls")
    kb.save(tmp_path)
    edit(tmp_path, "speed < 3", "speed < 4  # slower")
    again = KnowledgeBase(CAR)
    again.load(tmp_path)
    assert [e.text for e in again.definitions()] == ["let crawls = slow and load > 1", "let slow = speed < 4"]
    again.check(drives(100))
    again.save(tmp_path)
    assert "let slow = speed < 4  # slower\n" in (tmp_path / "rules.txt").read_text()
    last = KnowledgeBase(CAR)
    last.load(tmp_path)
    assert standing(last) == standing(again)


def test_a_definition_in_use_cannot_go(kb: KnowledgeBase) -> None:
    kb.tell("let slow = speed < 3\navoid slow\nlet crawls = slow and load > 1")
    with pytest.raises(UserError, match=r"'slow' is used by r2 \(`avoid slow`\), r3"):
        kb.retire("r1")
    with pytest.raises(RuleError, match="'slow' is defined already, as `speed < 3`"):
        kb.tell("let slow = speed < 4")
    for id in ("r2", "r3", "r1"):
        kb.retire(id)
    assert "slow" not in kb.schema.named
    with pytest.raises(RuleError, match="unknown feature 'slow'"):
        kb.revive("r2")
    kb.tell("let slow = speed < 4")
    assert kb.revive("r2").status == "untested"
    with pytest.raises(RuleError, match="defined already"):
        kb.revive("r1")


def test_retired_definitions_do_not_stop_a_file_from_loading(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell("let slow = speed < 3\navoid slow")
    kb.retire("r2")
    kb.retire("r1")
    kb.tell("let slow = speed < 4\nprefer slow")
    kb.save(tmp_path)
    again = KnowledgeBase(CAR)
    again.load(tmp_path)
    assert standing(again) == ["let slow = speed < 4", "prefer slow"]


def test_english_that_begins_with_let_is_no_definition(kb: KnowledgeBase) -> None:
    (told,) = kb.tell("Let the door be shut.")
    assert told.fate == "refused"


# --- fitted numbers ---------------------------------------------------------------------------------------------------


def test_a_rule_with_an_open_number_acts_once_it_is_fitted(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.tell("drag: expect speed' == speed - ? if action == brake\nexpect same(door) if action == wait and wind > ?")
    drag, _ = kb.entries
    assert (drag.status, drag.acting) == ("untested", None)
    assert not kb.active()
    assert not kb.compiled()
    kb.check(drives(300))
    drag, noise = kb.entries
    assert drag.status == "supported"
    assert drag.fitted == pytest.approx((0.7,), abs=0.01)
    assert noise.acting is None or noise.status != "supported"
    assert drag in kb.corrections()
    assert kb.compiled().rules[0] == drag.acting
    kb.save(tmp_path)
    line = f"expect speed' == speed - ? if action == brake  # ? = {drag.fitted[0]:g} ({drag.fitted_on} transitions)\n"
    text = (tmp_path / "rules.txt").read_text()
    assert line in text
    edit(tmp_path, "  # ? =", "  # friction  # ? =")
    for _ in range(2):
        kb.check(drives(300, seed=1))
        kb.save(tmp_path)
    (line,) = [x for x in (tmp_path / "rules.txt").read_text().splitlines() if x.startswith("drag")]
    assert line.count("# ? =") == line.count("# friction") == 1
    again = KnowledgeBase(CAR)
    again.load(tmp_path)
    assert [e.fitted for e in again.entries] == [e.fitted for e in kb.entries]
    assert again.compiled().rules == kb.compiled().rules


def test_a_fit_that_the_data_no_longer_give_stops_acting(kb: KnowledgeBase) -> None:
    kb.tell("expect speed' == speed - ? if action == brake")
    kb.check(drives(300))
    kb.check(drives(6))
    assert not kb.active()
