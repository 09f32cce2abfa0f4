"""The tally: evidence of many rules at once, from all transitions or from each as it comes.

Verdicts are computed for many transitions at a time and counted in the order they were lived, so that evidence after
each transition costs a few additions, and the counts of a tally that saw them one by one are those of one that saw all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..rules.syntax import Rule
from ..schema import Schema
from .evidence import Evidence
from .exceptions import covers, exception, literals
from .noise import Rates, misreading
from .verdicts import TOLERANCE, Verdicts, as_rows, claimed, spans_of, verdicts

if TYPE_CHECKING:
    from ...memory.experience.record import Transitions

CHUNK = 4096


class Tally:
    """Counts for `rules` (checked) of one schema, starting from `evidence` where some was counted before."""

    def __init__(self, rules: Sequence[Rule], schema: Schema, evidence: Sequence[Evidence] | None = None) -> None:
        self.rules, self.schema = tuple(rules), schema
        self._literals = literals(schema)
        self._evidence = list(evidence) if evidence is not None else [Evidence() for _ in rules]
        self._claims = [claimed(rule, schema) for rule in rules]
        # A claim of chance fails here and there by its own word: only one that says always has exceptions.
        soft = [(getattr(r.statement, "probability", None), getattr(r.statement, "weight", None)) for r in rules]
        self._is_hard = [pair == (None, None) for pair in soft]
        self._inside = np.zeros((len(rules), len(self._literals), 2))

    def judge(self, transitions: Transitions, spans: Mapping[str, float], tolerance: float = TOLERANCE
              ) -> tuple[Verdicts, Tensor]:
        """What to `add`: the verdicts on N transitions, and which literals hold on them, `[N, M]`."""
        rows = as_rows(self.schema, transitions)
        return verdicts(self.rules, rows, transitions, spans, tolerance), covers(self._literals, rows)

    def add(self, seen: Verdicts, where: Tensor, weight: np.ndarray | None = None) -> None:
        """Count verdicts `[R, N]` in time order; `weight [N]`, in 0 ... 1, says how much each transition counts."""
        if weight is not None and len(weight) and not (weight.min() >= 0 and weight.max() <= 1):
            raise ValueError("a transition's weight is between 0 and 1")
        scale = torch.ones(seen.applies.shape[1], dtype=torch.float64) if weight is None else torch.as_tensor(weight)
        for i in seen.applies.any(1).nonzero()[:, 0].tolist():
            rows = seen.applies[i].nonzero()[:, 0]
            holds = seen.holds[i][rows]
            counted = torch.stack([holds, ~holds]).double() * scale[rows]
            self._inside[i] += (counted @ where[rows]).T.numpy()
            old = self._evidence[i]
            history = old.history.after(holds.tolist(), None if weight is None else weight[rows.numpy()].tolist(),
                                        watch=old.exception is None)
            if history.changes > old.history.changes:
                self._inside[i] = 0.0    # where it fails now is another question
            hits, violations = counted.sum(1).tolist()
            if weight is None:
                hits, violations = int(hits), int(violations)
            update = {"hits": old.hits + hits, "violations": old.violations + violations, "history": history}
            new = old.model_copy(update=update)
            if self._is_hard[i] and (violations or old.exception is not None):
                region = exception(self._literals, self._inside[i], *new.recent)
                new = new if region == old.exception else new.model_copy(update={"exception": region})
            self._evidence[i] = new

    def evidence(self, noise: Rates | None = None) -> list[Evidence]:
        """The evidence of each rule so far; `noise` says how often, least and most, each feature is misread."""
        return [self.of(i, noise) for i in range(len(self.rules))]

    def of(self, i: int, noise: Rates | None = None) -> Evidence:
        """The evidence of the i-th rule so far."""
        rates = [noise[name] for name in self._claims[i] if name in noise] if noise else []
        if not rates:
            return self._evidence[i]
        least, most = (1 - math.prod(1 - pair[side] for pair in rates) for side in (0, 1))
        return self._evidence[i].model_copy(update={"noise": (least, most)})


def measure(rules: Sequence[Rule], schema: Schema, transitions: Transitions, tolerance: float = TOLERANCE,
            weight: np.ndarray | None = None, noise: Rates | None = None) -> list[Evidence]:
    """The evidence of each rule over all `transitions` (in the order they were lived); rules on behaviour have none.

    `weight [N]`, in 0 ... 1, counts a transition for less (a duplicate, one that was imagined); `noise` says how often,
    least and most, each feature is misread: by default as estimated from the transitions.
    """
    tally = Tally(rules, schema)
    spans = spans_of(schema, transitions)
    for start in range(0, len(transitions), CHUNK):
        part = slice(start, start + CHUNK)
        tally.add(*tally.judge(transitions.take(part), spans, tolerance), None if weight is None else weight[part])
    return tally.evidence(misreading(schema, transitions) if noise is None else noise)
