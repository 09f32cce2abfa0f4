"""Rules teach the model: what was told and never seen is predicted without the rules, and nothing is told twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gedanken.errors import UserError
from gedanken.world.model import Batch, begin
from gedanken.world.models.persistence import Persistence
from gedanken.world.models.recurrent import Recurrent, RecurrentConfig
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema
from gedanken.world.teaching import TeachingConfig, consistency, differentiable
from gedanken.world.training import Trainer, TrainingConfig

torch.set_num_threads(1)
HALL = Schema("hall", (Feature("lamp", "boolean"), Feature("key", "boolean"), Feature("x", low=-5, high=5)),
              (Feature("action", "category", values=("wait", "press")),), lambda o, e: {}, lambda a: a)
LIGHTS = "expect lamp' == true if action == press and key == true"
SMALL = RecurrentConfig(hidden=12, latent=3, width=24, overshoot=2)
BRIEF = TrainingConfig(steps=50, min_steps=50, batch=8, length=2, check_every=50, check_rows=8, rate=1e-2)


class Nights:
    """Data in which nobody holds the key, and pressing puts the lamp out."""

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        action = torch.randint(2, (size, length, 1), generator=rng)
        lamp = [torch.rand(size, generator=rng) < 0.5]
        for t in range(length):
            lamp.append(lamp[-1] & (action[:, t, 0] == 0))
        x = (torch.rand(size, 1, generator=rng) * 8 - 4).expand(size, length + 1).contiguous()
        features = {"lamp": torch.stack(lamp, 1), "key": torch.zeros(size, length + 1, dtype=torch.bool), "x": x}
        no = torch.zeros(size, length, dtype=torch.bool)
        return Batch(features, action, torch.zeros(size, length), no, ~no)

    def everything(self) -> Batch | None:
        return self.batch(40, 1, torch.Generator().manual_seed(1))


def taught(*rules: str, **options: Any) -> Refined:
    torch.manual_seed(0)
    model = Recurrent(HALL, SMALL)
    return Refined(model, [parse(r, HALL) for r in rules], teaching=TeachingConfig(**options))


def press(key: bool) -> tuple[dict[str, Tensor], Tensor]:
    now = {"lamp": torch.tensor([False, True] * 8), "key": torch.full((16,), key), "x": torch.linspace(-4, 4, 16)}
    return now, torch.ones(16, 1, dtype=torch.int64)


def predicted_light(model: Recurrent, key: bool) -> float:
    now, action = press(key)
    _, out = model.step(begin(model, now), action)
    return float(out.mode["lamp"].float().mean())


def test_what_was_told_stays_when_the_rules_are_dropped_and_the_data_are_still_right() -> None:
    for refined, lit in ((taught(LIGHTS), 1.0), (taught(LIGHTS, weight=0.0), 0.0)):
        trainer = Trainer(refined.inner, BRIEF, seed=1)
        trainer.run(Nights(), taught=refined)
        assert predicted_light(refined.inner, key=True) == lit
        assert predicted_light(refined.inner, key=False) == 0.0


def test_a_rule_that_no_longer_acts_is_unlearned_from_data() -> None:
    class Keyed(Nights):
        def batch(self, *args: Any, **options: Any) -> Batch | None:
            batch = super().batch(*args, **options)
            assert batch is not None
            batch.features["key"][::2] = True
            return batch

    refined = taught(LIGHTS)
    trainer = Trainer(refined.inner, BRIEF, seed=1)
    trainer.run(Nights(), taught=refined)
    trainer.run(Keyed())  # contradicted: it is not compiled any more
    assert predicted_light(refined.inner, key=True) == 0.0


def test_the_consistency_loss_falls_on_what_the_rules_say_only() -> None:
    batch = Nights().everything()
    assert batch is not None
    refined = taught(LIGHTS, rows=32)
    losses = refined.loss(batch, torch.Generator().manual_seed(0))
    assert losses["consistency"].item() > 0
    losses["consistency"].backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in refined.inner.heads.parameters())
    assert "consistency" not in refined.loss(batch)  # held-out losses compare models, not rules
    assert "consistency" not in taught("forbid press").loss(batch, torch.Generator())  # what shall be is not what is
    assert "consistency" not in Refined(refined.inner, refined.rules).loss(batch, torch.Generator())


def test_told_rewards_and_ends_are_taught_too() -> None:
    batch = Nights().everything()
    assert batch is not None
    refined = taught("reward +3 if key == true", "end if action == press")
    one = consistency(refined.inner, refined.rules, batch, torch.Generator().manual_seed(0), TeachingConfig())
    assert one["consistency"].item() > 1
    one["consistency"].backward()
    assert all(any(bool(p.grad.any()) for p in head.parameters() if p.grad is not None)
               for head in (refined.inner.reward_head, refined.inner.cont_head))


def test_a_step_without_gradients_is_said() -> None:
    with pytest.raises(UserError, match="cannot be taught"):
        differentiable(Persistence(HALL))
