"""Surprises in words: what is grouped, what is said of it, and that names and numbers are all it says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gedanken.memory.experience.record import Transitions
from gedanken.world.schema import Schema
from gedanken.world.surprises import Surprise, surprises

Life = Callable[..., Transitions]

def about(found: list[Surprise], words: str) -> str:
    return next(one.text for one in found if words in one.text.split(" if ")[0])


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_conditions_are_what_tells_and_joint_changes_are_one(cellar: Schema, lived: Life, noise: float) -> None:
    text = about(surprises(cellar, lived(noise=noise)), "carrying becomes key")
    assert text.startswith("when action is pickup: ")
    assert "front becomes empty" in text
    assert "front is key (else " in text
    assert "carrying is none" in text
    assert "lamp is true" in text
    assert "oil" not in text


def test_increments_thresholds_relations_rewards_and_ends(cellar: Schema, lived: Life) -> None:
    found = surprises(cellar, lived())
    assert "oil falls by 2 if oil at least 2 (else 0 to 1)" in about(found, "oil falls")
    assert "when action is burn: the reward is +5 if heat above 60" in about(found, "the reward")
    assert about(found, "the episode ends") == "the episode ends if heat above limit."


def test_they_are_the_same_every_time_and_bounded(cellar: Schema, lived: Life) -> None:
    found = surprises(cellar, lived(), most=3)
    assert len(found) == 3
    assert [one.text for one in found] == [one.text for one in surprises(cellar, lived(), most=3)]
    assert all(len(one.text.split()) < 80 for one in surprises(cellar, lived(noise=0.2), most=50))


def test_the_model_s_own_surprise_says_which_matter(cellar: Schema, lived: Life) -> None:
    transitions = lived()
    first = surprises(cellar, transitions, (transitions.reward > 0).astype(float), most=1)
    assert "reward" in first[0].subjects
    assert surprises(cellar, transitions.take(np.arange(0))) == []
