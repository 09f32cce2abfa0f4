"""Invented worlds: transitions in which given rules are true and everything else mostly stays, now and then changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from gedanken.memory.experience.record import Transitions
from gedanken.world.checking.sampling import Sample
from gedanken.world.rules import syntax as s
from gedanken.world.rules.evaluate import truth
from gedanken.world.rules.syntax import Rule
from gedanken.world.schema import Schema


def transitions_of(schema: Schema, rules: Sequence[Rule], n: int, seed: int) -> Transitions:
    """`n` transitions of a world in which the rules hold; on about half of them, where possible, one applies."""
    rng = torch.Generator().manual_seed(seed)
    claims = [r.statement for r in rules if isinstance(r.statement, s.Expect | s.Always | s.Reward | s.End)]
    sample = Sample(schema, rules, n, rng)
    turn = torch.arange(n) % max(2 * len(claims), 1)
    for i, claim in enumerate(claims):
        guard = getattr(claim, "guard", None)
        if guard is not None:
            sample.steer(guard, True, turn == i)
    calm = torch.rand(n, generator=rng) < 0.6
    for name, now in sample.now.items():
        stays = calm | (torch.rand(n, generator=rng) < 0.7)
        sample.next[name] = torch.where(stays.view(-1, *[1] * (now.dim() - 1)), now, sample.next[name])
    reward, ended = np.zeros(n, np.float32), np.zeros(n, bool)
    for claim in claims:
        guard = getattr(claim, "guard", None)
        holds = truth(guard, sample.rows()) if guard is not None else torch.ones(n, dtype=torch.bool)
        match claim:
            case s.Expect(effect=effect, probability=p):
                luck = torch.rand(n, generator=rng) < (1.0 if p is None else p)
                for _ in range(3):
                    sample.steer(effect, True, holds & luck, keep=1.0)
            case s.Always(condition=condition):
                sample.steer(condition, True, holds, keep=1.0)
            case s.Reward(amount=amount):
                reward += amount * holds.numpy()
            case s.End():
                ended |= holds.numpy()
    return Transitions(
        {k: v.numpy() for k, v in sample.now.items()}, sample.action.numpy(), reward, ended, np.zeros(n, bool),
        {k: v.numpy() for k, v in sample.next.items()}, np.zeros(n, np.int64), np.arange(n),
    )
