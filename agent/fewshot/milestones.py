"""Milestones: what every demonstration brought about on its way, in the same order, and the end does not keep."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .conditions import Condition, Evidence, equal

LUCK = 0.05
"""Of coincidences, how likely the least of them may be, among all that could have been seen."""
MOST = 2


def milestones(evidence: Evidence) -> list[Condition]:
    """Conditions that came true exactly once in each of two or more demonstrations, in the same order in all of them,
    more surely than by luck, and hold at no end."""
    if len(evidence.spans) < 2:
        return []
    candidates = [c for t in evidence.terms.states if not t.is_number
                  for code in np.unique(t.next[evidence.shown]).tolist()
                  if _once(evidence, c := equal(t, code))]
    times: dict[tuple[int, ...], Condition] = {}
    for c in sorted(candidates, key=evidence.score):
        if _luck(evidence, c) * len(candidates) < LUCK:
            times.setdefault(_when(evidence, c), c)    # of those that come true together, the best
    ordered = sorted(times)
    clashing = {x for a, b in combinations(ordered, 2) if not _is_before(a, b) and not _is_before(b, a) for x in (a, b)}
    rarest = sorted((t for t in ordered if t not in clashing), key=lambda t: evidence.score(times[t]))[:MOST]
    return [times[t] for t in sorted(rarest)]


def is_free(evidence: Evidence, milestone: Condition, end: Condition) -> bool:
    """Whether the end was ever reached without the milestone before it, elsewhere in memory: then the end alone would
    lose it."""
    for span in evidence.others:
        reached = np.flatnonzero(end.next[span])
        if len(reached) and not milestone.now[span][: reached[0] + 1].any():
            return True
    return False


def _once(evidence: Evidence, c: Condition) -> bool:
    """Whether it came true once in each demonstration, by a change of the world, and is over at each end."""
    term, onsets = c.terms[0], c.onsets
    return not c.next[evidence.last].any() and all(
        not c.now[span.start] and onsets[span].sum() == 1 and term.changed[span][onsets[span]].all()
        for span in evidence.spans)


def _when(evidence: Evidence, c: Condition) -> tuple[int, ...]:
    return tuple(int(np.argmax(c.onsets[span])) for span in evidence.spans)


def _luck(evidence: Evidence, c: Condition) -> float:
    """How likely it is that it comes true by chance in demonstrations as long as these, as often as in memory."""
    elsewhere = np.concatenate([c.onsets[span] for span in evidence.others]) if evidence.others else np.zeros(0)
    share = (elsewhere.sum() + 0.5) / (len(elsewhere) + 1)
    return float(np.prod([1 - (1 - share) ** (span.stop - span.start) for span in evidence.spans]))


def _is_before(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(x < y for x, y in zip(a, b, strict=True))
