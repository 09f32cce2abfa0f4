"""The slot model where the floor is slippery, where things move by themselves, and with a second pointer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gedanken.world.model import Batch, begin, rollout
from gedanken.world.models.slots import Slots, SlotsConfig
from gedanken.world.schema import Feature, Grid, Pose, Schema

torch.set_num_threads(1)
STEPS = torch.tensor([(1, 0), (0, 1), (-1, 0), (0, -1)])
Lived = tuple[dict[str, Tensor], Tensor, dict[str, Tensor]]
Train = Callable[..., Any]
Single = Callable[..., Batch]


def board(name: str, things: tuple[str, ...], size: int, others: tuple[Pose, ...] = ()) -> Schema:
    xs = ["x", "y", *(n for pose in others for n in (pose.x, pose.y))]
    return Schema(name, (Feature("thing", "category", (size, size), values=things),
                         *(Feature(n, "integer", low=0, high=size - 1) for n in xs)),
                  (Feature("action", "category", values=("right", "down", "left", "up")),),
                  lambda o, e: {}, lambda a: a, grid=Grid(("thing",), "x", "y", others=others))


def places(n: int, size: int, rng: torch.Generator, *names: str) -> dict[str, Tensor]:
    return {k: torch.randint(size, (n,), generator=rng).int() for k in names}


def walked(thing: Tensor, x: Tensor, y: Tensor, way: Tensor) -> tuple[Tensor, Tensor]:
    """Where a step in directions `way [N]` leads: nowhere against the edge, or against anything."""
    size, rows = thing.shape[1], torch.arange(len(x))
    i, j = x.long() + STEPS[way, 0], y.long() + STEPS[way, 1]
    inside = (i >= 0) & (i < size) & (j >= 0) & (j < size)
    goes = inside & (thing[rows, i.clamp(0, size - 1), j.clamp(0, size - 1)] == 0)
    return torch.where(goes, i, x.long()).int(), torch.where(goes, j, y.long()).int()


# --- a slippery floor -------------------------------------------------------------------------------------------------

ICE = board("ice", ("ice", "rock"), 6)


def slid(n: int, seed: int) -> Lived:
    """Every step goes ahead, or to either side, as likely."""
    rng = torch.Generator().manual_seed(seed)
    now = {"thing": (torch.rand(n, 6, 6, generator=rng) < 0.2).short(), **places(n, 6, rng, "x", "y")}
    action = torch.randint(4, (n,), generator=rng)
    x, y = walked(now["thing"], now["x"], now["y"], (action + torch.randint(-1, 2, (n,), generator=rng)) % 4)
    return now, action, {**now, "x": x, "y": y}


@pytest.fixture(scope="module")
def skater(train: Train, single: Single) -> Slots:
    torch.manual_seed(0)
    model: Slots = train(Slots(ICE), single(*slid(5000, 0)), 250, 256)
    return model


def middle(n: int) -> dict[str, Tensor]:
    return {"thing": torch.zeros(n, 6, 6, dtype=torch.int16), "x": torch.full((n,), 3).int(),
            "y": torch.full((n,), 3).int()}


def test_on_ice_its_belief_has_the_probabilities_of_the_world(skater: Slots) -> None:
    assert "stochastic" in skater.provides
    _, out = skater.step(begin(skater, middle(4)), torch.arange(4)[:, None])
    for a, (dx, dy) in enumerate(STEPS.tolist()):
        x, y = (out.features[k].logits[a].softmax(-1) for k in ("x", "y"))  # type: ignore[union-attr]
        ahead, side, stays = (x[3 + dx], y, x[3]) if dx else (y[3 + dy], x, y[3])
        assert abs(float(ahead) - 1 / 3) < 0.09
        assert abs(float(stays) - 2 / 3) < 0.09
        assert all(abs(float(side[k]) - 1 / 3) < 0.09 for k in (2, 4))


def test_beside_rocks_it_is_calibrated(skater: Slots) -> None:
    now, action, after = slid(3000, 1)
    _, out = skater.step(begin(skater, now), action[:, None])
    for name in ("x", "y"):
        chance = out.features[name].logits.softmax(-1).flatten()  # type: ignore[union-attr]
        came = F.one_hot(after[name].long(), 6).flatten().float()
        for low, high in ((0.1, 0.5), (0.5, 0.8), (0.8, 1.0)):
            these = (chance > low) & (chance <= high)
            assert abs(float(chance[these].mean() - came[these].mean())) < 0.04


def test_draws_are_of_one_move_and_the_most_likely_step_is_one(skater: Slots) -> None:
    action = torch.zeros(2000, 1, dtype=torch.int64)
    after, _ = skater.step(begin(skater, middle(2000)), action, torch.Generator().manual_seed(0))
    seen = skater.decode(after)
    dx, dy = seen["x"] - 3, seen["y"] - 3
    assert not ((dx != 0) & (dy != 0)).any()  # never across
    assert abs(float((dx == 1).float().mean()) - 1 / 3) < 0.06
    likely = skater.decode(skater.step(begin(skater, middle(1)), action[:1])[0])
    assert int((likely["x"] - 3).abs() + (likely["y"] - 3).abs()) <= 1


# --- things that move by themselves, and a cart -----------------------------------------------------------------------

THINGS = ("empty", "stone", "leaf")


def rain(size: int) -> Schema:
    return board("rain", THINGS, size, (Pose("cart_x", "cart_y"),))


def rained(n: int, seed: int, size: int = 6) -> Lived:
    """Stones fall into empty cells, a leaf is blown away one time in four; the agent walks as told, the cart right."""
    rng = torch.Generator().manual_seed(seed)
    thing = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), n * size * size, True, generator=rng).view(n, size, size)
    now = {"thing": thing.short(), **places(n, size, rng, "x", "y", "cart_x", "cart_y")}
    action = torch.randint(4, (n,), generator=rng)
    falls = torch.zeros_like(thing, dtype=torch.bool)
    falls[:, :, :-1] = (thing[:, :, :-1] == 1) & (thing[:, :, 1:] == 0)
    blown = (thing == 2) & (torch.rand(thing.shape, generator=rng) < 0.25)
    later = thing.masked_fill(falls | blown, 0)
    later[:, :, 1:] = later[:, :, 1:].masked_fill(falls[:, :, :-1], 1)
    after = {"thing": later.short()}
    after["x"], after["y"] = walked(thing, now["x"], now["y"], action)
    after["cart_x"], after["cart_y"] = walked(thing, now["cart_x"], now["cart_y"], torch.zeros_like(action))
    return now, action, after


@pytest.fixture(scope="module")
def watcher(train: Train, single: Single) -> Slots:
    torch.manual_seed(0)
    model: Slots = train(Slots(rain(6), SlotsConfig(hidden=32)), single(*rained(1500, 0)), 300, 48)
    return model


def test_a_still_world_has_no_rule_for_far_cells(skater: Slots) -> None:
    assert not bool(skater.field.is_on)
    assert not any(m.effect == "cell" for m in skater.reads())


@pytest.mark.parametrize("size", [6, 9])
def test_what_falls_is_foreseen_everywhere_on_a_board_of_any_size(watcher: Slots, size: int) -> None:
    model = Slots(rain(size), watcher.config)
    model.load_state_dict(watcher.state_dict())
    now, action, after = rained(200, 2, size)
    _, out = model.step(begin(model, now), action[:, None])
    certain = now["thing"] != 2
    assert (out.mode["thing"] == after["thing"])[certain].float().mean() > 0.995
    assert (out.mode["thing"] == after["thing"])[certain & (now["thing"] != after["thing"])].float().mean() > 0.98


def test_a_leaf_is_gone_as_often_as_the_world_blows_it_away(watcher: Slots) -> None:
    now, action, _ = rained(400, 3)
    above = torch.zeros_like(now["thing"])
    above[:, :, 1:] = now["thing"][:, :, :-1]
    after, out = watcher.step(begin(watcher, now), action[:, None], torch.Generator().manual_seed(0))
    leaf = (now["thing"] == 2) & (above != 1)
    chance = out.features["thing"].logits.softmax(-1)[..., 0]  # type: ignore[union-attr]
    assert abs(float(chance[leaf].mean()) - 0.25) < 0.06
    assert abs(float((watcher.decode(after)["thing"][leaf] == 0).float().mean()) - 0.25) < 0.06


def test_the_rule_of_a_cell_reads_what_it_must(watcher: Slots) -> None:
    (rule,) = (m for m in watcher.reads() if m.effect == "cell")
    assert rule.action == ""
    assert set(rule.causes) == {"cell", "cell[+0, -1]", "cell[+0, +1]"}
    assert rule.features == ("thing",)


def test_a_second_pointer_has_its_own_moves(watcher: Slots) -> None:
    now, action, after = rained(400, 4)
    _, out = watcher.step(begin(watcher, now), action[:, None])
    for name in ("x", "y", "cart_x", "cart_y"):
        assert (out.mode[name] == after[name]).float().mean() > 0.98
    causes = {(m.action, m.effect): set(m.causes) for m in watcher.reads()}
    assert causes["right", "move"] == {"ahead"}
    assert causes["up", "move of cart_x"] == {"ahead of cart_x"}


def test_a_drawn_future_goes_on_from_what_was_drawn(watcher: Slots) -> None:
    now, _, _ = rained(8, 5)
    action = torch.zeros(3, 8, 1, dtype=torch.int64)
    future = rollout(watcher, begin(watcher, now), action, rng=torch.Generator().manual_seed(1))
    state, rng = begin(watcher, now), torch.Generator().manual_seed(1)
    for t in range(3):
        state, _ = watcher.step(state, action[t], rng)
        assert torch.equal(future.features["thing"][t + 1], watcher.decode(state)["thing"])
    stones = (future.features["thing"] == 1).flatten(2).sum(-1)
    assert int((stones[0] - stones[-1]).abs().max()) <= 1  # cells are drawn one by one, but hardly any is in doubt
