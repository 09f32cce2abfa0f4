"""Rules teach the model: what they make of imagined steps is trained on beside what was lived.

    x' ~ p~(x'|s, a) ∝ p_θ(x'|s, a) · exp(Σ_j w_j e_j(s, a, x'))     for s, a where some rule applies

A lesson is an imagined transition as the rules correct it. What no rule speaks of is drawn from the model itself, so
that in expectation it learns nothing there; what a rule says, it descends towards, and in time it predicts what it was
told and the correction fades (distillation; no data are needed but states to start from). The states are lived ones,
and in worlds of discrete features drawn ones too, steered so that what the rules ask for holds: a rare event is what
rules are told for. A rule that data contradict no longer acts; nobody teaches it, and the data unlearn it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from . import tree
from .checking.sampling import Sample, conditions
from .model import Batch, WorldModel, begin
from .rules.compile import Compiled
from .rules.syntax import Always, End, Expect, Reward
from .schema import Features
from .training import Source


@dataclass(frozen=True)
class TeachingConfig:
    """`share` of a batch that are lessons; `tries` steps are imagined for each, for a rule does not always apply."""

    share: float = 0.25
    tries: int = 2


class Taught:
    """A source of batches whose lived sequences are joined by lessons (`Source`). With no rule to teach it is the
    lived source itself."""

    def __init__(self, lived: Source, model: WorldModel, rules: Compiled, config: TeachingConfig | None = None) -> None:
        self.lived, self.model, self.rules, self.config = lived, model, rules, config or TeachingConfig()
        taught = (Expect, Always, Reward, End)
        self.taught = [r for r in rules.rules if isinstance(r.statement, taught)]

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        """`size` sequences, the last of them lessons: one transition, padded to `length`. Held-out ones are lived."""
        lessons = 0 if held_out or not self.taught else round(self.config.share * size)
        lived = self.lived.batch(size - lessons, length, rng, held_out)
        if lived is None or not lessons:
            return lived
        return tree.concatenate([lived, _padded(self._imagined(lessons, rng), length)])

    def everything(self) -> Batch | None:
        """What was lived, and lessons to their share: a sparse model may then not close what only a rule needs."""
        lived = self.lived.everything()
        if lived is None or not self.taught:
            return lived
        count = round(len(lived.mask) * self.config.share / (1 - self.config.share))
        return tree.concatenate([lived, self._imagined(count, torch.Generator().manual_seed(0))])

    @torch.no_grad()
    def _imagined(self, count: int, rng: torch.Generator) -> Batch:
        """`count` imagined transitions as the rules correct them, sequences of one; masked where no rule applies."""
        now, action = self._situations(count * self.config.tries, rng)
        _, predicted = self.model.step(begin(self.model, now), action, rng)
        out = self.rules.correct(now, action, predicted, rng)
        assert out.fired is not None
        told = out.fired.any(1) | (out.reward != predicted.reward) | (out.cont != predicted.cont)
        told = (told | bool(self.rules.always)) & out.feasible
        rows = told.int().argsort(descending=True, stable=True)[:count]  # those on which a rule applies come first
        after = {k: d.sample(rng) for k, d in out.features.items()}
        everywhere = torch.ones_like(told)
        drawn = replace(predicted, features={k: d.set(everywhere, after[k]) for k, d in out.features.items()})
        out = self.rules.correct(now, action, drawn)  # rewards and ends of what was drawn
        ended = torch.rand(len(told), generator=rng) >= out.cont
        return Batch(
            {k: torch.stack([now[k][rows], after[k][rows].to(now[k].dtype)], 1) for k in after},
            action[rows, None],
            out.reward[rows, None],
            ended[rows, None],
            told[rows, None],
        )

    def _situations(self, n: int, rng: torch.Generator) -> tuple[Features, torch.Tensor]:
        """States `[N, *shape]` and actions `[N, A]`, each steered towards the guard of one rule."""
        schema = self.rules.schema
        sample = Sample(schema, self.taught, n, rng)
        lived = self.lived.batch(n, 1, rng)
        if lived is not None:  # drawn states of real features would lie far from all that can happen
            kept = n // 2 if all(f.is_discrete for f in schema.features) else n
            for k, v in lived.features.items():
                sample.now[k][:kept] = v[:kept, 0]
        turn = torch.randint(len(self.taught), (n,), generator=rng)
        for i, rule in enumerate(self.taught):
            if getattr(rule.statement, "guard", None) is not None:
                sample.steer(conditions(rule)[0], True, turn == i)
        return {f.name: sample.now[f.name] for f in schema.features}, schema.clamp(sample.action)


def _padded(batch: Batch, length: int) -> Batch:
    """Sequences of one transition as sequences of `length`: the last state repeated, all but the first masked."""
    def held(x: torch.Tensor, times: int) -> torch.Tensor:
        return torch.cat([x, x[:, -1:].expand(-1, times - x.shape[1], *x.shape[2:])], 1)

    real = torch.arange(length) == 0
    return Batch({k: held(v, length + 1) for k, v in batch.features.items()}, held(batch.action, length),
                 held(batch.reward, length) * real, held(batch.terminated, length) & real,
                 held(batch.mask, length) & real)
