"""Hypotheses: the shortest rules that explain a handful of examples and contradict none of them.

For every feature that changed, under each action: a claim that explains it, and the guard of least cost that holds
where the claim does and fails where it is wrong: the general boundary of the version space (Mitchell 1982), ranked by
description length (Rissanen 1978). Of conditions that would all do, one that holds seldom is the likelier reason: that
it holds by chance wherever something happened is a coincidence (the size principle, Tenenbaum & Griffiths 2001), and
one about what changes, or what it becomes, lies nearer. What would do almost as well stays open, and is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ...world.rules.text import number
from ...world.schema import Schema
from .claims import Claim, claims_of
from .examples import Example, targets
from .table import Literal, Table, equal, literals_of

LITERALS = 3
"""Of a guard beside the action, at most."""
POOL = 48
"""Literals that guards of two or three are made of."""
COINCIDENCE = 0.5
"""What a bit of coincidence counts for, in literals."""
RELATED = 0.3
"""What it counts for that a condition speaks of what changes, or of what it becomes."""
DOUBT = 0.4
"""Guards that cost so little more than the best stay open."""
OPEN = 5
SAME, REWARD, END = "same", "reward", "end"

Guard = tuple[Literal, ...]


@dataclass(frozen=True)
class Hypothesis:
    """A claim under a guard, of `literals` beside the action: `covers [N]` and where it is right or wrong there; `open`
    are guards that do as well."""

    target: str
    claim: str
    guard: str
    literals: Guard
    covers: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    open: tuple[str, ...] = ()


def hypotheses(schema: Schema, examples: Sequence[Example]) -> list[Hypothesis]:
    """What explains the changes in the examples, feature by feature, where nothing happens, what is paid, what ends."""
    table = Table(schema, examples)
    return _learned(table, literals_of(table), np.ones(table.size, bool)) + _paid(table)


def foretold(schema: Schema, examples: Sequence[Example]) -> np.ndarray:
    """Which examples the hypotheses from all the others say rightly and wholly, `[N]` (leave-one-out). Only the cuts
    and values that guards choose from are those of all."""
    table = Table(schema, examples)
    literals, out = literals_of(table), np.ones(table.size, bool)
    changed = {name: table.changed(name) for name in targets(schema, table.next)}
    for k in range(table.size):
        found = [h for h in _learned(table, literals, np.arange(table.size) != k) if h.covers[k]]
        explained = {h.target for h in found if h.right[k]}
        out[k] = not any(h.wrong[k] for h in found) and all(n in explained for n, c in changed.items() if c[k])
    return out


def _learned(table: Table, literals: Sequence[Literal], seen: np.ndarray) -> list[Hypothesis]:
    """Hypotheses from the rows `seen [N]`."""
    found, names = [], targets(table.schema, table.next)
    moved = np.any([table.changed(n) for n in names] or [np.zeros(table.size, bool)], 0)
    still = np.all([table.kept(n) for n in names] or [~moved], 0)
    for action, rows in _groups(table):
        effects: list[Hypothesis] = []
        for name in names:
            changed = table.changed(name) & rows & seen
            claims = claims_of(table, name, rows & seen) if changed.any() else []
            effects += _explained(claims, action, rows, seen & rows, changed, literals)
        found += [*effects, *_frame(action, rows, effects, still, moved, seen)]
    return found


def _frame(action: str, rows: np.ndarray, effects: Sequence[Hypothesis], still: np.ndarray, moved: np.ndarray,
           seen: np.ndarray) -> Iterator[Hypothesis]:
    """What the action does nowhere else, if an example of that was seen and none of the contrary."""
    guards = list({h.guard: h.literals for h in effects}.values())
    if not guards or not all(guards):    # an action that nobody saw do anything may yet do something
        return
    elsewhere = rows & np.all([np.any([x.fails for x in guard], 0) for guard in guards], 0)
    if (elsewhere & still & seen).any() and not (elsewhere & moved & seen).any():
        denials = [g[0].denial if len(g) == 1 else f"not ({' and '.join(x.text for x in g)})" for g in guards]
        yield Hypothesis(SAME, SAME, " and ".join(dict.fromkeys([action, *denials])), (), elsewhere, still, moved)


def _paid(table: Table) -> list[Hypothesis]:
    """What is paid and what ends the episode, over the state, the action and the next state."""
    everywhere = np.ones(table.size, bool)
    claims: list[Claim] = []
    found: list[Hypothesis] = []
    for value in np.unique(table.reward[~np.isnan(table.reward)]).tolist():
        if value:
            right = table.reward == value
            claims.append(Claim(REWARD, f"reward {'+' if value > 0 else '-'}{number(abs(value))}", 1.0, right,
                                ~np.isnan(table.reward) & ~right))
    ends = np.array([e is True for e in table.end], bool)
    if ends.any():
        claims.append(Claim(END, "end", 1.0, ends, np.array([e is False for e in table.end], bool)))
    literals = literals_of(table, step=True) if claims else []
    for claim in claims:
        found += _explained([claim], "", everywhere, everywhere, claim.right, literals)
    return found


def _explained(claims: Sequence[Claim], action: str, rows: np.ndarray, seen: np.ndarray, left: np.ndarray,
               literals: Sequence[Literal]) -> Iterator[Hypothesis]:
    """A decision list for what happened in `left [N]` under one action, from the rows `seen [N]` of it."""
    left = left.copy()
    while left.any():
        best: tuple[tuple[float, float], Claim, list[Guard]] | None = None
        for claim in claims:
            found = _guards(claim, claim.right & left, claim.wrong & seen, literals)
            if found is not None and (best is None or found[0] > best[0]):
                best = found[0], claim, found[1]
        if best is None:
            return
        _, claim, (first, *others) = best
        covers = rows & np.all([x.holds for x in first] or [rows], 0)
        yield Hypothesis(claim.target, claim.text, _said(action, first), first, covers, claim.right, claim.wrong,
                         tuple(_said(action, g) for g in others[:OPEN]))
        left &= ~(covers & claim.right)


def _guards(claim: Claim, wanted: np.ndarray, against: np.ndarray, literals: Sequence[Literal]
            ) -> tuple[tuple[float, float], list[Guard]] | None:
    """The best rank, (rows explained, -cost), and the guards that come near it, best first; None without any.

    All guards of a size at once: U[i, r] says that literal i lets the wrong row r pass, so that i and j together rule
    out every wrong row where U[i] . U[j] = 0.
    """
    if not wanted.any():
        return None
    if not against.any():
        return (float(wanted.sum()), -claim.cost), [()]
    useful = [x for x in literals if (x.holds & wanted).any() and (x.fails & against).any()]
    pool = [_priced(x, claim) for x in _middle_cuts(useful, wanted | against)]
    pool.sort(key=lambda x: (int((against & ~x.fails).sum()) - int((x.holds & wanted).sum()), x.cost))
    pool = pool[:POOL]
    if not pool:
        return None
    passes = np.stack([~x.fails[against] for x in pool]).astype(np.float32)    # [L, R]
    holds = np.stack([x.holds[wanted] for x in pool]).astype(np.float32)    # [L, W]
    everywhere = np.stack([x.holds for x in pool]).astype(np.float32)    # [L, N]
    cost, total = np.array([x.cost for x in pool]), float(wanted.sum())
    found: list[tuple[float, float, tuple[int, ...]]] = []
    for size in range(1, LITERALS + 1):
        for index, wrong, right, often in _joint(size, passes, holds, everywhere):
            for at in np.argwhere((wrong == 0) & (right > 0)):
                chosen = (*index, *(int(i) for i in at))
                if all(a < b for a, b in pairwise(chosen)):
                    rarity = -np.log2((often[tuple(at)] + 1) / (everywhere.shape[1] + 2))
                    price = claim.cost + float(cost[list(chosen)].sum()) - COINCIDENCE * float(rarity)
                    found.append((float(right[tuple(at)]), -price, chosen))
        if any(explains == total for explains, _, _ in found):
            break
    if not found:
        return None
    explains, least, _ = max(found, key=lambda x: x[:2])
    near = sorted((x for x in found if x[0] == explains and x[1] >= least - DOUBT), key=lambda x: (-x[1], x[2]))
    return (explains, round(least, 6)), [tuple(pool[i] for i in x[2]) for x in near]


def _middle_cuts(literals: Sequence[Literal], rows: np.ndarray) -> list[Literal]:
    """Of cuts that say the same of `rows [N]`, the middle one: what lies between was seen under other actions only."""
    alike: dict[object, list[Literal]] = {}
    for x in literals:
        key = (x.names, x.cut[0], x.holds[rows].tobytes(), x.fails[rows].tobytes()) if x.cut else x.text
        alike.setdefault(key, []).append(x)
    return [group[len(group) // 2] for group in alike.values()]


def _joint(size: int, passes: np.ndarray, holds: np.ndarray, everywhere: np.ndarray
           ) -> Iterator[tuple[tuple[int, ...], np.ndarray, np.ndarray, np.ndarray]]:
    """For all guards of a size, those that begin with `index`: the wrong rows that pass, the right ones that hold, and
    on how many rows they hold at all."""
    if size == 1:
        yield (), passes.sum(1), holds.sum(1), everywhere.sum(1)
    elif size == 2:
        yield (), passes @ passes.T, holds @ holds.T, everywhere @ everywhere.T
    else:
        for i in range(len(passes) - 2):
            yield (i,), (passes * passes[i]) @ passes.T, (holds * holds[i]) @ holds.T, \
                (everywhere * everywhere[i]) @ everywhere.T


def _priced(literal: Literal, claim: Claim) -> Literal:
    """A literal with its cost beside this claim."""
    related = claim.target in literal.names or bool(claim.values & literal.values)
    return replace(literal, cost=literal.cost - RELATED) if related else literal


def _said(action: str, guard: Sequence[Literal]) -> str:
    return " and ".join([*([action] if action else []), *(x.text for x in guard)])


def _groups(table: Table) -> Iterator[tuple[str, np.ndarray]]:
    """The discrete actions that occur, as guards, with their rows; all rows where actions are numbers."""
    names = [n for n in table.actions if table.feature(n).is_discrete]
    if not names:
        yield "", np.ones(table.size, bool)
        return
    joint = list(zip(*(table.actions[n] for n in names), strict=True))
    for values in dict.fromkeys(joint):
        text = " and ".join(equal(table.feature(n), v) for n, v in zip(names, values, strict=True) if v is not None)
        yield text, np.array([row == values for row in joint])
