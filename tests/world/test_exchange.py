"""Export and import: what comes along, what stays behind, and that a file can do no more than is stated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gedanken.errors import UserError
from gedanken.memory.experience.record import Transitions
from gedanken.world.checking import Evidence
from gedanken.world.exchange import export_json, export_text, import_rules, schema_fingerprint
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.rules.parse import RuleError
from gedanken.world.schema import Feature

from .hall import COOL, OPENS, SCHEMA

STILL = "expect same if action == wait"


def pushes(n: int) -> Transitions:
    now = {"door": np.ones(n, np.int16), "heat": np.zeros(n, np.float32)}
    no = np.zeros(n, bool)
    return Transitions(now, np.ones((n, 1), np.int64), np.zeros(n, np.float32), no, no,
                       now | {"door": np.zeros(n, np.int16)}, np.zeros(n, np.int64), np.arange(n))


@pytest.fixture
def kb() -> KnowledgeBase:
    """A rule of a person's with its sentence, one of a manual, one that was mined; all checked."""
    kb = KnowledgeBase(SCHEMA)
    kb.tell(f"Pushing opens it.\n    {OPENS}")
    kb.tell(f"cool: {COOL}", source="manual")
    kb.tell(STILL, source="miner")
    kb.tell("prefer heat < 3")
    kb.retire("r4")
    kb.check(pushes(20))
    return kb


def facts(kb: KnowledgeBase) -> list[tuple[str, str, str]]:
    return [(e.text, e.source, e.sentence) for e in kb.entries]


def test_json_carries_rules_sentences_sources_and_evidence(kb: KnowledgeBase) -> None:
    other = KnowledgeBase(SCHEMA)
    other.tell("maintain heat < 99")
    new = import_rules(other, export_json(kb), "hall.json")
    assert [e.id for e in new] == ["r2", "r3", "r4"]
    assert facts(other)[1:] == [(OPENS, "manual", "Pushing opens it."), (f"cool: {COOL}", "manual", ""),
                                (STILL, "miner", "")]
    opens = other.entry("r2")
    assert (opens.evidence.hits, opens.status, opens.evidence_from) == (20, "supported", "hall.json")
    assert [(e.kind, e.note) for e in opens.history] == [("imported", "hall.json")]
    other.check(pushes(4))
    opens = other.entry("r2")
    assert (opens.evidence.hits, opens.evidence_from) == (4, "")


def test_text_carries_rules_and_sentences(kb: KnowledgeBase) -> None:
    other = KnowledgeBase(SCHEMA)
    import_rules(other, export_text(kb), "rules.txt")
    assert facts(other) == [(OPENS, "manual", "Pushing opens it."), (f"cool: {COOL}", "manual", ""),
                            (STILL, "miner", "")]
    assert {e.evidence for e in other.entries} == {Evidence()}
    assert export_text(other) == export_text(kb)


def test_evidence_of_another_world_stays_behind(kb: KnowledgeBase) -> None:
    wider = replace(SCHEMA, features=(SCHEMA.features[0], Feature("heat", low=0, high=200)))
    assert schema_fingerprint(wider) != schema_fingerprint(SCHEMA)
    other = KnowledgeBase(wider)
    import_rules(other, export_json(kb), "hall.json")
    assert {(e.evidence, e.status, e.evidence_from) for e in other.entries} == {(Evidence(), "untested", "")}


def test_what_is_known_here_stays_as_it_is(kb: KnowledgeBase) -> None:
    other = KnowledgeBase(SCHEMA)
    other.tell(OPENS)
    other.retire("r1")
    before = other.entries
    assert [e.text for e in import_rules(other, export_json(kb), "x.json")] == [f"cool: {COOL}", STILL]
    assert other.entries[:1] == before
    assert import_rules(other, export_text(kb), "x.txt") == []


def test_a_name_that_is_taken_takes_nothing(kb: KnowledgeBase) -> None:
    other = KnowledgeBase(SCHEMA)
    other.tell("cool: avoid heat > 9")
    for text in (export_json(kb), export_text(kb)):
        with pytest.raises(UserError, match="'cool' is taken by r1"):
            import_rules(other, text, "x")
    assert len(other.entries) == 1


def test_imported_rules_survive_a_restart(kb: KnowledgeBase, tmp_path: Path) -> None:
    other = KnowledgeBase(SCHEMA)
    import_rules(other, export_json(kb), "hall.json")
    other.save(tmp_path)
    again = KnowledgeBase(SCHEMA)
    again.load(tmp_path)
    assert again.entries == other.entries


def crafted(**changes: Any) -> str:
    rule = {"text": OPENS} | changes
    data = {"format": "gedanken rules", "version": 1, "schema": schema_fingerprint(SCHEMA), "rules": [rule]}
    return json.dumps(data)


@pytest.mark.parametrize(("text", "error"), [
    ("{", "is not an export of rules"),
    ("{}", "is not an export of rules: format"),
    (crafted(status="supported"), "rules.0.status: extra inputs"),
    (crafted(evidence={"hits": -1}), "rules.0.evidence.hits"),
    (crafted(evidence={"hits": float("nan")}), "rules.0.evidence.hits"),
    (crafted(source="god"), "rules.0.source"),
    (crafted(text=f"{OPENS}\n{COOL}"), "a rule is one line"),
    (crafted(text=""), "a rule is one line"),
    ("[" * 100_000, "a rule of 100000 characters"),
    ('{"a":' * 100_000, "is not an export of rules"),
])
def test_a_damaged_file_is_refused_whole(text: str, error: str) -> None:
    kb = KnowledgeBase(SCHEMA)
    with pytest.raises(UserError) as raised:
        import_rules(kb, text, "evil.json")
    assert error in str(raised.value).lower()
    assert "evil.json" in str(raised.value)
    assert kb.entries == []


def test_every_mistake_is_reported_with_its_rule() -> None:
    data = json.loads(crafted())
    data["rules"] = [{"text": t} for t in ("avoid haet > 3", OPENS, "forbid pusch")]
    with pytest.raises(RuleError) as raised:
        import_rules(KnowledgeBase(SCHEMA), json.dumps(data), "x.json")
    assert [e.line for e in raised.value.errors] == [1, 3]
    assert "x.json, rule:3:8" in str(raised.value)
