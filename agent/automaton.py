"""The automaton of a goal: deterministic, its state a row of numbers, advanced for all rows at once.

A tree of milestones becomes a tree of nodes, each with columns of its own in the carry `[N, K]`: a leaf whether it is
behind, a bound how many steps ago its turn came (-1: not yet) and whether it was broken. A step runs through the tree
once, from left to right, so that one step may pass several milestones in order; there is no loop over rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import torch
from torch import Tensor

from ..world.rules.evaluate import Rows, truth
from ..world.rules.milestones import is_event
from ..world.rules.syntax import Achieve, Bounded, Combined, Expression, Milestone
from ..world.schema import Features, Schema


@dataclass(frozen=True)
class Moment:
    """What conditions are judged by: the state reached, and the step that led there (None where all begins)."""

    state: Rows
    step: Rows | None = None

    @staticmethod
    def of(schema: Schema, state: Features, now: Features | None = None, action: Tensor | None = None) -> Moment:
        return Moment(Rows(schema, state), None if now is None else Rows(schema, now, action, state))

    def holds(self, condition: Expression) -> Tensor:
        """Where a condition on the state holds, or an event has just happened: `[N]` bool."""
        if not is_event(condition, self.state.schema):
            return truth(condition, self.state)
        if self.step is None:
            return torch.zeros(self.state.size, dtype=torch.bool, device=self.state.device)
        return truth(condition, self.step)


class Node(Protocol):
    """A part of the automaton. `run` advances its columns, where its turn has come (`active [N]`)."""

    size: int

    def run(self, carry: Tensor, active: Tensor, moment: Moment) -> None: ...
    def done(self, carry: Tensor) -> Tensor: ...
    def failed(self, carry: Tensor) -> Tensor: ...
    def progress(self, carry: Tensor) -> Tensor: ...
    def wanted(self, carry: Tensor) -> Iterator[Expression]: ...


@dataclass(frozen=True)
class Leaf:
    """A condition to come about: one column, whether it is behind."""

    at: int
    condition: Expression
    size: int = 1

    def run(self, carry: Tensor, active: Tensor, moment: Moment) -> None:
        carry[:, self.at] = (self.done(carry) | (active & moment.holds(self.condition))).float()

    def done(self, carry: Tensor) -> Tensor:
        return carry[:, self.at] > 0

    def failed(self, carry: Tensor) -> Tensor:
        return torch.zeros(len(carry), dtype=torch.bool, device=carry.device)

    def progress(self, carry: Tensor) -> Tensor:
        return carry[:, self.at]

    def wanted(self, carry: Tensor) -> Iterator[Expression]:
        if not bool(self.done(carry).all()):
            yield self.condition


@dataclass(frozen=True)
class Branch:
    """Parts in order (`then`), in any order (`also`), or alternatives (`else`); no columns of its own."""

    operator: str
    parts: tuple[Node, ...]

    @property
    def size(self) -> int:
        """How many milestones it takes."""
        sizes = [part.size for part in self.parts]
        return max(sizes) if self.operator == "else" else sum(sizes)

    def run(self, carry: Tensor, active: Tensor, moment: Moment) -> None:
        for part in self.parts:
            part.run(carry, active, moment)
            if self.operator == "then":
                active = active & part.done(carry)

    def done(self, carry: Tensor) -> Tensor:
        parts = [part.done(carry) for part in self.parts]
        return reduce(torch.logical_or if self.operator == "else" else torch.logical_and, parts)

    def failed(self, carry: Tensor) -> Tensor:
        parts = [part.failed(carry) for part in self.parts]
        return reduce(torch.logical_and if self.operator == "else" else torch.logical_or, parts)

    def progress(self, carry: Tensor) -> Tensor:
        parts = torch.stack([part.progress(carry) for part in self.parts])
        if self.operator != "else":
            return parts.sum(0)
        return torch.where(self.done(carry), float(self.size), parts.amax(0))

    def wanted(self, carry: Tensor) -> Iterator[Expression]:
        for part in self.parts:
            if not bool(part.done(carry).all()) and not bool(part.failed(carry).all()):
                yield from part.wanted(carry)
                if self.operator == "then":
                    return


@dataclass(frozen=True)
class Bound:
    """A deadline and a condition to keep on the way, from where its turn came. Columns: steps since then, broken."""

    at: int
    part: Node
    within: int | None
    keeping: Expression | None

    @property
    def size(self) -> int:
        return self.part.size

    def run(self, carry: Tensor, active: Tensor, moment: Moment) -> None:
        clock, was_done = carry[:, self.at], self.part.done(carry)
        is_under_way = (clock >= 0) & ~was_done
        clock = torch.where(is_under_way, clock + 1, clock)
        broken = carry[:, self.at + 1] > 0
        if self.keeping is not None:
            broken = broken | (is_under_way & ~moment.holds(self.keeping))
        if self.within is not None:
            broken = broken | (is_under_way & (clock > self.within))
        self.part.run(carry, active & ~broken, moment)
        if self.within is not None:    # the last step there was is spent
            broken = broken | (~self.part.done(carry) & (clock >= self.within))
        carry[:, self.at] = torch.where((clock < 0) & active, 0.0, clock)
        carry[:, self.at + 1] = broken.float()

    def done(self, carry: Tensor) -> Tensor:
        return self.part.done(carry)

    def failed(self, carry: Tensor) -> Tensor:
        return ((carry[:, self.at + 1] > 0) | self.part.failed(carry)) & ~self.done(carry)

    def progress(self, carry: Tensor) -> Tensor:
        return self.part.progress(carry)

    def wanted(self, carry: Tensor) -> Iterator[Expression]:
        return self.part.wanted(carry)


@dataclass(frozen=True)
class Automaton:
    """The whole of it: `root`, the carry where nothing has begun, and the columns that tell states apart."""

    root: Node
    initial: tuple[float, ...]
    kept: tuple[int, ...]

    @staticmethod
    def of(statement: Achieve) -> Automaton:
        """Compile a goal."""
        initial: list[float] = []
        kept: list[int] = []

        def node(m: Milestone) -> Node:
            match m:
                case Combined(operator=operator, parts=parts):
                    return Branch(operator, tuple(map(node, parts)))
                case Bounded(part=part, within=within, keeping=keeping):
                    at = len(initial)
                    initial.extend((-1.0, 0.0))
                    kept.append(at + 1)
                    return Bound(at, node(part), within, keeping)
                case _:
                    initial.append(0.0)
                    kept.append(len(initial) - 1)
                    return Leaf(len(initial) - 1, m)

        whole: Milestone = Combined(operator="then", parts=statement.milestones)
        if statement.within is not None:
            whole = Bounded(part=whole, within=statement.within)
        return Automaton(node(whole), tuple(initial), tuple(kept))

    def begun(self, moment: Moment) -> Tensor:
        """The carry `[N, K]` at the first state."""
        return self.advanced(torch.tensor([self.initial]).repeat(moment.state.size, 1), moment)

    def advanced(self, carry: Tensor, moment: Moment) -> Tensor:
        """The carry after one more step."""
        new = carry.clone()
        self.root.run(new, torch.ones(len(new), dtype=torch.bool, device=new.device), moment)
        return new

    def key(self, carry: Tensor) -> Tensor:
        """A number `[N]` that is the same where the same is behind and the same is broken."""
        bits = 2 ** torch.arange(len(self.kept), device=carry.device)
        return (carry[:, list(self.kept)].long() * bits).sum(1)
