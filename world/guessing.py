"""Proposing: what a language model makes of what surprised the agent, as checked rules.

A model that was trained to propose, as the embedded one is, reads each surprise in words and writes the rules behind
it; any other is prompted. What either says is parsed and checked like any other text, and dropped where it does not
fit the world or says in other words what stands already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..memory.context import Line
from ..memory.short_term import ShortTerm
from ..prompts import Gateway
from .checking.equivalence import equivalent
from .items import items_of
from .prompting import prompted
from .rules import syntax as s
from .rules.parse import RuleError, parse
from .rules.syntax import Rule
from .schema import Schema
from .surprises import Surprise, surprises

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions

Remember = Callable[[Sequence[Surprise]], Sequence[Line]]
"""What memory says to these surprises."""
_READINGS = 3    # of a surprise that are candidates
_LEAST = 0.02    # the probability that a reading must have


def nothing(found: Sequence[Surprise]) -> Sequence[Line]:
    """No memory."""
    return ()


def guesses(schema: Schema, gateway: Gateway, rules: Sequence[str], transitions: Transitions,
            surprise: np.ndarray | None = None, recent: ShortTerm | None = None, remember: Remember = nothing
            ) -> list[Rule]:
    """Rules that may explain the most surprising transitions, checked against the schema; `rules` stand already.

    Without `surprise [N]`, in nats, what happens seldom is surprising. A model that is prompted is also shown what
    `remember` says to the surprises, as far as it fits the working context of `recent`; one trained to propose reads
    one surprise at a time and nothing else. Raises `ModelUnavailable`.
    """
    found = surprises(schema, transitions, surprise)
    if gateway.can_propose:
        guessed = list(_trained(schema, gateway, found))
    else:
        guessed = prompted(schema, gateway, rules, found, transitions, surprise, recent, remember(found))
    return new(guessed, [parse(line, schema) for line in rules], schema)


def _trained(schema: Schema, gateway: Gateway, found: Sequence[Surprise]) -> Iterator[Rule]:
    """What a model that was trained to propose reads in each surprise."""
    items = items_of(schema)
    for one in found:
        for reading in gateway.propose(one.text, items, "propose")[:_READINGS]:
            for line in reading.text.splitlines() if reading.confidence >= _LEAST else ():
                try:
                    yield parse(line, schema)
                except RuleError:
                    continue


def new(rules: Sequence[Rule], known: Sequence[Rule], schema: Schema) -> list[Rule]:
    """The rules that say something that neither `known` ones nor those before them say, in whatever words."""
    kept: list[Rule] = []
    for rule in rules:
        like = [old for old in (*known, *kept) if _about(old) == _about(rule)]
        if not any(equivalent(rule, old, schema) for old in like):
            kept.append(rule)
    return kept


def _about(rule: Rule) -> tuple[str, frozenset[str]]:
    """What only rules share that may be the same: the kind of statement, and what it says of the next state."""
    effect = rule.statement.effect if isinstance(rule.statement, s.Expect) else None
    return rule.statement.kind, frozenset(n.name for n in s.walk(effect) if isinstance(n, s.Name) and n.primed) \
        if effect is not None else frozenset()
