"""Fitting: the numbers that a rule leaves to memory, found in the transitions.

A person gives the shape (`expect speed' == speed - ? if action == brake`), the data the number. A constant in an
equality is solved for row by row, which takes the equality to be linear in it, and the weighted median is taken (the
least absolute deviation; several constants by iteratively reweighted least squares): rows where something else
happened do not pull at it. A threshold in the guard is the cut that best tells where the claim holds (Youden's J), a
probability the rate, a reward the median. N rows, K holes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from .checking import TOLERANCE, Evidence, as_rows, measure
from .rules import syntax as s
from .rules.evaluate import Rows, evaluate, truth
from .rules.holes import filled, filling, holes
from .rules.syntax import Expression, Rule
from .schema import Schema

if TYPE_CHECKING:
    from ..memory.experience.record import Transitions

__all__ = ["Fit", "fit", "weighed"]

LEAST = 5
"""Informative rows below which nothing is fitted."""
KEPT = 0.95
"""The share of rows that a fitted bound or tolerance shall hold on."""
CUTS = 64
LEAST_SKILL = 0.1
"""Of Youden's J, -1 to 1: a threshold that tells less is none."""


@dataclass(frozen=True)
class Fit:
    """A value for each `?`, how far the rows scatter about it, and on how many rows it stands."""

    values: tuple[float, ...]
    spread: tuple[float, ...]
    support: int


def weighed(rules: Sequence[Rule], schema: Schema, transitions: Transitions, weight: np.ndarray | None = None
            ) -> list[tuple[Fit | None, Evidence]]:
    """Each rule's fit (None where it has no `?`, or none can be fitted) and its evidence; `weight [N]`, in 0 ... 1,
    says how much each transition counts.

    A rule with holes is fitted to every other transition and counted on the ones between, so that a fit is not judged
    by what it was fitted to; one that cannot be fitted has no evidence.
    """
    fits = [fit(rule, schema, transitions.take(slice(0, None, 2))) if holes(rule) else None for rule in rules]
    counted = [i for i, rule in enumerate(rules) if fits[i] is not None or not holes(rule)]
    acting = [filled(rules[i], found.values) if (found := fits[i]) is not None else rules[i] for i in counted]
    evidence = dict(zip(counted, measure(acting, schema, transitions, weight=weight), strict=True))
    if any(fits):
        apart = measure(acting, schema, transitions.take(slice(1, None, 2)),
                        weight=None if weight is None else weight[1::2])
        evidence |= {i: e for i, e in zip(counted, apart, strict=True) if fits[i] is not None}
    return [(found, evidence.get(i, Evidence())) for i, found in enumerate(fits)]


def fit(rule: Rule, schema: Schema, transitions: Transitions) -> Fit | None:
    """Fit every `?` of a checked rule to the transitions; None where they say too little, or nothing linear."""
    if not len(transitions) or not holes(rule):
        return None
    schema = replace(schema)    # what is compiled on the way goes with it
    fitter = _Fitter(schema, as_rows(schema, transitions), transitions)
    found = fitter.rule(rule.statement)
    if found is None or not all(np.isfinite(v) for v, _, _ in found):
        return None
    return Fit(tuple(float(f"{v:.6g}") for v, _, _ in found), tuple(float(f"{w:.3g}") for _, w, _ in found),
               min(n for _, _, n in found))


_Found = list[tuple[float, float, int]]
"""Of each hole: the value, the spread, the rows."""


class _Fitter:
    def __init__(self, schema: Schema, rows: Rows, transitions: Transitions) -> None:
        self.schema, self.rows, self.transitions = schema, rows, transitions

    def rule(self, statement: s.Statement) -> _Found | None:
        """The holes of a statement in their order: of its claim, of its strength, of its guard."""
        guard: Expression | None = getattr(statement, "guard", None)
        open_ = holes(guard) if guard is not None else 0
        where = self._where(_without_holes(guard))
        claim = self._claim(statement, where)
        if claim is None or open_ > 1:
            return None
        cut: _Found = []
        if guard is not None and open_:
            found = self._cut(guard, where, self._holds(statement, claim))
            if found is None:
                return None
            cut = found
            where = self._where(filling(guard, iter([cut[0][0]])))
            claim = self._claim(statement, where)    # again, on the rows it is about
        if claim is None:
            return None
        chance: _Found = []
        if isinstance(statement, s.Expect) and isinstance(statement.probability, s.Hole):
            holds = self._holds(statement, claim)[where]
            rate = float(holds.mean()) if len(holds) >= LEAST else 0.0
            if rate == 0:
                return None
            chance = [(round(rate, 4), (rate * (1 - rate) / len(holds)) ** 0.5, len(holds))]
        return [*claim, *chance, *cut]

    # --- what is claimed ----------------------------------------------------------------------------------------------

    def _claim(self, statement: s.Statement, where: np.ndarray) -> _Found | None:
        """The holes of what is claimed where the guard holds."""
        match statement:
            case s.Reward(amount=s.Hole()):
                paid = self.transitions.reward[where]
                return [_middle(paid)] if len(paid) >= LEAST else None
            case s.Expect(effect=effect) | s.Always(condition=effect):
                atoms = effect.operands if isinstance(effect, s.Logical) else (effect,)
                found: _Found = []
                for atom in atoms:
                    some = self._atom(atom, where) if holes(atom) else []
                    if some is None:
                        return None
                    found += some
                return found
        return []

    def _atom(self, atom: Expression, where: np.ndarray) -> _Found | None:
        if not isinstance(atom, s.Compare) or len(atom.operands) != 2:
            return None
        (operator,) = atom.operators
        left, right = atom.operands
        gap = s.Arithmetic(operator="-", left=left, right=right)
        if operator == "==":
            found = self._equal(gap, where, atom)
        else:
            found = self._bound(gap, where, atom) if holes(gap) == 1 else None
        if found is None or not isinstance(atom.within, s.Hole):
            return found
        off = np.abs(self._value(gap, [v for v, _, _ in found])[where])
        return [*found, (float(np.quantile(off, KEPT)), 0.0, len(off))] if len(off) >= LEAST else None

    def _equal(self, gap: Expression, where: np.ndarray, atom: s.Compare) -> _Found | None:
        """The constants that make the gap 0, on most rows."""
        if not holes(gap):
            return []
        linear = self._linear(gap)
        if linear is None:
            return None
        offset, slopes = (x[where] for x in linear)    # [N], [N, K]: offset + slopes @ v
        use = np.isfinite(offset) & np.isfinite(slopes).all(1) & (np.abs(slopes) > 1e-9).any(1)
        offset, slopes = offset[use], slopes[use]
        if len(offset) < max(LEAST, 2 * slopes.shape[1]):
            return None
        if slopes.shape[1] > 1:
            return _least_deviation(slopes, -offset)
        solved, weight = -offset / slopes[:, 0], np.abs(slopes[:, 0])
        whole = solved.round()
        if self._is_integer(atom) and (np.abs(solved - whole) < 1e-3).all():
            values, counts = np.unique(whole, return_counts=True)
            return [(float(values[counts.argmax()]), float(whole.std()), len(whole))]
        return [_middle(solved, weight)]

    def _bound(self, gap: Expression, where: np.ndarray, atom: s.Compare) -> _Found | None:
        """The tightest constant with which an inequality holds on most rows."""
        linear = self._linear(gap)
        if linear is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            solved = (-linear[0] / linear[1][:, 0])[where]
        solved = solved[np.isfinite(solved)]
        if len(solved) < LEAST:
            return None
        least, most = np.quantile(solved, [1 - KEPT, KEPT])
        hits = [self._truth(filling(atom.model_copy(update={"within": None}), iter([float(v)])))[where].mean()
                for v in (least, most)]
        return [(float(least if hits[0] > hits[1] else most), _middle(solved)[1], len(solved))]

    def _linear(self, gap: Expression) -> tuple[np.ndarray, np.ndarray] | None:
        """What a gap is at zero `[N]` and its slope in each hole `[N, K]`; None where it is not linear."""
        count = holes(gap)
        offset = self._value(gap, [0.0] * count)
        slopes = np.stack([self._value(gap, [float(i == k) for i in range(count)]) - offset for k in range(count)], 1)
        told = [2.0 + k for k in range(count)]
        gone = np.abs(self._value(gap, told) - offset - slopes @ np.array(told))
        known = np.isfinite(gone)
        scale = np.abs(offset) + np.abs(slopes).sum(1) + 1e-6
        return (offset, slopes) if known.any() and (gone[known] <= 1e-3 * scale[known]).all() else None

    # --- where it applies ---------------------------------------------------------------------------------------------

    def _cut(self, guard: Expression, where: np.ndarray, holds: np.ndarray) -> _Found | None:
        """The threshold of a guard that best tells the rows on which the claim holds from the others."""
        compare = next((n for n in s.walk(guard) if isinstance(n, s.Compare) and holes(n) == 1), None)
        if compare is None or isinstance(compare.within, s.Hole):
            return None
        pairs = zip(compare.operands, compare.operands[1:], strict=False)
        gap = next(s.Arithmetic(operator="-", left=a, right=b) for a, b in pairs if holes(a) + holes(b))
        linear = self._linear(gap)
        if linear is None or min(holds[where].sum(), (~holds)[where].sum()) < LEAST:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            turns = np.unique((-linear[0] / linear[1][:, 0])[where])
        turns = turns[np.isfinite(turns)]
        if len(turns) < 2:
            return None

        def skill(value: float) -> float:
            inside = self._truth(filling(guard, iter([value])))
            return float(inside[where & holds].mean() - inside[where & ~holds].mean())

        low, high = 0, len(turns) - 2    # of the gaps between two turns
        while True:    # ever finer between the neighbours of the best
            at = np.unique(np.linspace(low, high, CUTS).round().astype(int))
            scores = np.array([skill(float(turns[i] + turns[i + 1]) / 2) for i in at])
            best = np.flatnonzero(scores >= scores.max() - 1e-9)
            if high - low < CUTS:
                break
            low, high = int(at[max(best[0] - 1, 0)]), int(at[min(best[-1] + 1, len(at) - 1)])
            if len(at) == len(best):
                break
        middle = int(at[best[len(best) // 2]])
        if scores.max() < LEAST_SKILL:
            return None
        value = float(turns[middle] + turns[middle + 1]) / 2
        return [(value, float(turns[middle + 1] - turns[middle]) / 2, int(where.sum()))]

    def _holds(self, statement: s.Statement, claim: _Found) -> np.ndarray:
        """Where what is claimed came true `[N]`, equalities of reals with some tolerance."""
        match statement:
            case s.End():
                return self.transitions.terminated.astype(bool)
            case s.Reward(amount=amount):
                told = claim[0][0] if isinstance(amount, s.Hole) else amount
                return np.asarray(np.abs(self.transitions.reward - told) <= 0.1 * abs(told) + 1e-6)
            case s.Expect(effect=effect):
                return self._truth(self._tolerant(filling(effect, (v for v, _, _ in claim))))
        return np.ones(self.rows.size, bool)

    def _tolerant(self, effect: Expression) -> Expression:
        match effect:
            case s.Logical(operands=operands):
                return effect.model_copy(update={"operands": tuple(map(self._tolerant, operands))})
            case s.Same(feature=None):
                each = [self._tolerant(s.Same(feature=name)) for name in self.schema.base]
                return s.Logical(operator="and", operands=tuple(each)) if len(each) > 1 else each[0]
            case s.Same(feature=str(name)) if self.schema.named[name].kind == "real":
                near = s.Compare(operands=(s.Name(name=name, primed=True), s.Name(name=name)), operators=("==",),
                                 within=self._slack(name))
                return s.Quantified(quantifier="all", condition=near) if self.schema.named[name].shape else near
            case s.Compare(operators=("==",), within=None):
                name = _target(effect)
                is_real = self.schema.named[name].kind == "real" if name else False
                return effect.model_copy(update={"within": self._slack(name)}) if is_real else effect
        return effect

    def _slack(self, name: str) -> float:
        feature = self.schema.named[name]
        seen = self.rows.read(name, False).float()
        span = feature.high - feature.low
        return TOLERANCE * (span if np.isfinite(span) else float(seen.max() - seen.min()) + 1e-4)

    def _is_integer(self, atom: s.Compare) -> bool:
        name = _target(atom)
        return bool(name) and self.schema.named[name].kind == "integer"

    def _where(self, guard: Expression | None) -> np.ndarray:
        return np.ones(self.rows.size, bool) if guard is None else self._truth(guard)

    def _truth(self, condition: Expression) -> np.ndarray:
        return np.asarray(self._run(truth, condition).numpy(), bool)

    def _value(self, expr: Expression, values: Sequence[float]) -> np.ndarray:
        return np.asarray(self._run(evaluate, filling(expr, iter(values))).double().numpy())

    def _run(self, read: Callable[[Expression, Rows], Tensor], expr: Expression) -> Tensor:
        return read(expr, self.rows)


def _without_holes(guard: Expression | None) -> Expression | None:
    """The part of a guard that is known."""
    if guard is None or not holes(guard):
        return guard
    parts = guard.operands if isinstance(guard, s.Logical) and guard.operator == "and" else ()
    known = tuple(p for p in parts if not holes(p))
    return s.Logical(operator="and", operands=known) if len(known) > 1 else known[0] if known else None


def _target(atom: s.Compare) -> str:
    return next((n.name for n in s.walk(atom) if isinstance(n, s.Name) and n.primed), "")


def _middle(values: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, float, int]:
    """The weighted median, 1.4826 times the median distance from it, and how many."""
    order = np.argsort(values, kind="stable")
    mass = np.cumsum((np.ones(len(values)) if weight is None else weight)[order])
    middle = float(values[order][np.searchsorted(mass, mass[-1] / 2)])
    return middle, float(1.4826 * np.median(np.abs(values - middle))), len(values)


def _least_deviation(slopes: np.ndarray, wanted: np.ndarray) -> _Found | None:
    """Several constants: the least absolute deviation, by iteratively reweighted least squares."""
    if np.linalg.matrix_rank(slopes, tol=1e-4 * float(np.linalg.norm(slopes, 2))) < slopes.shape[1]:
        return None
    weight = np.ones(len(wanted))
    for _ in range(50):
        root = np.sqrt(weight)
        values = np.linalg.lstsq(slopes * root[:, None], wanted * root, rcond=None)[0]
        off = np.abs(slopes @ values - wanted)
        weight = 1 / np.maximum(off, 1e-6 + 1e-4 * np.median(np.abs(wanted)))
    return [(float(v), float(1.4826 * np.median(off)), len(wanted)) for v in values]
