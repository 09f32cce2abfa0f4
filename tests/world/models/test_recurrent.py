"""The recurrent model on a small world of every kind of feature: it learns, carries corrections, and hides no state."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from gedanken.world import tree
from gedanken.world.model import Batch, WorldModel, begin, rollout
from gedanken.world.models.recurrent import Recurrent, RecurrentConfig
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
SMALL = RecurrentConfig(hidden=48, width=48, latent=8, overshoot=5)


def puck() -> Schema:
    """A puck pushed along a line. `lamp` says on which side it is; `count` counts the pushes to the right."""
    return Schema(
        "puck",
        (Feature("position"), Feature("velocity"), Feature("lamp", "category", values=("left", "right")),
         Feature("count", "integer", low=0, high=9), Feature("pair", shape=(2,))),
        (Feature("push", "category", values=("left", "none", "right")),), lambda o, e: o, lambda a: a)


def drive(n: int, steps: int, rng: torch.Generator, bound: float = 0.6) -> Batch:
    """`n` random drives; an episode ends beyond `bound`, and pays its distance from 0. Padded at the end."""
    x, v = (torch.rand(2, n, generator=rng) - 0.5).unbind(0)
    count, pair = torch.randint(0, 4, (n,), generator=rng), torch.zeros(n, 2)
    action = torch.randint(0, 3, (n, steps, 1), generator=rng)
    rows, reward, ended, mask, alive = [], [], [], [], torch.ones(n, dtype=torch.bool)
    for t in range(steps + 1):
        rows.append({"position": x, "velocity": v, "lamp": (x > 0).to(torch.int16), "count": count.int(), "pair": pair})
        if t == steps:
            break
        push = action[:, t, 0]
        v = torch.where(alive, 0.95 * v + 0.1 * (push - 1), v)
        x = torch.where(alive, x + 0.2 * v, x)
        count = torch.where(alive, (count + (push == 2)).clamp_max(9), count)
        mask.append(alive)
        reward.append(-x.abs())
        ended.append(alive & (x.abs() > bound))
        alive = alive & ~ended[-1]
    features = {k: torch.stack([r[k] for r in rows], 1) for k in rows[0]}
    return Batch(features, action, torch.stack(reward, 1), torch.stack(ended, 1), torch.stack(mask, 1))


@pytest.fixture(scope="module")
def trained() -> tuple[Recurrent, list[dict[str, float]]]:
    rng = torch.Generator().manual_seed(0)
    data = drive(96, 12, rng)
    torch.manual_seed(0)
    model = Recurrent(puck(), SMALL)
    model.fit_normaliser(data.features, data.mask, data.reward)
    optimiser = torch.optim.AdamW(model.parameter_groups(), lr=3e-3)
    history = []
    for _ in range(200):
        at = torch.randint(0, 96, (16,), generator=rng)
        batch = Batch({k: v[at] for k, v in data.features.items()},
                      *(getattr(data, k)[at] for k in ("action", "reward", "terminated", "mask")))
        losses = model.loss(batch, rng)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        history.append({k: v.item() for k, v in losses.items()})
    return model.requires_grad_(False), history


def at(batch: Batch, t: int, rows: Tensor | slice = slice(None)) -> dict[str, Tensor]:
    return {k: v[rows, t] for k, v in batch.features.items()}


def test_it_answers_the_seam() -> None:
    model = Recurrent(puck())
    assert isinstance(model, WorldModel)
    assert model.provides == {"reward", "end", "uncertainty"}
    assert 50_000 < sum(p.numel() for p in model.parameters()) < 300_000


def test_losses_fall(trained: tuple[Recurrent, list[dict[str, float]]]) -> None:
    _, history = trained
    assert set(history[0]) == {"kl", "features", "reward", "cont", "open_loop"}
    for name in ("features", "open_loop", "reward", "cont"):
        first, last = (sum(h[name] for h in part) for part in (history[:10], history[-10:]))
        assert last < 0.5 * first, name


def test_held_out_imagination_beats_no_change(trained: tuple[Recurrent, list[dict[str, float]]]) -> None:
    model, _ = trained
    held_out = drive(200, 10, torch.Generator().manual_seed(9), bound=10.0)
    future = rollout(model, begin(model, at(held_out, 0)), held_out.action.transpose(0, 1))
    for k in (1, 5, 10):
        for name in ("position", "velocity"):
            truth = held_out.features[name]
            error = (future.features[name][k] - truth[:, k]).square().mean()
            assert error < 0.1 * (truth[:, 0] - truth[:, k]).square().mean(), (name, k)
    assert (future.features["count"][5] == held_out.features["count"][:, 5]).float().mean() > 0.8
    assert (future.features["lamp"][5] == held_out.features["lamp"][:, 5]).float().mean() > 0.9
    assert (future.reward[0] - held_out.reward[:, 0]).square().mean().sqrt() < 0.05


def test_ends_are_predicted(trained: tuple[Recurrent, list[dict[str, float]]]) -> None:
    model, _ = trained
    held_out = drive(200, 12, torch.Generator().manual_seed(9))
    real = held_out.mask.flatten()
    now = {k: v[:, :-1].flatten(0, 1)[real] for k, v in held_out.features.items()}
    _, out = model.step(begin(model, now), held_out.action.flatten(0, 1)[real])
    ended, chance = held_out.terminated.flatten()[real], 1 - out.cont
    assert ended.float().mean() < 0.1
    assert chance[ended].mean() > 20 * chance[~ended].mean()
    assert ended[chance > 0.5].float().mean() > 0.7


def test_masked_steps_do_not_count() -> None:
    model, batch = Recurrent(puck(), SMALL), drive(4, 8, torch.Generator().manual_seed(0), bound=10.0)
    mask = batch.mask.clone()
    mask[:, 5:] = False
    short = dataclasses.replace(batch, mask=mask)
    spoilt = dataclasses.replace(
        short, features={k: torch.cat([v[:, :6], torch.ones_like(v[:, 6:])], 1) for k, v in batch.features.items()},
        reward=torch.where(mask, batch.reward, 99.0), terminated=batch.terminated | ~mask)
    a, b = model.loss(short), model.loss(spoilt)
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name])
    nothing = model.loss(dataclasses.replace(batch, mask=torch.zeros_like(mask)))
    assert all(v == 0 for v in nothing.values())


def test_the_state_stands_for_what_was_observed() -> None:
    model, batch = Recurrent(puck(), SMALL), drive(5, 3, torch.Generator().manual_seed(0))
    state = begin(model, at(batch, 0))
    state = model.observe(state, batch.action[:, 0], at(batch, 1))
    for name, value in model.decode(state).items():
        assert torch.equal(value, batch.features[name][:, 1])
        assert value.dtype == puck().base[name].dtype


def test_a_reset_row_starts_anew() -> None:
    model, batch = Recurrent(puck(), SMALL), drive(2, 2, torch.Generator().manual_seed(0))
    state = begin(model, at(batch, 0))
    both = model.observe(state, batch.action[:, 0], at(batch, 1), reset=torch.tensor([True, False]))
    fresh, kept = begin(model, at(batch, 1)), model.observe(state, batch.action[:, 0], at(batch, 1))
    for leaf, a, b in zip(*map(tree.leaves, (both, fresh, kept)), strict=True):
        torch.testing.assert_close(leaf[0], a[0])
        torch.testing.assert_close(leaf[1], b[1])


def test_a_correction_carries_into_later_steps(trained: tuple[Recurrent, list[dict[str, float]]]) -> None:
    model, _ = trained
    batch = drive(6, 12, torch.Generator().manual_seed(3), bound=10.0)
    state, _ = model.step(begin(model, at(batch, 0)), batch.action[:, 0])
    corrected = {**model.decode(state)}
    rows = torch.arange(6) < 3
    corrected["velocity"] = torch.where(rows, 0.6, corrected["velocity"])
    corrected["position"] = torch.where(rows, -0.7, corrected["position"])
    after = model.assimilate(state, corrected, rows)
    assert torch.equal(model.decode(after)["velocity"], corrected["velocity"])
    coast = torch.ones(10, 6, 1, dtype=torch.int64)
    future, plain = rollout(model, after, coast), rollout(model, state, coast)
    v, x = torch.tensor(0.6), torch.tensor(-0.7)
    for k in range(1, 11):
        v = 0.95 * v
        x = x + 0.2 * v
        assert (future.features["velocity"][k, :3] - v).abs().max() < 0.1
        assert (future.features["position"][k, :3] - x).abs().max() < 0.15
    torch.testing.assert_close(future.features["position"][:, 3:], plain.features["position"][:, 3:])


def test_steps_are_deterministic_without_rng_and_seeded_with() -> None:
    model, batch = Recurrent(puck(), SMALL), drive(4, 5, torch.Generator().manual_seed(0))
    state, actions = begin(model, at(batch, 0)), batch.action.transpose(0, 1)

    def future(seed: int | None) -> Tensor:
        rng = None if seed is None else torch.Generator().manual_seed(seed)
        return rollout(model, state, actions, rng=rng).features["position"]

    assert torch.equal(future(None), future(None))
    assert torch.equal(future(1), future(1))
    assert not torch.equal(future(1), future(2))


def test_a_drawn_step_carries_what_it_drew() -> None:
    model, batch = Recurrent(puck(), SMALL), drive(400, 1, torch.Generator().manual_seed(0))
    state, out = model.step(begin(model, at(batch, 0)), batch.action[:, 0], torch.Generator().manual_seed(1))
    drawn, spread = model.decode(state)["position"] - out.mode["position"], out.features["position"].std  # type: ignore[union-attr]
    assert 0.8 < (drawn / spread).std() < 1.2
    assert (model.decode(state)["lamp"] != out.mode["lamp"]).any()


def test_rows_are_independent() -> None:
    model, batch = Recurrent(puck(), SMALL), drive(3, 4, torch.Generator().manual_seed(0))
    together = rollout(model, begin(model, at(batch, 0)), batch.action.transpose(0, 1))
    for i in range(3):
        alone = rollout(model, begin(model, at(batch, 0, slice(i, i + 1))), batch.action[i : i + 1].transpose(0, 1))
        for name in ("position", "pair", "count"):
            torch.testing.assert_close(alone.features[name][:, 0], together.features[name][:, i])
        torch.testing.assert_close(alone.cont[:, 0], together.cont[:, i])


def test_calls_change_nothing_on_the_model() -> None:
    model, batch = Recurrent(puck(), SMALL), drive(3, 4, torch.Generator().manual_seed(0))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    attributes = set(vars(model))
    model.loss(batch, torch.Generator().manual_seed(0))
    rollout(model, begin(model, at(batch, 0)), batch.action.transpose(0, 1))
    assert set(vars(model)) == attributes
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_padding_does_not_disturb_the_scales() -> None:
    batch = drive(40, 20, torch.Generator().manual_seed(0), bound=0.4)
    model, spoilt = Recurrent(puck(), SMALL), Recurrent(puck(), SMALL)
    model.fit_normaliser(batch.features, batch.mask, batch.reward)
    beyond = torch.cat([torch.ones(40, 1, dtype=torch.bool), batch.mask], 1)
    features = {k: torch.where(beyond.view(40, 21, *[1] * (v.dim() - 2)), v, 7) for k, v in batch.features.items()}
    spoilt.fit_normaliser(features, batch.mask, batch.reward)
    torch.testing.assert_close(dict(model.named_buffers()), dict(spoilt.named_buffers()))
    assert model.std[-1] == 1.0  # `pair` never moves and keeps its scale


def test_beyond_the_data_the_world_changes_as_at_its_edge(trained: tuple[Recurrent, list[dict[str, float]]]) -> None:
    model, _ = trained
    far = {k: v[:1].repeat(2) if v.dim() == 1 else v[:1].repeat(2, 1)
           for k, v in at(drive(1, 1, torch.Generator().manual_seed(0)), 0).items()}
    far["position"] = torch.stack([model.most[0], torch.tensor(50.0)])
    state, out = model.step(begin(model, far), torch.zeros(2, 1, dtype=torch.int64))
    change = model.decode(state)["position"] - far["position"]
    torch.testing.assert_close(change[0], change[1], atol=1e-4, rtol=0)
    assert torch.equal(model.decode(state)["position"], out.mode["position"])


def test_continuous_actions_with_and_without_bounds() -> None:
    schema = dataclasses.replace(puck(), actions=(Feature("force", low=-2.0, high=2.0), Feature("wind")))
    model = Recurrent(schema, SMALL)
    batch = dataclasses.replace(drive(3, 4, torch.Generator().manual_seed(0)), action=torch.randn(3, 4, 2))
    assert all(v.isfinite() for v in model.loss(batch).values())
    future = rollout(model, begin(model, at(batch, 0)), batch.action.transpose(0, 1))
    assert future.features["position"].isfinite().all()


@pytest.mark.parametrize("discrete", [False, True])
def test_a_schema_may_have_one_kind_of_feature_only(discrete: bool) -> None:
    schema = dataclasses.replace(puck(), features=tuple(f for f in puck().features if f.is_discrete == discrete))
    model, batch = Recurrent(schema, SMALL), drive(3, 4, torch.Generator().manual_seed(0))
    model.fit_normaliser(batch.features, batch.mask, batch.reward)
    assert all(v.isfinite() for v in model.loss(batch, torch.Generator().manual_seed(0)).values())
    future = rollout(model, begin(model, at(batch, 0)), batch.action.transpose(0, 1))
    assert set(future.features) == set(schema.base)
    assert future.uncertainty.isfinite().all()


def test_later_data_widens_the_range_and_keeps_the_scales() -> None:
    model = Recurrent(puck(), SMALL)
    near, far = (drive(20, 8, torch.Generator().manual_seed(0), bound=b) for b in (0.4, 3.0))
    model.prepare(near, is_first=True)
    mean, most = model.mean.clone(), model.most.clone()
    model.prepare(far, is_first=False)
    assert torch.equal(model.mean, mean)
    assert model.most[0] > most[0]
    model.prepare(near, is_first=False)
    assert model.most[0] == far.features["position"].max()
