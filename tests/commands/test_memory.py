"""`gedanken memory`: looking into a memory, searching, auditing, deleting and copying, without its environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gedanken.memory import Column, Layout, LongTerm, Retrieval

Run = Callable[..., Any]
LAYOUT = Layout((Column("grid", "int16", (2, 3)), Column("speed", "float32")), Column("action", "int64"))


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[LongTerm]:
    """A memory in use, in an agent's folder."""
    with LongTerm(tmp_path / "agent" / "memory.db", LAYOUT) as memory:
        episode = memory.begin()
        memory.note("a door needs its key", source="environment", episode=episode)
        memory.note("a door needs its key", kind="surprise", source="agent")
        memory.note("lava burns [bold]hot[/bold]")
        memory.note("Klaus lives in the red house", source="user", tags=["home"])
        memory.facts.add("key", "opens", "door", source="user")
        memory.facts.add("key", "opens", "chest")
        memory.facts.add("lamp", "is", "on")
        memory.facts.add("lamp", "is", "off")
        yield memory


@pytest.fixture
def folder(memory: LongTerm) -> Path:
    return memory.path.parent


def run(gedanken: Run, *words: object, tmp: Path) -> tuple[str, Any]:
    result = gedanken("memory", *words, "--json", tmp / "result.json")
    assert result.exit_code == 0, result.output
    return result.stdout, json.loads((tmp / "result.json").read_text())


def test_show_says_what_is_there(gedanken: Run, folder: Path, tmp_path: Path) -> None:
    text, data = run(gedanken, "show", folder, tmp=tmp_path)
    assert "grid, speed" in text
    assert "4 notes; 3 facts hold, 1 have ended" in text
    assert data["worlds"][0]["episodes"] == 1
    assert {(k["kind"], k["origin"], k["notes"]) for k in data["notes"]} == {
        ("lesson", "environment", 1), ("lesson", "model", 1), ("lesson", "person", 1), ("surprise", "model", 1),
    }  # fmt: skip


def test_search_shows_why_and_does_not_count(gedanken: Run, memory: LongTerm, folder: Path, tmp_path: Path) -> None:
    text, data = run(gedanken, "search", memory.path, "hot lava", "--most", 1, tmp=tmp_path)
    assert "lava burns [bold]hot[/bold]" in text
    (hit,) = data["hits"]
    assert (hit["relevance"], hit["note"]["origin"]) == (1.0, "model")
    assert run(gedanken, "search", folder, "door", "--kind", "surprise", tmp=tmp_path)[1]["hits"][0]["note"]["id"] == 2
    assert "no note passes" in run(gedanken, "search", folder, "door", "--source", "%", tmp=tmp_path)[0]
    assert all(note.recalled == 0 for note in memory.notes())


def test_facts_as_they_are_and_were(gedanken: Run, folder: Path, tmp_path: Path) -> None:
    text, data = run(gedanken, "facts", folder, tmp=tmp_path)
    assert [fact["value"] for fact in data["facts"]] == ["door", "chest", "off"]
    assert "disputes 1" in text
    text, data = run(gedanken, "facts", folder, "lamp", "--all", tmp=tmp_path)
    assert [fact["value"] for fact in data["facts"]] == ["on", "off"]
    assert "gave way to 4" in text
    assert "no such facts" in run(gedanken, "facts", folder, "--at", "2020-01-01", tmp=tmp_path)[0]


def test_audit_finds_what_went_bad(gedanken: Run, memory: LongTerm, folder: Path, tmp_path: Path) -> None:
    Retrieval(memory).search("lava", k=1)
    old = memory.note("floors are cold")
    memory.note_table.supersede(old, by=3)
    memory.note_table.credit([1], 1.0)
    memory.note_table.credit([3], 0.0)
    text, data = run(gedanken, "audit", folder, tmp=tmp_path)
    assert [[note["id"] for note in group] for group in data["duplicates"]] == [[1, 2]]
    assert data["never_recalled"] == [1, 2, 4]
    assert data["unsupported"] == [2, 3]  # 1 was made in an episode, 4 was told by a person
    assert (data["harmful"], data["superseded"], data["ended"]) == ([3], [old], [3])
    assert "disputed: key opens chest (agent, fact 2), but key opens door (user, fact 1)" in text


def test_what_a_person_told_is_deleted_to_the_last_byte(
    gedanken: Run, memory: LongTerm, folder: Path, tmp_path: Path
) -> None:
    refused = gedanken("memory", "forget", folder, "--source", "user")
    assert refused.exit_code == 2
    assert "1 notes and 1 facts would be deleted" in refused.stderr
    assert gedanken("memory", "forget", folder).exit_code == 2
    assert run(gedanken, "forget", folder, "--text", "nobody", tmp=tmp_path)[1] == {"notes": 0, "facts": 0, "skills": 0}
    assert run(gedanken, "forget", folder, "--source", "user", "--yes", tmp=tmp_path)[1] == {
        "notes": 1, "facts": 1, "skills": 0}
    assert [note.id for note in memory.notes()] == [1, 2, 3]
    assert [fact.value for fact in memory.facts.at(disputed=True)] == ["chest", "off"]
    for file in folder.iterdir():
        assert b"klaus" not in file.read_bytes().lower(), file
    assert run(gedanken, "forget", folder, "--id", 3, "--yes", tmp=tmp_path)[1] == {"notes": 1, "facts": 0, "skills": 0}
    assert run(gedanken, "forget", folder, "--kind", "surprise", "--yes", tmp=tmp_path)[1] == {
        "notes": 1, "facts": 0, "skills": 0}


def test_a_backup_is_whole_and_a_wrong_path_is_told(gedanken: Run, folder: Path, tmp_path: Path) -> None:
    assert gedanken("memory", "backup", folder, tmp_path / "copy.db").exit_code == 0
    with LongTerm(tmp_path / "copy.db", LAYOUT) as copy:
        assert len(copy.notes()) == 4
    for path, why in ((tmp_path / "nothing", "there is no memory"), (tmp_path, "there is no memory")):
        result = gedanken("memory", "show", path)
        assert result.exit_code == 2
        assert why in result.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_memory_is_salvaged_into_a_new_file(
    gedanken: Run, memory: LongTerm, folder: Path, tmp_path: Path
) -> None:
    memory.close()
    content = bytearray(memory.path.read_bytes())
    content[-4096:] = bytes(4096)
    memory.path.write_bytes(content)
    text, data = run(gedanken, "salvage", folder, tmp_path / "saved.db", tmp=tmp_path)
    assert "0 transitions saved" in text
    assert data["rows"]["notes"] == 4
    assert gedanken("memory", "show", tmp_path / "saved.db").exit_code == 0
    assert gedanken("memory", "salvage", folder, tmp_path / "saved.db").exit_code == 2
