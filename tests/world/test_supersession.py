"""Who wins where people's sentences differ: the newer one, over an older one and over what was lived before it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gedanken.memory.experience.record import Transitions
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.model import begin
from gedanken.world.models.persistence import Persistence
from gedanken.world.schema import Feature, Schema

SCHEMA = Schema(
    "house",
    (Feature("door", "category", values=("open", "closed", "locked")), Feature("room", "integer", low=0, high=3)),
    (Feature("action", "category", values=("wait", "push", "go")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)
OPEN, CLOSED, LOCKED = range(3)
OPENS = "expect door' == open if action == push and door == closed"
LOCKS = "expect door' == locked if action == push and door == closed"


@pytest.fixture
def kb() -> KnowledgeBase:
    return KnowledgeBase(SCHEMA)


def pushes(n: int, becomes: int, episode: int = 0, ended: bool = False, paid: float = 0.0) -> Transitions:
    """Pushes at a closed door and what became of it."""
    now = {"door": np.full(n, CLOSED, np.int16), "room": np.zeros(n, np.int32)}
    return Transitions(now, np.ones((n, 1), np.int64), np.full(n, paid, np.float32), np.full(n, ended),
                       np.zeros(n, bool), now | {"door": np.full(n, becomes, np.int16)}, np.full(n, episode),
                       np.arange(n))


def both(a: Transitions, b: Transitions) -> Transitions:
    def joined(x: object, y: object) -> object:
        if isinstance(x, dict) and isinstance(y, dict):
            return {k: np.concatenate([x[k], y[k]]) for k in x}
        return np.concatenate([x, y])    # type: ignore[list-item]

    parts = ("features", "action", "reward", "terminated", "truncated", "next_features", "episode", "t")
    return Transitions(*(joined(getattr(a, k), getattr(b, k)) for k in parts))    # type: ignore[arg-type]


def imagined(kb: KnowledgeBase, room: int = 0) -> tuple[int, float, float]:
    """The door, the reward and the chance to go on, after a push at a closed one."""
    model = kb.refine(Persistence(SCHEMA))
    now = {"door": torch.tensor([CLOSED]), "room": torch.tensor([room])}
    _, out = model.step(begin(model, SCHEMA.batch([{k: v[0].numpy() for k, v in now.items()}])), torch.tensor([[1]]))
    return int(out.mode["door"][0]), float(out.reward[0]), float(out.cont[0])


def test_the_newer_sentence_wins_though_the_older_is_supported_and_says_more_of_when(kb: KnowledgeBase) -> None:
    kb.tell(OPENS + " and room == 0")
    kb.check(pushes(50, OPEN))
    assert kb.entries[0].status == "supported"
    kb.tell(LOCKS, transitions=pushes(50, OPEN))
    assert imagined(kb)[0] == LOCKED


def test_told_again_the_older_wins_again(kb: KnowledgeBase) -> None:
    for rule in (OPENS, LOCKS, OPENS):
        kb.tell(rule)
    assert imagined(kb)[0] == OPEN


def test_of_one_telling_the_one_that_says_more_wins_whatever_their_order(kb: KnowledgeBase) -> None:
    kb.tell(f"{LOCKS} and room == 0\n{OPENS}")
    assert imagined(kb)[0] == LOCKED


def test_what_was_lived_before_does_not_refute_a_new_sentence_and_what_comes_after_does(kb: KnowledgeBase) -> None:
    before = pushes(200, OPEN)
    kb.tell(LOCKS, transitions=before)
    kb.check(before)
    assert kb.entries[0].status != "contradicted"
    kb.check(both(before, pushes(3, LOCKED, episode=1)))
    assert kb.entries[0].status != "contradicted"
    kb.check(both(before, pushes(3, OPEN, episode=1)))
    assert kb.entries[0].status == "contradicted"


def test_three_steps_refute_a_rule_without_evidence(kb: KnowledgeBase) -> None:
    kb.tell(LOCKS)
    kb.check(pushes(3, OPEN))
    assert kb.entries[0].status == "contradicted"


def test_what_a_machine_proposes_has_no_such_right(kb: KnowledgeBase) -> None:
    kb.tell(LOCKS, source="model", transitions=pushes(200, OPEN))
    kb.check(pushes(200, OPEN))
    assert kb.entries[0].status == "contradicted"


def test_when_it_was_told_survives_a_restart(kb: KnowledgeBase, tmp_path) -> None:  # type: ignore[no-untyped-def]
    kb.tell(OPENS)
    kb.tell(LOCKS, transitions=pushes(20, OPEN))
    kb.save(tmp_path)
    other = KnowledgeBase(SCHEMA)
    other.load(tmp_path)
    assert imagined(other)[0] == LOCKED
    other.check(pushes(20, OPEN))
    assert other.entries[1].status != "contradicted"


def test_a_line_written_into_the_file_is_the_newest(kb: KnowledgeBase, tmp_path) -> None:  # type: ignore[no-untyped-def]
    kb.tell(OPENS)
    kb.save(tmp_path)
    with (tmp_path / "rules.txt").open("a") as file:
        file.write(LOCKS + "\n")
    other = KnowledgeBase(SCHEMA)
    other.load(tmp_path)
    assert imagined(other)[0] == LOCKED


def test_nothing_paid_replaces_what_older_rules_pay_and_other_amounts_add_up(kb: KnowledgeBase) -> None:
    kb.tell("reward +1 if action == push")
    kb.tell("reward -0.25 if action == push")
    assert imagined(kb)[1] == 0.75
    kb.tell("reward 0 if action == push and room == 0")
    assert imagined(kb)[1] == 0
    assert imagined(kb, room=1)[1] == 0.75
    kb.tell("reward +2 if action == push")
    assert imagined(kb)[1] == 2


def test_the_newest_sentence_says_whether_it_ends(kb: KnowledgeBase) -> None:
    kb.tell("end if action == push")
    assert imagined(kb)[2] == 0
    kb.tell("end with probability 0 if action == push and room == 0")
    assert imagined(kb)[2] == 1
    assert imagined(kb, room=1)[2] == 0
    kb.tell("end with probability 0.25 if action == push")
    assert imagined(kb)[2] == 0.75


@pytest.mark.parametrize(("ended", "status"), [(False, "supported"), (True, "contradicted")])
def test_that_it_goes_on_is_supported_and_refuted_by_data(kb: KnowledgeBase, ended: bool, status: str) -> None:
    kb.tell("end with probability 0 if action == push")
    kb.check(pushes(40, OPEN, ended=ended))
    assert kb.entries[0].status == status
