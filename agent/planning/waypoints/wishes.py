"""What is wanted now, of a goal that is an automaton: its words, and the means without which it cannot come about.

The means of an event ("carrying the ball, lay it down beside the box") are what it says of the scalars before: to have
them counts as half a milestone. So a thing that must be carried somewhere is fetched first, and full hands are freed
for what asks for empty ones, as part of the goal alone tells it. N rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from ....world.rules.evaluate import Rows, truth
from ....world.rules.milestones import is_event
from ....world.rules.syntax import Expression, Name, walk
from ....world.rules.text import to_text
from ....world.schema import Features, Schema
from ..objective import Carry, Objective
from ..subgoals import atoms

READY = 0.5
"""Milestones that it counts to have the means of what is wanted."""


@dataclass(frozen=True)
class Wish:
    """The values that are spoken of in what is wanted, and its means: of each event, conditions on the scalars."""

    words: frozenset[str]
    means: tuple[tuple[Expression, ...], ...]


class Wishes:
    """What an objective wants in each of its stages, worked out once a stage."""

    def __init__(self, schema: Schema, objective: Objective, scalars: set[str]) -> None:
        self.schema, self.objective, self.scalars = schema, objective, scalars
        self.known: dict[tuple[float, ...], Wish] = {}

    def of(self, carry: Carry) -> Wish:
        """What is wanted with a carry of one row."""
        key = tuple(float(k) for k in self.objective.key(carry))
        if key not in self.known:
            wanted = [c for term, own in zip(self.objective.terms, carry, strict=True) if hasattr(term, "wanted")
                      for c in term.wanted(own)]
            means = (tuple(atom for atom in atoms(c) if self._is_means(atom)) for c in wanted)
            words = frozenset(word for c in wanted for word in re.findall(r"\w+", to_text(c)))
            self.known[key] = Wish(words, tuple(m for m in means if m))
        return self.known[key]

    def progress(self, carry: Carry, features: Features, before: Carry | None = None) -> Tensor:
        """How many milestones are behind N rows, with `READY` for the means of what is wanted by the one row `before`
        (by themselves), where no more are behind than there: `[N]`, float64."""
        n = len(next(iter(features.values())))
        behind = self.objective.progress(carry).expand(n).double()
        means = self.of(carry if before is None else before).means
        if not means:
            return behind
        rows = Rows(self.schema, features)
        ready = torch.stack([torch.stack([truth(c, rows) for c in one]).all(0) for one in means]).any(0)
        if before is not None:
            ready &= behind <= self.objective.progress(before)
        return behind + READY * ready

    def _is_means(self, atom: Expression) -> bool:
        names = {node.name for node in walk(atom) if isinstance(node, Name) and node.name in self.schema.named}
        return bool(names) and names <= self.scalars and not is_event(atom, self.schema)
