"""Doubt: a rule that has failed repeatedly in an episode is not acted on there again while the episode lasts.

A failure is remembered with its circumstances: the values of all category and truth features that are not the agent's
pose, the cell ahead among them. A rule that has failed twice under the same ones, and more often than it held, goes on
acting everywhere else: its condition gets `and not (circumstances)`. One that has failed four times is not acted on
under what all these had in common. Whether the rule is true is for the evidence to say, between episodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...world.knowledge import KnowledgeBase
from ...world.rulebook import Entry
from ...world.rules.compile import Compiled
from ...world.rules.syntax import Always, Boolean, Compare, Expect, Expression, Logical, Name, Not, Rule, Symbol
from ...world.schema import Features, Schema

FAILURES = 2
"""So often a rule fails before it is doubted where it failed; twice as often, before it is doubted more widely."""

Circumstances = frozenset[tuple[str, int]]


class Doubts:
    """Which rules are doubted under which circumstances, by the rules' ids."""

    def __init__(self) -> None:
        self._held: Counter[tuple[str, Circumstances]] = Counter()
        self._failed: dict[str, list[Circumstances]] = {}
        self._doubted: dict[str, list[Circumstances]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._doubted.values()))

    def clear(self) -> bool:
        """Forget everything; returns whether anything was doubted."""
        was = bool(self._doubted)
        self._held.clear()
        self._failed.clear()
        self._doubted = {}
        return was

    def held(self, entries: Sequence[Entry], schema: Schema, now: Features) -> None:
        """The claims of these rules came true."""
        if entries:
            here = circumstances(schema, now)
            self._held.update((e.id, here) for e in entries)

    def failed(self, entry: Entry, schema: Schema, now: Features) -> bool:
        """The claim of a rule failed; returns whether it is doubted from here on."""
        here, failures = circumstances(schema, now), self._failed.setdefault(entry.id, [])
        failures.append(here)
        common = frozenset.intersection(*failures)
        for place, enough in ((common, 2 * FAILURES), (here, FAILURES)):
            failed = sum(place <= other for other in failures)
            held = sum(n for (id, other), n in self._held.items() if id == entry.id and place <= other)
            if failed >= enough and failed > held:
                places = self._doubted.setdefault(entry.id, [])
                places += [place] if place not in places else []
                return True
        return False

    def silenced(self, knowledge: KnowledgeBase) -> Compiled:
        """The corrections, compiled, without the doubted ones where they are doubted; in the same order."""
        compiled = knowledge.compiled()
        if not self._doubted:
            return compiled
        entries = [e for e in knowledge.corrections() if e.acting is not None]
        rules = [self._narrowed(rule, self._doubted.get(e.id, []), knowledge.schema)
                 for e, rule in zip(entries, compiled.rules, strict=True)]
        return Compiled(knowledge.schema, rules, compiled.priority)

    def _narrowed(self, rule: Rule, places: Sequence[Circumstances], schema: Schema) -> Rule:
        statement = rule.statement
        if not places or not isinstance(statement, Expect | Always):
            return rule
        effect, guard = (statement.condition, None) if isinstance(statement, Always) else (statement.effect,
                                                                                           statement.guard)
        parts = [*([] if guard is None else [guard]), *(_elsewhere(place, schema) for place in places)]
        guard = parts[0] if len(parts) == 1 else Logical(operator="and", operands=tuple(parts))
        return rule.model_copy(update={"statement": Expect(effect=effect, guard=guard)})


def circumstances(schema: Schema, now: Features) -> Circumstances:
    """What is so in one state `[1, ...]`: the categories and truths that are not the pose."""
    pose = {x for p in schema.grid.poses for x in (p.x, p.y, p.heading)} if schema.grid else set()
    acting = {a.name for a in schema.actions}
    return frozenset((f.name, int(schema.value(f.name, now)[0])) for f in schema.named.values()
                     if f.kind in ("category", "boolean") and not f.shape and f.name not in pose | acting)


def _elsewhere(place: Circumstances, schema: Schema) -> Expression:
    """That the circumstances are others."""
    parts: list[Expression] = []
    for name, code in sorted(place):
        feature = schema.named[name]
        value = Name(name=name)
        if feature.kind == "boolean":
            parts.append(value if code else Not(operand=value))
        elif 0 <= code < len(feature.values):
            parts.append(Compare(operands=(value, Symbol(name=feature.values[code])), operators=("==",)))
    if not parts:
        return Boolean(value=False)
    return Not(operand=parts[0] if len(parts) == 1 else Logical(operator="and", operands=tuple(parts)))
