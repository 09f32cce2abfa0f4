"""The history of rules: appended where something changed, and there after a restart."""

from __future__ import annotations

from dataclasses import replace

from gedanken.memory import LongTerm, Standing

from .conftest import LAYOUT, Clock

DOOR = Standing("r1", "forbid forward if front == lava", "user", "untested", {"hits": 0, "violations": 0})


def test_a_rule_is_recorded_whenever_it_stands_otherwise(memory: LongTerm, clock: Clock) -> None:
    other = Standing("r2", "end if front' == lava", "model", "untested", {"hits": 1}, origin="scripted, propose 1234")
    assert memory.rules.record([DOOR, other], position=0) == 2
    clock.now += 60
    assert memory.rules.record([DOOR, other], position=10) == 0
    seen = replace(DOOR, evidence={"hits": 7, "violations": 1.5})
    assert memory.rules.record([seen, other], position=20) == 1
    memory.rules.record([replace(seen, status="supported"), other], position=20)
    history = memory.rules.history("r1")
    assert [(r.rule.status, r.rule.evidence["hits"], r.position) for r in history] == [
        ("untested", 0, 0), ("untested", 7, 20), ("supported", 7, 20)]
    assert history[1].at - history[0].at == 60
    assert [r.rule.id for r in memory.rules.latest()] == ["r1", "r2"]
    assert memory.rules.latest()[0] == history[-1]
    with LongTerm(memory.path, LAYOUT) as again:
        assert again.rules.history("r1") == history
        assert again.rules.history("r9") == []


def test_text_that_a_database_would_choke_on_is_mended(memory: LongTerm) -> None:
    odd = replace(DOOR, text="a\x00b\ud800", evidence={"hits": float("inf")})
    assert memory.rules.record([odd], 0) == 1
    assert memory.rules.record([odd], 0) == 0
    assert memory.rules.history("r1")[0].rule.text == "ab\ufffd"
