"""What stands in the way: from a condition that nothing can bring about, back through the rules to the first reason.

Given all the states that can be come to, as far as is imagined, a condition is *missing* if it holds in none of them.
The rules that would bring it about are looked up; of their conditions the missing ones are the reason, and so on back
(means-ends analysis, Newell & Simon 1963) to one that no rule brings about. M states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ...world.rulebook import Entry
from ...world.rules.evaluate import Rows, truth
from ...world.rules.guards import conjuncts
from ...world.rules.syntax import Boolean, Compare, Expect, Expression, Name, Quantified, Same, Symbol
from ...world.rules.text import to_text
from ...world.rules.words import condition_words, value_words
from ...world.schema import Features, Pointed, Schema
from ..planning.subgoals import state_part, unprimed
from .setback import written

MOST_LINKS = 8


@dataclass(frozen=True)
class Link:
    """`missing` holds in no state that can be come to, or (`others`) in none together with these; `entry`, a rule,
    would bring it about but for the next link (None: no rule does); `is_aside` where the rule says nothing of it, and
    only is the one that never could act."""

    missing: Expression
    entry: Entry | None = None
    others: tuple[Expression, ...] = ()
    is_aside: bool = False


def chain(wanted: Expression, states: Features, entries: Sequence[Entry], schema: Schema) -> list[Link]:
    """From what is wanted back to the first condition that nothing brings about; empty where each part of `wanted`
    holds in some state, though never all at once."""
    rows = Rows(schema, states)
    missing = next(_missing(wanted, rows), None)
    if missing is None:
        return []
    links: list[Link] = []
    seen: set[str] = set()
    next_: Link | None = Link(missing)
    while next_ is not None and len(links) < MOST_LINKS:
        seen.add(to_text(next_.missing))
        found = None if next_.others else _blocked(next_.missing, entries, rows, seen)
        is_aside = found is None and not links
        found = _idle(entries, rows, seen) if is_aside else found
        links.append(Link(next_.missing, found[0] if found else None, next_.others, is_aside))
        next_ = found[1] if found else None
    return links


def told(links: Sequence[Link], states: Features, schema: Schema) -> list[str]:
    """The links in words, the reason last."""
    lines = []
    for link, after in zip(links, [*links[1:], None], strict=True):
        words = condition_words(link.missing, schema)
        if link.entry is not None and after is not None:
            which = "what never can act is" if link.is_aside else "for that there is"
            lines.append(f"it never comes about that {words}; {which} {link.entry.id} (`{link.entry.text}`), which "
                         f"needs that {condition_words(after.missing, schema)}")
    last, count = links[-1], len(next(iter(states.values())))
    words = condition_words(last.missing, schema)
    if last.others:
        return [*lines, f"where the rest of that holds, it is never so that {words}{_values(last, states, schema)}"]
    lines.append(f"nothing brings it about that {words}: no rule that could act says so, nor is it so in any "
                 f"state that was imagined ({count})")
    return [*lines, nowhere] if (nowhere := _nowhere(last.missing, states, schema)) else lines


def _missing(wanted: Expression, rows: Rows) -> Iterator[Expression]:
    """The parts of a condition that hold in no state."""
    for part in conjuncts(wanted):
        if not isinstance(part, Boolean) and not bool(truth(part, rows).any()):
            yield part


def _blocked(missing: Expression, entries: Sequence[Entry], rows: Rows, seen: set[str]) -> tuple[Entry, Link] | None:
    """A rule that would bring it about, and what it lacks in every state."""
    for entry, statement in _expects(entries):
        if any(unprimed(claim) == missing for claim in conjuncts(statement.effect)):
            lacking = next((x for x in _lacking(statement, rows) if to_text(x.missing) not in seen), None)
            if lacking is not None:
                return entry, lacking
    return None


def _idle(entries: Sequence[Entry], rows: Rows, seen: set[str]) -> tuple[Entry, Link] | None:
    """Where no rule speaks of what is wanted: the rule that would change something and is never met for want of the
    fewest conditions."""
    found = []
    for entry, statement in _expects(entries):
        lacking = [x for x in _lacking(statement, rows) if to_text(x.missing) not in seen]
        if lacking and written(statement.effect, rows.schema):
            found.append((len(lacking), entry, lacking[0]))
    return min(found, key=lambda x: x[0])[1:] if found else None


def _expects(entries: Sequence[Entry]) -> Iterator[tuple[Entry, Expect]]:
    for entry in entries:
        rule = entry.acting
        if rule is not None and isinstance(s := rule.statement, Expect) and s.guard and not isinstance(s.effect, Same):
            yield entry, s


def _lacking(statement: Expect, rows: Rows) -> list[Link]:
    """What a rule's condition lacks: the parts that never hold; if there are none, and yet it is never met, a part that
    is not so where all the others are."""
    assert statement.guard is not None
    guard = state_part(statement.guard, rows.schema)
    alone = [Link(lack) for part in guard for lack in _missing(part, rows)]
    if alone or not guard or bool(truth(guard[0], rows).any()):
        return alone
    parts = list(conjuncts(guard[0]))
    for part in reversed(parts):
        others = tuple(p for p in parts if p != part)
        if bool(torch.stack([truth(p, rows) for p in others]).all(0).any()):
            return [Link(part, None, others)]
    return []


def _values(link: Link, states: Features, schema: Schema) -> str:
    """The values that two features are compared at, where the rest of a condition holds."""
    match link.missing:
        case Compare(operands=(Name(name=a), Name(name=b))) if schema.named[a].values and schema.named[b].values:
            rows = Rows(schema, states)
            there = torch.stack([truth(p, rows) for p in link.others]).all(0)
            said = [f"{name.replace('_', ' ')} is {' or '.join(_called(schema, name, rows, there))}" for name in (a, b)]
            return f" ({', '.join(said)})"
    return ""


def _called(schema: Schema, name: str, rows: Rows, there: torch.Tensor) -> list[str]:
    feature = schema.named[name]
    codes = rows.read(name, False)[there].unique().tolist()
    return [value_words(feature.values[code], feature.values) for code in codes]


def _nowhere(missing: Expression, states: Features, schema: Schema) -> str:
    """Whether what is missing is a thing that is on no board, and whether all of the board has been seen."""
    match missing:
        case Compare(operands=(Name(name=name), Symbol(name=value)), operators=("==",)):
            derived = schema.derivations.get(name)
            boards = [derived.of] if isinstance(derived, Pointed) else schema.grid.arrays if schema.grid else ()
            array = next((f for b in boards if value in (f := schema.feature(b)).values), None)
            if array is None:
                return ""
            there = Quantified(quantifier="any", condition=Compare(
                operands=(Name(name=array.name), Symbol(name=value)), operators=("==",)))
            thing = f"no cell's {array.name.replace('_', ' ')} is {value_words(value, array.values)}"
        case Quantified(quantifier="any") as there:
            thing = "there is no such cell"
        case _:
            return ""
    first = {k: v[:1] for k, v in states.items()}
    if bool(truth(there, Rows(schema, first))[0]):
        return "there is one on the board, but nothing that can be done comes to it"
    return f"{thing}; {unseen(first, schema)}"


def unseen(first: Features, schema: Schema) -> str:
    """How much of the boards has not been seen, of one state."""
    count = 0
    for f in schema.features:
        if f.shape and f.kind == "category" and "unseen" in f.values:
            count = max(count, int((first[f.name] == f.values.index("unseen")).sum()))
    return f"{count} cells have not been seen" if count else "nothing is left unseen"


__all__ = ["Link", "chain", "told", "unseen"]
