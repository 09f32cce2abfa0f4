"""The slot model on a tiny grid: it learns what happens, reads only what it must, and runs at any size."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from functools import cache

import pytest
import torch
from torch import Tensor

from gedanken.errors import UserError
from gedanken.world import tree
from gedanken.world.model import Batch, WorldModel, begin, rollout
from gedanken.world.models.slots import Slots, SlotsConfig
from gedanken.world.schema import Feature, Grid, Schema
from gedanken.world.training import exact

torch.set_num_threads(1)
THINGS, HOLDS = ("empty", "wall", "key"), ("nothing", "key")
STEPS_OF_TRAINING = 250
ACTIONS = ("left", "right", "forward", "take")
STEPS = torch.tensor([(1, 0), (0, 1), (-1, 0), (0, -1)])


def schema(size: int = 6, low: int = 0) -> Schema:
    return Schema(
        "tiny",
        (
            Feature("thing", "category", (size, size), values=THINGS), Feature("x", "integer", low=0, high=size - 1),
            Feature("y", "integer", low=0, high=size - 1),
            Feature("heading", "category", values=("right", "down", "left", "up")),
            Feature("holds", "category", values=HOLDS), Feature("mood", "integer", low=low, high=low + 2),
        ),
        (Feature("action", "category", values=ACTIONS),), lambda o, e: {}, lambda a: a,
        grid=Grid(("thing",), "x", "y", "heading"),
    )


def states(n: int, seed: int, size: int = 6) -> dict[str, Tensor]:
    """Random rooms: a border of walls, walls and keys inside; `mood` is noise that nothing depends on."""
    g = torch.Generator().manual_seed(seed)
    thing = torch.multinomial(torch.tensor([0.6, 0.2, 0.2]), n * size * size, True, generator=g).view(n, size, size)
    thing[:, [0, -1]] = 1
    thing[:, :, [0, -1]] = 1
    x, y = (torch.randint(1, size - 1, (n,), generator=g) for _ in range(2))
    thing[torch.arange(n), x, y] = 0
    rows = {"thing": thing, "x": x, "y": y, "heading": torch.randint(4, (n,), generator=g),
            "holds": torch.randint(2, (n,), generator=g), "mood": torch.randint(3, (n,), generator=g)}
    return {f.name: rows[f.name].to(f.dtype) for f in schema(size).features}


def following(now: dict[str, Tensor], action: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """The true next states and rewards: walls and keys block, a free hand takes the key ahead for a reward of 1."""
    rows, step = torch.arange(len(action)), STEPS[now["heading"].long()]
    x, y = now["x"].long() + step[:, 0], now["y"].long() + step[:, 1]
    ahead = now["thing"][rows, x, y]
    goes = (action == 2) & (ahead == 0)
    takes = (action == 3) & (ahead == 2) & (now["holds"] == 0)
    thing = now["thing"].clone()
    thing[rows[takes], x[takes], y[takes]] = 0
    turned = (now["heading"] + (action == 1).short() - (action == 0).short()) % 4
    new = {"thing": thing, "x": torch.where(goes, x, now["x"].long()), "y": torch.where(goes, y, now["y"].long()),
           "heading": turned, "holds": torch.where(takes, 1, now["holds"]), "mood": now["mood"]}
    return {k: v.to(now[k].dtype) for k, v in new.items()}, takes.float()


def data(n: int, seed: int, length: int = 1) -> Batch:
    now = states(n, seed)
    seen, actions, rewards = [now], [], []
    g = torch.Generator().manual_seed(seed + 1)
    for _ in range(length):
        actions.append(torch.randint(4, (n,), generator=g))
        now, paid = following(now, actions[-1])
        seen.append(now)
        rewards.append(paid)
    features = {k: torch.stack([s[k] for s in seen], 1) for k in now}
    return Batch(features, torch.stack(actions, 1)[..., None], torch.stack(rewards, 1),
                 torch.zeros(n, length, dtype=torch.bool), torch.ones(n, length, dtype=torch.bool))


def part(batch: Batch, rows: Tensor) -> Batch:
    return Batch(**{f.name: tree.tree_map(lambda v: v[rows], getattr(batch, f.name)) for f in fields(Batch)})


@cache
def trained() -> Slots:
    torch.manual_seed(0)
    model, rng, everything = Slots(schema()), torch.Generator().manual_seed(0), data(2000, 0, 2)
    groups = [{**g, "lr": 5e-3 * g["rate"]} for g in model.parameter_groups()]
    optimiser = torch.optim.AdamW([{k: v for k, v in g.items() if k != "rate"} for g in groups])
    for i in range(STEPS_OF_TRAINING):
        for group, given in zip(optimiser.param_groups, groups, strict=True):
            group["lr"] = given["lr"] * (1 - 0.9 * i / STEPS_OF_TRAINING)
        loss = sum(model.loss(part(everything, torch.randint(2000, (64,), generator=rng)), rng).values())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimiser.step()
    model.settle(everything)
    return model


def accuracy(model: WorldModel, n: int = 500, size: int = 6) -> tuple[float, float]:
    """The share of next states predicted exactly, and of those in which something changes."""
    now = states(n, 99, size)
    action = torch.randint(4, (n,), generator=torch.Generator().manual_seed(5))
    after, _ = following(now, action)
    right = exact(model.step(begin(model, now), action[:, None])[1].mode, after)
    changed = ~exact(now, after)
    return right.float().mean().item(), right[changed].float().mean().item()


# --- structure, untrained ---


def test_it_answers_to_the_seam() -> None:
    assert isinstance(Slots(schema()), WorldModel)


def test_rows_are_independent() -> None:
    model, now = Slots(schema()), states(8, 1)
    action = torch.arange(8)[:, None] % 4
    state, together = model.step(begin(model, now), action)
    for i in range(8):
        alone_state, alone = model.step(begin(model, {k: v[i:i + 1] for k, v in now.items()}), action[i:i + 1])
        assert all(torch.equal(together.mode[k][i], alone.mode[k][0]) for k in now)
        assert torch.allclose(together.reward[i], alone.reward[0], atol=1e-5)
        assert torch.allclose(model.cells(state)[i], model.cells(alone_state)[0], atol=1e-5)


def test_a_step_leaves_the_state_it_began_from_alone() -> None:
    model = Slots(schema())
    state = begin(model, states(4, 1))
    before = tree.tree_map(torch.clone, state)
    model.step(state, torch.full((4, 1), 2), torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(tree.leaves(state), tree.leaves(before), strict=True))


def test_weights_of_a_small_board_run_on_a_large_one() -> None:
    small, large = Slots(schema(6)), Slots(schema(8))
    large.load_state_dict(small.state_dict())
    now = states(4, 2, 8)
    _, out = large.step(begin(large, now), torch.full((4, 1), 2))
    assert out.mode["thing"].shape == (4, 8, 8)


def test_a_step_touches_no_cell_that_it_does_not_see() -> None:
    model, now = Slots(schema()), states(16, 3)
    _, out = model.step(begin(model, now), torch.full((16, 1), 2))
    differs = (out.mode["thing"] != now["thing"]).nonzero()
    for n, x, y in differs.tolist():
        assert abs(x - int(now["x"][n])) + abs(y - int(now["y"][n])) <= 1


@pytest.mark.parametrize("low", [-3, 0, 4])
def test_integers_with_any_lower_bound_are_codes_inside_and_values_outside(low: int) -> None:
    height = Feature("height", "integer", (3, 3), low=low, high=low + 4)
    small = Schema("s", (height, Feature("x", "integer", low=0, high=2), Feature("y", "integer", low=0, high=2)),
                   (Feature("a", "boolean"),), lambda o, e: {}, lambda a: a, grid=Grid(("height",), "x", "y"))
    model = Slots(small)
    now = {"height": torch.arange(9).view(1, 3, 3).int() % 5 + low, "x": torch.ones(1).int(), "y": torch.ones(1).int()}
    state = begin(model, now)
    assert torch.equal(model.decode(state)["height"], now["height"])
    _, out = model.step(state, torch.zeros(1, 1, dtype=torch.int64))
    corners = out.mode["height"][0, ::2, ::2]
    assert torch.equal(corners, now["height"][0, ::2, ::2])


def test_a_world_without_a_grid_and_one_without_scalars_step() -> None:
    act = (Feature("a", "category", values=("p", "q")),)
    flat = Schema("f", (Feature("lit", "boolean"), Feature("n", "integer", low=1, high=5)), act, lambda o, e: {},
                  lambda a: a)
    lake = Schema("l", (Feature("row", "integer", low=0, high=3), Feature("col", "integer", low=0, high=3),
                        Feature("tile", "category", (4, 4), values=THINGS)), act, lambda o, e: {}, lambda a: a,
                  grid=Grid(("tile",), "row", "col"))
    for world in (flat, lake):
        model = Slots(world)
        rng = torch.Generator().manual_seed(0)
        future = rollout(model, model.initial(3), torch.ones(4, 3, 1, dtype=torch.int64), rng=rng)
        assert all(v.shape[:2] == (5, 3) for v in future.features.values())
        assert all(v.dtype == world.base[k].dtype for k, v in future.features.items())


def test_real_features_are_refused_with_the_way_out() -> None:
    world = replace(schema(), features=(*schema().features, Feature("heat")))
    with pytest.raises(UserError, match="'heat' is real; use the recurrent model"):
        Slots(world)


def test_a_drawn_step_is_carried_by_the_latent() -> None:
    model, rng = copy.deepcopy(trained()), torch.Generator().manual_seed(0)
    model.mechanisms.bias.data.add_(0.5 * torch.randn(model.mechanisms.bias.shape, generator=rng))  # make it unsure
    now = {k: v[:1].expand(256, *v.shape[1:]) for k, v in states(1, 4).items()}
    state, _ = model.step(begin(model, now), torch.full((256, 1), 3), rng)
    drawn = model.decode(state)
    assert len({tuple(row) for row in torch.stack([drawn["holds"], drawn["mood"]], 1).tolist()}) > 1
    assert torch.equal(model.code.cell_logits(model.cells(state))[0].argmax(-1).view(-1, 6, 6), drawn["thing"].long())
    future = rollout(model, begin(model, now), torch.full((1, 256, 1), 3), rng=torch.Generator().manual_seed(1))
    again, _ = model.step(begin(model, now), torch.full((256, 1), 3), torch.Generator().manual_seed(1))
    assert all(torch.equal(future.features[k][1], v) for k, v in model.decode(again).items())


# --- learned ---


def test_what_is_observed_is_decoded_again_once_the_code_is_trained() -> None:
    model, now = trained(), states(64, 7)
    assert all(torch.equal(model.decode(begin(model, now))[k], v) for k, v in now.items())
    codes = torch.arange(3)
    values = [part.argmax(-1) for part in model.code.cell_logits(model.code.of_cells(codes[:, None]))]
    assert torch.equal(values[0], codes)


def test_it_learns_what_happens() -> None:
    every, changed = accuracy(trained())
    assert every > 0.95
    assert changed > 0.95  # persistence has 0 here


def test_what_it_learned_holds_on_a_larger_board() -> None:
    large = Slots(schema(9))
    large.load_state_dict(trained().state_dict())
    assert accuracy(large, size=9)[1] > 0.95


def test_many_steps_ahead_it_still_agrees_with_the_world() -> None:
    batch, model = data(200, 11, length=8), trained()
    future = rollout(model, begin(model, batch.features_at(0)), batch.action.transpose(0, 1))
    right = exact({k: v[-1] for k, v in future.features.items()}, batch.features_at(8))
    assert right.float().mean() > 0.85


def test_pruning_closes_what_data_do_not_need_and_keeps_what_they_do() -> None:
    reads: dict[str, dict[str, list[str]]] = {}
    for m in trained().reads():
        reads.setdefault(m.action, {})[m.effect] = list(m.causes)
    assert set(reads) == set(ACTIONS)
    assert set(reads["take"]) == {"here", "ahead", "right", "behind", "left", "heading", "holds", "mood", "move",
                                  "reward", "end"}
    assert not any("mood" in seen for outputs in reads.values() for k, seen in outputs.items() if k != "mood")
    assert reads["forward"]["move"] == ["ahead"]
    assert set(reads["take"]["holds"]) >= {"ahead"}
    assert set(reads["take"]["ahead"]) == {"ahead", "holds"}
    opened = sum(len(seen) for outputs in reads.values() for seen in outputs.values())
    assert opened < 0.15 * 4 * 11 * 8


def test_pruning_again_changes_nothing() -> None:
    model = trained()
    before = model.reads()
    model.settle(data(2000, 0, 2))
    assert model.reads() == before


def test_padded_steps_cost_nothing() -> None:
    model, batch = Slots(schema(), SlotsConfig(autoencode=0.0)), data(16, 0, 3)
    batch.mask[:, 1:] = False
    other = replace(batch, reward=batch.reward.clone())
    other.reward[:, 1:] = 99.0
    first, second = (model.loss(b) for b in (batch, other))
    assert all(torch.equal(first[k], second[k]) for k in first)
