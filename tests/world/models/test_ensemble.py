"""The ensemble on a small noisy world: it learns, knows what it does not know, and takes rules for what they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gedanken.world import tree
from gedanken.world.model import Batch, WorldModel, begin, rollout
from gedanken.world.models.build import build
from gedanken.world.models.ensemble import Ensemble, EnsembleConfig, bootstrap
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema
from gedanken.world.training import Trainer, TrainingConfig

torch.set_num_threads(1)
SMALL = EnsembleConfig(width=48)
BRIEF = TrainingConfig(steps=500, min_steps=500, batch=64, length=1, rate=5e-3, check_every=500)


def sled() -> Schema:
    """A sled pushed along a line, on which the wind `gust`s by chance; `lamp` says on which side it is."""
    return Schema(
        "sled",
        (Feature("position"), Feature("velocity"), Feature("gust"), Feature("lamp", "category", values=("off", "on")),
         Feature("pair", shape=(2,))),
        (Feature("push", low=-1.0, high=1.0),), lambda o, e: o, lambda a: a)


def drive(n: int, steps: int, rng: torch.Generator, most: float = 1.0) -> Batch:
    """`n` drives of random pushes from within `most` of the middle; they pay minus the distance and end beyond 1.5."""
    x, v = (most * (2 * torch.rand(2, n, generator=rng) - 1)).unbind(0)
    action = 2 * torch.rand(n, steps, 1, generator=rng) - 1
    rows, reward, ended = [], [], []
    for t in range(steps + 1):
        gust = torch.randn(n, generator=rng)
        rows.append({"position": x, "velocity": v, "gust": gust, "lamp": (x > 0).to(torch.int16),
                     "pair": torch.stack([x, -x], 1)})
        if t < steps:
            v = 0.9 * v + 0.2 * action[:, t, 0]
            x = x + 0.3 * v
            reward.append(-x.abs())
            ended.append(x.abs() > 1.5)
    features = {k: torch.stack([r[k] for r in rows], 1) for k in rows[0]}
    return Batch(features, action, torch.stack(reward, 1), torch.stack(ended, 1), torch.ones(n, steps).bool())


class Drives:
    """A trainer's source: single transitions out of a batch of drives."""

    def __init__(self, drives: Batch) -> None:
        def flat(x: Tensor) -> Tensor:
            return x.reshape(-1, 1, *x.shape[2:])

        pairs = {k: torch.stack([v[:, :-1], v[:, 1:]], 2).flatten(0, 1) for k, v in drives.features.items()}
        self.all = Batch(pairs, *(flat(getattr(drives, k)) for k in ("action", "reward", "terminated", "mask")))

    def everything(self) -> Batch:
        return self.all

    def batch(self, size: int, length: int, rng: torch.Generator, held_out: bool = False) -> Batch:
        at = torch.randint(len(self.all.reward), (size,), generator=rng)
        return Batch({k: v[at] for k, v in self.all.features.items()},
                     *(getattr(self.all, k)[at] for k in ("action", "reward", "terminated", "mask")))


@pytest.fixture(scope="module")
def trained() -> Ensemble:
    torch.manual_seed(0)
    model = Ensemble(sled(), SMALL)
    Trainer(model, BRIEF).run(Drives(drive(60, 8, torch.Generator().manual_seed(0))))
    return model.requires_grad_(False)


def at(batch: Batch, t: int) -> dict[str, Tensor]:
    return batch.features_at(t)


def test_it_is_called_by_name_and_answers_the_seam() -> None:
    model = build("ensemble", sled())
    assert isinstance(model, Ensemble)
    assert isinstance(model, WorldModel)
    assert model.provides >= {"reward", "end", "uncertainty"}


def test_auto_takes_it_for_few_numbers_that_are_not_all_discrete() -> None:
    assert isinstance(build("auto", sled()), Ensemble)
    wide = Schema("wide", (Feature("signal", shape=(200,)),), sled().actions, lambda o, e: o, lambda a: a)
    assert not isinstance(build("auto", wide), Ensemble)


def test_held_out_imagination_follows_the_world(trained: Ensemble) -> None:
    held_out = drive(200, 10, torch.Generator().manual_seed(9), most=0.8)
    future = rollout(trained, begin(trained, at(held_out, 0)), held_out.action.transpose(0, 1))
    for k in (1, 5, 10):
        for name in ("position", "velocity", "pair"):
            truth = held_out.features[name]
            error = (future.features[name][k] - truth[:, k]).square().mean()
            assert error < 0.03 * (truth[:, 0] - truth[:, k]).square().mean(), (name, k)
    assert (future.features["lamp"][5] == held_out.features["lamp"][:, 5]).float().mean() > 0.85
    assert (future.reward.T - held_out.reward).square().mean().sqrt() < 0.1
    ended, chance = held_out.terminated.flatten(), 1 - future.cont.T.flatten()
    assert chance[ended].mean() > 0.6
    assert chance[~ended].mean() < 0.1


def test_noise_is_spread_and_not_disagreement(trained: Ensemble) -> None:
    known = drive(200, 1, torch.Generator().manual_seed(9))
    _, out = trained.step(begin(trained, at(known, 0)), known.action[:, 0])
    spread = out.features["gust"].std  # type: ignore[union-attr]
    assert 0.7 < spread.mean() < 1.3
    assert out.features["position"].std.mean() < 0.1  # type: ignore[union-attr]
    far = drive(200, 1, torch.Generator().manual_seed(9), most=4.0)
    beyond = (far.features["position"][:, 0].abs() > 2) & (far.features["velocity"][:, 0].abs() > 2)
    _, strange = trained.step(begin(trained, at(far, 0)), far.action[:, 0])
    assert strange.uncertainty[beyond].mean() > 3 * out.uncertainty.mean()


def test_a_drawn_future_follows_one_member(trained: Ensemble) -> None:
    held_out = drive(10, 4, torch.Generator().manual_seed(3))
    rng, state = torch.Generator().manual_seed(0), begin(trained, at(held_out, 0))
    state, _ = trained.step(state, held_out.action[:, 0], rng)
    first = state.member
    assert torch.equal(first.bincount(), torch.full((5,), 2))  # dealt out evenly
    state, out = trained.step(state, held_out.action[:, 1], rng)
    assert torch.equal(state.member, first)
    every = trained._predict(*trained.layout.pack(at(held_out, 1)), held_out.action[:, 1])
    state, out = trained.step(trained.assimilate(state, at(held_out, 1), torch.ones(10).bool()), held_out.action[:, 1],
                              rng)
    torch.testing.assert_close(out.features["position"].mode(), every.mean[first, torch.arange(10), 0])


def test_drawn_futures_are_seeded_and_mean_ones_need_no_seed(trained: Ensemble) -> None:
    batch = drive(6, 5, torch.Generator().manual_seed(0))
    state, actions = begin(trained, at(batch, 0)), batch.action.transpose(0, 1)

    def future(seed: int | None) -> Tensor:
        rng = None if seed is None else torch.Generator().manual_seed(seed)
        return rollout(trained, state, actions, rng=rng).features["gust"]

    assert torch.equal(future(None), future(None))
    assert torch.equal(future(1), future(1))
    assert not torch.equal(future(1), future(2))


def test_each_member_has_its_own_bootstrap() -> None:
    key = torch.randint(-2**62, 2**62, (20_000,), generator=torch.Generator().manual_seed(0))
    weight = bootstrap(key, 5)
    assert torch.equal(weight, bootstrap(key, 5))
    assert torch.equal(weight[:, 100:200], bootstrap(key[100:200], 5))
    torch.testing.assert_close(weight.mean(1), torch.ones(5), atol=0.03, rtol=0)
    torch.testing.assert_close(weight.var(1), torch.ones(5), atol=0.05, rtol=0)
    assert (torch.corrcoef(weight) - torch.eye(5)).abs().max() < 0.03


def test_losses_count_real_steps_only_and_members_differ_in_training() -> None:
    torch.manual_seed(0)
    model, batch = Ensemble(sled(), SMALL), drive(4, 6, torch.Generator().manual_seed(0))
    mask = batch.mask.clone()
    mask[:, 4:] = False
    spoilt = Batch({k: torch.cat([v[:, :5], torch.ones_like(v[:, 5:])], 1) for k, v in batch.features.items()},
                   batch.action, torch.where(mask, batch.reward, 99.0), batch.terminated, mask)
    whole = Batch(batch.features, batch.action, batch.reward, batch.terminated, mask)
    a, b = model.loss(whole), model.loss(spoilt)
    for name in a:
        torch.testing.assert_close(a[name], b[name])
    assert model.loss(whole, torch.Generator().manual_seed(0))["reward"] != a["reward"]
    nothing = model.loss(Batch(batch.features, batch.action, batch.reward, batch.terminated, torch.zeros_like(mask)))
    assert nothing["features"] == 0


def test_rows_are_independent_and_calls_change_nothing(trained: Ensemble) -> None:
    batch = drive(3, 4, torch.Generator().manual_seed(0))
    before = {k: v.clone() for k, v in trained.state_dict().items()}
    together = rollout(trained, begin(trained, at(batch, 0)), batch.action.transpose(0, 1))
    for i in range(3):
        start = begin(trained, {k: v[i : i + 1] for k, v in at(batch, 0).items()})
        alone = rollout(trained, start, batch.action[i : i + 1].transpose(0, 1))
        torch.testing.assert_close(alone.features["position"][:, 0], together.features["position"][:, i])
        torch.testing.assert_close(alone.uncertainty[:, 0], together.uncertainty[:, i])
    assert all(torch.equal(v, before[k]) for k, v in trained.state_dict().items())


@pytest.mark.parametrize("drawn", [False, True])
def test_a_rule_corrects_it_and_the_correction_lasts(trained: Ensemble, drawn: bool) -> None:
    rules = [parse(line, sled()) for line in (
        "expect velocity' == 0 if position > 0.5", "expect lamp' == off", "always position' <= 0.6")]
    refined, batch = Refined(trained, rules), drive(20, 8, torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(0) if drawn else None
    future = rollout(refined, begin(refined, at(batch, 0)), batch.action.transpose(0, 1), rng=rng)
    stuck = future.features["position"][:-1] > 0.5
    assert stuck.any()
    assert future.features["velocity"][1:][stuck].abs().max() < 0.05
    assert not future.features["lamp"][1:].any()
    assert future.features["position"][1:].max() <= 0.6 + 1e-5
    # What it was told carries on: from rest it moves as from rest.
    state, _ = trained.step(begin(trained, at(batch, 0)), batch.action[:, 0])
    still = {**trained.decode(state), "velocity": torch.zeros(20), "position": torch.zeros(20)}
    after = trained.assimilate(state, still, torch.ones(20).bool())
    coasting = rollout(trained, after, torch.zeros(8, 20, 1))
    assert coasting.features["position"].abs().max() < 0.1


@pytest.mark.parametrize("discrete", [False, True])
def test_a_schema_may_have_one_kind_of_feature_only(discrete: bool) -> None:
    features = tuple(f for f in sled().features if f.is_discrete == discrete)
    schema = Schema("part", features, (Feature("push", "category", values=("a", "b")),), lambda o, e: o, lambda a: a)
    model, batch = Ensemble(schema, SMALL), drive(3, 4, torch.Generator().manual_seed(0))
    batch = Batch({f.name: batch.features[f.name] for f in features}, (batch.action > 0).long(), batch.reward,
                  batch.terminated, batch.mask)
    model.prepare(batch, is_first=True)
    assert all(v.isfinite() for v in model.loss(batch, torch.Generator().manual_seed(0)).values())
    for rng in (None, torch.Generator().manual_seed(0)):
        future = rollout(model, begin(model, at(batch, 0)), batch.action.transpose(0, 1), rng=rng)
        assert set(future.features) == set(schema.base)
        assert future.uncertainty.isfinite().all()


def test_a_reset_row_follows_no_member(trained: Ensemble) -> None:
    batch = drive(4, 1, torch.Generator().manual_seed(0))
    state, _ = trained.step(begin(trained, at(batch, 0)), batch.action[:, 0], torch.Generator().manual_seed(0))
    seen = trained.observe(state, batch.action[:, 0], at(batch, 1))
    assert (seen.member == -1).all()
    assert tree.size(seen) == 4
    assert torch.equal(trained.decode(seen)["position"], batch.features["position"][:, 1])
