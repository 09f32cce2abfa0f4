"""From steps that came true to a skill: what each deed needed and left, in names of features instead of places.

What a deed needed the rules that fired on it say (explanation-based generalisation; Mitchell, Keller & Kedar-Cabelli
1986). Where none fired, it is what the model's causal graph reads, as it was: too much, until further successes have
shown what they share (`Skill.generalised`). A value that only had to equal another one is no constant: `carrying_color
== front_color` stands for both colors, in the whole chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from ...world.fingerprint import fingerprint
from ...world.models.mechanisms import Causal
from ...world.rulebook import Entry
from ...world.rules.guards import conjuncts
from ...world.rules.parse import parse
from ...world.rules.syntax import Compare, Expect, Expression, Member, Name, Same
from ...world.rules.text import to_text, word
from ...world.schema import Feature, Features, Schema
from ..planning.subgoals import state_part
from ..setbacks.setback import written
from .skill import LONGEST, Atoms, Deed, Skill, names


@dataclass(frozen=True)
class Lived:
    """A deed as it was done at step `t` of an episode, and what was where before and after, but for poses: hashed."""

    t: int
    deed: Deed
    before: int
    after: int


def lived(schema: Schema, t: int, now: Features, action: Tensor, after: Features, fired: Sequence[Entry],
          model: object) -> Lived | None:
    """The deed `[1, ...]` that a step was; None where no more than the pose changed, or nothing that has a name."""
    pose = {name for p in schema.grid.poses for name in (p.x, p.y, p.heading)} if schema.grid else set()
    rest = [f.name for f in schema.features if f.name not in pose and f.is_discrete]
    base = {name for name in rest if not torch.equal(now[name], after[name])}
    other = pose | {a.name for a in schema.actions}
    scalars = {name: f for name, f in schema.named.items()
               if f.kind in ("category", "boolean") and not f.shape and name not in other}
    first = {name: int(schema.value(name, now)[0]) for name in scalars}
    last = {name: int(schema.value(name, after)[0]) for name in scalars}
    changed = [name for name in scalars if first[name] != last[name]]
    if not base or not changed:
        return None
    told = _told(schema, fired, base, first)
    needs = told if told is not None else _read(schema, model, action, scalars, first)
    effect = [_says(scalars[name], last[name], primed=True) for name in changed]
    does = [_says(a, int(value)) for a, value in zip(schema.actions, action[0].tolist(), strict=True)]
    line = f"expect {' and '.join(effect)} if {' and '.join((*does, *needs))}"
    before, then = (int(fingerprint({k: x[k] for k in rest})[0]) for x in (now, after))
    return Lived(t, Deed.read(to_text(parse(line, schema)), schema), before, then)


def lifted(schema: Schema, chain: Sequence[Lived], purpose: Atoms) -> Skill | None:
    """The skill of a chain, without what undid itself and without constants that only had to be equal. None where
    nothing is left or it is too long."""
    straight: list[Lived] = []
    for step in chain:
        straight.append(step)
        back = next((k for k, other in enumerate(straight) if other.before == step.after), None)
        if back is not None:
            del straight[back:]
    if not 1 <= len(straight) <= LONGEST:
        return None
    bound = {name for step in straight for part in step.deed.needs if _relates(part) for name in names(part)}

    def free(parts: Iterable[Expression]) -> Atoms:
        return tuple(p for p in parts if _relates(p) or not names(p) & bound)

    deeds = [Deed(s.deed.does, free(s.deed.needs), free(s.deed.effect) or s.deed.effect) for s in straight]
    return Skill(schema, tuple(deeds), purpose)


def _told(schema: Schema, fired: Sequence[Entry], base: set[str], first: dict[str, int]) -> list[str] | None:
    """What the rules ask for that wrote what changed: of a choice of values the one there was. None where none did."""
    rules = [s for e in fired if e.acting is not None and isinstance(s := e.acting.statement, Expect)
             and s.guard is not None and not isinstance(s.effect, Same) and written(s.effect, schema) & base]
    if not rules:
        return None
    return list(dict.fromkeys(text for s in rules for text in _needed(schema, s.guard, first)))


def _needed(schema: Schema, guard: Expression | None, first: dict[str, int]) -> Iterator[str]:
    for part in conjuncts(guard) if guard is not None else ():
        if not state_part(part, schema):
            continue
        choice = part.operand if isinstance(part, Member) else None
        chosen = choice.name if isinstance(choice, Name) and choice.name in first else None
        yield to_text(part) if chosen is None else _says(schema.named[chosen], first[chosen])


def _read(schema: Schema, model: object, action: Tensor, scalars: dict[str, Feature], first: dict[str, int]
          ) -> list[str]:
    """What the model's causal graph lets the action read, as it was, and which of it was equal."""
    kept = [name for name in scalars if name not in schema.base or name in _causes(schema, model, action, scalars)]
    equal = [(a, b) for a, b in combinations(kept, 2)
             if first[a] == first[b] != 0 and scalars[a].values and scalars[a].values == scalars[b].values]
    return [*(_says(scalars[name], first[name]) for name in kept), *(f"{word(a)} == {word(b)}" for a, b in equal)]


def _causes(schema: Schema, model: object, action: Tensor, scalars: Iterable[str]) -> set[str]:
    """The scalars that the action's mechanisms read; all, where the model has no graph."""
    if not isinstance(model, Causal):
        return set(scalars)
    taken = zip(schema.actions, action[0].tolist(), strict=True)
    label = {a.values[int(v)] if a.values else str(v) for a, v in taken}
    return {cause for m in model.reads() if set(m.action.replace(",", " ").split()) & label for cause in m.causes}


def _says(feature: Feature, value: int, primed: bool = False) -> str:
    name = word(feature.name) + ("'" if primed else "")
    if feature.kind == "boolean":
        return name if value else f"not {name}"
    return f"{name} == {word(feature.values[value - feature.offset]) if feature.values else value}"


def _relates(part: Expression) -> bool:
    """Whether a condition compares two features."""
    return isinstance(part, Compare) and len(part.operands) == 2 and all(isinstance(o, Name) for o in part.operands)
