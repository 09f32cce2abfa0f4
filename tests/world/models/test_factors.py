"""The factored model on a small world of every kind of feature: it learns, reads only causes, and gives a belief."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gedanken.errors import UserError
from gedanken.world.model import Batch, WorldModel, begin, rollout
from gedanken.world.models.build import build
from gedanken.world.models.factors import Factors, FactorsConfig
from gedanken.world.models.mechanisms import Causal, Mechanism
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
KETTLE = Schema(
    "kettle",
    (Feature("heat"), Feature("steam"), Feature("lid", "category", values=("open", "shut", "stuck")),
     Feature("cups", "integer", low=0, high=4), Feature("plugged", "boolean"), Feature("pair", shape=(2,))),
    (Feature("action", "category", values=("wait", "warm", "pour")),), lambda o, e: {}, lambda a: a)


def states(n: int, rng: torch.Generator) -> dict[str, Tensor]:
    """`steam` follows the heat and causes nothing."""
    heat = torch.rand(n, generator=rng)
    rows = {"heat": heat, "steam": heat + 0.1 * torch.randn(n, generator=rng),
            "lid": torch.randint(3, (n,), generator=rng), "cups": torch.randint(5, (n,), generator=rng),
            "plugged": torch.rand(n, generator=rng) < 0.5, "pair": torch.rand(n, 2, generator=rng)}
    return {f.name: rows[f.name].to(f.dtype) for f in KETTLE.features}


def following(now: dict[str, Tensor], action: Tensor, rng: torch.Generator) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Warming heats a plugged kettle; pouring fills a cup if the lid is open, two times in three, and pays. Warming
    under a stuck lid ends it."""
    n = len(action)
    heat = 0.8 * now["heat"] + 0.3 * ((action == 1) & now["plugged"]) + 0.02 * torch.randn(n, generator=rng)
    pours = (action == 2) & (now["lid"] == 0) & (now["cups"] < 4) & (torch.rand(n, generator=rng) < 2 / 3)
    after = {**now, "heat": heat, "steam": now["steam"] * 0.5, "cups": now["cups"] + pours.int(),
             "pair": now["pair"].flip(1)}
    return after, pours.float(), (action == 1) & (now["lid"] == 2)


def lived(n: int, seed: int) -> tuple[dict[str, Tensor], Tensor, dict[str, Tensor], Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    now, action = states(n, rng), torch.randint(3, (n,), generator=rng)
    return now, action, *following(now, action, rng)


@pytest.fixture(scope="module")
def trained(train: Callable[..., Any], single: Callable[..., Batch]) -> Factors:
    torch.manual_seed(0)
    model: Factors = train(Factors(KETTLE, FactorsConfig(refit_steps=30)), single(*lived(3000, 0)), 300)
    return model


@pytest.fixture(scope="module")
def causes(trained: Factors) -> dict[tuple[str, str], set[str]]:
    return {(m.action, m.effect): set(m.causes) for m in trained.reads()}


# --- structure, untrained ---

def test_it_answers_to_the_seam_and_has_a_graph() -> None:
    model = build("factors", KETTLE)
    assert isinstance(model, WorldModel)
    assert isinstance(model, Causal)
    assert model.provides == {"reward", "end", "uncertainty", "stochastic"}


def test_what_is_observed_or_corrected_is_decoded_again() -> None:
    model, now = Factors(KETTLE), states(8, torch.Generator().manual_seed(0))
    other = states(8, torch.Generator().manual_seed(1))
    rows = torch.arange(8) % 2 == 0
    state = model.assimilate(begin(model, now), other, rows)
    for name, value in model.decode(state).items():
        assert torch.equal(value[rows], other[name][rows])
        assert torch.equal(value[~rows], now[name][~rows])
        assert value.dtype == KETTLE.base[name].dtype


def test_rows_are_independent(trained: Factors) -> None:
    model, now = trained, states(8, torch.Generator().manual_seed(1))
    action = torch.arange(8)[:, None] % 3
    _, together = model.step(begin(model, now), action)
    for i in range(8):
        _, alone = model.step(begin(model, {k: v[i:i + 1] for k, v in now.items()}), action[i:i + 1])
        assert torch.allclose(together.reward[i], alone.reward[0], atol=1e-5)
        assert all(torch.allclose(together.mode[k][i].float(), alone.mode[k][0].float(), atol=1e-5) for k in now)


def test_a_future_has_the_types_and_shapes_of_the_schema_and_repeats_with_its_seed(trained: Factors) -> None:
    model, now = trained, states(5, torch.Generator().manual_seed(2))
    action = torch.ones(4, 5, 1, dtype=torch.int64)
    futures = [rollout(model, begin(model, now), action, rng=torch.Generator().manual_seed(3)) for _ in range(2)]
    for f in KETTLE.features:
        assert futures[0].features[f.name].shape == (5, 5, *f.shape)
        assert futures[0].features[f.name].dtype == f.dtype
        assert torch.equal(*(x.features[f.name] for x in futures))
    assert int(futures[0].features["cups"].max()) <= 4


def test_many_or_continuous_actions_are_slots_themselves() -> None:
    push = Feature("push", low=-1, high=1)
    many = tuple(Feature(f"a{i}", "category", values=("no", "yes", "maybe")) for i in range(4))
    for actions, names in (((push,), {"push"}), (many, {a.name for a in many})):
        model = Factors(Schema("s", (Feature("x"), Feature("on", "boolean")), actions, lambda o, e: {}, lambda a: a))
        graph = model.reads()
        assert {m.action for m in graph} == {""}
        assert {c for m in graph for c in m.causes} == {"x", "on"} | names
        _, out = model.step(model.initial(3), torch.zeros(3, len(actions), dtype=model.schema.action_dtype))
        assert out.mode["x"].shape == (3,)


def test_worlds_of_one_kind_of_feature_step() -> None:
    several = Feature("n", "integer", low=2, high=5)
    for f in (Feature("x"), several, Feature("far", "integer"), Feature("on", "boolean")):
        model = Factors(Schema("s", (f,), (Feature("a", "boolean"),), lambda o, e: {}, lambda a: a))
        _, out = model.step(model.initial(2), torch.zeros(2, 1, dtype=torch.int64), torch.Generator().manual_seed(0))
        assert out.mode[f.name].dtype == f.dtype


def test_an_image_is_refused_with_the_way_out() -> None:
    sky = Schema("s", (Feature("sky", shape=(64, 64)),), (Feature("a", "boolean"),), lambda o, e: {}, lambda a: a)
    with pytest.raises(UserError, match="model='recurrent'"):
        Factors(sky)


def test_padded_steps_cost_nothing(single: Callable[..., Batch]) -> None:
    model, batch = Factors(KETTLE), single(*lived(16, 0))
    batch.mask[8:] = False
    first = model.loss(batch)
    batch.reward[8:] = 99.0
    assert all(torch.equal(a, b) for a, b in zip(first.values(), model.loss(batch).values(), strict=True))


# --- learned ---

def test_it_finds_what_causes_what(causes: dict[tuple[str, str], set[str]]) -> None:
    found = causes
    assert found["warm", "heat"] == {"heat", "plugged"}
    assert found["wait", "heat"] == {"heat"}
    assert {"lid"} <= found["pour", "cups"] <= {"lid", "cups"}
    assert found["pour", "pair[0]"] == {"pair[0]", "pair[1]"}
    assert found["warm", "lid"] <= {"lid"}
    assert (found["warm", "end"], found["wait", "end"]) == ({"lid"}, set())


def test_what_only_goes_along_is_read_by_nothing_else(causes: dict[tuple[str, str], set[str]]) -> None:
    assert not [k for k, seen in causes.items() if "steam" in seen and k[1] != "steam"]


def test_the_graph_names_the_features_that_an_effect_writes(trained: Factors) -> None:
    graph = trained.reads()
    assert Mechanism("wait", "heat", ("heat",), ("heat",)) in graph
    assert {m.features for m in graph if m.effect in ("pair[1]", "reward")} == {("pair",), ()}


def test_its_belief_has_the_probabilities_of_the_world(trained: Factors) -> None:
    model, rng = trained, torch.Generator().manual_seed(7)
    now = states(3000, rng)
    now["lid"][:] = 0
    now["cups"].clamp_(max=3)
    pour = torch.full((3000, 1), 2)
    after, out = model.step(begin(model, now), pour, rng)
    chances = out.features["cups"].logits.softmax(-1)  # type: ignore[union-attr]
    assert abs(float(chances.gather(1, now["cups"][:, None].long() + 1).mean()) - 2 / 3) < 0.05
    assert abs(float((model.decode(after)["cups"] > now["cups"]).float().mean()) - 2 / 3) < 0.06
    truth, _, _ = following(now, pour[:, 0], rng)
    normal = out.features["heat"]
    inside = ((truth["heat"] - normal.mean).abs() < normal.std).float().mean()  # type: ignore[union-attr]
    assert 0.6 < float(inside) < 0.78  # 0.68 of a normal lies within one standard deviation


def test_training_again_on_the_same_data_keeps_the_arrows(
    trained: Factors, causes: dict[tuple[str, str], set[str]], single: Callable[..., Batch]
) -> None:
    model = copy.deepcopy(trained)
    model.settle(single(*lived(3000, 0)))
    again = {(m.action, m.effect): set(m.causes) for m in model.reads()}
    assert all(again[k] <= v for k, v in causes.items())
