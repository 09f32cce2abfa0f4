"""Equivalence: whether two rules are the same rule in other words.

They are compared where it matters, on rows sampled around what both mention (`sampling`): do they fire on the same
rows, and say the same of what comes next? One row that tells them apart is enough. What no row tells apart goes to the
solver, where it can follow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import UserError
from ..rules import syntax as s
from ..rules.evaluate import Rows, robustness, truth
from ..rules.syntax import Expression, Rule
from ..rules.text import to_text
from ..schema import Derived, Schema
from .logic import proved_equal
from .sampling import sampled
from .verdicts import claimed

TRUE = s.Boolean(value=True)
CLOSE = 1e-4
"""Of the numbers that occur: how far apart two reals may be and still count as equal (arithmetic is in float32)."""
_MORE = 16
Parts = tuple[tuple[object, ...], tuple[tuple[Expression, Expression], ...]]
"""What must be equal, and pairs (where a rule applies, what it claims there)."""


def equivalent(a: Rule, b: Rule, schema: Schema, samples: int = 512, seed: int = 0) -> bool:
    """Whether two checked rules are the same kind of statement, fire on the same rows, claim the same there, and agree
    in probability, weight, amount and deadline. `maintain C` and `avoid not C` are the same; names do not matter."""
    if to_text(a.statement) == to_text(b.statement):
        return True
    (what, ours), (other, theirs) = _parts(a.statement), _parts(b.statement)
    if what != other or len(ours) != len(theirs) or not _may_agree(a, b, schema):
        return False
    rng = torch.Generator().manual_seed(seed)
    has_shown = False
    try:
        for n in (samples, _MORE * samples):
            rows = sampled((a, b), schema, n, rng)
            seen = [_compared(x, y, rows) for x, y in zip(ours, theirs, strict=True)]
            if any(is_different for is_different, _ in seen):
                return False
            has_shown = all(fired for _, fired in seen)
            if has_shown:
                break
    except UserError:    # what cannot be evaluated, such as a constant still to be fitted, is compared as text alone
        return False
    proved = proved_equal(ours, theirs, schema)
    return has_shown if proved is None else proved


def _may_agree(a: Rule, b: Rule, schema: Schema) -> bool:
    """Whether two effects speak of the same next features; cheap, and sure where it says no."""
    speaks = [set(claimed(rule, schema)) for rule in (a, b)]
    is_opaque = any(isinstance(schema.derivations.get(name), Derived) for names in speaks for name in names)
    return is_opaque or speaks[0] == speaks[1]


def _parts(statement: s.Statement) -> Parts:
    match statement:
        case s.Expect(effect=effect, guard=guard, probability=probability, weight=weight):
            return ("expect", probability, weight), ((guard or TRUE, effect),)
        case s.Always(condition=condition, weight=weight):
            return ("always", weight), ((TRUE, condition),)
        case s.Reward(amount=amount, guard=guard):
            return ("reward", amount), ((guard or TRUE, TRUE),)
        case s.End(guard=guard):
            return ("end",), ((guard, TRUE),)
        case s.Forbid(action=action, guard=guard):
            both = action if guard is None else s.Logical(operator="and", operands=(action, guard))
            return ("forbid",), ((both, TRUE),)
        case s.Avoid(condition=condition, weight=weight):
            return ("avoid", weight), ((condition, TRUE),)
        case s.Maintain(condition=condition, weight=weight):
            return ("avoid", weight), ((s.Not(operand=condition), TRUE),)
        case s.Prefer(condition=condition, weight=weight):
            return ("prefer", weight), ((condition, TRUE),)
        case s.Achieve(within=within) as goal:
            shape = tuple(None if m in goal.conditions else to_text(m) for m in goal.milestones)
            return ("achieve", within, shape), tuple((m, TRUE) for m in goal.conditions)
        case s.Let(name=name):
            return ("let", name), ()


def _compared(a: tuple[Expression, Expression], b: tuple[Expression, Expression], rows: Rows) -> tuple[bool, bool]:
    """Whether two pairs (guard, claim) differ on a row, and whether both fire somewhere and their claim can fail."""
    (guard_a, claim_a), (guard_b, claim_b) = a, b
    fires_a, fires_b = truth(guard_a, rows), truth(guard_b, rows)
    sure = _sure(guard_a, rows) & _sure(guard_b, rows)
    both = fires_a & fires_b
    holds_a, holds_b = truth(_loose(claim_a, rows), rows), truth(_loose(claim_b, rows), rows)
    certain = _sure(_loose(claim_a, rows), rows) & _sure(_loose(claim_b, rows), rows)
    differs = (fires_a != fires_b) & sure | (holds_a != holds_b) & both & sure & certain
    has_shown = both & holds_a & holds_b
    return bool(differs.any()), bool(has_shown.any())


def _sure(node: Expression, rows: Rows) -> Tensor:
    """Rows on which rounding cannot turn the truth of the expression, `[N]`: all, unless it calculates with reals."""
    named = rows.schema.named
    calculates = any(isinstance(n, s.Arithmetic | s.Call) for n in s.walk(node))
    is_real = any((isinstance(n, s.Name) and named[n.name].kind == "real")
                  or (isinstance(n, s.Number) and not n.value.is_integer()) for n in s.walk(node))
    if not (calculates and is_real):
        return torch.ones(rows.size, dtype=torch.bool)
    return robustness(node, rows).abs() > 0.01 * _close(rows, node)


def _loose(node: Expression, rows: Rows) -> Expression:
    """The claim with a small tolerance on equalities of reals that have none."""
    match node:
        case s.Logical(operands=operands):
            return node.model_copy(update={"operands": tuple(_loose(o, rows) for o in operands)})
        case s.Compare(operators=operators, within=None) if set(operators) == {"=="}:
            if any(isinstance(n, s.Name) and rows.schema.named[n.name].kind == "real" for n in s.walk(node)):
                return node.model_copy(update={"within": _close(rows, node)})
    return node


def _close(rows: Rows, node: Expression) -> float:
    """What counts as equal between the numbers of an expression."""
    sizes = [abs(n.value) for n in s.walk(node) if isinstance(n, s.Number)]
    return CLOSE * (1 + max(sizes, default=0.0))
