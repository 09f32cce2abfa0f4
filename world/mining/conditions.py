"""Conditions: the literals that a guard may hold, as columns of truth over N transitions.

Values, cuts and relations between terms; a matrix product counts them all at once. Cuts of numbers come from the
data: the thresholds of a decision tree (scikit-learn) grown for the claim that is to be guarded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from ..rules.text import number
from .terms import Term, Terms, roundest

VALUES = 24
"""Of a term, so many values are told apart; of an integer with more, only cuts."""
MARGIN = 2.0
"""Nats that a literal must gain beyond what the choice among all literals costs."""


@dataclass(frozen=True)
class Literal:
    """A term's value compared (`sign` is ==, !=, <= or >), or a relation (`sign` is "")."""

    text: str
    subject: str
    sign: str = ""
    value: float = 0.0
    term: Term | None = None
    primed: bool = False


@dataclass(frozen=True)
class Conditions:
    """Literals and where they hold, `matrix [N, L]` float32; `numbers` are the columns that can be cut."""

    literals: tuple[Literal, ...]
    matrix: np.ndarray
    numbers: tuple[tuple[str, Term, bool, np.ndarray], ...]

    @property
    def cost(self) -> float:
        """Nats that one literal costs."""
        return math.log(max(len(self.literals), 1)) + MARGIN

    def rows_of(self, guard: Sequence[int]) -> np.ndarray:
        """Where all literals of a guard hold, `[N]`."""
        return np.asarray((self.matrix[:, list(guard)] > 0).all(1))

    def with_cuts(self, label: np.ndarray, among: np.ndarray) -> Conditions:
        """With the cuts that tell where `label [N]` is true, among some rows: of each number alone, and of all."""
        if not self.numbers or label[among].all() or not label[among].any():
            return self
        values = np.stack([n[3] for n in self.numbers], 1)[among]
        cuts: dict[tuple[int, float], None] = {}
        for k in range(values.shape[1]):
            cuts |= {(k, cut): None for _, cut in _splits(values[:, [k]], label[among], 4)}
        both = np.concatenate([values, self.matrix[among]], 1)
        cuts |= {c: None for c in _splits(both, label[among], 8) if c[0] < values.shape[1]}
        found, columns = [], []
        for k, cut in cuts:
            subject, term, primed, column = self.numbers[k]
            for sign in ("<=", ">"):
                found.append(Literal("", subject, sign, cut, term, primed))
                columns.append(column <= cut if sign == "<=" else column > cut)
        return _distinct([*self.literals, *found], np.concatenate([self.matrix, *(c[:, None] for c in columns)], 1),
                         self.numbers)

    def sharpened(self, guard: Sequence[int], positive: np.ndarray, negative: np.ndarray) -> list[Literal]:
        """The guard's literals, every cut of a real at the roundest number that separates best, given the others."""
        literals = [self.literals[i] for i in guard]
        for place, literal in enumerate(literals):
            if literal.sign not in ("<=", ">") or literal.term is None or literal.term.kind != "real":
                continue
            column = next(n[3] for n in self.numbers if n[0] == literal.subject)
            rest = self.rows_of([i for k, i in enumerate(guard) if k != place]) & (positive | negative)
            order = np.argsort(column[rest])
            values = column[rest][order]
            sign = np.where(positive[rest][order], 1, -1) * (1 if literal.sign == "<=" else -1)
            total = np.cumsum(sign)[:-1]
            if not len(total):
                continue
            near = np.abs(np.arange(len(total)) - np.searchsorted(values, literal.value))
            total = np.where(np.diff(values) > 0, total, -len(sign))
            best = min(np.flatnonzero(total == total.max()), key=lambda i: near[i])
            literals[place] = replace(literal, value=roundest(*_inner(values[best], values[best + 1])))
        return literals


def conditions_of(terms: Terms, primed: bool = False) -> Conditions:
    """All literals over the state now and the action, and where `primed` over the next state too."""
    found: list[Literal] = []
    columns: list[np.ndarray] = []
    numbers: list[tuple[str, Term, bool, np.ndarray]] = []
    sides = [(t, False) for t in (*terms.actions, *terms.states)] + [(t, True) for t in terms.states if primed]
    for term, is_next in sides:
        column, name = (term.next, term.primed) if is_next else (term.now, term.text)
        if term.is_number:
            numbers.append((name, term, is_next, column))
            if term.kind == "real" and (column < 0).any() and (column > 0).any():
                numbers.append((f"abs({name})", term, is_next, np.abs(column)))
    sides = sorted(sides, key=lambda s: s[0].is_number)
    states = [s for s in sides if s[0] not in terms.actions]
    for literal, holds in (*_values(sides), *_relations(states), *(_moves(terms) if primed else ())):
        found.append(literal)
        columns.append(holds)
    matrix = np.stack(columns, 1) if columns else np.zeros((terms.size, 0))
    return _distinct(found, matrix, tuple(numbers))


def text_of(literals: Sequence[Literal], seen: np.ndarray | None = None) -> str:
    """A guard in words, the action first; what it says of one term is drawn together. Of a category that only some
    values are kept from, it names those that are left, where not all of them were met among the rows `seen [N]`: what
    nobody has met, nobody may speak for."""
    ordered = sorted(literals, key=lambda x: (x.term is None or x.term.is_target or x.primed, x.subject))
    parts = []
    for _, group in groupby(ordered, key=lambda x: x.subject):
        parts += _together(list(group), seen)
    return " and ".join(parts)


def _together(group: list[Literal], seen: np.ndarray | None) -> list[str]:
    first, term = group[0], group[0].term
    if term is None:
        return [x.text for x in group]
    parts = [x.text for x in group if x.sign == "=="]
    if out := sorted({x.value for x in group if x.sign == "!="}):
        parts.append(_others(first, term, out, seen))
    low = [x.value for x in group if x.sign == ">"]
    high = [x.value for x in group if x.sign == "<="]
    if term.kind == "integer":
        lower, upper = math.floor(max(low, default=0)) + 1, math.floor(min(high, default=0))
        if low and high:
            parts.append(f"{lower} <= {first.subject} <= {upper}")
        elif low or high:
            parts.append(f"{first.subject} >= {lower}" if low else f"{first.subject} <= {upper}")
    elif low and high:
        parts.append(f"{number(max(low))} < {first.subject} <= {number(min(high))}")
    elif low or high:
        parts.append(f"{first.subject} > {number(max(low))}" if low else f"{first.subject} <= {number(min(high))}")
    return parts


def _others(of: Literal, term: Term, out: list[float], seen: np.ndarray | None) -> str:
    """That a term has another value than those `out`: by them, or by the values that are left."""
    column = term.next if of.primed else term.now
    left = sorted(set(np.unique(column if seen is None else column[seen])) - set(out))
    is_open = seen is None or term.kind != "category" or len(left) + len(out) == len(term.feature.values)
    if is_open and len(out) == 1:
        return f"{of.subject} != {term.value(out[0])}"
    few, sign = (out, "not ") if not left or (is_open and len(out) < len(left)) else (left, "")
    if len(few) == 1:
        return term.says(few[0], of.primed)
    members = f"{of.subject} in {{{', '.join(map(term.value, few))}}}"
    return f"{sign}({members})" if sign else members


def _values(sides: Iterable[tuple[Term, bool]]) -> Iterable[tuple[Literal, np.ndarray]]:
    for term, primed in sides:
        column, name = (term.next, term.primed) if primed else (term.now, term.text)
        seen = np.unique(column)
        if term.kind == "real" or (term.kind == "integer" and len(seen) > VALUES):
            continue
        for code in seen[:VALUES].tolist():
            yield Literal(term.says(code, primed), name, "==", code, term, primed), column == code
        for code in seen[:-1].tolist() if term.kind == "integer" else ():
            yield Literal("", name, "<=", code, term, primed), column <= code
            yield Literal("", name, ">", code, term, primed), column > code
        for code in seen[:VALUES].tolist() if term.kind != "boolean" else ():
            yield Literal(f"{name} != {term.value(code)}", name, "!=", code, term, primed), column != code


def _relations(sides: Sequence[tuple[Term, bool]]) -> Iterable[tuple[Literal, np.ndarray]]:
    for (f, f_next), (g, g_next) in combinations(sides, 2):
        if f_next != g_next or not comparable(f, g):
            continue
        (a, x), (b, y) = ((t.primed, t.next) if f_next else (t.text, t.now) for t in (f, g))
        y = translated(y, g, f)
        signs = {"==": x == y, "!=": x != y, "<": x < y, ">=": x >= y, ">": x > y, "<=": x <= y}
        wanted = {"category": ("==", "!="), "integer": tuple(signs), "real": ("<", ">")}[f.kind]
        for sign in wanted:
            text = f"{a} {sign} {b}"
            yield Literal(text, text), signs[sign]


def _moves(terms: Terms) -> Iterable[tuple[Literal, np.ndarray]]:
    """Whether a term's value rises, falls, or is another than before."""
    for t in terms.states:
        signs = {"!=": t.next != t.now} | ({">": t.next > t.now, "<": t.next < t.now} if t.is_number else {})
        for sign, holds in signs.items() if t.is_target else ():
            text = f"{t.primed} {sign} {t.text}"
            yield Literal(text, text), holds


def comparable(f: Term, g: Term) -> bool:
    """Whether it makes sense to compare two terms: categories that share values, or numbers whose ranges overlap."""
    if f.kind != g.kind or f.kind == "boolean":
        return False
    if f.kind == "category":
        return len(set(f.feature.values) & set(g.feature.values)) > 1
    if f.kind == "real" and f.feature.unit != g.feature.unit:
        return False
    low, high = max(f.now.min(), g.now.min()), min(f.now.max(), g.now.max())
    return bool(2 * (high - low) > max(np.ptp(f.now), np.ptp(g.now)) > 0)


def translated(codes: np.ndarray, source: Term, target: Term) -> np.ndarray:
    """A category's codes as those of another, -1 where it lacks the value; numbers as they are."""
    if source.kind != "category" or source.feature.values == target.feature.values:
        return codes
    values = target.feature.values
    return np.array([values.index(v) if v in values else -1 for v in source.feature.values])[codes]


def _distinct(literals: Sequence[Literal], matrix: np.ndarray, numbers: tuple) -> Conditions:
    """Without what is always or never true, or true just where an earlier literal is."""
    known: set[bytes] = set()
    kept = []
    packed = np.packbits(matrix > 0, 0).T.copy()
    share = matrix.mean(0)
    for i in range(len(literals)):
        key = packed[i].tobytes()
        if 0 < share[i] < 1 and key not in known:
            known.add(key)
            kept.append(i)
    return Conditions(tuple(literals[i] for i in kept), np.ascontiguousarray(matrix[:, kept], np.float32), numbers)


def _splits(values: np.ndarray, label: np.ndarray, leaves: int) -> list[tuple[int, float]]:
    """(column, threshold) of a small decision tree."""
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=3, random_state=0).fit(values, label).tree_
    return [(int(k), float(cut)) for k, cut in zip(tree.feature, tree.threshold, strict=True) if k >= 0]


def _inner(low: float, high: float) -> tuple[float, float]:
    """A gap without its very edges, where a comparison of float32 might tip over."""
    edge = (high - low) * 0.01
    return low + edge, high - edge
