"""What the transitions in memory say of what a sentence may mean."""

from __future__ import annotations

import numpy as np

from gedanken.memory.experience.record import Transitions
from gedanken.prompts.reader.links import spoken_of
from gedanken.world.items import is_about, items_of
from gedanken.world.judging import judged, weight_of_evidence
from gedanken.world.rules.parse import parse
from gedanken.world.schema_file import schema_from

SCHEMA = schema_from({
    "name": "lamp",
    "features": [{"name": "lit", "kind": "boolean"}, {"name": "door", "kind": "boolean"}],
    "actions": [{"name": "action", "kind": "category", "values": ["press", "wait"]}],
})


def pressed(n: int = 200) -> Transitions:
    """Pressing lights the lamp; the door moves as it likes."""
    rng = np.random.default_rng(0)
    action = rng.integers(0, 2, n)
    lit, door, door_next = (rng.random(n) < 0.5 for _ in range(3))
    no = np.zeros(n, bool)
    return Transitions({"lit": lit, "door": door}, action[:, None], np.zeros(n, np.float32), no, no,
                       {"lit": (action == 0) | lit, "door": door_next}, np.zeros(n, np.int64), np.arange(n))


def test_what_holds_goes_up_and_what_fails_goes_down() -> None:
    right, wrong, idle = ([parse(line, SCHEMA)] for line in (
        "expect lit' if action == press", "expect door' if action == press", "avoid lit and door"))
    seen = pressed()
    assert weight_of_evidence(right, SCHEMA, seen) > 3
    assert weight_of_evidence(wrong, SCHEMA, seen) < -5
    assert weight_of_evidence(idle, SCHEMA, seen) == 0
    before = [0.2, 0.6, 0.1]
    confidence = judged([right, wrong, idle], before, SCHEMA, seen)
    assert confidence[0] > confidence[2] > confidence[1]
    assert confidence[0] > 2 * before[0]    # one of the others is gone
    assert confidence[1] < 0.05
    assert sum(confidence) <= 1


def test_data_that_say_nothing_change_nothing() -> None:
    assert judged([[parse("avoid lit", SCHEMA)]], [0.4], SCHEMA, pressed()) == [0.4]


def test_evidence_for_a_reading_does_not_carry_it_past_what_the_sentence_says() -> None:
    """Much is true that nobody said: what merely explains the data stays behind a reading that is far likelier."""
    said, true = [parse("avoid lit and door", SCHEMA)], [parse("expect lit' if action == press", SCHEMA)]
    confidence = judged([said, true], [0.6, 0.05], SCHEMA, pressed())
    assert confidence[0] > confidence[1] > 0.05


def test_only_what_names_what_the_sentence_speaks_of_is_about_it() -> None:
    there = spoken_of("When you press, the lamp is lit.", items_of(SCHEMA))
    assert is_about(parse("expect lit' if action == press", SCHEMA), there)
    assert not is_about(parse("expect door' if action == press", SCHEMA), there)
    assert not is_about(parse("expect lit' if action == wait", SCHEMA), there)
