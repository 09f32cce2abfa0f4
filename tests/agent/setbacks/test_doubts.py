"""How a rule comes to be doubted, where, and how it goes on acting elsewhere."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.agent.setbacks import Doubts
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.rules.evaluate import Rows, truth
from gedanken.world.rules.syntax import Expect
from gedanken.world.schema import Feature, Schema

WORLD = Schema(
    "doors", (Feature("hand", "category", values=("none", "red", "blue")),
              Feature("door", "category", values=("red", "blue")), Feature("lit", "boolean"),
              Feature("x", "integer", low=0, high=3)),
    (Feature("action", "category", values=("wait", "toggle")),), lambda o, e: {}, lambda a: int(a[0]),
)
EVERY = [dict(zip(("hand", "door", "lit"), values, strict=True))
         for values in itertools.product(range(3), range(2), (False, True))]


def state(case: dict[str, int]) -> dict[str, torch.Tensor]:
    return {k: torch.tensor([v]).to(WORLD.feature(k).dtype) for k, v in {**case, "x": 0}.items()}


def acts(doubts: Doubts, known: KnowledgeBase, case: dict[str, int]) -> bool:
    (rule,) = doubts.silenced(known).rules
    assert isinstance(rule.statement, Expect)
    assert rule.statement.guard is not None
    return bool(truth(rule.statement.guard, Rows(WORLD, state(case), torch.tensor([[1]])))[0])


def told() -> KnowledgeBase:
    known = KnowledgeBase(WORLD)
    known.tell("expect x' == 3 if action == toggle and hand != none")
    return known


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from([c for c in EVERY if c["hand"]]), st.booleans()), max_size=10))
def test_a_rule_is_doubted_where_it_failed_twice_and_more_often_than_it_held(life: list[tuple[dict[str, int], bool]]
                                                                             ) -> None:
    known, doubts = told(), Doubts()
    (entry,) = known.entries
    for case, is_held in life:
        if is_held:
            doubts.held([entry], WORLD, state(case))
        else:
            doubts.failed(entry, WORLD, state(case))
    failures = [case for case, is_held in life if not is_held]
    for case in EVERY:
        often = failures.count(case)
        if not case["hand"] or (often >= 2 and (case, True) not in life):
            assert not acts(doubts, known, case)
        elif len(failures) < 2:
            assert acts(doubts, known, case)
    was_doubted = len(doubts) > 0
    assert doubts.clear() == was_doubted
    assert all(acts(doubts, known, c) for c in EVERY if c["hand"])


def test_what_fails_everywhere_is_doubted_under_what_the_failures_share() -> None:
    known, doubts = told(), Doubts()
    (entry,) = known.entries
    cases = [{"hand": 1, "door": door, "lit": lit} for door in (0, 1) for lit in (False, True)]
    assert [doubts.failed(entry, WORLD, state(c)) for c in cases] == [False, False, False, True]
    assert not any(acts(doubts, known, c) for c in cases)
    assert acts(doubts, known, {"hand": 2, "door": 1, "lit": True})
