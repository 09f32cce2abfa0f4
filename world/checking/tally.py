"""The tally: evidence of many rules at once, from all transitions or from each as it comes.

Verdicts are computed for many transitions at a time and counted in the order they were lived, so that evidence after
each transition costs a few additions, and the counts of a tally that saw them one by one are those of one that saw all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..rules import syntax as s
from ..rules.syntax import Rule
from ..schema import Pointed, Schema
from .evidence import Evidence
from .exceptions import covers, exception, literals
from .noise import misreading
from .verdicts import TOLERANCE, Verdicts, as_rows, spans_of, verdicts

if TYPE_CHECKING:
    from ...memory.record import Transitions

CHUNK = 4096


class Tally:
    """Counts for `rules` (checked) of one schema, starting from `evidence` where some was counted before."""

    def __init__(self, rules: Sequence[Rule], schema: Schema, evidence: Sequence[Evidence] | None = None) -> None:
        self.rules, self.schema = tuple(rules), schema
        self._literals = literals(schema)
        self._evidence = list(evidence) if evidence is not None else [Evidence() for _ in rules]
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
            if violations or old.exception is not None:
                region = exception(self._literals, self._inside[i], *new.recent)
                new = new if region == old.exception else new.model_copy(update={"exception": region})
            self._evidence[i] = new

    def evidence(self, noise: Mapping[str, float] | None = None) -> list[Evidence]:
        """The evidence of each rule so far; `noise` says how often each feature is misread."""
        if not noise:
            return list(self._evidence)
        return [e.model_copy(update={"noise": self._misread(rule, noise)})
                for rule, e in zip(self.rules, self._evidence, strict=True)]

    def _misread(self, rule: Rule, noise: Mapping[str, float]) -> float:
        """The chance that something in what a rule claims is misread."""
        right = 1.0
        for name in _claims(rule, self.schema):
            right *= 1 - noise.get(name, 0.0)
        return 1 - right


def measure(rules: Sequence[Rule], schema: Schema, transitions: Transitions, tolerance: float = TOLERANCE,
            weight: np.ndarray | None = None, noise: Mapping[str, float] | None = None) -> list[Evidence]:
    """The evidence of each rule over all `transitions` (in the order they were lived); rules on behaviour have none.

    `weight [N]`, in 0 ... 1, counts a transition for less (a duplicate, one that was imagined); `noise` says how often
    each feature is misread: by default as estimated from the transitions.
    """
    tally = Tally(rules, schema)
    spans = spans_of(schema, transitions)
    for start in range(0, len(transitions), CHUNK):
        part = slice(start, start + CHUNK)
        tally.add(*tally.judge(transitions.take(part), spans, tolerance), None if weight is None else weight[part])
    return tally.evidence(misreading(schema, transitions) if noise is None else noise)


def _claims(rule: Rule, schema: Schema) -> set[str]:
    """The base features whose next value a rule's claim is about."""
    claim = getattr(rule.statement, "effect", None) or getattr(rule.statement, "condition", None)
    names: set[str] = set()
    for node in s.walk(claim) if claim is not None else ():
        if isinstance(node, s.Name) and node.primed:
            names.add(node.name)
        elif isinstance(node, s.Same):
            names |= {node.feature} if node.feature else set(schema.base)
    pointed = {d.feature.name: d.of for d in schema.derived if isinstance(d, Pointed)}
    return {pointed.get(name, name) for name in names}
