"""What if: a few remembered states, and what is imagined of every action there, by what was learned alone and with the
rules, side by side. All of it is worked out beforehand, batched, so that the page needs no model."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...world import tree
from ...world.model import WorldModel, begin
from ...world.scenes import Row, action_text, differ, row_of, value_text
from ...world.schema import Features, Schema
from ..drawing import scalars
from .boards import Boards, happened
from .run import Run

if TYPE_CHECKING:
    from ...world.knowledge import Entry

STATES, CANDIDATES, SEQUENCES, DEPTH = 4, 300, 64, 3
LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Of a continuous action, what is offered: parts of the way from the middle to a bound."""


@dataclass(frozen=True)
class Side:
    """One imagined future after a sequence: its board, what changed since the start, and what it brings."""

    board: str | None
    changed: tuple[str, ...]
    reward: float
    ends: bool
    allowed: bool

    def data(self) -> dict[str, Any]:
        return {"b": self.board, "c": list(self.changed), "r": self.reward, "e": self.ends, "a": self.allowed}


@dataclass(frozen=True)
class Case:
    """A sequence of actions (indices) with both futures, and the rules (texts) that fired on its last step."""

    sequence: tuple[int, ...]
    learned: Side
    refined: Side
    fired: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return self.learned != self.refined


@dataclass(frozen=True)
class StateView:
    """A state to try things in."""

    title: str
    label: str
    board: str | None
    scalars: tuple[tuple[str, str], ...]
    cases: tuple[Case, ...]

    @property
    def single(self) -> list[Case]:
        return [case for case in self.cases if len(case.sequence) == 1]


@dataclass(frozen=True)
class WhatIf:
    actions: tuple[str, ...]
    depth: int
    states: tuple[StateView, ...]

    def data(self) -> dict[str, Any]:
        """What the page's script reads: outcomes by the sequence's indices, joined by dots."""
        rules = list(dict.fromkeys(text for s in self.states for c in s.cases for text in c.fired))
        states = [
            {"title": s.title, "label": s.label, "board": s.board, "scalars": [list(pair) for pair in s.scalars],
             "cases": {".".join(map(str, c.sequence)): {"l": c.learned.data(), "r": c.refined.data(),
                                                        "f": [rules.index(text) for text in c.fired]}
                       for c in s.cases}} for s in self.states]
        return {"actions": list(self.actions), "depth": self.depth, "rules": rules, "states": states}


@torch.no_grad()
def what_if(run: Run, boards: Boards) -> WhatIf | None:
    """The panel of a run; None where there is no agent, or nothing in its memory."""
    agent, lived = run.agent, run.transitions
    if agent is None or lived is None or not len(lived):
        return None
    schema, learned = agent.schema, agent.mind.learned
    refined = agent.mind.knowledge.refine(learned)
    offered = actions(schema)    # [M, A]
    entries = agent.mind.knowledge.corrections()
    rows = lived.take(np.unique(np.linspace(0, len(lived) - 1, min(CANDIDATES, len(lived))).astype(int)))
    states = schema.batch(rows.features)
    picks = _interesting(schema, learned, refined, states, offered, len(entries))
    depth = max(d for d in range(1, DEPTH + 1) if d == 1 or len(offered) ** d <= SEQUENCES)
    chosen = {k: v[torch.tensor(picks)] for k, v in states.items()}
    cases = _imagined(schema, learned, refined, chosen, offered, depth, entries, boards)
    views = []
    for n, pick in enumerate(picks):
        row = row_of(chosen, n)
        words = tuple((f.name.replace("_", " "), value_text(f, row[f.name])) for f in scalars(schema))
        title = f"step {int(rows.t[pick]) + 1} of episode {int(rows.episode[pick])} in memory"
        label = ", ".join(f"{name} {value}" for name, value in words[:4]) or title
        views.append(StateView(title, label, boards.add(schema, row), words, tuple(cases[n])))
    return WhatIf(tuple(action_text(schema, a) for a in offered), depth, tuple(views))


def actions(schema: Schema, most: int = 12) -> Tensor:
    """The actions that are offered, `[M, A]`: all of a small discrete world, else a few levels of each."""
    if schema.discrete_actions:
        return schema.all_actions()[:most]
    low, high = schema.clamp(torch.tensor([[-torch.inf], [torch.inf]]).expand(2, len(schema.actions)))
    middle, half = (low + high) / 2, (high - low) / 2
    if len(schema.actions) == 1:
        offered = [middle + level * half for level in LEVELS]
    else:
        one = torch.eye(len(schema.actions))
        offered = [middle, *(middle + sign * half * row for row in one for sign in (-1, 1))]
    return schema.clamp(torch.stack(offered).to(schema.action_dtype))[:most]


def _interesting(schema: Schema, learned: WorldModel, refined: WorldModel, states: Features, offered: Tensor,
                 rules: int) -> list[int]:
    """States in which different rules change most of what is imagined: each adds the most that the others do not
    show."""
    n, m = len(next(iter(states.values()))), len(offered)
    rows = {k: v.repeat_interleave(m, 0) for k, v in states.items()}
    action = offered.repeat(n, 1)
    _, alone = learned.step(begin(learned, rows), action)
    _, both = refined.step(begin(refined, rows), action)
    different = differ(schema, alone, both).view(n, m)
    fired = both.fired.view(n, m, -1) if both.fired is not None and rules else torch.zeros(n, m, 1, dtype=torch.bool)
    shows = (fired & different[..., None]).flatten(1).float()    # [n, m * R]: a rule at work on an action
    if not bool(different.any()):
        return np.unique(np.linspace(0, n - 1, min(STATES, n)).astype(int)).tolist()
    seen, picks = torch.zeros(shows.shape[1]), list[int]()
    for _ in range(min(STATES, n)):
        gain = (shows * (1 - seen)).sum(1) + 0.05 * different.float().sum(1) + 0.001 * fired.flatten(1).any(1)
        gain[picks] = -1.0
        best = int(gain.argmax())
        if picks and any(all(torch.equal(v[best], v[p]) for v in states.values()) for p in picks):
            gain[best] = -1.0
            best = int(gain.argmax())
        picks.append(best)
        seen = torch.maximum(seen, shows[best])
    return picks


def _imagined(schema: Schema, learned: WorldModel, refined: WorldModel, states: Features, offered: Tensor, depth: int,
              entries: list[Entry], boards: Boards) -> list[list[Case]]:
    """For each state, every sequence of up to `depth` actions: all of one length are imagined together."""
    n, m = len(next(iter(states.values()))), len(offered)
    cases: list[list[Case]] = [[] for _ in range(n)]
    starts = [row_of(states, i) for i in range(n)]
    models = {"learned": learned, "refined": refined}
    at = {name: begin(model, states) for name, model in models.items()}
    over = {name: torch.zeros(n, dtype=torch.bool) for name in models}
    paid = {name: torch.zeros(n) for name in models}
    for length in range(1, depth + 1):
        sequences = list(itertools.product(range(m), repeat=length))
        action = offered.repeat(len(over["learned"]), 1)
        sides: dict[str, list[Side]] = {}
        texts: list[tuple[str, ...]] = []
        for name, model in models.items():
            begun, was_over = tree.repeat(at[name], m), over[name].repeat_interleave(m)
            at[name], out = model.step(begun, action)
            paid[name] = paid[name].repeat_interleave(m) + torch.where(was_over, 0.0, out.reward)
            over[name] = was_over | (out.cont < 0.5)
            sides[name] = [
                _side(schema, starts[i // len(sequences)], row_of(out.mode, i), float(paid[name][i]),
                      bool(over[name][i]), bool(out.feasible[i]), boards) for i in range(len(action))]
            if name == "refined":
                fired = out.fired if out.fired is not None else torch.zeros(len(action), 0, dtype=torch.bool)
                texts = [tuple(entries[j].text for j in row.nonzero()[:, 0].tolist()) for row in fired]
        for i, (one, both, rules) in enumerate(zip(sides["learned"], sides["refined"], texts, strict=True)):
            cases[i // len(sequences)].append(Case(sequences[i % len(sequences)], one, both, rules))
    return cases


def _side(schema: Schema, start: Row, row: Row, reward: float, ends: bool, allowed: bool, boards: Boards) -> Side:
    return Side(boards.add(schema, row), tuple(happened(schema, start, row)), round(reward, 4), ends, allowed)
