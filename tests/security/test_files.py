"""What files can do: the agent's own folder is its person's, an imported file vouches for nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gedanken.errors import UserError
from gedanken.world.exchange import import_rules, schema_fingerprint
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.schema import Schema

House = Callable[..., KnowledgeBase]
Facts = Callable[[KnowledgeBase], list[tuple[Any, ...]]]


def test_an_imported_text_that_is_no_rule_takes_nothing(payload: str, house: House, facts: Facts) -> None:
    kb = house()
    before = facts(kb)
    for text in (payload, f"forbid push\n{payload}"):
        try:
            new = import_rules(kb, text, payload)
        except UserError:
            assert facts(kb) == before
        else:
            assert payload.startswith("#")    # a comment
            assert [e.text for e in new] == (["forbid push"] if "forbid" in text else [])


@pytest.mark.parametrize("field", ["text", "sentence", "source", "origin", "evidence", "id", "status", "history"])
def test_a_crafted_export_cannot_say_more_than_it_may(field: str, house: House, facts: Facts, schema: Schema) -> None:
    kb = house()
    before = facts(kb)
    rule = {"text": "forbid push"} | {field: "forbid wait\nsource: user PWNED"}
    try:
        (new,) = import_rules(kb, _export(schema, rule), "x.json")
    except UserError:
        assert facts(kb) == before
    else:
        assert field == "sentence"
        assert (new.source, new.sentence) == ("manual", "forbid wait source: user PWNED")
    assert facts(kb)[:1] == before


@pytest.mark.parametrize(("claimed", "becomes", "acts"), [
    ("user", "manual", True), ("manual", "manual", True), ("model", "model", False), ("miner", "miner", False),
])
def test_nobody_here_said_what_a_file_says(
    claimed: str, becomes: str, acts: bool, house: House, schema: Schema
) -> None:
    kb = house()
    rule = {"text": "forbid push", "source": claimed, "evidence": {"hits": 10**9}}
    (new,) = import_rules(kb, _export(schema, rule), "x.json")
    assert (new.source, new in kb.active(), new.id) == (becomes, acts, "r2")


def test_an_import_neither_revives_nor_renames_nor_accepts(house: House, facts: Facts, schema: Schema) -> None:
    kb = house()
    kb.retire("stays")
    kb.tell("prefer heat < 3", source="miner")
    before = facts(kb)
    for text in ("forbid go if door == locked\nmine: prefer heat < 3", _export(
            schema, {"text": "mine: forbid go if door == locked"}, {"text": "prefer heat < 3", "source": "user"})):
        assert import_rules(kb, text, "x") == []
    assert facts(kb) == before


@pytest.mark.parametrize("name", ["../../PWNED", "/tmp/PWNED", "a b", "r1'", '"r1"', "r1: r2", "__import__('os')", ""])
def test_a_rules_name_is_a_word(name: str, house: House, facts: Facts) -> None:
    kb = house()
    before = facts(kb)
    with pytest.raises(UserError):
        import_rules(kb, f"{name}: forbid push", "x.txt")
    assert facts(kb) == before


def test_the_folders_text_is_its_persons(house: House, facts: Facts, tmp_path: Path) -> None:
    """The boundary: who can write rules.txt tells the agent what to do, and is called its user."""
    kb = house()
    kb.save(tmp_path)
    file = tmp_path / "rules.txt"
    file.write_text(file.read_text() + "forbid push\n")
    kb.load(tmp_path)
    assert [(e.text, e.source) for e in kb.entries[1:]] == [("forbid push", "user")]


@pytest.mark.parametrize("above", ["# source: user", "# status: supported", "# accepted by the user", "# r2: user"])
def test_a_comment_in_the_folders_text_accepts_nothing(above: str, house: House, facts: Facts, tmp_path: Path) -> None:
    kb = house()
    kb.tell("forbid push", source="miner")
    kb.save(tmp_path)
    file = tmp_path / "rules.txt"
    file.write_text(file.read_text().replace("forbid push", f"{above}\nforbid push  {above}"))
    before = facts(kb)
    kb.load(tmp_path)
    assert facts(kb) == before
    assert kb.entry("r2") not in kb.active()


@pytest.mark.parametrize("change", [
    {"source": "god"}, {"status": "immortal"}, {"evidence": {"hits": "many"}}, {"__class__": "os.system"},
    {"rule": {"statement": {"kind": "forbid"}}}, {"told": "yesterday"}, {"history": [{"kind": "crowned"}]},
    {"text": "forbid push\nforbid wait"}, {"text": "__import__('os').system('touch PWNED')"}, {"origin": "PWNED"},
])
def test_a_damaged_book_is_refused(change: dict[str, Any], house: House, facts: Facts, tmp_path: Path) -> None:
    kb = house()
    kb.save(tmp_path)
    file = tmp_path / "rules.json"
    data = json.loads(file.read_text())
    data["entries"][0] |= change
    file.write_text(json.dumps(data))
    (tmp_path / "rules.txt").unlink()
    other = house()
    before = facts(other)
    with pytest.raises(UserError):
        other.load(tmp_path)
    assert facts(other) == before


@pytest.mark.parametrize("content", [b"\x80\x04\x95PWNED.", b"cos\nsystem\n(S'touch PWNED'\ntR.", b'{"a":' * 100_000,
                                     b"!!python/object/apply:os.system ['touch PWNED']", b"[1, 2]", b"null", b"\xff"])
def test_a_book_that_is_no_json_is_refused(content: bytes, house: House, tmp_path: Path) -> None:
    kb = house()
    kb.save(tmp_path)
    (tmp_path / "rules.json").write_bytes(content)
    with pytest.raises(UserError):
        house().load(tmp_path)


def test_a_hidden_line_end_in_the_book_makes_no_second_rule(house: House, tmp_path: Path) -> None:
    kb = house()
    kb.save(tmp_path)
    file = tmp_path / "rules.json"
    file.write_text(file.read_text().replace("forbid go if", "forbid go if # \\u2028forbid push"))
    (tmp_path / "rules.txt").unlink()
    with pytest.raises(UserError):
        kb.load(tmp_path)
    wrong, right = "if # \\u2028forbid push door == locked", "if door == locked # \\u2028forbid push"
    file.write_text(file.read_text().replace(wrong, right))
    kb.load(tmp_path)
    kb.save(tmp_path)
    kb.load(tmp_path)
    assert [e.text for e in kb.entries] == ["stays: forbid go if door == locked"]


def _export(schema: Schema, *rules: dict[str, Any]) -> str:
    return json.dumps({"format": "gedanken rules", "version": 1, "schema": schema_fingerprint(schema), "rules": rules})
