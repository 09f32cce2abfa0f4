"""The recurrent state space model behind the seam, on a small world of every kind of feature, and on images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gedanken.errors import UserError
from gedanken.world import tree
from gedanken.world.distributions import Normal
from gedanken.world.model import Batch, WorldModel, begin, rollout
from gedanken.world.models.build import build, name_of
from gedanken.world.models.rssm import RSSM, RSSMConfig
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
TINY = RSSMConfig(deter=24, blocks=2, hidden=16, latents=3, classes=4, units=16, depth=2)
PUSH = Feature("push", "category", values=("left", "none", "right"))
PUCK = Schema(
    "puck",
    (Feature("position"), Feature("velocity"), Feature("lamp", "category", values=("left", "right")),
     Feature("count", "integer", low=0, high=9), Feature("total", "integer", low=0), Feature("lit", "boolean"),
     Feature("pair", shape=(2,)), Feature("tiles", "category", (3, 2), values=("grass", "stone", "water"))),
    (PUSH,), lambda o, e: o, lambda a: a)
EYE = Feature("camera", "integer", (32, 32, 3), low=0, high=255)
SEEING = Schema("seeing", (EYE, Feature("speed")), (PUSH, Feature("gain", low=-2, high=2)), lambda o, e: o, lambda a: a)


def lives(schema: Schema, n: int, steps: int, rng: torch.Generator) -> Batch:
    """Random features, actions, rewards and ends."""
    features = {}
    for f in schema.features:
        shape = (n, steps + 1, *f.shape)
        values = torch.randn(shape, generator=rng) if f.kind == "real" else torch.randint(
            f.cardinality or 200, shape, generator=rng)
        features[f.name] = values.to(f.dtype)
    columns = [torch.randint(0, a.cardinality, (n, steps), generator=rng).float() if a.cardinality
               else 4 * torch.rand(n, steps, generator=rng) - 2 for a in schema.actions]
    action = torch.stack(columns, -1).to(schema.action_dtype)
    return Batch(features, action, torch.randn(n, steps, generator=rng), torch.rand(n, steps, generator=rng) < 0.1,
                 torch.ones(n, steps, dtype=torch.bool))


@pytest.mark.parametrize("schema", [PUCK, SEEING])
def test_it_answers_the_seam(schema: Schema) -> None:
    rng = torch.Generator().manual_seed(0)
    model, batch = RSSM(schema, TINY), lives(schema, 5, 4, rng)
    model.prepare(batch, is_first=True)
    assert isinstance(model, WorldModel)
    state = begin(model, batch.features_at(0))
    for name, value in model.decode(state).items():
        assert torch.equal(value, batch.features[name][:, 0])
    state = model.observe(state, batch.action[:, 0], batch.features_at(1), torch.arange(5) < 2, rng)
    future = rollout(model, state, batch.action.transpose(0, 1), rng=rng)
    for f in schema.features:
        assert future.features[f.name].shape == (5, 5, *f.shape)
        assert future.features[f.name].dtype == f.dtype
    assert model.latent(state).shape == (5, model.latent_size)
    losses = model.loss(batch, rng)
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert sum(len(g["params"]) for g in model.parameter_groups()) == len(list(model.parameters()))


@pytest.mark.parametrize(("name", "least", "most"), [("200k", 0.16, 0.26), ("1m", 1.1, 1.6), ("4m", 3.4, 4.6),
                                                     ("12m", 10, 14)])
def test_sizes(name: str, least: float, most: float) -> None:
    small = Schema("small", (*(Feature(f"x{k}") for k in range(4)),), (Feature("force", low=-1, high=1),),
                   lambda o, e: o, lambda a: a)
    for schema in (small, PUCK):
        model = build(f"rssm-{name}", schema)
        assert isinstance(model, RSSM)
        assert least < sum(p.numel() for p in model.parameters()) / 1e6 < most


def test_a_size_is_known_by_name_again() -> None:
    model = build("rssm-1m", SEEING)
    assert name_of(model) == "rssm-1m"
    build(name_of(model), SEEING).load_state_dict(model.state_dict())
    assert name_of(RSSM(SEEING)) == "rssm-200k"
    assert name_of(RSSM(SEEING, TINY)) == "rssm"
    assert name_of(build("none", SEEING)) == "none"


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(UserError, match="no size '3m'; choose one of 200k, 1m, 4m, 12m"):
        build("rssm-3m", PUCK)


def test_reset_rows_start_anew() -> None:
    rng = torch.Generator().manual_seed(0)
    model, batch = RSSM(PUCK, TINY), lives(PUCK, 4, 2, rng)
    state = model.observe(begin(model, batch.features_at(0)), batch.action[:, 0], batch.features_at(1))
    fresh = begin(model, batch.features_at(2))
    reset = torch.tensor([True, False, True, False])
    mixed = model.observe(state, batch.action[:, 1], batch.features_at(2), reset)
    same = (mixed.deter == fresh.deter).all(1)
    assert same.tolist() == reset.tolist()


def test_without_randomness_twice_the_same_and_with_it_one_seed_one_future() -> None:
    model, batch = RSSM(PUCK, TINY), lives(PUCK, 6, 5, torch.Generator().manual_seed(0))
    state, actions = begin(model, batch.features_at(0)), batch.action.transpose(0, 1)

    def reals(seed: int | None) -> Tensor:
        rng = None if seed is None else torch.Generator().manual_seed(seed)
        return rollout(model, state, actions, rng=rng).features["position"]

    assert torch.equal(reals(None), reals(None))
    assert torch.equal(reals(3), reals(3))
    assert not torch.equal(reals(3), reals(4))


def test_the_state_carries_the_draw() -> None:
    """What was drawn is what `decode` shows; the outcome is the distribution it was drawn from."""
    model, batch = RSSM(PUCK, TINY), lives(PUCK, 1, 1, torch.Generator().manual_seed(0))
    state = tree.repeat(begin(model, batch.features_at(0)), 4000)
    after, out = model.step(state, batch.action[:, 0].expand(4000, 1), torch.Generator().manual_seed(0))
    position = out.features["position"]
    assert isinstance(position, Normal)
    z = (model.decode(after)["position"] - position.mean) / position.std
    assert z.mean().abs() < 0.06
    assert (z.std() - 1).abs() < 0.05


def test_losses_at_the_start_are_what_the_equations_say() -> None:
    """Zero heads: uniform two-hot (log 255), even odds of going on (log 2), keep by 2 nats; KL at the free nat."""
    rng = torch.Generator().manual_seed(0)
    model, batch = RSSM(PUCK, TINY), lives(PUCK, 8, 6, rng)
    losses = model.loss(batch, rng)
    assert losses["reward"].item() == pytest.approx(math.log(255), abs=1e-4)
    assert losses["cont"].item() == pytest.approx(math.log(2), abs=1e-5)
    assert losses["dyn"] >= 1
    assert losses["rep"].item() == pytest.approx(0.1 * losses["dyn"].item(), rel=1e-5)

    def kept(name: str, values: int) -> Tensor:
        code = batch.features[name].long()
        logits = 2.0 * F.one_hot(code[:, :-1], values).float()
        nats = F.cross_entropy(logits.flatten(0, -2), code[:, 1:].flatten(), reduction="sum")
        return nats / batch.mask.sum()

    discrete = kept("lamp", 2) + kept("count", 10) + kept("lit", 2) + kept("tiles", 3)
    spread = math.log1p(math.exp(-1)) + 0.02
    real = torch.tensor(0.0)
    for name in ("position", "velocity", "total", "pair"):
        x = batch.features[name].float()
        change = (x[:, 1:] - x[:, :-1]).sign() * (x[:, 1:] - x[:, :-1]).abs().log1p()
        terms = (0.5 * (change / spread).square() + math.log(spread)) * spread
        real = real + terms.sum() / batch.mask.sum()
    assert losses["features"].item() == pytest.approx((discrete + real).item(), rel=1e-4)


def test_masked_steps_do_not_count() -> None:
    model, batch = RSSM(PUCK, TINY), lives(PUCK, 4, 8, torch.Generator().manual_seed(0))
    mask = batch.mask.clone()
    mask[:, 5:] = False
    spoilt = {k: v.clone() for k, v in batch.features.items()}
    spoilt["position"][:, 6:] = 1e3
    a = model.loss(Batch(batch.features, batch.action, batch.reward, batch.terminated, mask))
    b = model.loss(Batch(spoilt, batch.action, batch.reward * mask, batch.terminated, mask))
    for name in a:
        assert torch.allclose(a[name], b[name]), name


# --- images -------------------------------------------------------------------------------------------------------


def test_an_image_is_one_feature_of_bytes() -> None:
    assert EYE.is_image
    assert EYE.cardinality is None
    assert EYE.dtype == torch.uint8
    assert not Feature("cells", "integer", (7, 7, 3), low=0, high=255).is_image
    assert not Feature("x", "integer", low=0, high=255).is_image


def test_images_come_through_the_schema() -> None:
    import gymnasium as gym

    class Camera(gym.Env):
        observation_space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
        action_space = gym.spaces.Discrete(2)

    schema = Schema.from_env(Camera())
    assert schema.features[0].is_image
    seen = schema.batch([schema.observe(np.full((64, 64, 3), 200, np.uint8))])
    assert seen["observation"].dtype == torch.uint8
    model = build("auto", schema)
    assert isinstance(model, RSSM)
    state, out = model.step(begin(model, seen), torch.zeros(1, 1, dtype=torch.int64))
    assert out.mode["observation"].shape == (1, 64, 64, 3)
    assert torch.equal(out.mode["observation"], model.decode(state)["observation"])


def test_brightness_does_not_wrap() -> None:
    image = Normal(EYE, torch.full((1, 32, 32, 3), 254.0), torch.full((1, 32, 32, 3), 5.0))
    drawn = image.sample(torch.Generator().manual_seed(0))
    assert drawn.min() > 200
    assert drawn.max() == 255


@pytest.mark.parametrize("shape", [(3, 64, 64), (60, 60, 3), (256, 256, 3), (64, 64, 2)])
def test_an_unsupported_image_says_how_to_mend_it(shape: tuple[int, ...]) -> None:
    schema = Schema("seeing", (Feature("camera", "integer", shape, low=0, high=255),), (PUSH,), lambda o, e: o,
                    lambda a: a)
    with pytest.raises(UserError, match=r"'camera' has shape .*ResizeObservation"):
        RSSM(schema)
    with pytest.raises(UserError, match="use model='rssm'"):
        build("recurrent", schema)


def test_a_corrected_image_conditions_the_latents() -> None:
    """Pixels reach the next step through the latents alone; rows whose image stays keep theirs."""
    torch.manual_seed(0)
    model, batch = RSSM(SEEING, TINY), lives(SEEING, 64, 1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for encoder in model.image_encoders.values():
            encoder.read.weight.mul_(100)
    state, _ = model.step(begin(model, batch.features_at(0)), batch.action[:, 0], torch.Generator().manual_seed(0))
    told = model.decode(state) | {"camera": batch.features["camera"][:, 1].clone()}
    told["camera"][32:] = state.images["camera"][32:]
    for rng in (None, torch.Generator().manual_seed(1)):
        after = model.assimilate(state, told, torch.ones(64, dtype=torch.bool), rng)
        assert torch.equal(model.decode(after)["camera"], told["camera"])
        assert torch.equal(after.stoch[32:], state.stoch[32:])
        assert not torch.equal(after.stoch[:32], state.stoch[:32])
        assert torch.equal(after.deter, state.deter)


def test_images_are_learned() -> None:
    """A bright half, left or right, as the action says: after a short training the imagined half is the right one."""
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    schema = Schema("seeing", (EYE,), (Feature("side", "boolean"),), lambda o, e: o, lambda a: a)

    def halves(side: Tensor) -> Tensor:
        bright = (torch.arange(32) < 16) == side[..., None]
        return (bright[..., None, :, None] * 200).expand(*side.shape, 32, 32, 3).to(torch.uint8)

    model = RSSM(schema, TINY)
    optimiser = torch.optim.AdamW(model.parameter_groups(), lr=1e-2)
    for _ in range(60):
        side = torch.rand(8, 3, generator=rng) < 0.5
        zeros = torch.zeros(8, 2)
        batch = Batch({"camera": halves(side)}, side[:, 1:, None].long(), zeros, zeros.bool(), zeros == 0)
        loss = sum(model.loss(batch, rng).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
    side = torch.tensor([True, False])
    _, out = model.step(begin(model, {"camera": halves(~side)}), side[:, None].long())
    assert (out.mode["camera"].float() - halves(side).float()).abs().mean() < 30
