"""The miner: rules read off transitions, by counting.

A decision-list learner in the manner of CN2 (Clark & Niblett 1989) and FOIL (Quinlan 1990). For each action and each
feature that changes under it, the claim about the next value that explains the most changes (`f' == v`, `f' == g`,
`f' == f + c`) gets the shortest guard that separates where it holds from where it does not; then every other change
under that guard joins the rule. What it finds are candidates: the knowledge base weighs them like any other rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .candidates import Claim, Table
from .rules.parse import RuleError, parse
from .rules.syntax import Rule
from .schema import Schema

if TYPE_CHECKING:
    from ..memory.record import Transitions


@dataclass(frozen=True)
class MinerConfig:
    """Bounds of a search. `purity` is the share of the covered transitions on which a candidate must hold where no
    guard makes it hold on all; `significance` the chance that some guard of its length separates by luck."""

    rules: int = 20
    support: int = 3
    purity: float = 0.95
    significance: float = 0.05
    conditions: int = 4
    rounds: int = 4    # candidates an action and feature
    values: int = 32    # of a feature that are told apart
    rows: int = 4000


def mine(schema: Schema, transitions: Transitions, surprise: np.ndarray | None = None,
         config: MinerConfig | None = None) -> list[Rule]:
    """Return checked candidate rules, those first that explain the most change (or `surprise [N]`, where given)."""
    config = config or MinerConfig()
    chosen = _chosen(len(transitions), surprise, config.rows)
    if len(chosen) < config.support:
        return []
    table = Table(schema, transitions.take(chosen), config.values)
    if surprise is None:
        weight = np.where(table.unchanged, 0.1, 1.0)    # an event says more than that nothing happened
    else:
        weight = np.maximum(np.nan_to_num(surprise[chosen]), 0.0) + 1e-3
    weight = weight - weight.mean()    # what explains everything alike explains nothing in particular
    worth: dict[str, float] = {}
    for claim in table.settle(config.purity):
        worth[f"expect {claim.text}"] = float(weight[claim.explains].sum())
    for claims, stem in table.questions():
        for seed in table.seeds or [None]:
            for guard, cover, claim in _cover(table, claims, seed, config):
                effects = _joined(table, claim, cover, config) if stem == "expect " else [claim]
                explained = np.any([c.explains for c in effects], 0) & cover
                text = stem + " and ".join(c.text for c in effects)
                text += " if " + " and ".join(table.literals[i] for i in guard) if guard else ""
                worth[text] = max(worth.get(text, -math.inf), float(weight[explained].sum()))
    rules: list[Rule] = []
    for text in sorted(worth, key=lambda text: (-worth[text], len(text), text)):
        try:
            rules.append(parse(text, schema))
        except RuleError:    # what only a schema's own checks exclude
            continue
    return rules[: config.rules]


def _chosen(n: int, surprise: np.ndarray | None, most: int) -> np.ndarray:
    """Which rows to look at, ordered: all, or half of them the most surprising and the rest evenly spread."""
    if n <= most:
        return np.arange(n)
    spread = np.linspace(0, n - 1, most if surprise is None else most // 2).astype(np.int64)
    if surprise is None:
        return spread
    return np.union1d(spread, np.argsort(-np.nan_to_num(surprise), kind="stable")[: most // 2])


def _cover(table: Table, claims: Sequence[Claim], seed: int | None, config: MinerConfig
           ) -> Iterator[tuple[list[int], np.ndarray, Claim]]:
    """Guards, their rows and the claim that holds there, until what changes under `seed` is explained or given up."""
    if not claims:
        return
    scope = np.ones(table.size, bool) if seed is None else table.rows_of([seed])
    open_ = np.any([c.explains for c in claims], 0) & scope
    for _ in range(config.rounds):
        counts = [int((c.explains & open_).sum()) for c in claims]
        best = claims[int(np.argmax(counts))]
        if max(counts) < config.support:
            return
        positive, negative = best.explains & open_, ~best.holds
        # That nothing happens is worth saying only where something might, and then without exceptions.
        strict = replace(config, purity=1.0) if best.text == "same" else config
        is_idle = best.text == "same" and not (negative & scope).any()
        guard = None if is_idle else _grow(table, positive, negative, seed, scope, strict)
        if guard is None:
            open_ &= ~best.explains
            continue
        cover = table.rows_of(guard)
        yield guard, cover, best
        open_ &= ~cover


def _grow(table: Table, positive: np.ndarray, negative: np.ndarray, seed: int | None, scope: np.ndarray,
          config: MinerConfig) -> list[int] | None:
    """The literals of the shortest conjunction found that covers positives and no (else hardly any) negatives, and
    is no coincidence; or None."""
    guard, cover = [] if seed is None else [seed], scope
    while table.literals and (negative & cover).any() and len(guard) <= config.conditions:
        both = np.stack([positive & cover, negative & cover]).astype(np.float32)
        p, n = both @ table.matrix
        all_p, all_n = both.sum(1)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = p * (np.log2(p / (p + n)) - np.log2(all_p / (all_p + all_n)))    # FOIL's information gain
        # Where the claim is true but for noise, a literal must not cut it to pieces.
        least = 0.9 * all_p if all_p >= config.purity * (all_p + all_n) else config.support
        gain[(p < least) | np.isnan(gain)] = -np.inf
        best = int(np.argmax(gain.round(3)))
        if gain[best] <= 1e-3:
            break
        guard.append(best)
        cover = cover & table.rows_of([best])
    reached = _purity(positive & cover, negative & cover)
    if reached < config.purity or (positive & cover).sum() < config.support:
        return None
    for literal in list(guard):
        rest = [i for i in guard if i != literal]
        if _purity(positive & table.rows_of(rest), negative & table.rows_of(rest)) >= reached:
            guard = rest
    return guard if _is_significant(table, positive, negative, seed, guard, config) else None


def _is_significant(table: Table, positive: np.ndarray, negative: np.ndarray, seed: int | None, guard: list[int],
                    config: MinerConfig) -> bool:
    """Whether so many hits would be rare at the rate that holds without the conditions, however many were tried."""
    if not guard:
        return True
    outside = table.rows_of([seed] if seed is not None and guard != [seed] else [])
    rate = _purity(positive & outside, negative & outside)
    hits = int((positive & table.rows_of(guard)).sum())
    tried = sum(1 for literal in guard if literal != seed) or 1    # each chosen among all literals
    luck = math.log(config.significance) - tried * math.log(len(table.literals))
    return rate < 1 and hits * math.log(max(rate, 1e-9)) < luck


def _purity(positive: np.ndarray, negative: np.ndarray) -> float:
    p, n = int(positive.sum()), int(negative.sum())
    return p / (p + n) if p else 0.0


def _joined(table: Table, first: Claim, cover: np.ndarray, config: MinerConfig) -> list[Claim]:
    """The claim, and for every other feature that changes under its guard the one that holds there, if any."""
    found: dict[str, Claim] = {}
    for target, claims in table.changes.items():
        fitting = [c for c in claims if (c.explains & cover).sum() >= config.support
                   and (c.holds & cover).sum() >= config.purity * cover.sum()]
        if fitting:
            found[target] = _preferred(table, target, fitting, cover)
        elif target == first.target:
            found[target] = first
    both = np.all([c.holds[cover] for c in found.values()], 0)
    return list(found.values()) if found and both.mean() >= config.purity else [first]


def _preferred(table: Table, target: str, claims: Sequence[Claim], cover: np.ndarray) -> Claim:
    """Of claims that all hold: a relation where the value varies or is a position, else the value itself."""
    seen = table.next[target][cover & np.any([c.explains for c in claims], 0)]
    wants_relation = len(np.unique(seen)) > 1 or table.schema.named[target].kind == "integer"
    return next((c for c in claims if c.is_relation == wants_relation), claims[0])
