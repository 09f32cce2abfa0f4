"""The miner: rules read off transitions, without a language model.

For each feature that changes (and for rewards, ends, and that nothing changes) the claim about the next value that
explains the most gets the guard under which it holds (`mining/guards`), then the next claim, until the changes are
explained: a decision list in the manner of CN2 (Clark & Niblett 1989). What changes together under a guard becomes
one rule. What it finds are candidates: the knowledge base weighs them like any other rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .evidence import as_rows
from .mining.claims import Claim, claim_of, claims_of, payments
from .mining.conditions import Conditions, conditions_of
from .mining.guards import Guard, Search, grow, grow_chance
from .mining.laws import refit
from .mining.repair import repairs
from .mining.terms import Terms, roundest, terms_of
from .rules.parse import RuleError, parse
from .rules.syntax import Rule
from .rules.text import number
from .schema import Schema

if TYPE_CHECKING:
    from ..memory.record import Transitions

__all__ = ["MinerConfig", "mine", "repairs"]


STREAK = 20
"""A certainty with fewer hits than these may yet turn out to be a streak of luck."""


@dataclass(frozen=True)
class MinerConfig:
    """Bounds of a search: how many rules are proposed, on how many `rows` at most, and how guards are searched."""

    rules: int = 40
    rows: int = 4000
    rounds: int = 10
    search: Search = field(default_factory=Search)


@dataclass(frozen=True)
class _Found:
    """A claim and its guard; `says` is the guard's text."""

    claim: Claim
    guard: Guard
    says: str


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

    found = [f for some in claims.values() for f in _lasting(list(_cover(now, some, terms, config)))]
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
    strict = replace(config, search=replace(config.search, noise=0.005))
    for rule in _cover(now, [idle], terms, strict) if events.any() else ():
        if rule.says:
            tell("expect same", rule.says, rule.guard.cover)
    ended = transitions.terminated.astype(bool)
    for event in [Claim.of("end", ended), *payments(transitions.reward, config.search.support)]:
        for rule in _foreseen(now, after, event, terms, config):
            if rule.says or event.text != "end":
                tell(event.text, rule.says, rule.guard.cover & event.explains)
    return worth


def _cover(conditions: Conditions, claims: Sequence[Claim], terms: Terms, config: MinerConfig) -> Iterator[_Found]:
    """Claims with their guards, until what they explain is covered or given up."""
    if not claims:
        return
    events = np.any([c.explains for c in claims], 0)
    search = replace(config.search, noise=_misread(events, terms, config.search.noise))
    open_ = maybe = events
    left, grown = list(claims), {}
    for _ in range(config.rounds):
        left = [c for c in left if (c.explains & open_).sum() >= search.support]
        left.sort(key=lambda c: c.cost - (c.explains & open_).sum())
        best: tuple[float, Claim, Guard] | None = None
        for claim in left[:4]:
            positive = claim.explains & open_
            key = claim.text, positive.tobytes()
            if key not in grown:
                grown[key] = grow(conditions, positive, claim.holds, claim.trivial, search)
            guard = grown[key]
            if guard is None:
                continue
            score = (positive & guard.cover).sum() - 2 * len(guard.literals) - claim.cost
            if best is None or score > best[0]:
                best = score, claim, guard
        if best is None:
            left = left[4:]
            if not left:
                break
            continue
        _, claim, guard = best
        guard = _possible(guard, claim)
        yield _told(claim, guard, claim.explains, terms)
        positive = claim.explains & open_
        open_ = open_ & ~guard.cover
        if (positive & guard.cover).sum() >= STREAK:
            maybe = maybe & ~guard.cover
    for claim in _chancy(claims, maybe, search):
        guard = grow_chance(conditions, claim.explains & maybe, claim.explains, claim.holds, config.search)
        if guard is not None and _is_lawful(claim, guard.cover, terms):
            guard = _possible(guard, claim)
            maybe = maybe & ~(guard.cover & claim.explains)
            yield _told(claim, guard, claim.explains, terms)


def _possible(guard: Guard, claim: Claim) -> Guard:
    """Without the rows on which the claim would leave the bounds of its feature, which no data need tell."""
    wanted = guard.cover & claim.possible
    if claim.possible[guard.cover].all():
        return guard
    covers = (guard.conditions.matrix > 0) & guard.cover[:, None]
    exact = np.flatnonzero((covers == wanted[:, None]).all(0))
    if not len(exact):
        return guard
    return replace(guard, literals=(*guard.literals, int(exact[0])), cover=wanted)


def _lasting(found: list[_Found]) -> list[_Found]:
    """Without rules that are no more than a streak of luck of one with a probability."""
    def is_streak(rule: _Found) -> bool:
        hits = rule.claim.explains & rule.guard.cover
        return any(
            (hits & other.claim.explains & other.guard.cover).sum() > 0.8 * hits.sum()
            and -hits.sum() * np.log(other.guard.probability) < 1.5 * rule.guard.conditions.cost
            for other in found if other.guard.probability is not None
        )

    return [f for f in found if f.guard.probability is not None or not is_streak(f)]


def _foreseen(now: Conditions, after: Conditions, event: Claim, terms: Terms, config: MinerConfig) -> list[_Found]:
    """When an event comes: told from the state and the action, or from the next state where that tells more."""
    told = [list(_cover(conditions, [event], terms, config)) for conditions in (now, after)]

    def worth(rules: list[_Found]) -> float:
        cover = np.any([r.guard.cover for r in rules], 0) if rules else np.zeros(terms.size, bool)
        return float(np.where(event.holds, 1, -1)[cover].sum() - sum(len(r.guard.literals) for r in rules))

    return told[1] if worth(told[1]) > worth(told[0]) + 2 else told[0]


def _misread(events: np.ndarray, terms: Terms, most: float) -> float:
    """How often a thing is misread, at most: no more often than it happens under the action under which it is rarest."""
    rates = [(float(events[rows].sum()) + 2) / (rows.sum() + 2)
             for t in terms.actions if not t.is_number for rows in (t.now == code for code in np.unique(t.now))]
    return float(np.clip(1.5 * min(rates, default=most), min(0.02, most), most))


def _chancy(claims: Sequence[Claim], open_: np.ndarray, search: Search) -> list[Claim]:
    """Claims that may hold by chance: of discrete features, where no guard makes them certain; relations first."""
    found = [c for c in claims if c.target and c.law is None and (c.explains & open_).sum() >= 2 * search.support]
    return sorted(found, key=lambda c: (not c.is_relation, c.cost, -(c.explains & open_).sum()))


def _is_lawful(claim: Claim, cover: np.ndarray, terms: Terms) -> bool:
    """Whether the next value hangs on the present one: it must remain far oftener than if the next values were dealt
    out anew, and an integer under the guard make but few steps (then `x + 1` is right by chance wherever it can be)."""
    term = next(t for t in terms.states if t.feature.name == claim.target)
    if not _exceeds_chance(term.now, term.next, np.zeros(1)):
        return False
    if term.kind != "integer" or not claim.is_relation:
        return True
    steps, counts = np.unique((term.next - term.now)[cover], return_counts=True)
    few = steps[counts >= 0.1 * cover.sum()]
    return bool(counts[np.isin(steps, few)].sum() >= 0.8 * cover.sum()) and _exceeds_chance(
        term.now[cover], term.next[cover], few)


def _exceeds_chance(now: np.ndarray, after: np.ndarray, steps: np.ndarray) -> bool:
    """Whether `after - now` is one of `steps` more often, by 10 nats, than if `after` were dealt out anew."""
    now, after = now.astype(np.int64), after.astype(np.int64)
    share = float(np.isin(after - now, steps).mean())
    dealt = float(np.isin(after[:, None] - now[None, :], steps).mean())
    if share <= dealt:
        return False
    odds = share * np.log(share / dealt) + (1 - share) * np.log(max(1 - share, 1e-9) / (1 - dealt))
    return bool(len(now) * odds > 10)


def _told(claim: Claim, guard: Guard, positive: np.ndarray, terms: Terms) -> _Found:
    """With its law fitted to the guard's rows, and the guard's cuts at round numbers."""
    if claim.law is not None:
        claim = claim_of(refit(claim.law, terms, guard.cover), claim.law.target)
    return _Found(claim, guard, guard.text(positive, ~claim.holds))


def _share(guard: Guard) -> float:
    """The guard's probability, at the roundest number within a standard error."""
    p, n = float(guard.probability or 0), int(guard.cover.sum())
    error = (p * (1 - p) / n) ** 0.5
    thirds = [t for t in (0.33, 0.67) if abs(t - p) <= error]
    return thirds[0] if thirds else min(1.0, roundest(max(p - error, 0.01), p + error))


def _joined(rule: _Found, claims: dict[str, list[Claim]], found: Sequence[_Found]) -> list[Claim]:
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
