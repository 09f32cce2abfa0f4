"""Invented worlds that are lived in: transitions under known rules, with states that vary little, drifts and noise.

Like the benchmarks' worlds, only less tidy: a proposer must tell a rule from what merely happens to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gedanken.memory.experience.record import Transitions
from gedanken.world.checking.sampling import Sample
from gedanken.world.rules import syntax as s
from gedanken.world.rules.evaluate import truth
from gedanken.world.rules.syntax import Rule
from gedanken.world.schema import Schema


@dataclass(frozen=True)
class Lived:
    """Transitions, and for every rule the rows that it shaped `[N]`."""

    transitions: Transitions
    shaped: tuple[np.ndarray, ...]


def lived(schema: Schema, rules: Sequence[Rule], n: int, rng: torch.Generator, noise: float) -> Lived:
    """`n` transitions in which the rules hold but for `noise`; on about half of them one applies, or narrowly fails."""
    sample = Sample(schema, rules, n, rng)
    _narrow(sample, rng)
    claims = [r.statement for r in rules]
    turn = torch.arange(n) % max(2 * len(claims), 1)
    for i, claim in enumerate(claims):
        guard = getattr(claim, "guard", None)
        if guard is not None and not _speaks_of_next(guard):
            sample.steer(guard, True, turn == i, keep=0.8)
    sample.next = {name: now.clone() for name, now in sample.now.items()}
    _drift(sample, rng)
    reward, ended = torch.zeros(n), torch.zeros(n, dtype=torch.bool)
    shaped: list[Tensor] = [torch.zeros(n, dtype=torch.bool) for _ in claims]
    for i, claim in enumerate(claims):    # what happens first, then what is made of it
        if isinstance(claim, s.Expect):
            holds = _holds(claim.guard, sample) & (torch.rand(n, generator=rng) < (claim.probability or 1.0))
            for _ in range(2):
                sample.steer(claim.effect, True, holds, keep=1.0)
            shaped[i] = holds
    for i, claim in enumerate(claims):
        if isinstance(claim, s.Reward | s.End):
            guard = claim.guard
            if guard is not None and _speaks_of_next(guard):
                sample.steer(guard, True, turn == i, keep=0.8)
            shaped[i] = _holds(guard, sample)
            if isinstance(claim, s.Reward):
                reward = reward + claim.amount * shaped[i]
            else:
                ended |= shaped[i]
    _misread(sample, rng, noise)
    flip = torch.rand(n, generator=rng) < noise / 2
    reward = torch.where(flip, reward[torch.randperm(n, generator=rng)], reward)
    transitions = Transitions(
        {k: v.numpy() for k, v in sample.now.items()}, sample.action.numpy(), reward.numpy(), (ended & ~flip).numpy(),
        np.zeros(n, bool), {k: v.numpy() for k, v in sample.next.items()}, np.zeros(n, np.int64), np.arange(n),
    )
    return Lived(transitions, tuple(rows.numpy() for rows in shaped))


def _holds(guard: s.Expression | None, sample: Sample) -> Tensor:
    return torch.ones(sample.n, dtype=torch.bool) if guard is None else truth(guard, sample.rows()).clone()


def _speaks_of_next(guard: s.Expression) -> bool:
    return any(isinstance(x, s.Changed | s.Same) or getattr(x, "primed", False) for x in s.walk(guard))


def _narrow(sample: Sample, rng: torch.Generator) -> None:
    """In a stretch of experience some features hardly vary, and some are the same all along."""
    for name, now in sample.now.items():
        roll = float(torch.rand((), generator=rng))
        if now.dim() == 1 and roll < 0.3:
            few = now[torch.randint(sample.n, (1 if roll < 0.15 else 3,), generator=rng)]
            sample.now[name] = few[torch.randint(len(few), (sample.n,), generator=rng)]


def _drift(sample: Sample, rng: torch.Generator) -> None:
    """Some features change by themselves: they walk, or now and then jump."""
    for f in sample.schema.features:
        roll = float(torch.rand((), generator=rng))
        now = sample.now[f.name]
        if f.shape or roll > 0.35:
            continue
        where = sample.chance(0.1 if roll < 0.25 else 0.4)
        if f.kind in ("real", "integer") and roll < 0.3:
            span = f.high - f.low if np.isfinite(f.high - f.low) else 20.0
            by = torch.randn(sample.n, generator=rng) * span / 20
            new = (now + (by.round() if f.kind == "integer" else by)).clamp(f.low, f.high).to(now.dtype)
        else:
            new = now[torch.randperm(sample.n, generator=rng)]
        sample.next[f.name] = torch.where(where, new, now)


def _misread(sample: Sample, rng: torch.Generator, noise: float) -> None:
    """On a share of the rows one feature's next value is another's."""
    names = [f.name for f in sample.schema.features if not f.shape]
    which = torch.randint(len(names) or 1, (sample.n,), generator=rng)
    wrong = torch.rand(sample.n, generator=rng) < noise
    for k, name in enumerate(names):
        shuffled = sample.next[name][torch.randperm(sample.n, generator=rng)]
        sample.next[name] = torch.where(wrong & (which == k), shuffled, sample.next[name])
