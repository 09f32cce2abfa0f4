"""Short-term memory: a context that fits its budget and says what it left out."""

from __future__ import annotations

import json

import pytest

from gedanken.errors import UserError
from gedanken.memory import ShortTerm

from .conftest import life


def words(text: str) -> int:
    return len(text.split())


def test_the_context_keeps_what_matters_in_the_order_it_was_said() -> None:
    short = ShortTerm(budget_tokens=9, count=words)
    short.say("goal: reach green", priority=2)
    short.say("saw a door")
    short.say("saw a key")
    short.say("never touch lava", priority=3)
    context = short.context()
    assert context.lines == ("goal: reach green", "never touch lava")
    assert [line.text for line in context.left_out] == ["saw a door", "saw a key"]
    assert short.context(14).lines == ("goal: reach green", "saw a key", "never touch lava")
    assert short.context(0).lines == ()
    assert len(short.context(0).left_out) == 4


def test_a_budget_holds_even_where_joining_costs_more() -> None:
    short = ShortTerm(budget_tokens=20, count=lambda text: len(text.split()) + 5 * text.count("\n"))
    for i in range(8):
        short.say(f"line {i}")
    context = short.context()
    assert 0 < context.tokens <= 20
    assert context.lines[-1] == "line 7"
    assert len(context.lines) + len(context.left_out) == 8


def test_said_again_moves_to_the_end_and_the_least_is_forgotten_first() -> None:
    short = ShortTerm(max_lines=2)
    short.say("b")
    short.say("a\x00")
    short.say("b")
    short.say(" ")
    assert [line.text for line in short.lines] == ["a", "b"]
    short.say("rule", priority=1)
    assert ([line.text for line in short.lines], short.dropped_lines) == (["b", "rule"], 1)


def test_an_episode_is_counted_and_forgotten() -> None:
    short = ShortTerm(max_surprises=2)
    short.belief = object()
    for step in life(1, 3):
        short.add(step)
        short.surprise(step.reward, "odd")
    short.say("passing")
    short.say("rule", lasting=True)
    assert (short.t, short.total_reward) == (3, 3.0)
    short.reset()
    assert (short.t, short.belief, short.episodes, short.total_steps) == (0, None, 1, 3)
    assert [line.text for line in short.lines] == ["rule"]
    assert [(s.amount, s.episode, s.t) for s in short.surprises] == [(1.0, 0, 2), (2.0, 0, 3)]


def test_text_and_counters_return_from_a_checkpoint() -> None:
    short = ShortTerm()
    short.add(life(1, 1)[0])
    short.surprise(0.5, "odd")
    short.say("rule", priority=1, lasting=True)
    short.reset()
    other = ShortTerm()
    other.load_state_dict(json.loads(json.dumps(short.state_dict())))
    assert other.state_dict() == short.state_dict()
    with pytest.raises(UserError, match="not a short-term checkpoint"):
        other.load_state_dict({"lines": [{"txet": ""}]})
    with pytest.raises(UserError, match="budget_tokens is 0"):
        ShortTerm(budget_tokens=0)
