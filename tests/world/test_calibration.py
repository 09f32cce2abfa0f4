"""Intervals hold what they state, whatever the model makes of its own spread."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gedanken.errors import UserError
from gedanken.world.calibration import Calibration, calibrate, coverage
from gedanken.world.distributions import Categorical, Normal
from gedanken.world.model import Batch, Outcome, begin
from gedanken.world.models.persistence import Persistence
from gedanken.world.schema import Feature, Schema

SCHEMA = Schema("drift", (Feature("level"), Feature("pair", shape=(2,)), Feature("lamp", "boolean")),
                (Feature("action", "category", values=("wait",)),), lambda o, e: o, lambda a: a)


class Sure(Persistence):
    """No change, with a std that has the right shape and the wrong size: the noise grows with the level."""

    def step(self, state: dict[str, Tensor], action: Tensor, rng: torch.Generator | None = None) -> tuple:
        state, out = super().step(state, action, rng)
        spread = 0.01 * (1 + state["level"].abs())
        return state, Outcome(
            {k: Normal(d.feature, d.mean, spread.view(-1, *[1] * (d.mean.dim() - 1)).expand_as(d.mean))
             if isinstance(d, Normal) else d for k, d in out.features.items()},
            out.reward, out.cont, out.feasible, out.uncertainty)


def drift(n: int, seed: int) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    level = 3 * torch.randn(n, generator=rng)
    noise = 1 + level.abs()
    pair = torch.zeros(n, 2)
    features = {"level": torch.stack([level, level + noise * torch.randn(n, generator=rng)], 1),
                "pair": torch.stack([pair, pair + noise[:, None] * torch.randn(n, 2, generator=rng)], 1),
                "lamp": torch.zeros(n, 2, dtype=torch.bool)}
    return Batch(features, torch.zeros(n, 1, 1, dtype=torch.int64), torch.zeros(n, 1), torch.zeros(n, 1).bool(),
                 torch.ones(n, 1).bool())


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_stated_share_of_fresh_outcomes_falls_inside(share: float) -> None:
    model = Sure(SCHEMA)
    calibration = calibrate(model, drift(2_000, 0), share)
    assert set(calibration.scale) == {"level", "pair"}
    for kept in coverage(model, calibration, drift(5_000, 1)).values():
        assert abs(kept - share) < 0.03


def test_intervals_are_as_wide_as_the_model_is_unsure() -> None:
    model, batch = Sure(SCHEMA), drift(100, 2)
    _, out = model.step(begin(model, batch.features_at(0)), batch.action[:, 0])
    low, high = Calibration(0.9, {"level": 100.0, "pair": 1.0}).intervals(out)["level"]
    torch.testing.assert_close(high - low, 2 * (1 + batch.features["level"][:, 0].abs()))
    assert isinstance(out.features["lamp"], Categorical)


def test_too_few_held_out_say_nothing_and_padding_is_none_of_them() -> None:
    model, batch = Sure(SCHEMA), drift(50, 3)
    mask = batch.mask.clone()
    mask[5:] = False
    few = Batch(batch.features, batch.action, batch.reward, batch.terminated, mask)
    assert calibrate(model, few, 0.99).scale["level"] == float("inf")
    assert calibrate(model, few, 0.8).scale["level"] < float("inf")


def test_a_share_is_between_0_and_1() -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        calibrate(Sure(SCHEMA), drift(5, 0), 1.0)
