"""Explaining: the transitions for and against a rule, where it applied last, and what it changes of a prediction."""

from __future__ import annotations

import numpy as np
import pytest

from gedanken.memory.experience.record import Transitions
from gedanken.world.explaining import Explanation, explain
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.models.persistence import Persistence
from gedanken.world.schema import Feature, Schema

SCHEMA = Schema(
    "house",
    (Feature("door", "category", values=("open", "closed", "locked")), Feature("heat", low=0, high=100, unit="°C")),
    (Feature("action", "category", values=("wait", "push")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)
OPENS = "expect door' == open if action == push"


@pytest.fixture
def steps() -> Transitions:
    """Two episodes of three steps: pushes at a closed door (which opens), a locked one (which does not), and waits."""
    door, action = np.array([1, 2, 0, 1, 2, 0]), np.array([1, 1, 0, 1, 1, 0])
    now = {"door": door.astype(np.int16), "heat": np.linspace(0, 50, 6).astype(np.float32)}
    after = now | {"door": np.where((action == 1) & (door == 1), 0, door).astype(np.int16)}
    reward, ended = np.array([0, 0, 0, 1, 0, 0], np.float32), np.array([0, 0, 1, 0, 0, 1], bool)
    return Transitions(now, action[:, None], reward, ended, np.zeros(6, bool), after, np.arange(6) // 3,
                       np.arange(6) % 3)


def explained(line: str, steps: Transitions, most: int = 3) -> Explanation:
    kb = KnowledgeBase(SCHEMA)
    kb.tell(line)
    kb.check(steps)
    return explain(kb.entries[0], SCHEMA, steps, Persistence(SCHEMA), most)


def test_transitions_for_and_against_the_newest_first(steps: Transitions) -> None:
    found = explained(OPENS, steps)
    assert found.words == "When you choose push, the door becomes open."
    assert found.applied == 4
    assert [(s.episode, s.t) for s in found.held] == [(1, 0), (0, 0)]
    assert [str(s) for s in found.failed] == [
        "episode 1, step 1: push with door locked; nothing changed",
        "episode 0, step 1: push with door locked; nothing changed"]
    assert str(found.held[0]) == "episode 1, step 0: push with door closed; door: closed -> open, reward +1"
    assert len(explained(OPENS, steps, most=1).held) == 1
    assert found.apart == ("door locked",)
    assert found.to_dict()["last"]["came"] == ("nothing changed",)


def test_what_the_rule_changes_of_the_prediction(steps: Transitions) -> None:
    assert explained(OPENS, steps).changed == ("door: locked -> open",)
    assert explained("expect same if action == wait", steps).changed == ()
    assert explained("forbid wait", steps).changed == ("forbidden",)


@pytest.mark.parametrize(("line", "held", "failed"), [
    ("reward +1 if action == push and door == closed", [(1, 0)], [(0, 0)]),
    ("end if action == wait", [(1, 2), (0, 2)], []),
    ("forbid push if door == locked", [], [(1, 1), (0, 1)]),
    ("avoid heat > 35", [], [(1, 2), (1, 1)]),
    ("maintain heat < 45", [], [(1, 2)]),
    ("prefer door == open", [(1, 2), (1, 0), (0, 2)], []),
    ("achieve door == closed then heat >= 50", [(1, 2)], []),
])
def test_every_kind_of_rule_has_its_transitions(
    line: str, held: list[tuple[int, int]], failed: list[tuple[int, int]], steps: Transitions
) -> None:
    found = explained(line, steps)
    assert [(s.episode, s.t) for s in found.held] == held
    assert [(s.episode, s.t) for s in found.failed] == failed


def test_a_rule_that_never_applied_says_so(steps: Transitions) -> None:
    found = explained("expect same if action == wait and door == locked", steps)
    assert (found.applied, found.last, found.changed, found.held, found.failed) == (0, None, None, (), ())
    assert explained(OPENS, steps.take(slice(0, 0))).last is None
