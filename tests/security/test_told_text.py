"""What is told as prose is at most asked about: it becomes no rule by itself, and changes none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gedanken.errors import UserError
from gedanken.prompts.templates import quote
from gedanken.world.knowledge import KnowledgeBase

House = Callable[..., KnowledgeBase]
Facts = Callable[[KnowledgeBase], list[tuple[Any, ...]]]


@pytest.mark.parametrize("source", ["user", "manual"])
def test_prose_is_no_rule(payload: str, source: Any, house: House, facts: Facts) -> None:
    kb = house()
    before = facts(kb)
    with contextlib.suppress(UserError):
        assert {t.fate for t in kb.tell(payload, source=source)} <= {"refused"}
    assert facts(kb) == before


def test_it_reaches_the_model_as_one_quoted_line(payload: str, house: House, facts: Facts) -> None:
    seen: list[list[str]] = []
    kb = house(lambda messages: seen.append([m.content for m in messages]) or "forbid push")
    before = facts(kb)
    told = kb.tell(payload, source="manual")
    for turns in seen:
        *trusted, last = turns
        assert not any("PWNED" in turn for turn in trusted)
        assert len(last.splitlines()) == 1
        assert last in {quote(t.sentence) for t in told}
    assert facts(kb) == before    # nobody was there to be asked


def test_it_survives_in_a_file_as_a_comment_only(payload: str, house: House, facts: Facts, tmp_path: Path) -> None:
    kb = house("forbid push")
    kb.tell(payload, ask=lambda sentence, readings: 0)
    kb.save(tmp_path)
    other = house()
    other.load(tmp_path)
    assert facts(other) == facts(kb)
    rules = {e.text for e in kb.entries}
    for line in (tmp_path / "rules.txt").read_text().splitlines():
        assert line in rules or line.startswith("#") or not line
        assert line.isprintable()
