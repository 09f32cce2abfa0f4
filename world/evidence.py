"""Evidence: how often a rule's claim held where it applied, and what follows from that.

A rule is judged by an interval on its hit rate that is valid however often it is looked at (an anytime-valid
confidence sequence), so that checking after every episode costs no rigour: one counterexample does not refute a rule
of a noisy world, and a thousand do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from .rules import syntax as s
from .rules.evaluate import Rows, truth
from .rules.syntax import Expression, Rule
from .schema import Feature, Schema

if TYPE_CHECKING:
    from ..memory.record import Transitions

Status = Literal["untested", "supported", "contradicted", "retired"]

ALPHA = 0.05
"""Chance that the interval ever misses the true hit rate, over all looks together."""
HARD = 0.9
"""A hard rule is contradicted when its hit rate is surely below this."""
PROPOSED = 0.99
"""A hard rule that no person said does not act when its hit rate is surely below this: it rules out what happens."""
SOFT = 0.1
"""A rule with a weight says only "likelier": it is contradicted when it surely holds this rarely."""
SLACK = 0.05
"""A rule with a probability is contradicted when the rate is surely this far from it."""
LEAST_HITS = 3
TOLERANCE = 0.01
"""Of a real feature's range (unbounded: of the spread in the data) where an equality gives no `within`."""
REWARD_FACTOR = 10.0
"""People say what pays more readily than how much: a reward is right in sign and within this factor."""
BEHAVIOUR = (s.Forbid, s.Avoid, s.Maintain, s.Prefer, s.Achieve)
"""Statements of will: no data can refute them."""
_CHUNK = 4096


class Evidence(BaseModel):
    """Of the transitions on which a rule applied: on how many its claim held, on how many it did not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hits: int = 0
    violations: int = 0

    @property
    def support(self) -> int:
        """On how many transitions the rule applied."""
        return self.hits + self.violations

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound of the hit rate."""
        return interval(self.hits, self.violations)

    def __str__(self) -> str:
        if not self.support:
            return "never applied"
        lower, upper = self.interval
        return f"held {self.hits} of {self.support} times (rate {lower:.2f} to {upper:.2f})"


def interval(hits: int, violations: int, alpha: float = ALPHA) -> tuple[float, float]:
    """The anytime-valid confidence interval of a Bernoulli rate.

    All p at which the uniform mixture of likelihood ratios, a martingale under p, stays below 1 / alpha:

        K_t(p) = B(h + 1, v + 1) / (p^h (1 - p)^v) < 1 / alpha

    By Ville's inequality the truth leaves the interval at any time with a probability of at most alpha (Robbins 1970;
    Howard, Ramdas, McAuliffe & Sekhon 2021).
    """
    mixture = math.lgamma(hits + 1) + math.lgamma(violations + 1) - math.lgamma(hits + violations + 2)
    limit = math.log(1 / alpha)

    def is_inside(p: float) -> bool:
        return mixture - hits * math.log(p) - violations * math.log1p(-p) < limit

    def edge(inside: float, outside: float) -> float:
        for _ in range(50):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if is_inside(middle) else (inside, middle)
        return inside

    rate = (hits + 0.5) / (hits + violations + 1)  # near the least of K, and never 0 or 1
    return edge(rate, 0.0) if hits else 0.0, edge(rate, 1.0) if violations else 1.0


def judge(rule: Rule, evidence: Evidence) -> Status:
    """What the evidence makes of a rule.

    Contradicted: the whole interval lies outside what the rule claims (`HARD`, `SOFT`, `SLACK`). Supported: the claim
    held at least `LEAST_HITS` times, and the rate is surely above a third of what is claimed (four times out of four
    for a hard rule). Untested otherwise. Rules on behaviour are always untested.
    """
    low, high = _claimed(rule.statement)
    if isinstance(rule.statement, BEHAVIOUR):
        return "untested"
    lower, upper = evidence.interval
    if upper < low or lower > high:
        return "contradicted"
    return "supported" if evidence.hits >= LEAST_HITS and lower > low / 3 else "untested"


def is_fallible(rule: Rule, evidence: Evidence) -> bool:
    """Whether a hard rule surely has exceptions, one time in a hundred or more (`PROPOSED`)."""
    return _claimed(rule.statement)[0] == HARD and evidence.interval[1] < PROPOSED


def _claimed(statement: s.Statement) -> tuple[float, float]:
    """The hit rates that agree with a rule."""
    probability = getattr(statement, "probability", None)
    if probability is not None:
        return max(probability - SLACK, 0.0), probability + SLACK
    return SOFT if getattr(statement, "weight", None) is not None else HARD, 1.0


def measure(rules: Sequence[Rule], schema: Schema, transitions: Transitions, tolerance: float = TOLERANCE
            ) -> list[Evidence]:
    """Count the hits and violations of each rule over all `transitions`; rules on behaviour have none.

    Categories, booleans and integers must agree exactly, reals within their `within`, or `tolerance` of their range.
    Reward rules add up where several apply: each is right where it, or their sum, is what was paid.
    """
    counts = torch.zeros(len(rules), 2, dtype=torch.int64)
    slack = _Slack(schema, transitions, tolerance)
    claims = [_claim(rule.statement, slack) for rule in rules]
    for start in range(0, len(transitions), _CHUNK):
        part = transitions.take(slice(start, start + _CHUNK))
        rows = as_rows(schema, part)
        totals = _totals(rules, rows)
        for i, (rule, claim) in enumerate(zip(rules, claims, strict=True)):
            match rule.statement:
                case s.Expect(guard=guard) if claim is not None:
                    applies, holds = _where(guard, rows), truth(claim, rows)
                case s.Always() if claim is not None:
                    applies, holds = _where(None, rows), truth(claim, rows)
                case s.Reward(guard=guard, amount=amount):
                    paid = torch.as_tensor(part.reward).double()
                    applies = _where(guard, rows)
                    holds = _agrees(paid, torch.full_like(paid, amount)) | _agrees(paid, totals)
                case s.End(guard=guard):
                    applies, holds = truth(guard, rows), torch.as_tensor(part.terminated)
                case _:
                    continue
            counts[i, 0] += (applies & holds).sum()
            counts[i, 1] += (applies & ~holds).sum()
    return [Evidence(hits=int(h), violations=int(v)) for h, v in counts.tolist()]


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
            total += _where(rule.statement.guard, rows) * rule.statement.amount
    return total


def _agrees(paid: Tensor, told: Tensor) -> Tensor:
    """Whether rewards agree in sign and within a factor; a told 0 is 0."""
    least, most = told.abs() / REWARD_FACTOR, told.abs() * REWARD_FACTOR
    sized = (paid.abs() >= least - 1e-6) & (paid.abs() <= most + 1e-6)
    return sized & ((paid.sign() == told.sign()) | (paid.abs() <= 1e-6) & (told == 0))


# --- effects that allow for measurement -------------------------------------------------------------------------------


def _claim(statement: s.Statement, slack: _Slack) -> Expression | None:
    """What an `expect` or `always` says of the next state, equalities of reals made tolerant."""
    match statement:
        case s.Expect(effect=effect):
            return slack.loosened(effect)
        case s.Always(condition=condition):
            return slack.loosened(condition)
    return None


class _Slack:
    """How far a real feature may be from what a rule says, by its name."""

    def __init__(self, schema: Schema, transitions: Transitions, tolerance: float) -> None:
        self.schema, self.transitions, self.tolerance = schema, transitions, tolerance
        self.widths: dict[str, float] = {}

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
        if name not in self.widths:
            self.widths[name] = self.tolerance * self._span(self.schema.named[name])
        return self.widths[name]

    def _span(self, feature: Feature) -> float:
        span = feature.high - feature.low
        if math.isfinite(span) or not len(self.transitions):
            return span if math.isfinite(span) else 1.0
        seen: Any = self.schema.value(feature.name, self.schema.batch(self.transitions.features))
        return float(seen.max() - seen.min()) + 1e-4 * float(seen.abs().max())

    def _is_real(self, name: str) -> bool:
        return self.schema.named[name].kind == "real"
