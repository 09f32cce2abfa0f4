"""Setbacks: steps that did not do what was imagined, explained by what had imagined them, and what was done about it.

The imagined step is the learned model's, corrected by rules. Both are asked again about the step that went wrong: the
setback is a rule's where its claim is what failed, and the learned model's otherwise; then the rule is named whose
condition all but held and that would have had it right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...world.model import Outcome, State
from ...world.rulebook import Entry
from ...world.rules.effects import is_primed
from ...world.rules.evaluate import Rows, truth
from ...world.rules.guards import conjuncts
from ...world.rules.syntax import Always, Expect, Expression, Index, Name, Same, walk
from ...world.rules.text import to_text
from ...world.scenes import action_text, changes, row_of
from ...world.schema import Feature, Features, Pointed, Schema
from . import band
from .band import TIMES, refined_of
from .doubts import Doubts
from .question import in_steps

if TYPE_CHECKING:
    from ..mind import Mind

MOST = 100
"""So many setbacks of an episode are kept, the first ones; further ones are counted."""
_SAID = 4    # places that a setback names
LONGEST = 1_000
"""So many characters of what others wrote are told in one text."""
REPEATED = 2
"""From so many setbacks of one kind on, an episode leaves a note."""


@dataclass(frozen=True)
class Setback:
    """Step `t` (from 0) did not do what was imagined.

    `expected` and `observed` are what was imagined and what came, a text a place (`front_state: open`), `certain` how
    probable what was imagined had seemed. `rule` is the id of the rule whose claim failed, "" where the learned model
    alone was wrong; `why` says so in words, `repaired_by` what was done about it.
    """

    t: int
    action: str
    expected: tuple[str, ...]
    observed: tuple[str, ...]
    certain: float
    rule: str
    why: str
    repaired_by: str = ""

    def __str__(self) -> str:
        repaired = f"; {self.repaired_by}" if self.repaired_by else ""
        return (f"step {self.t + 1}, {self.action}: imagined {', '.join(self.expected)} ({self.certain:.0%} certain), "
                f"came {', '.join(self.observed)}; {self.why}{repaired}")

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class Lived:
    """Step `t` (from 0) of one row, as it was `predicted` from `belief`, and as it came."""

    t: int
    belief: State
    predicted: Outcome
    now: Features
    action: Tensor
    after: Features


@dataclass
class Setbacks:
    """The setbacks of the episode under way, oldest first, and which rules are doubted since (none, unless `doubting`:
    of episodes side by side, all are imagined by the same rules)."""

    doubting: bool = True
    all: list[Setback] = field(default_factory=list)
    count: int = 0
    doubts: Doubts = field(default_factory=Doubts)

    def begin(self, mind: Mind) -> None:
        """A new episode: nothing has gone wrong, no rule is doubted."""
        self.all, self.count = [], 0
        if self.doubts.clear():
            self.apply(mind)

    def apply(self, mind: Mind) -> None:
        """Let the imagination go without the rules that are doubted, where they are."""
        refined = refined_of(mind.imagining)
        if refined is not None:
            refined.rules = self.doubts.silenced(mind.knowledge)

    def witness(self, mind: Mind, lived: Lived, came_true: bool) -> None:
        """Take in one lived step."""
        schema = mind.knowledge.schema
        if came_true:
            if self.doubting:
                self.doubts.held(fired(mind, lived.predicted), schema, lived.now)
            return
        self.count += 1
        if len(self.all) >= MOST and not self.doubting:
            return
        setback, failed = explained(mind, lived)
        doubted = [e for e in failed if self.doubts.failed(e, schema, lived.now)] if self.doubting else []
        if doubted:
            self.apply(mind)
        if len(self.all) < MOST:
            named = ", ".join(e.id for e in doubted)
            self.all.append(replace(setback, repaired_by=f"{named} is doubted here for this episode" if named else ""))

    def repaired(self, mind: Mind) -> None:
        """Say of the newest setback what was planned instead, once that is known."""
        plan = mind.pursuit.plan if mind.pursuit else None
        if not self.all or plan is None or "planned anew" in self.all[-1].repaired_by or self.count > len(self.all):
            return
        found = (f"planned anew: {in_steps(plan)} that reach the goal" if bool(plan.reached[0])
                 else "planned anew: nothing that reaches the goal was found")
        before = self.all[-1].repaired_by
        self.all[-1] = replace(self.all[-1], repaired_by=f"{before}; {found}" if before else found)

    def note(self, mind: Mind, episode: int | None) -> None:
        """At the end of an episode: what went wrong repeatedly becomes a note, a candidate for a lesson."""
        kinds: dict[tuple[str, ...], list[Setback]] = {}
        for setback in self.all:
            subjects = (text.split(":")[0].split("[")[0] for text in setback.expected)
            done = setback.action if mind.knowledge.schema.discrete_actions else ""  # an amount hardly comes twice
            kinds.setdefault((setback.rule, done, *dict.fromkeys(subjects)), []).append(setback)
        for (rule, *_), some in kinds.items():
            if len(some) >= REPEATED:
                first = some[0]
                text = (f"{len(some)} times in an episode {first.action} did not do what was imagined: imagined "
                        f"{', '.join(first.expected)}, came {', '.join(first.observed)}; {first.why}")
                mind.memory.note(one_line(text), kind="setback", importance=min(1.0, 0.3 + 0.1 * len(some)),
                                 source="agent", tags=[rule] if rule else [], episode=episode)


def one_line(text: str) -> str:
    """A text that may hold what others wrote, as one printable line of bounded length: names of values, rules."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."


def explained(mind: Mind, lived: Lived) -> tuple[Setback, list[Entry]]:
    """The step that went wrong, and the rules whose claim is what failed, strongest first."""
    schema, predicted, after = mind.knowledge.schema, lived.predicted, lived.after
    expected, within = predicted.mode, band.widths(mind, lived.belief, lived.action, predicted)
    wrong = _wrong(schema, expected, after, within)
    rows = Rows(schema, lived.now, lived.action, after)
    failed = [(e, claim) for e in fired(mind, predicted) for claim in _failed_claims(e, rows, wrong)]
    alone = band.alone(mind, lived.belief, lived.action)
    if failed:
        entry, claim = failed[0]
        was_right = alone is not None and not set(wrong) & set(_wrong(schema, alone.mode, after, within))
        had = "" if alone is None else f"; the learned model alone {'had it right' if was_right else 'was wrong, too'}"
        why = f"{entry.id} says so (`{entry.text}`), and `{to_text(claim)}` did not come true{had}"
    else:
        entry, why = None, "the learned model imagined it, no rule did"
        if (near := _nearly(mind, rows, wrong)) is not None:
            other, missing = near
            why += f"; {other.id} (`{other.text}`) has it as it came, but for its condition `{to_text(missing)}`"
    nats = [float(predicted.features[k].log_prob(expected[k])[0]) for k in wrong if k not in within]
    certain = math.exp(sum(nats)) * (band.SHARE if len(nats) < len(wrong) else 1.0)
    texts = _told(schema, [k for k in wrong if k not in within], expected, after)
    numbers = [_number(schema.feature(k), expected[k][0], after[k][0], within[k][0]) for k in wrong if k in within]
    setback = Setback(
        lived.t, one_line(action_text(schema, lived.action[0].numpy())),
        (*texts[0], *(imagined for imagined, _ in numbers)), (*texts[1], *(came for _, came in numbers)),
        round(min(1.0, certain), 4), entry.id if entry else "", one_line(why))
    return setback, list(dict.fromkeys(e for e, _ in failed))


def _wrong(schema: Schema, expected: Features, after: Features, within: Features) -> list[str]:
    """The features of one row that came out otherwise than expected: numbers, by more than the band is wide."""
    return [f.name for f in schema.features
            if (f.name in within and bool(((expected[f.name] - after[f.name]).abs() > within[f.name]).any()))
            or (f.is_discrete and not torch.equal(expected[f.name], after[f.name]))]


def _number(feature: Feature, expected: Tensor, after: Tensor, within: Tensor) -> tuple[str, str]:
    """What was imagined of a real feature, with the interval that most outcomes keep to, and what came, where they
    are furthest apart: `velocity: 0.031 ± 0.002`, `velocity: 0.05`."""
    at = int(((expected - after).abs() / within).argmax())
    place = feature.name + (str(list(map(int, np.unravel_index(at, feature.shape)))) if feature.shape else "")
    unit = f" {feature.unit}" if feature.unit else ""
    mean, came, half = (float(x.reshape(-1)[at]) for x in (expected, after, within))
    return f"{place}: {mean:.4g} ± {half / TIMES:.2g}{unit}", f"{place}: {came:.4g}{unit}"


def fired(mind: Mind, predicted: Outcome) -> list[Entry]:
    """The rules that corrected a predicted step of one row, strongest first."""
    refined = refined_of(mind.imagining)
    entries = [e for e in mind.knowledge.corrections() if e.acting is not None]
    if refined is None or len(entries) != len(refined.rules.rules):
        return []
    on = (torch.zeros(0, len(entries), dtype=torch.bool) if predicted.fired is None else predicted.fired)[:1].any(0)
    every = [isinstance(e.rule.statement, Always) for e in entries]
    acting = [e for e, is_on, always in zip(entries, on.tolist() or [False] * len(entries), every, strict=True)
              if is_on or always]
    return sorted(acting, key=lambda e: not e.is_told)


def _failed_claims(entry: Entry, rows: Rows, wrong: Sequence[str]) -> Iterator[Expression]:
    """What a hard rule claimed of the step, of a feature that came out wrong, and that is not so."""
    rule = entry.acting
    if rule is None or not isinstance(statement := rule.statement, Expect | Always) or statement.weight is not None:
        return
    guard = getattr(statement, "guard", None)
    if getattr(statement, "probability", None) is not None:
        return
    if guard is not None and is_primed(guard) and not bool(truth(guard, rows)[0]):
        return    # what it hangs on did not come about, which is another's fault
    for claim in conjuncts(statement.effect if isinstance(statement, Expect) else statement.condition):
        if written(claim, rows.schema) & set(wrong) and not bool(truth(claim, rows)[0]):
            yield claim


def _nearly(mind: Mind, rows: Rows, wrong: Sequence[str]) -> tuple[Entry, Expression] | None:
    """A rule that would have had it right, but for one part of its condition, and that part."""
    for entry in mind.knowledge.corrections():
        statement = entry.rule.statement if entry.acting is None else entry.acting.statement
        if not isinstance(statement, Expect) or statement.guard is None or isinstance(statement.effect, Same):
            continue
        missing = [part for part in conjuncts(statement.guard) if not bool(truth(part, rows)[0])]
        if (len(missing) == 1 and written(statement.effect, rows.schema) & set(wrong)
                and bool(truth(statement.effect, rows)[0])):
            return entry, missing[0]
    return None


def written(effect: Expression, schema: Schema) -> set[str]:
    """The base features that an effect speaks of; of one that is derived and not pointed at, all of them."""
    found: set[str] = set()
    for node in walk(effect):
        match node:
            case Name(name=name, primed=True) | Index(array=Name(name=name, primed=True)) | Same(feature=str(name)):
                derived = schema.derivations.get(name)
                found |= {derived.of} if isinstance(derived, Pointed) else {name} if derived is None else {*schema.base}
            case Same(feature=None):
                found |= {*schema.base}
    return found


def _told(schema: Schema, wrong: Sequence[str], expected: Features, after: Features
          ) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was imagined and what came, where they differ: `color[3, 1]: red`, a text a place."""
    imagined, came = row_of({**after, **{k: expected[k] for k in wrong}}), row_of(after)
    texts = changes(schema, imagined, came)
    if len(texts) > _SAID:
        texts = [*texts[:_SAID], f"{len(texts) - _SAID} more places"]
    parts = [text.rpartition(": ")[::2] if " -> " in text else (text, "") for text in texts]
    sides = [(place, *change.split(" -> ", 1)) if change else (place, "", "") for place, change in parts]
    return (tuple(one_line(f"{p}: {a}") if a else p for p, a, _ in sides),
            tuple(one_line(f"{p}: {b}") if b else p for p, _, b in sides))
