"""Repairs: what to make of a rule that has exceptions.

Where the violations of a rule have a condition in common, the rule is proposed with that condition kept out of its
guard (or, where that is shorter, with the condition under which it holds), and what happens under it instead as a rule
of its own, if something certain does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ..checking import TOLERANCE, as_rows
from ..rules import syntax as s
from ..rules.evaluate import Rows, truth
from ..rules.holes import known
from ..rules.parse import parse
from ..rules.syntax import Expression, Rule
from ..rules.text import to_text
from ..schema import Schema
from .claims import claims_of
from .conditions import Conditions, conditions_of
from .guards import Guard, Search, grow
from .terms import Terms, terms_of

if TYPE_CHECKING:
    from ...memory.experience.record import Transitions

EXCEPTIONS = 3
"""A rule with more kinds of exceptions than these is another rule."""
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def repairs(rule: Rule, schema: Schema, transitions: Transitions, search: Search | None = None) -> list[Rule]:
    """Return `rule` mended where its violations have a condition in common, then rules for what happens there instead;
    nothing where it has none in common, or says nothing that transitions could refute (`forbid`, `prefer`, ...)."""
    search = search or Search()
    statement = rule.statement
    if not isinstance(statement, s.Expect | s.Reward | s.End) or not len(transitions):
        return []
    rows = as_rows(schema, transitions)
    applies = np.ones(rows.size, bool) if statement.guard is None else truth(statement.guard, rows).numpy()
    if not applies.any():
        return []
    part = transitions.take(applies)
    rows = as_rows(schema, part)
    holds, trivial = _holds(statement, rows, part), np.zeros(len(part), bool)
    if isinstance(statement, s.Expect):    # where it would hold although nothing changed, nothing can be learnt
        trivial = _holds(statement, Rows(schema, rows.now, rows.action, rows.now), part)
    terms = terms_of(schema, rows)
    conditions = conditions_of(terms, primed=not isinstance(statement, s.Expect))
    exceptions = _exceptions(conditions, holds, trivial, search)
    needed = grow(conditions, holds & ~trivial, holds, trivial, search)
    mended: list[Rule] = []
    if needed is not None and needed.literals and (
            not exceptions or len(needed.literals) < sum(len(g.literals) for g, _ in exceptions)):
        mended.append(_with(rule, [_expression(needed.text(holds & ~trivial, ~holds))], schema))
    elif exceptions:
        mended.append(_with(rule, [_denied(_expression(text)) for _, text in exceptions], schema))
    if isinstance(statement, s.Expect):
        for guard, text in exceptions:
            effect = _instead(statement.effect, terms, guard.cover & ~holds, search)
            if effect is not None:
                mended.append(_with(Rule(statement=s.Expect(effect=effect, guard=statement.guard)),
                                    [_expression(text)], schema))
    return mended


def _holds(statement: s.Expect | s.Reward | s.End, rows: Rows, part: Transitions) -> np.ndarray:
    """Where what the rule claims came true, `[N]`."""
    match statement:
        case s.Expect(effect=effect):
            return truth(_tolerant(effect, rows), rows).numpy()
        case s.Reward(amount=amount):
            return np.isclose(part.reward, known(amount), rtol=0.05, atol=1e-6)
        case s.End():
            return part.terminated.astype(bool)


def _tolerant(effect: Expression, rows: Rows) -> Expression:
    """The effect with a tolerance on every equality of a real that has none."""
    if isinstance(effect, s.Logical):
        return effect.model_copy(update={"operands": tuple(_tolerant(o, rows) for o in effect.operands)})
    if isinstance(effect, s.Compare) and effect.operators == ("==",) and effect.within is None:
        target = effect.operands[0]
        if isinstance(target, s.Name) and rows.schema.named[target.name].kind == "real":
            seen = torch.cat([rows.read(target.name, False), rows.read(target.name, True)])
            return effect.model_copy(update={"within": TOLERANCE * float(seen.max() - seen.min())})
    return effect


def _exceptions(conditions: Conditions, holds: np.ndarray, trivial: np.ndarray, search: Search
                ) -> list[tuple[Guard, str]]:
    """Conditions under which the rule fails whenever it could, until its violations are explained."""
    found: list[tuple[Guard, str]] = []
    left = ~holds
    while left.sum() >= search.support and len(found) < EXCEPTIONS:
        guard = grow(conditions, left, ~holds | trivial, trivial, search)
        if guard is None or not guard.literals:
            break
        found.append((guard, guard.text(~holds, holds & ~trivial)))
        left = left & ~guard.cover
    return found


def _instead(effect: Expression, terms: Terms, rows: np.ndarray, search: Search) -> Expression | None:
    """What comes true on the given rows in place of an effect: nothing changes, or a claim about the same features."""
    certain = 1 - 2 * search.noise
    if terms.unchanged[rows].mean() >= certain:
        return s.Same()
    parts: list[Expression] = []
    for name in dict.fromkeys(n.name for n in s.walk(effect) if isinstance(n, s.Name) and n.primed):
        term = next((t for t in terms.states if t.feature.name == name and t.is_target), None)
        if term is None:
            return None
        if (term.now == term.next)[rows].mean() >= certain:
            parts.append(s.Same(feature=name))
            continue
        fitting = [c for c in claims_of(term, terms, search.support) if c.holds[rows].mean() >= certain]
        if fitting:
            best = max(fitting, key=lambda c: (int((c.explains & rows).sum()), -c.cost))
            parts.append(_effect(best.text))
    return None if not parts else parts[0] if len(parts) == 1 else s.Logical(operator="and", operands=tuple(parts))


def _with(rule: Rule, conditions: list[Expression], schema: Schema) -> Rule:
    """The rule with more conditions in its guard, without its name."""
    guard = getattr(rule.statement, "guard", None)
    operands: list[Expression] = []
    for part in ([] if guard is None else [guard]) + conditions:
        operands += part.operands if isinstance(part, s.Logical) and part.operator == "and" else [part]
    joined = operands[0] if len(operands) == 1 else s.Logical(operator="and", operands=tuple(operands))
    return parse(to_text(Rule(statement=rule.statement.model_copy(update={"guard": joined}))), schema)


def _denied(condition: Expression) -> Expression:
    if isinstance(condition, s.Compare) and len(condition.operators) == 1 and condition.within is None:
        return condition.model_copy(update={"operators": (_OPPOSITE[condition.operators[0]],)})
    return condition.operand if isinstance(condition, s.Not) else s.Not(operand=condition)


def _expression(text: str) -> Expression:
    statement = parse(f"end if {text}").statement
    assert isinstance(statement, s.End)
    return statement.guard


def _effect(text: str) -> Expression:
    statement = parse(f"expect {text}").statement
    assert isinstance(statement, s.Expect)
    return statement.effect
