"""Subgoals by backward chaining: what must hold before what is wanted can be made to hold, as the rules tell it.

From a condition that is wanted, the rules whose effect makes it true are looked up; their guards, less what they say of
the action, are wanted before; and so on back (means-ends analysis, Newell & Simon 1963; as landmarks, Hoffmann et al.
2004). A long task is then a chain of short searches. Subgoals are hints: a search looks first where more of them have
held, and still comes to everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...world.rules.evaluate import Rows, truth
from ...world.rules.syntax import Changed, Expect, Expression, Logical, Name, Node, Reward, Rule, Same, mapped, walk
from ...world.rules.text import to_text
from ...world.schema import Features, Pointed, Schema


@dataclass(frozen=True)
class Subgoals:
    """`conditions` on one state, the nearest to the end last."""

    schema: Schema
    conditions: tuple[Expression, ...]

    @staticmethod
    def of(schema: Schema, rules: Sequence[Rule], wanted: Sequence[Expression] = (), most: int = 12,
           learned: Sequence[Expression] = ()) -> Subgoals | None:
        """The subgoals on the way to what is `wanted`, or, if that is nothing, to what the rules reward; at most the
        `most` nearest to it. Those that were `learned` come first. None where there are none."""
        effects = [r.statement for r in rules if isinstance(r.statement, Expect) and r.statement.guard is not None]
        ends = list(wanted) or [r.statement.guard for r in rules if isinstance(r.statement, Reward)
                                and r.statement.guard is not None and _pays(r.statement)]
        found: dict[str, Expression] = {}
        queue = [part for end in ends for part in state_part(end, schema)]
        if not wanted:
            found = {to_text(part): part for part in queue}
        while queue and len(found) < most:
            for before in _before(queue.pop(0), effects, schema):
                if to_text(before) not in found and before not in wanted and len(found) < most:
                    found[to_text(before)] = before
                    queue.append(before)
        known = [condition for condition in learned if to_text(condition) not in found]
        return Subgoals(schema, (*known, *reversed(found.values()))) if found or known else None

    def __len__(self) -> int:
        return len(self.conditions)

    def __call__(self, features: Features) -> Tensor:
        """Which of them hold in N states, `[N, L]` bool."""
        rows = Rows(self.schema, features)
        return torch.stack([truth(c, rows) for c in self.conditions], 1)


def _pays(reward: Reward) -> bool:
    return isinstance(reward.amount, float | int) and reward.amount > 0


def _before(wanted: Expression, effects: Sequence[Expect], schema: Schema) -> Iterator[Expression]:
    """What the rules that bring about `wanted` ask for: first those whose effect says just that of some part of it; if
    there is none, those that write what it reads."""
    parts = list(atoms(wanted))
    exact = [e for e in effects if any(unprimed(a) in parts for a in atoms(e.effect))]
    reads = _names(wanted, schema, primed=False)
    writing = [e for e in effects if reads & _names(e.effect, schema, primed=True)]
    for effect in exact or writing:
        assert effect.guard is not None
        for part in state_part(effect.guard, schema):
            if part != wanted:
                yield part


def state_part(guard: Expression, schema: Schema) -> list[Expression]:
    """The part of a guard that speaks of the state now, as one condition; nothing if there is no such part."""
    actions = {a.name for a in schema.actions}
    parts = [atom for atom in atoms(guard) if not any(isinstance(n, Same | Changed) or (isinstance(n, Name) and (
        n.primed or n.name in actions)) for n in walk(atom))]
    if not parts:
        return []
    return [parts[0] if len(parts) == 1 else Logical(operator="and", operands=tuple(parts))]


def atoms(e: Expression) -> Iterator[Expression]:
    """The parts of a conjunction."""
    if isinstance(e, Logical) and e.operator == "and":
        for operand in e.operands:
            yield from atoms(operand)
    else:
        yield e


def unprimed(e: Node) -> Node:
    return e.model_copy(update={"primed": False}) if isinstance(e, Name) else mapped(e, unprimed)


def _names(e: Expression, schema: Schema, primed: bool) -> set[str]:
    """The base features that an expression speaks of, now or next. A cell that is pointed at is read with the pointer,
    and written without it."""
    names = {n.name for n in walk(e) if isinstance(n, Name) and n.primed == primed}
    for name in list(names):
        derived = schema.derivations.get(name)
        if isinstance(derived, Pointed):
            names.add(derived.of)
            if schema.grid and not primed:
                names |= {schema.grid.x, schema.grid.y} | ({schema.grid.heading} if schema.grid.heading else set())
    return names
