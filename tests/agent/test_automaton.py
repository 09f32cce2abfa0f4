"""The automaton of a goal, batched, against a plain reading of the goal one row at a time."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.agent.goals import Goal
from gedanken.agent.planning.objective import Transition
from gedanken.world.rules.parse import parse
from gedanken.world.rules.syntax import Achieve, Bounded, Combined
from gedanken.world.rules.text import to_text
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
WORLD = Schema("line", (Feature("x", "integer", low=0, high=4),), (Feature("push", low=-1, high=1),),
               lambda o, e: {}, lambda a: a)
LEAVES = [f"x == {k}" for k in range(4)] + ["x' > x", "x' == 3 and x == 1"]


def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    some = st.lists(parts, min_size=2, max_size=3)
    plain = st.tuples(st.sampled_from(["then", "also", "else"]), some).map(lambda t: f"{{{f' {t[0]} '.join(t[1])}}}")
    bound = st.tuples(parts, st.integers(1, 3)).map(lambda t: f"{{{t[0]} within {t[1]} steps}}")
    kept = st.tuples(parts, st.sampled_from(["x < 4", "x' != x"])).map(lambda t: f"{{{t[0]}}} while {t[1]}")
    return plain | bound | kept


GOALS = st.recursive(st.sampled_from(LEAVES), joined, max_leaves=5).map(lambda g: "achieve {" + g + "}")
TRACES = st.lists(st.lists(st.integers(0, 4), min_size=5, max_size=5), min_size=2, max_size=4)


class Plain:
    """A milestone of one row, as the language defines it."""

    def __init__(self, m: Any) -> None:
        self.m, self.behind, self.clock, self.broken = m, False, None, False
        inside = m.parts if isinstance(m, Combined) else (m.part,) if isinstance(m, Bounded) else ()
        self.parts = [Plain(p) for p in inside]

    def done(self) -> bool:
        if not self.parts:
            return self.behind
        parts = [p.done() for p in self.parts]
        return any(parts) if isinstance(self.m, Combined) and self.m.operator == "else" else all(parts)

    def step(self, is_turn: bool, before: int | None, x: int) -> None:
        if isinstance(self.m, Combined):
            for k, part in enumerate(self.parts):
                ready = self.m.operator != "then" or all(p.done() for p in self.parts[:k])
                part.step(is_turn and ready, before, x)
        elif isinstance(self.m, Bounded):
            under_way = self.clock is not None and not self.done()
            if under_way:
                self.clock += 1
                late = self.m.within is not None and self.clock > self.m.within
                self.broken |= late or (self.m.keeping is not None and not holds(self.m.keeping, before, x))
            self.parts[0].step(is_turn and not self.broken, before, x)
            if is_turn and self.clock is None:
                self.clock = 0
        elif is_turn and holds(self.m, before, x):
            self.behind = True


def holds(condition: Any, before: int | None, x: int) -> bool:
    text = to_text(condition)
    if "'" in text and before is None:
        return False
    now = {"x' > x": lambda: x > before, "x' == 3 and x == 1": lambda: (before, x) == (1, 3),
           "x' != x": lambda: x != before, "x < 4": lambda: x < 4}
    return now[text]() if text in now else x == int(text[-1])


@settings(max_examples=120, deadline=None)
@given(GOALS, TRACES)
def test_the_batch_does_what_a_row_alone_would(text: str, traces: list[list[int]]) -> None:
    rule = parse(text, WORLD)
    assert parse(to_text(rule), WORLD) == rule
    statement = rule.statement
    assert isinstance(statement, Achieve)
    goal, plain = Goal(WORLD, statement), [Plain(Combined(operator="then", parts=statement.milestones)) for _ in traces]
    board = torch.tensor(traces, dtype=torch.int16)
    carry, one = goal.start({"x": board[:, 0]}), torch.ones(len(traces))
    for p, trace in zip(plain, traces, strict=True):
        p.step(True, None, trace[0])
    for t in range(1, board.shape[1]):
        assert goal.done(carry).tolist() == [p.done() for p in plain]
        step = Transition({"x": board[:, t - 1]}, one[:, None], {"x": board[:, t]}, one, one, one > 0, one, one, t)
        carry, _, _ = goal.advance(carry, step)
        for p, trace in zip(plain, traces, strict=True):
            p.step(True, trace[t - 1], trace[t])
    assert goal.done(carry).tolist() == [p.done() for p in plain]
    assert not (goal.failed(carry) & goal.done(carry)).any()
