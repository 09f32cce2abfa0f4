"""The miner: rules read off transitions, without a language model.

For each feature that changes (and for rewards, ends, and that nothing changes) the claim about the next value that
explains the most gets the guard under which it holds (`mining/guards`), then the next claim, until the changes are
explained: a decision list in the manner of CN2 (Clark & Niblett 1989). What changes together under a guard becomes
one rule. What it finds are candidates: the knowledge base weighs them like any other rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .checking import as_rows
from .mining.claims import Claim, claims_of, payments
from .mining.conditions import conditions_of
from .mining.covering import Found, cover, foreseen, lasting
from .mining.guards import Guard, Search
from .mining.repair import repairs
from .mining.terms import Terms, roundest, terms_of
from .rules.parse import RuleError, parse
from .rules.syntax import Rule
from .rules.text import number
from .schema import Schema

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions

__all__ = ["MinerConfig", "mine", "repairs"]


@dataclass(frozen=True)
class MinerConfig:
    """Bounds of a search: how many rules are proposed, on how many `rows` at most, and how guards are searched."""

    rules: int = 40
    rows: int = 4000
    search: Search = field(default_factory=Search)


def mine(schema: Schema, transitions: Transitions, surprise: np.ndarray | None = None,
         config: MinerConfig | None = None) -> list[Rule]:
    """Return checked candidate rules, those first that explain the most change (or `surprise [N]`, where given)."""
    config = config or MinerConfig()
    chosen = _chosen(len(transitions), surprise, config.rows)
    if len(chosen) < config.search.support:
        return []
    part = transitions.take(chosen)
    terms = terms_of(schema, as_rows(schema, part))
    if surprise is None:
        weight = np.where(terms.unchanged, 0.1, 1.0)    # an event says more than that nothing happened
    else:
        weight = np.maximum(np.nan_to_num(surprise[chosen]), 0.0) + 1e-3
    worth = _worth(terms, part, weight - weight.mean(), config)    # what explains all alike explains nothing
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


def _worth(terms: Terms, transitions: Transitions, weight: np.ndarray, config: MinerConfig) -> dict[str, float]:
    """The text of every rule found, and how much of `weight [N]` it explains."""
    now, after = conditions_of(terms), conditions_of(terms, primed=True)
    claims = {t.feature.name: claims_of(t, terms, config.search.support) for t in terms.states if t.is_target}
    worth: dict[str, float] = {}

    def tell(text: str, guard: str, explained: np.ndarray) -> None:
        text += f" if {guard}" if guard else ""
        worth[text] = max(worth.get(text, -np.inf), float(weight[explained].sum()))

    found = [f for some in claims.values() for f in lasting(list(cover(now, some, terms, config.search)))]
    said: set[tuple[str, str]] = set()
    for rule in sorted(found, key=lambda f: -len(_joined(f, claims, found))):
        effects = _joined(rule, claims, found)
        if (rule.says, rule.claim.text) in said:
            continue
        said |= {(rule.says, c.text) for c in (*effects, rule.claim)}
        text = "expect " + " and ".join(c.text for c in effects)
        if rule.guard.probability is not None:
            text += f" with probability {number(_share(rule.guard))}"
        tell(text, rule.says, np.any([c.explains for c in effects], 0) & rule.guard.cover)
    # What a rule explains is surely a change; any other may be misread.
    events = np.any([f.guard.cover & f.claim.explains & bool(f.says) for f in found] or [np.zeros(terms.size, bool)], 0)
    idle = Claim.of("same", ~events, terms.unchanged & ~events)
    strict = replace(config.search, noise=0.005)
    for rule in cover(now, [idle], terms, strict) if events.any() else ():
        if rule.says:
            tell("expect same", rule.says, rule.guard.cover)
    ended = transitions.terminated.astype(bool)
    for event in [Claim.of("end", ended), *payments(transitions.reward, config.search.support)]:
        for rule in foreseen(now, after, event, terms, config.search):
            if rule.says or event.text != "end":
                tell(event.text, rule.says, rule.guard.cover & event.explains)
    return worth


def _share(guard: Guard) -> float:
    """The guard's probability, at the roundest number within a standard error."""
    p, n = float(guard.probability or 0), int(guard.cover.sum())
    error = (p * (1 - p) / n) ** 0.5
    thirds = [t for t in (0.33, 0.67) if abs(t - p) <= error]
    return thirds[0] if thirds else min(1.0, roundest(max(p - error, 0.01), p + error))


def _joined(rule: Found, claims: dict[str, list[Claim]], found: Sequence[Found]) -> list[Claim]:
    """The claim, and of every other feature that changes under the same guard the one that holds there."""
    effects = {rule.claim.target: rule.claim}
    for other in found if rule.guard.probability is None else ():
        is_wider = not (rule.guard.cover & ~other.guard.cover).any() and other.guard.literals
        told = (other.claim.explains & rule.guard.cover).sum()
        if is_wider and other.guard.probability is None and 2 * told >= (rule.claim.explains & rule.guard.cover).sum():
            effects.setdefault(other.claim.target, other.claim)
    return [_plain(effects[target], claims[target], rule.guard.cover) for target in claims if target in effects]


def _plain(claim: Claim, claims: Sequence[Claim], cover: np.ndarray) -> Claim:
    """A value in place of a relation, where a category or boolean takes but one under the guard."""
    wanted = claim.explains & cover
    values = [c for c in claims if not c.is_relation and (c.explains & wanted).sum() == wanted.sum()]
    fits = [c for c in values if (c.holds & cover).sum() >= (claim.holds & cover).sum()]
    return fits[0] if claim.is_relation and claim.law is None and fits else claim
