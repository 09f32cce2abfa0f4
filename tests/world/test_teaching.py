"""Rules teach the model: what only a rule knows is predicted without it afterwards, and nothing else got worse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gedanken.world.model import Batch, begin
from gedanken.world.models.recurrent import Recurrent, RecurrentConfig
from gedanken.world.models.slots import Slots
from gedanken.world.rules.compile import Compiled
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Features, Schema
from gedanken.world.teaching import Taught, TeachingConfig
from gedanken.world.training import Trainer, TrainingConfig
from gedanken.world.tree import take

LAMP = Schema("lamp", (Feature("lamp", "boolean"), Feature("fuse", "boolean"),
                       Feature("dial", "integer", low=0, high=4)),
              (Feature("action", "category", values=("wait", "press", "turn")),), lambda o, e: o, lambda a: a)
"""Pressing toggles the lamp, turning moves the dial on. That a lamp without fuse stays dark only a rule knows."""
TANK = Schema("tank", (Feature("level", low=0.0, high=10.0), Feature("valve", "boolean")),
              (Feature("action", "category", values=("wait", "fill")),), lambda o, e: o, lambda a: a)
"""Filling raises the level by one. That a shut valve stops it only a rule knows."""


class Lived:
    """Transitions drawn once, `[M]`, as a source of sequences of one."""

    def __init__(self, now: Features, action: Tensor, after: Features) -> None:
        rows = len(action)
        self.all = Batch({k: torch.stack([now[k], after[k]], 1) for k in now}, action[:, None], torch.zeros(rows, 1),
                         torch.zeros(rows, 1, dtype=torch.bool), torch.ones(rows, 1, dtype=torch.bool))

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch | None:
        return None if held_out else take(self.all, torch.randint(len(self.all.mask), (size,), generator=rng))

    def everything(self) -> Batch | None:
        return self.all


def lamps(rows: int, seed: int) -> tuple[Features, Tensor, Features]:
    """Transitions whose fuse is always in."""
    rng = torch.Generator().manual_seed(seed)
    action = torch.randint(3, (rows, 1), generator=rng)
    now = {"lamp": torch.rand(rows, generator=rng) < 0.5, "fuse": torch.ones(rows, dtype=torch.bool),
           "dial": torch.randint(5, (rows,), generator=rng, dtype=torch.int32)}
    after = now | {"lamp": now["lamp"] ^ (action[:, 0] == 1),
                   "dial": (now["dial"] + (action[:, 0] == 2).int()).clamp_max(4)}
    return now, action, after


def tanks(rows: int, seed: int) -> tuple[Features, Tensor, Features]:
    """Transitions whose valve is always open."""
    rng = torch.Generator().manual_seed(seed)
    action = torch.randint(2, (rows, 1), generator=rng)
    now = {"level": 9 * torch.rand(rows, generator=rng), "valve": torch.ones(rows, dtype=torch.bool)}
    return now, action, now | {"level": now["level"] + action[:, 0]}


def compiled(schema: Schema, *lines: str) -> Compiled:
    return Compiled(schema, [parse(line, schema) for line in lines])


def trained(model: Slots | Recurrent, source: object, steps: int) -> None:
    config = TrainingConfig(steps=steps, min_steps=steps, batch=64, length=1)
    Trainer(model, config, seed=0).run(source)  # type: ignore[arg-type]


def test_a_model_predicts_a_rule_that_no_data_showed() -> None:
    rules = compiled(LAMP, "expect not lamp' if not fuse")
    now, action, after = lamps(300, 1)
    dark = now | {"fuse": torch.zeros_like(now["fuse"])}
    right = {}
    for name in ("lived", "taught"):
        torch.manual_seed(0)
        model, lived = Slots(LAMP), Lived(*lamps(300, 0))
        trained(model, lived if name == "lived" else Taught(lived, model, rules), 300)
        told = ~model.step(begin(model, dark), action)[1].mode["lamp"]
        rest = model.step(begin(model, now), action)[1].mode
        right[name] = (float(told.float().mean()), min(float((rest[k] == after[k]).float().mean()) for k in after))
    assert right["lived"][0] < 0.8
    assert right["taught"][0] > 0.95
    assert right["taught"][1] >= right["lived"][1] - 0.01


def test_a_dense_model_of_reals_is_taught_too() -> None:
    rules = compiled(TANK, "expect level' == level if not valve")
    now, action, after = tanks(300, 1)
    shut = now | {"valve": torch.zeros_like(now["valve"])}
    rise, error = {}, {}
    for name in ("lived", "taught"):
        torch.manual_seed(0)
        model, lived = Recurrent(TANK, RecurrentConfig(hidden=32, width=32)), Lived(*tanks(300, 0))
        trained(model, lived if name == "lived" else Taught(lived, model, rules), 200)
        rise[name] = float((model.step(begin(model, shut), action)[1].mode["level"] - now["level"]).abs().mean())
        error[name] = float((model.step(begin(model, now), action)[1].mode["level"] - after["level"]).abs().mean())
    assert rise["taught"] < 0.1 < rise["lived"]
    assert error["taught"] < error["lived"] + 0.05


def test_lessons_are_what_the_rules_make_of_imagined_steps() -> None:
    rules = compiled(LAMP, "expect not lamp' if not fuse", "end if dial' == 4", "reward +2 if lamp'")
    taught = Taught(Lived(*lamps(50, 0)), Slots(LAMP), rules, TeachingConfig(share=0.5, tries=8))
    batch = taught.batch(40, 1, torch.Generator().manual_seed(0))
    assert batch is not None
    assert batch.mask.shape == (40, 1)
    after = {k: v[20:, 1] for k, v in batch.features.items()}
    assert not (after["lamp"] & ~batch.features["fuse"][20:, 0]).any()
    assert torch.equal(batch.terminated[20:, 0], after["dial"] == 4)
    assert (~batch.features["fuse"][20:, 0]).float().mean() > 0.2  # although no lived state has the fuse out


def test_without_rules_to_teach_only_the_lived_is_learned() -> None:
    lived = Lived(*lamps(50, 0))
    taught = Taught(lived, Slots(LAMP), compiled(LAMP, "forbid press if lamp"))
    assert taught.everything() is lived.everything()
    batch = taught.batch(8, 1, torch.Generator().manual_seed(0))
    assert batch is not None
    assert torch.equal(batch.features["dial"], lived.batch(8, 1, torch.Generator().manual_seed(0)).features["dial"])


@pytest.mark.parametrize("length", [1, 4])
def test_held_out_batches_hold_no_lessons(length: int) -> None:
    taught = Taught(Lived(*lamps(50, 0)), Slots(LAMP), compiled(LAMP, "expect not lamp' if not fuse"))
    assert taught.batch(8, length, torch.Generator().manual_seed(0), held_out=True) is None
