"""Short-term memory: a context that fits its budget and says what it left out, what was seen last, and checkpoints."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gedanken.errors import UserError
from gedanken.memory import PRIORITY, Context, Line, ShortTerm
from gedanken.memory.context import assemble

from .conftest import life


def words(text: str) -> int:
    return len(text.split())


def test_a_budget_goes_by_priority_and_says_what_it_left_out() -> None:
    lines = [Line("saw a door", "event"), Line("a lesson learnt", "lesson"), Line("reach green", "goal")]
    context = assemble(lines, 7, words)    # a word more is reckoned a line, for the line break
    assert [line.kind for line in context.lines] == ["goal", "lesson"]
    assert context.left_out == (lines[0],)
    assert context.tokens == 5
    assert assemble(lines, 0, words).left_out == (lines[2], lines[1], lines[0])


def test_no_kind_takes_all_the_room_while_others_wait() -> None:
    rules = [Line(f"rule number {i}", "rule") for i in range(20)]
    context = assemble([*rules, Line("a lesson", "lesson"), Line("what happened", "event")], 40, words)
    assert context.of("lesson") == ["a lesson"]
    assert context.of("event") == ["what happened"]
    assert context.of("rule") == [f"rule number {i}" for i in range(len(context.of("rule")))]    # the first ones
    assert len(context.of("rule")) > 40 * 0.25 / 4    # what is left is theirs


def test_all_that_is_shown_counts_even_where_quoting_costs_more() -> None:
    def shown(context: Context) -> str:
        return "you are a scientist\n" + "\n".join('" ' + line.text + ' "' for line in context.lines)

    lines = [Line(f"line {i}", "event") for i in range(8)]
    context = assemble(lines, 20, words, shown)
    assert 0 < context.tokens <= 20
    assert context.tokens == words(shown(context))
    assert len(context.lines) + len(context.left_out) == 8
    with pytest.raises(UserError, match="4 tokens without a line"):
        assemble(lines, 3, words, shown)


def test_shares_leave_room_for_every_kind() -> None:
    assert len({part.kind for part in PRIORITY}) == len(PRIORITY)
    assert all(0 < part.share <= 0.5 for part in PRIORITY)
    with pytest.raises(UserError, match="did you mean 'lesson'"):
        Line("x", "lessons")


def test_what_was_said_is_in_the_next_context_the_newest_first() -> None:
    short = ShortTerm(budget_tokens=30, count=words, max_lines=2)
    for text in ("a\x00", "b", "a", " "):
        short.say(text)
    assert short.context().of("event") == ["a", "b"]
    short.say("remember this", kind="lesson", lasting=True)
    short.add(life(1, 1)[0])
    short.surprise(4.0, "odd")
    context = short.context([Line("end if lava", "rule")])
    assert context.text.splitlines() == ["end if lava", "remember this", "a", "odd"]
    assert short.dropped_lines == 1
    assert short.shown is not None
    assert short.shown.tokens == 7
    short.reset()
    assert short.context().lines == (Line("remember this", "lesson"),)


def test_what_is_out_of_sight_is_as_old_as_it_is() -> None:
    seen = ShortTerm().seen
    seen.look({"grid": np.zeros((2, 2)), "key": 1}, 0)
    seen.look({"grid": np.zeros((2, 2))}, 1)
    seen.look({"grid": np.eye(2)}, 2)
    assert (seen.age("key"), seen.age("grid")) == (2, 0)
    assert (seen.sights["grid"].since, seen.sights["key"].since) == (2, 0)
    other = ShortTerm().seen
    other.load_state_dict(json.loads(json.dumps(seen.state_dict())))
    assert other.state_dict() == seen.state_dict()
    assert np.array_equal(other.sights["grid"].value, np.eye(2))


def test_an_episode_is_counted_and_forgotten() -> None:
    short = ShortTerm(max_surprises=2)
    for step in life(1, 3):
        short.add(step)
        short.surprise(step.reward, "odd")
    assert (short.t, short.total_reward, short.seen.sights["speed"].value) == (3, 3.0, 3.0)
    short.reset()
    assert (short.t, short.episodes, short.total_steps, short.seen.sights) == (0, 1, 3, {})
    assert [(s.amount, s.episode, s.t) for s in short.surprises] == [(1.0, 0, 2), (2.0, 0, 3)]


def test_everything_returns_from_a_checkpoint() -> None:
    short = ShortTerm()
    steps = life(1, 1)
    short.add(steps[0])
    short.surprise(0.5, "odd")
    short.say("rule", kind="lesson", lasting=True)
    short.recalled.append(7)
    other = ShortTerm()
    other.load_state_dict(json.loads(json.dumps(short.state_dict())), steps)
    assert other.state_dict() == short.state_dict()
    assert other.context() == short.context()
    assert other.t == 1
    with pytest.raises(UserError, match="not a short-term checkpoint"):
        other.load_state_dict({"remarks": [{"line": {"txet": ""}}]})
    with pytest.raises(UserError, match="budget_tokens is 0"):
        ShortTerm(budget_tokens=0)
