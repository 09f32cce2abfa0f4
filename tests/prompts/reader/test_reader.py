"""The shipped reader, on a world it has never seen."""

from __future__ import annotations

import pytest

from gedanken.prompts import Gateway, LocalChatModel
from gedanken.prompts.reader.reader import WEIGHTS
from gedanken.world.rules.text import to_text
from gedanken.world.schema_file import schema_from
from gedanken.world.translator import Translator

KILN = schema_from({
    "name": "kiln",
    "features": [
        {"name": "temperature", "low": 0, "high": 1300, "unit": "°C", "description": "how hot the kiln is"},
        {"name": "lid", "kind": "category", "values": {"open": "", "closed": ""}, "description": "the kiln's lid"},
    ],
    "actions": [{"name": "action", "kind": "category",
                 "values": {"heat": "burn gas", "cool": "let air in", "lift": "open the lid"}}],
})


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator(KILN, Gateway(LocalChatModel()))


def test_the_weights_are_shipped_and_small() -> None:
    assert WEIGHTS.stat().st_size < 25e6


@pytest.mark.parametrize(("sentence", "meant"), [
    ("Keep the temperature below 1200.", "maintain temperature < 1200"),
    ("Never lift when the lid is open.", "forbid lift if lid == open"),
    ("If you lift, the lid is open afterwards.", "expect lid' == open if action == lift"),
])
def test_plain_sentences_are_read(translator: Translator, sentence: str, meant: str) -> None:
    assert meant in [to_text(r) for c in translator.readings(sentence)[:3] for r in c.rules]


def test_readings_are_ranked_sound_and_said_back(translator: Translator) -> None:
    found = translator.readings("Lifting the lid costs five points.")
    confidences = [c.reading.confidence for c in found]
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= p <= 1 for p in confidences)
    assert all(c.reading.words for c in found if c.rules)
    assert translator.readings("Lifting the lid costs five points.") == found


def test_what_the_world_has_no_feature_for_is_refused_and_named(translator: Translator) -> None:
    told = translator.understood("The colour of the sky turns purple at midnight.", [], None, 0.8)
    assert told.fate == "refused"
    assert not told.rules
