"""Logic: what the rules themselves give away, without any data.

Contradictions (two rules that can fire together and cannot both come true), redundant rules, rules that never fire, and
goals that a person's own rules on behaviour rule out, each in words, with a state as its witness. Nothing is dropped
here: these are findings to be shown. What the solver cannot decide is said to be undecided, and never guessed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..rules import syntax as s
from ..rules.effects import is_primed
from ..rules.holes import known
from ..rules.milestones import is_event
from ..schema import Schema

if TYPE_CHECKING:
    from ..rulebook import Entry

Kind = Literal["contradiction", "redundant", "never fires", "unreachable", "no way out", "undecided"]
Pairs = Sequence[tuple[s.Expression, s.Expression]]
MOST_ACTIONS = 64


@dataclass(frozen=True)
class Finding:
    """What was found of some rules, by their ids: a sentence, and a state as witness ("" where none is needed)."""

    kind: Kind
    rules: tuple[str, ...]
    message: str
    witness: str = ""


@dataclass(frozen=True)
class _Claim:
    """An entry as formulas: where it applies, and what it says there (None where it only says where)."""

    entry: Entry
    kind: str
    guard: Any
    effect: Any | None = None
    share: float = 1.0
    is_soft: bool = False
    milestones: tuple[Any, ...] = ()

    @property
    def id(self) -> str:
        return self.entry.id

    def __str__(self) -> str:
        return f"`{self.entry.text}` ({self.entry.id})"


@dataclass
class _Report:
    """Findings so far, and when to stop looking."""

    deadline: float
    findings: list[Finding] = field(default_factory=list)
    unfinished: int = 0

    def attempt(self, look: Callable[[], Finding | None]) -> Finding | None:
        """Note what a query finds; one that z3 gives up, or for which no time is left, is counted as not finished."""
        from .symbolic import Undecided

        if time.monotonic() > self.deadline:
            self.unfinished += 1
            return None
        try:
            found = look()
        except Undecided:
            self.unfinished += 1
            return None
        if found is not None:
            self.findings.append(found)
        return found


def examine(entries: Sequence[Entry], schema: Schema, timeout_s: float = 30.0) -> list[Finding]:
    """What can be found out about the standing rules (neither retired nor contradicted by data) within a time."""
    from .symbolic import Symbols, Undecided

    symbols, report = Symbols(schema), _Report(time.monotonic() + timeout_s)
    claims: list[_Claim] = []
    for entry in entries:
        if entry.status in ("retired", "contradicted"):
            continue
        try:
            claims.append(_claim(entry, symbols))
        except Undecided as error:
            message = f"`{entry.text}` ({entry.id}) was not examined: {error} is beyond the solver"
            report.findings.append(Finding("undecided", (entry.id,), message))
    idle = {c.id for c in claims if report.attempt(lambda c=c: _never(c, symbols))}    # type: ignore[misc]
    live = [c for c in claims if c.id not in idle]
    for a, b in itertools.combinations(live, 2):
        if not report.attempt(lambda a=a, b=b: _redundant(b, a, symbols) or _redundant(a, b, symbols)):    # type: ignore[misc]
            report.attempt(lambda a=a, b=b: _contradiction(a, b, symbols))    # type: ignore[misc]
    for look in _goals(live, symbols, schema):
        report.attempt(look)
    if report.unfinished:
        message = f"{report.unfinished} questions about these rules were left open: too hard, or no time was left"
        report.findings.append(Finding("undecided", tuple(c.id for c in claims), message))
    return report.findings


def proved_equal(ours: Pairs, theirs: Pairs, schema: Schema) -> bool | None:
    """Whether pairs (where a rule applies, what it claims there) are the same: proved, refuted, or (None) undecided."""
    import z3

    from .symbolic import Symbols, Undecided, solved

    symbols = Symbols(schema)
    try:
        for pairs in zip(ours, theirs, strict=True):
            (ga, ca), (gb, cb) = (map(symbols.term, pair) for pair in pairs)
            differs = z3.Or(z3.Xor(ga, gb), z3.And(ga, z3.Xor(ca, cb)))
            if solved(differs, symbols.legal(differs)) is not None:
                return False if symbols.is_exact(differs) else None
    except Undecided:
        return None
    return True


def _claim(entry: Entry, symbols: Any) -> _Claim:
    import z3

    term, statement = symbols.term, (entry.acting or entry.rule).statement
    kind, is_soft = statement.kind, getattr(statement, "weight", None) is not None

    def where(guard: s.Expression | None) -> Any:
        return z3.BoolVal(True) if guard is None else term(guard)

    match statement:
        case s.Expect(effect=effect, guard=guard, probability=probability):
            share = 1.0 if probability is None else known(probability)
            return _Claim(entry, kind, where(guard), term(effect), share, is_soft)
        case s.Always(condition=condition):
            return _Claim(entry, kind, where(None), term(condition), is_soft=is_soft)
        case s.Reward(guard=guard) | s.End(guard=guard):
            return _Claim(entry, kind, where(guard))
        case s.Forbid(action=action, guard=guard):
            return _Claim(entry, kind, z3.And(term(action), where(guard)))
        case s.Maintain(condition=condition):
            return _Claim(entry, "avoid", z3.Not(term(condition)), is_soft=is_soft)
        case s.Avoid(condition=condition) | s.Prefer(condition=condition):
            return _Claim(entry, kind, term(condition), is_soft=is_soft)
        case s.Achieve() as goal:    # events and what is built of milestones are not judged
            plain = goal.milestones == goal.conditions and not any(is_event(c, symbols.schema) for c in goal.conditions)
            return _Claim(entry, kind, where(None), milestones=tuple(map(term, goal.conditions)) if plain else ())
        case s.Let():
            return _Claim(entry, kind, where(None))


def _never(c: _Claim, symbols: Any) -> Finding | None:
    from .symbolic import solved

    if c.entry.rule.statement.kind == "maintain":
        return None    # it holds always: a person may still say so
    for condition in (c.guard, *c.milestones):
        if solved(condition, symbols.legal(condition)) is None:
            what = "can never be reached" if c.milestones else "can never fire: no state meets its condition"
            return Finding("never fires", (c.id,), f"{c} {what}")
    return None


def _redundant(a: _Claim, b: _Claim, symbols: Any) -> Finding | None:
    """Whether a says nothing that b does not say."""
    import z3

    from .symbolic import solved

    comparable = a.kind == b.kind and a.kind in ("expect", "always", "end", "forbid", "avoid")
    if not comparable or a.is_soft or b.is_soft or a.share != b.share or (a.share < 1 and a.effect is not None):
        return None
    beyond = z3.And(a.guard, z3.Not(b.guard))
    if solved(beyond, symbols.legal(beyond)) is not None:
        return None
    if a.effect is not None:
        more = z3.And(a.guard, b.effect, z3.Not(a.effect))
        if solved(more, symbols.legal(more)) is not None:
            return None
    return Finding("redundant", (a.id, b.id), f"{a} says nothing beyond {b}, which implies it")


def _contradiction(a: _Claim, b: _Claim, symbols: Any) -> Finding | None:
    """A state in which both fire, each can come true, and never both."""
    import z3

    from .symbolic import solved

    if a.effect is None or b.effect is None or a.is_soft or b.is_soft or a.share + b.share <= 1:
        return None
    guards = (getattr(c.entry.rule.statement, "guard", None) for c in (a, b))
    if any(guard is not None and is_primed(guard) for guard in guards):
        return None
    both = z3.And(a.guard, b.guard)
    shared = {v.get_id() for v in symbols.next_of(a.effect)} & {v.get_id() for v in symbols.next_of(b.effect)}
    if not shared or solved(both, symbols.legal(both)) is None:
        return None
    effects = z3.And(a.effect, b.effect)
    next = symbols.next_of(effects)
    together = z3.And(effects, symbols.legal(*next))

    def alone(effect: Any, mark: str) -> Any:
        """The effect over a next state of its own."""
        own = symbols.next_of(effect)
        copies = [(v, z3.Const(f"{v}{mark}", v.sort())) for v in own]
        return z3.substitute(z3.And(effect, symbols.legal(*own)), *copies)

    model = solved(both, symbols.legal(both, effects), alone(a.effect, "!a"), alone(b.effect, "!b"),
                   z3.ForAll(next, z3.Not(together)))
    if model is None:
        return None
    witness = symbols.in_words(model, both, effects)
    message = f"{a} and {b} contradict each other: both apply where {witness or 'anything is so'}, and cannot both hold"
    return Finding("contradiction", (a.id, b.id), message, witness)


# --- goals and what forbids them --------------------------------------------------------------------------------------


def _goals(claims: Sequence[_Claim], symbols: Any, schema: Schema) -> Iterator[Callable[[], Finding | None]]:
    limits = [c for c in claims if c.kind == "avoid" and not c.is_soft]
    forbids = [c for c in claims if c.kind == "forbid"]
    expects = [c for c in claims if c.kind == "expect" and not c.is_soft]
    for goal in claims:
        for k, milestone in enumerate(goal.milestones):
            yield lambda g=goal, m=milestone: _excluded(g, m, limits, symbols)    # type: ignore[misc]
            if forbids:
                yield lambda g=goal, k=k: _forbidden(g, k, expects, forbids, symbols)    # type: ignore[misc]
    if forbids and schema.discrete_actions and len(schema.all_actions()) <= MOST_ACTIONS:
        yield lambda: _no_way_out(forbids, limits, symbols, schema)


def _excluded(goal: _Claim, milestone: Any, limits: Sequence[_Claim], symbols: Any) -> Finding | None:
    """Whether no state meets a milestone and all that a person wants kept; the fewest rules that do it are named."""
    import z3

    from .symbolic import solved

    for size in (1, 2):
        for chosen in itertools.combinations(limits, size):
            kept = z3.And(milestone, *(z3.Not(c.guard) for c in chosen))
            if solved(kept, symbols.legal(kept)) is None:
                rules = " and ".join(map(str, chosen))
                message = f"{goal} cannot be reached: every state that meets it breaks {rules}"
                return Finding("unreachable", (goal.id, *(c.id for c in chosen)), message)
    return None


def _forbidden(goal: _Claim, k: int, expects: Sequence[_Claim], forbids: Sequence[_Claim], symbols: Any
               ) -> Finding | None:
    """Whether every rule that says how to reach a milestone is forbidden wherever it applies."""
    import z3

    from .symbolic import solved

    statement = goal.entry.rule.statement
    assert isinstance(statement, s.Achieve)
    reached, before = symbols.term(statement.conditions[k], shift=True), goal.milestones[k]
    ways: list[_Claim] = []
    for c in expects:
        misses, brings = z3.And(c.guard, c.effect, z3.Not(reached)), z3.And(c.guard, c.effect, z3.Not(before))
        if solved(misses, symbols.legal(misses)) is None and solved(brings, symbols.legal(brings)) is not None:
            ways.append(c)
    free = z3.And(z3.Or([c.guard for c in ways]), *(z3.Not(f.guard) for f in forbids))
    if not ways or solved(free, symbols.legal(free)) is not None:
        return None
    blocking = [f for f in forbids if any(solved(z3.And(f.guard, c.guard), symbols.legal(f.guard, c.guard)) is not None
                                          for c in ways)]
    rules, by = " and ".join(map(str, ways)), " and ".join(map(str, blocking))
    message = f"{goal} may be out of reach: what is known to lead there, {rules}, is always forbidden by {by}"
    return Finding("unreachable", (goal.id, *(c.id for c in (*ways, *blocking))), message)


def _no_way_out(forbids: Sequence[_Claim], limits: Sequence[_Claim], symbols: Any, schema: Schema) -> Finding | None:
    """A state that no rule avoids, in which every action is forbidden."""
    import z3

    from .symbolic import solved

    forbidden = z3.Or([c.guard for c in forbids])
    stuck = []
    for row in schema.all_actions().tolist():
        chosen = []
        for action, code in zip(schema.actions, row, strict=True):
            value = z3.BoolVal(bool(code)) if action.kind == "boolean" else z3.IntVal(code + action.offset)
            chosen.append((symbols.variable(action.name), value))
        stuck.append(z3.substitute(forbidden, *chosen))
    nowhere = z3.And(*stuck, *(z3.Not(c.guard) for c in limits))
    model = solved(nowhere, symbols.legal(nowhere))
    if model is None:
        return None
    witness = symbols.in_words(model, nowhere)
    rules = " and ".join(map(str, forbids))
    message = f"every action is forbidden where {witness or 'anything is so'}, by {rules}"
    return Finding("no way out", tuple(c.id for c in forbids), message, witness)
