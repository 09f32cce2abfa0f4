"""Demonstrated episodes become a goal: what held at the end of all and never before, once a person confirms it."""

from __future__ import annotations

import numpy as np
import pytest

from gedanken.agent.fewshot import goals_of, instruct
from gedanken.errors import UserError
from gedanken.memory.experience.record import Transitions
from gedanken.world.schema import Feature, Schema

HALL = Schema(
    "hall",
    (Feature("place", "integer", low=0, high=9), Feature("carrying", "category", values=("none", "key", "ball"))),
    (Feature("action", "category", values=("walk", "pickup")),),
    lambda observation, env: {},
    lambda row: int(row[0]),
)


def episode(*states: tuple[int, int]) -> Transitions:
    n = len(states) - 1
    place, carrying = (np.array([s[k] for s in states], d) for k, d in ((0, np.int32), (1, np.int16)))
    return Transitions(
        {"place": place[:-1], "carrying": carrying[:-1]}, np.zeros((n, 1), np.int64), np.zeros(n, np.float32),
        np.zeros(n, bool), np.zeros(n, bool), {"place": place[1:], "carrying": carrying[1:]},
        np.zeros(n, np.int64), np.arange(n),
    )


class Told:
    """An agent that keeps what it was told."""

    schema = HALL

    def __init__(self) -> None:
        self.heard: list[str] = []

    def tell(self, text: str) -> list:
        self.heard.append(text)
        return []


def test_two_demonstrations_leave_what_they_share() -> None:
    shown = [episode((1, 0), (2, 0), (2, 1)), episode((7, 0), (6, 0), (6, 1))]
    assert goals_of(shown, HALL).readings[0] == "achieve carrying == key"


def test_where_one_condition_is_not_enough_it_takes_two() -> None:
    shown = [episode((3, 0), (4, 0), (4, 1), (3, 1)), episode((4, 1), (4, 0), (3, 0), (3, 1))]
    assert goals_of(shown, HALL).readings[0] in ("achieve place == 3 and carrying == key",
                                                 "achieve carrying == key and place == 3",
                                                 "achieve place <= 3 and carrying == key",
                                                 "achieve carrying == key and place <= 3")


def test_nothing_is_told_unless_confirmed() -> None:
    agent, shown = Told(), [episode((1, 0), (1, 1))]
    with pytest.raises(UserError, match="no goal was confirmed of: achieve carrying == key"):
        instruct(agent, shown)    # type: ignore[arg-type]
    with pytest.raises(UserError, match="no goal was confirmed"):
        instruct(agent, shown, ask=lambda question, readings: None)    # type: ignore[arg-type]
    assert not agent.heard
    instruct(agent, shown, ask=lambda question, readings: 0)    # type: ignore[arg-type]
    assert agent.heard == ["achieve carrying == key"]


def test_ends_like_their_beginnings_are_no_goal() -> None:
    with pytest.raises(UserError, match="nothing holds at the end"):
        goals_of([episode((1, 0), (1, 0))], HALL)
