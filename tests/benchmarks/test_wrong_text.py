"""Wrong and hostile text: what the benchmark tells is false, what becomes of hostile text, and that limits stand."""

from __future__ import annotations

import pytest
from shifts.boards import Boards
from shifts.hostile import TEXTS, fate
from shifts.play import play
from wrong_text import LIES, manual

from gedanken.world.checking import measure
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Schema

SHORT = [name for name, text in TEXTS.items() if len(text) < 400]


def test_every_lie_is_false_and_every_true_sentence_true() -> None:
    env = Boards("locked", "locked", "doors", "gap")
    schema, seen = Schema.from_env(env), play(env, 4_000, seed=0)
    said, _ = manual("true", 0)
    true = [parse(line.strip(), schema) for line in said.splitlines() if line.startswith("    ")]
    for rule, evidence in zip(true, measure(true, schema, seen, noise={}), strict=True):
        wrong = evidence.hits if getattr(rule.statement, "probability", None) == 0 else evidence.violations
        assert not wrong, rule
    lies = [parse(rule, schema) for _, rule in LIES]
    for rule, evidence in zip(lies, measure(lies, schema, seen, noise={}), strict=True):
        assert evidence.violations, rule


@pytest.mark.parametrize(("arm", "share"), [("true", 0.0), ("lies", 0.2), ("all lies", 1.0)])
def test_a_manual_has_its_share_of_lies(arm: str, share: float) -> None:
    text, false = manual(arm, 3)
    sentences = text.split("\n\n")
    assert len(false) / len(sentences) == pytest.approx(share, abs=0.1)
    assert all(rule in text for rule in false)


@pytest.mark.parametrize("name", SHORT)
def test_hostile_text_leaves_the_users_limits_standing(name: str) -> None:
    said = fate(name)
    if name in ("ignore the rules", "a new system prompt", "code", "code in a rule"):
        assert "refused" in said
