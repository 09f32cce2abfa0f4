"""Rules compiled for the imagination path: one object that corrects a whole imagined step.

Guards and effects are evaluated over `[N]` rows with shared subexpressions computed once; rules that fire on no row
cost their guard only. The order of the rules does not matter: where two hard rules contradict each other on a row,
the one with the higher priority (then the more specific) is applied last and wins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..model import Outcome
from ..schema import Features, Pointed, Schema
from .effects import Atom, Predicted, Strength, atoms_of
from .evaluate import Rows, compiled
from .syntax import Always, Compare, End, Expect, Expression, Forbid, Index, Logical, Member, Name, Node, Reward, Rule


@dataclass(frozen=True)
class Correction:
    """An `expect` or `always`, compiled: when it fires, what it claims, how strongly."""

    guard: Callable[[Rows], Tensor] | None
    guard_is_primed: bool
    atoms: tuple[Atom, ...]
    strength: Strength
    column: int  # of `Outcome.fired`; -1 for `always`
    is_joint: bool = False  # a probability is drawn for the rule as a whole instead of corrected in closed form


class Compiled:
    """The world rules of a schema, compiled. `rules` with `priority` (higher wins a contradiction)."""

    def __init__(self, schema: Schema, rules: Sequence[Rule], priority: Sequence[float] | None = None) -> None:
        self.schema = schema
        self.rules = tuple(rules)
        ranks = priority or [0.0] * len(rules)
        order = sorted(range(len(rules)), key=lambda i: (_turn(rules[i], schema), ranks[i], _specificity(rules[i]),
                                                         str(rules[i].statement)))
        self.expects: list[Correction] = []
        self.always: list[Correction] = []
        self.rewards: list[tuple[float, Callable[[Rows], Tensor]]] = []
        self.ends: list[Callable[[Rows], Tensor]] = []
        self.forbids: list[Callable[[Rows], Tensor]] = []
        for i in order:
            match rules[i].statement:
                case Expect() as s:
                    strength: Strength = (("probability", s.probability) if s.probability is not None
                                          else ("weight", s.weight) if s.weight is not None else ("hard", 0.0))
                    self.expects.append(Correction(
                        compiled(s.guard, schema, "truth") if s.guard else None,
                        s.guard is not None and is_primed(s.guard), atoms_of(s.effect, schema), strength, i,
                        _turn(rules[i], schema) == 1))
                case Always() as s:
                    self.always.append(Correction(None, False, atoms_of(s.condition, schema),
                                                  ("weight", s.weight) if s.weight else ("hard", 0.0), -1))
                case Reward() as s:
                    self.rewards.append((s.amount, compiled(s.guard, schema, "truth") if s.guard else _everywhere))
                case End() as s:
                    self.ends.append(compiled(s.guard, schema, "truth"))
                case Forbid() as s:
                    condition = s.action if s.guard is None else Logical(operator="and", operands=(s.action, s.guard))
                    self.forbids.append(compiled(condition, schema, "truth"))

    def __bool__(self) -> bool:
        return bool(self.expects or self.always or self.rewards or self.ends or self.forbids)

    def correct(self, now: Features, action: Tensor, outcome: Outcome, rng: torch.Generator | None = None) -> Outcome:
        """Correct one imagined step of N rows. `Outcome.fired [N, R]` marks the rules that changed the row's state."""
        predicted: Predicted = dict(outcome.features)
        rows = Rows(self.schema, now, action, outcome.mode)
        fired = torch.zeros(rows.size, len(self.rules), dtype=torch.bool)
        for primed in (False, True):
            turn = [c for c in self.expects if c.guard_is_primed == primed]
            if primed and turn:
                rows = self._refresh(rows, predicted)
            where = [self._fires(c, rows, rng) for c in turn]
            for correction, guard in zip(turn, where, strict=True):
                fired[:, correction.column] = guard
            # The pose first, then what is read through it: a pointed cell is that of the corrected pose.
            for pointed in (False, True):
                for correction, guard in zip(turn, where, strict=True):
                    atoms = [a for a in correction.atoms if (a.target in self.schema.derivations) == pointed]
                    if atoms and bool(guard.any()):
                        rows = self._refresh(rows, predicted) if pointed else rows
                        self._apply(correction, atoms, predicted, rows, guard)
        for correction in self.always:
            rows = self._refresh(rows, predicted)
            self._apply(correction, correction.atoms, predicted, rows, _everywhere(rows))
        return self._pay(replace(outcome, features=predicted), rows, fired)

    def allowed(self, now: Features, action: Tensor) -> Tensor:
        """Which rows no `forbid` matches, `[N]`."""
        rows = Rows(self.schema, now, action)
        ok = torch.ones(rows.size, dtype=torch.bool)
        for forbidden in self.forbids:
            ok &= ~forbidden(rows)
        return ok

    def _fires(self, correction: Correction, rows: Rows, rng: torch.Generator | None) -> Tensor:
        """On which rows a rule corrects, `[N]`: where its guard holds and, for a joint probability, chance has it
        (without `rng`: where it is at least even)."""
        where = correction.guard(rows) if correction.guard else _everywhere(rows)
        if not correction.is_joint:
            return where
        chance = correction.strength[1]
        return where & (torch.rand(rows.size, generator=rng) < chance if rng is not None else chance >= 0.5)

    def _apply(self, correction: Correction, atoms: Sequence[Atom], predicted: Predicted, rows: Rows, where: Tensor
               ) -> None:
        strength: Strength = ("hard", 0.0) if correction.is_joint else correction.strength
        for atom in atoms:
            atom.apply(predicted, rows, where, strength)

    def _refresh(self, rows: Rows, predicted: Predicted) -> Rows:
        return rows.followed_by({k: d.mode() for k, d in predicted.items()})

    def _pay(self, outcome: Outcome, rows: Rows, fired: Tensor) -> Outcome:
        rows = rows.followed_by(outcome.mode)
        reward, cont, feasible = outcome.reward, outcome.cont, outcome.feasible
        if self.rewards:
            guards = torch.stack([guard(rows) for _, guard in self.rewards])  # [R, N]
            amounts = torch.tensor([amount for amount, _ in self.rewards])
            reward = torch.where(guards.any(0), amounts @ guards.to(amounts.dtype), reward)
        if self.ends:
            cont = cont.masked_fill(torch.stack([end(rows) for end in self.ends]).any(0), 0.0)
        if self.forbids:
            feasible = feasible & ~torch.stack([f(rows) for f in self.forbids]).any(0)
        return replace(outcome, reward=reward, cont=cont, feasible=feasible, fired=fired)


def _everywhere(rows: Rows) -> Tensor:
    return torch.ones(rows.size, dtype=torch.bool)


def is_primed(node: object) -> bool:
    """Whether an expression speaks of the next state."""
    if isinstance(node, Name):
        return node.primed
    if isinstance(node, Index):
        return node.array.primed or any(map(is_primed, node.at))
    if isinstance(node, Node):
        return node.kind in ("same", "changed") or any(is_primed(getattr(node, f)) for f in type(node).model_fields)  # type: ignore[attr-defined]
    return isinstance(node, tuple) and any(map(is_primed, node))


def _turn(rule: Rule, schema: Schema) -> int:
    """What is applied first: weights (0), then what is drawn as a whole (1), then what is certain (2), which nothing
    soft undoes, and last the probabilities that are exact in closed form (3)."""
    s = rule.statement
    if not isinstance(s, Expect) or s.probability is None:
        return 0 if getattr(s, "weight", None) is not None else 2
    atoms = atoms_of(s.effect, schema)
    first = atoms[0]
    derived = schema.derivations.get(first.target)
    of = derived.of if isinstance(derived, Pointed) else first.target
    exact = len(atoms) == 1 and first.operation != "same" and of in schema.base and schema.base[of].cardinality
    return 3 if exact else 1


def _specificity(rule: Rule) -> int:
    """How many comparisons the guard makes: a rule that says more of when it holds goes before a general one."""
    def count(e: Expression | None) -> int:
        match e:
            case None:
                return 0
            case Logical():
                return sum(map(count, e.operands))
            case Compare() | Member():
                return 1
        return 1

    guard = getattr(rule.statement, "guard", None)
    return count(guard)
