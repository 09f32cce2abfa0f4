"""Verdicts: on which transitions each rule applied, and on which its claim held.

Categories, booleans and integers must agree exactly, reals within their `within`, or a share of their range. Reward
rules add up where several apply: each is right where it, or their sum, is what was paid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..rules import syntax as s
from ..rules.evaluate import Rows, truth
from ..rules.holes import known
from ..rules.syntax import Expression, Rule
from ..schema import Pointed, Schema

if TYPE_CHECKING:
    from ...memory.experience.record import Transitions

TOLERANCE = 0.01
"""Of a real feature's range (unbounded: of the spread in the data) where an equality gives no `within`."""
REWARD_FACTOR = 10.0
"""People say what pays more readily than how much: a reward is right in sign and within this factor."""


@dataclass(frozen=True)
class Verdicts:
    """Of R rules on N transitions, in time order: where they applied and where their claim held, both bool `[R, N]`."""

    applies: Tensor
    holds: Tensor

    def __getitem__(self, rows: slice) -> Verdicts:
        return Verdicts(self.applies[:, rows], self.holds[:, rows])


def verdicts(rules: Sequence[Rule], rows: Rows, transitions: Transitions, spans: Mapping[str, float],
             tolerance: float = TOLERANCE) -> Verdicts:
    """Judge each rule on each transition (`rows` are the same transitions); rules on behaviour never apply. `spans`
    are the widths of real features, for equalities that give no `within`."""
    applies = torch.zeros(len(rules), rows.size, dtype=torch.bool)
    holds = applies.clone()
    slack = _Slack(rows.schema, spans, tolerance)
    totals = _totals(rules, rows)
    for i, rule in enumerate(rules):
        match rule.statement:
            case s.Expect(effect=effect, guard=guard):
                applies[i], holds[i] = _where(guard, rows), truth(slack.loosened(effect), rows)
            case s.Always(condition=condition):
                applies[i], holds[i] = _where(None, rows), truth(slack.loosened(condition), rows)
            case s.Reward(guard=guard, amount=amount):
                paid = torch.as_tensor(transitions.reward).double()
                applies[i] = _where(guard, rows)
                holds[i] = _agrees(paid, torch.full_like(paid, known(amount))) | _agrees(paid, totals)
            case s.End(guard=guard):
                applies[i], holds[i] = truth(guard, rows), torch.as_tensor(transitions.terminated)
    return Verdicts(applies, holds)


def spans_of(schema: Schema, transitions: Transitions) -> dict[str, float]:
    """How wide each real feature ranges, base and derived: between its bounds, or else in the data."""
    spans = {}
    features = schema.batch(transitions.features) if len(transitions) else None
    for name, feature in schema.named.items():
        if feature.kind == "real" and feature not in schema.actions:
            spans[name] = feature.high - feature.low
            if not math.isfinite(spans[name]):
                seen = np.asarray(schema.value(name, features)) if features is not None else np.array([0.0, 1.0])
                spans[name] = float(np.ptp(seen)) + 1e-4 * float(np.abs(seen).max())
    return spans


def claimed(rule: Rule, schema: Schema) -> set[str]:
    """The features whose next value the claim of an `expect` or `always` is about; for a pointed one, the array."""
    match rule.statement:
        case s.Expect(effect=claim) | s.Always(condition=claim):
            names: set[str] = set()
            for node in s.walk(claim):
                if isinstance(node, s.Name) and node.primed:
                    names.add(node.name)
                elif isinstance(node, s.Same | s.Changed):
                    names |= {node.feature} if node.feature else set(schema.base)
            pointed = {d.feature.name: d.of for d in schema.derived if isinstance(d, Pointed)}
            return {pointed.get(name, name) for name in names}
    return set()


def as_rows(schema: Schema, transitions: Transitions) -> Rows:
    """Transitions as rows that rules are evaluated over."""
    action = torch.as_tensor(transitions.action).reshape(len(transitions), -1).to(schema.action_dtype)
    return Rows(schema, schema.batch(transitions.features), action, schema.batch(transitions.next_features))


def _where(guard: Expression | None, rows: Rows) -> Tensor:
    return torch.ones(rows.size, dtype=torch.bool) if guard is None else truth(guard, rows)


def _totals(rules: Sequence[Rule], rows: Rows) -> Tensor:
    """What the reward rules that apply pay together, `[N]`."""
    total = torch.zeros(rows.size, dtype=torch.float64)
    for rule in rules:
        if isinstance(rule.statement, s.Reward):
            total += _where(rule.statement.guard, rows) * known(rule.statement.amount)
    return total


def _agrees(paid: Tensor, told: Tensor) -> Tensor:
    """Whether rewards agree in sign and within a factor; a told 0 is 0."""
    least, most = told.abs() / REWARD_FACTOR, told.abs() * REWARD_FACTOR
    sized = (paid.abs() >= least - 1e-6) & (paid.abs() <= most + 1e-6)
    return sized & ((paid.sign() == told.sign()) | (paid.abs() <= 1e-6) & (told == 0))


# --- effects that allow for measurement -------------------------------------------------------------------------------


class _Slack:
    """How far a real feature may be from what a rule says, by its name."""

    def __init__(self, schema: Schema, spans: Mapping[str, float], tolerance: float) -> None:
        self.schema, self.spans, self.tolerance = schema, spans, tolerance

    def loosened(self, node: Expression) -> Expression:
        """The effect with a tolerance on every equality of a real feature that has none."""
        match node:
            case s.Logical(operator=operator, operands=operands):
                return s.Logical(operator=operator, operands=tuple(map(self.loosened, operands)))
            case s.Same(feature=None):
                each = tuple(self.loosened(s.Same(feature=name)) for name in self.schema.base)
                return each[0] if len(each) == 1 else s.Logical(operator="and", operands=each)
            case s.Same(feature=str(name)) if self._is_real(name):
                near = s.Compare(operands=(s.Name(name=name, primed=True), s.Name(name=name)), operators=("==",),
                                 within=self.width(name))
                return s.Quantified(quantifier="all", condition=near) if self.schema.named[name].shape else near
            case s.Compare(operators=operators, within=None) if set(operators) == {"=="}:
                name = next((n.name for n in s.walk(node) if isinstance(n, s.Name) and n.primed), "")
                return node.model_copy(update={"within": self.width(name)}) if name and self._is_real(name) else node
        return node

    def width(self, name: str) -> float:
        return self.tolerance * self.spans[name]

    def _is_real(self, name: str) -> bool:
        return self.schema.named[name].kind == "real"
