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

from .evidence import as_rows
from .rules.parse import RuleError, parse
from .rules.syntax import Rule
from .rules.text import number, to_text, word
from .schema import Derived, Feature, Pointed, Schema

if TYPE_CHECKING:
    from ..memory.record import Transitions


@dataclass(frozen=True)
class MinerConfig:
    """Bounds of a search. `purity` is the share of the covered transitions on which a candidate must hold where no
    guard makes it hold on all; `significance` the chance, over all literals, that a guard separates by luck."""

    rules: int = 20
    support: int = 3
    purity: float = 0.95
    significance: float = 0.05
    conditions: int = 4
    rounds: int = 4    # candidates an action and feature
    values: int = 32    # of a feature that are told apart
    rows: int = 4000


@dataclass(frozen=True)
class _Claim:
    """What may be said of a step: its text, where it is true `[N]`, and where it explains something `[N]`."""

    text: str
    holds: np.ndarray
    explains: np.ndarray
    target: str = ""
    is_relation: bool = False


def mine(schema: Schema, transitions: Transitions, surprise: np.ndarray | None = None,
         config: MinerConfig | None = None) -> list[Rule]:
    """Return checked candidate rules, those first that explain the most change (or `surprise [N]`, where given)."""
    config = config or MinerConfig()
    chosen = _chosen(len(transitions), surprise, config.rows)
    if len(chosen) < config.support:
        return []
    table = _Table(schema, transitions.take(chosen), config)
    if surprise is None:
        weight = np.where(table.unchanged, 0.1, 1.0)    # an event says more than that nothing happened
    else:
        weight = np.maximum(np.nan_to_num(surprise[chosen]), 0.0) + 1e-3
    worth: dict[str, float] = {}
    for claims, stem in table.questions():
        for seed in table.seeds or [None]:
            for guard, cover, claim in _cover(table, claims, seed, config):
                effects = _joined(table, claim, cover, config) if stem == "expect " else [claim]
                explained = np.any([c.explains for c in effects], 0) & cover
                text = stem + " and ".join(c.text for c in effects)
                text += " if " + " and ".join(table.literals[i] for i in guard) if guard else ""
                worth[text] = max(worth.get(text, 0.0), float(weight[explained].sum()))
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
    first = [] if surprise is None else np.argsort(-np.nan_to_num(surprise), kind="stable")[: most // 2]
    return np.unique(np.concatenate([np.asarray(first, np.int64), spread]))


def _cover(table: _Table, claims: Sequence[_Claim], seed: int | None, config: MinerConfig
           ) -> Iterator[tuple[list[int], np.ndarray, _Claim]]:
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
        guard = None if best.text == "same" and not (negative & scope).any() else \
            _grow(table, positive, negative, seed, scope, replace(config, purity=1.0) if best.text == "same" else config)
        if guard is None:
            open_ &= ~best.explains
            continue
        cover = table.rows_of(guard)
        yield guard, cover, best
        open_ &= ~cover


def _grow(table: _Table, positive: np.ndarray, negative: np.ndarray, seed: int | None, scope: np.ndarray,
          config: MinerConfig) -> list[int] | None:
    """The literals of the shortest conjunction found that covers positives and no (else hardly any) negatives, and
    is no coincidence; or None."""
    guard, cover = [] if seed is None else [seed], scope
    while (negative & cover).any() and len(guard) <= config.conditions:
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


def _is_significant(table: _Table, positive: np.ndarray, negative: np.ndarray, seed: int | None, guard: list[int],
                    config: MinerConfig) -> bool:
    """Whether so many hits would be rare at the rate that holds without the conditions (CN2's test, one-sided)."""
    outside = table.rows_of([seed] if seed is not None and guard != [seed] else [])
    rate = _purity(positive & outside, negative & outside)
    hits = int((positive & table.rows_of(guard)).sum())
    return not guard or rate < 1 and hits * math.log(max(rate, 1e-9)) < math.log(config.significance / len(table.literals))


def _purity(positive: np.ndarray, negative: np.ndarray) -> float:
    p, n = int(positive.sum()), int(negative.sum())
    return p / (p + n) if p else 0.0


def _joined(table: _Table, first: _Claim, cover: np.ndarray, config: MinerConfig) -> list[_Claim]:
    """The claim, and for every other feature that changes under its guard the one that holds there, if any."""
    found: dict[str, _Claim] = {}
    for target, claims in table.changes.items():
        fitting = [c for c in claims if (c.explains & cover).sum() >= config.support
                   and (c.holds & cover).sum() >= config.purity * cover.sum()]
        varied = len(np.unique(table.next[target][cover])) > 1
        if target == first.target:
            fitting = [c for c in fitting if c.is_relation == varied] or [first]
        if fitting:
            found[target] = next((c for c in fitting if c.is_relation == varied), fitting[0])
    both = np.all([c.holds[cover] for c in found.values()], 0)
    return list(found.values()) if found and both.mean() >= config.purity else [first]


class _Table:
    """The transitions as columns of codes, with every literal a guard may hold and every claim an effect may make.

    `matrix [N, L]` is 1 where a literal holds; `seeds` are the literals of the action.
    """

    def __init__(self, schema: Schema, transitions: Transitions, config: MinerConfig) -> None:
        rows = as_rows(schema, transitions)
        assert rows.next is not None
        self.schema, self.transitions, self.config, self.size = schema, transitions, config, rows.size
        acting = [a for a in schema.actions if a.is_discrete and not a.shape]
        known = [f for f in schema.named.values() if f not in schema.actions and f.is_discrete and not f.shape]
        # A position says the least of why something happens: categories come first, and win where they do as well.
        self.states = sorted(known, key=lambda f: f.kind == "integer")
        self.now = {f.name: rows.read(f.name, False).numpy().astype(np.int64) for f in self.states}
        self.next = {f.name: rows.read(f.name, True).numpy().astype(np.int64) for f in self.states}
        self.unchanged = np.all([(rows.now[name] == rows.next[name]).reshape(rows.size, -1).all(1).numpy()
                                 for name in schema.base], 0)
        moved = {d.feature.name: (d.at(rows.now) != d.at(rows.next)).numpy()
                 for d in schema.derived if isinstance(d, Pointed)}

        self.literals: list[str] = []
        columns: list[np.ndarray] = []
        for feature in acting:
            value = rows.column(schema.actions.index(feature)).numpy().astype(np.int64) + feature.offset
            self._add(feature, value, columns)
        self.seeds: list[int] | list[None] = list(range(len(columns)))
        for feature in self.states:
            if feature.kind != "integer":
                self._add(feature, self.now[feature.name], columns)
        for i, f in enumerate(self.states):
            for g in self.states[i + 1 :]:
                if f.kind == g.kind == "category" and _share(f, g):
                    self.literals.append(f"{word(f.name)} == {word(g.name)}")
                    columns.append(self.now[f.name] == _translated(self.now[g.name], g, f))
        for feature in self.states:
            if feature.kind == "integer":
                self._add(feature, self.now[feature.name], columns)
        self.matrix = np.stack(columns, 1).astype(np.float32) if columns else np.zeros((self.size, 0), np.float32)

        self.changes: dict[str, list[_Claim]] = {}
        for feature in self.states:
            derived = schema.derivations.get(feature.name)
            if not (isinstance(derived, Derived) and derived.put is None):
                self.changes[feature.name] = self._claims(feature, moved.get(feature.name))

    def rows_of(self, guard: Sequence[int]) -> np.ndarray:
        """Where all literals of a guard hold, `[N]`."""
        return (self.matrix[:, list(guard)] > 0).all(1)

    def questions(self) -> Iterator[tuple[Sequence[_Claim], str]]:
        """What is to be explained: the claims that may do it, and the word that such a rule begins with."""
        for claims in self.changes.values():
            yield claims, "expect "
        yield [_Claim("same", self.unchanged, self.unchanged)] if not self.unchanged.all() else [], "expect "
        ended = self.transitions.terminated.astype(bool)
        yield [_Claim("", ended, ended)], "end"
        reward = self.transitions.reward
        for paid in (reward > 0, reward < 0):
            if paid.any() and paid.mean() < 0.5:
                mean = round(float(reward[paid].mean()), 2)
                yield [_Claim(f"{'+' if mean > 0 else ''}{number(mean)}", paid, paid)], "reward "

    def _add(self, feature: Feature, value: np.ndarray, columns: list[np.ndarray]) -> None:
        """Add the literals of a feature's values."""
        for code in np.unique(value)[: self.config.values]:
            self.literals.append(_says(feature, int(code), ""))
            columns.append(value == code)

    def _claims(self, feature: Feature, moved: np.ndarray | None) -> list[_Claim]:
        """What may be said of a feature's next value. A pointed one that now looks elsewhere has not changed."""
        name, now, next = word(feature.name), self.now[feature.name], self.next[feature.name]
        changed = (next != now) if moved is None else (next != now) & ~moved
        if not changed.any():
            return []
        found: list[_Claim] = []

        def claim(text: str, holds: np.ndarray, is_relation: bool = True) -> None:
            found.append(_Claim(text, holds, holds & changed, feature.name, is_relation))

        for other in self.states:
            if other is not feature and other.kind == feature.kind and feature.kind != "boolean" and _share(feature, other):
                claim(f"{name}' == {word(other.name)}", next == _translated(self.now[other.name], other, feature))
        if feature.kind == "integer":
            steps, counts = np.unique((next - now)[changed], return_counts=True)
            for step in steps[np.argsort(-counts, kind="stable")][:4].tolist():
                claim(f"{name}' == {name} {'+' if step > 0 else '-'} {abs(step)}", next == now + step)
        for code in np.unique(next[changed])[: self.config.values].tolist():
            claim(_says(feature, code, "'"), next == code, is_relation=False)
        return found


def _says(feature: Feature, code: int, prime: str) -> str:
    """`f == value` in the language."""
    name = word(feature.name) + prime
    if feature.kind == "boolean":
        return name if code else f"not {name}"
    return f"{name} == {word(feature.values[code]) if feature.kind == 'category' else number(code)}"


def _share(f: Feature, g: Feature) -> bool:
    """Whether it makes sense to compare two features: numbers, or categories with more than one value in common."""
    return f.kind == g.kind == "integer" or len(set(f.values) & set(g.values)) > 1


def _translated(codes: np.ndarray, source: Feature, target: Feature) -> np.ndarray:
    """A category's codes as those of another, -1 where it lacks the value; numbers as they are."""
    if source.kind != "category" or source.values == target.values:
        return codes
    return np.array([target.values.index(v) if v in target.values else -1 for v in source.values])[codes]


def texts(rules: Sequence[Rule]) -> list[str]:
    """The canonical lines of rules."""
    return [to_text(rule) for rule in rules]
