"""The past beside a model: right with a handful of transitions, gone where the model knows better."""

from __future__ import annotations

import torch
from torch import Tensor

from gedanken.world import tree
from gedanken.world.checks import check_world_model
from gedanken.world.model import Batch, begin, rollout
from gedanken.world.models.ensemble import Ensemble
from gedanken.world.models.persistence import Persistence
from gedanken.world.neighbours import Neighbours, NeighboursConfig
from gedanken.world.neighbours.past import past
from gedanken.world.neighbours.reading import Events
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Grid, Schema
from gedanken.world.training import exact

ROAD = Schema(
    "road",
    (Feature("object", "category", shape=(5, 5), values=("floor", "wall", "coin")),
     Feature("x", "integer", low=0, high=4), Feature("y", "integer", low=0, high=4),
     Feature("heading", "category", values=("east", "south", "west", "north")),
     Feature("purse", "category", values=("empty", "full"))),
    (Feature("action", "category", values=("left", "right", "forward", "take")),),
    lambda observation, env: {}, lambda row: int(row[0]), grid=Grid(("object",), "x", "y", "heading"))
FALL = Schema(
    "fall", (Feature("height"), Feature("speed")), (Feature("push", low=-1, high=1),),
    lambda observation, env: {}, lambda row: row)


def road(n: int, seed: int) -> Batch:
    """Turning turns, walls block, a coin ahead is taken once, which pays."""
    rng = torch.Generator().manual_seed(seed)
    cells = torch.randint(3, (n, 5, 5), generator=rng)
    x, y, heading, action = (torch.randint(m, (n,), generator=rng) for m in (5, 5, 4, 4))
    purse = torch.randint(2, (n,), generator=rng)
    step = torch.tensor([(1, 0), (0, 1), (-1, 0), (0, -1)])[heading]
    i, j = x + step[:, 0], y + step[:, 1]
    inside = (i >= 0) & (i < 5) & (j >= 0) & (j < 5)
    rows, ahead = torch.arange(n), torch.where(inside, cells[torch.arange(n), i.clamp(0, 4), j.clamp(0, 4)], 1)
    walks, takes = (action == 2) & (ahead == 0), (action == 3) & (ahead == 2) & (purse == 0)
    after = cells.clone()
    after[rows[takes], i[takes], j[takes]] = 0
    turned = (heading + (action == 1).long() - (action == 0).long()) % 4
    now = _typed(cells, x, y, heading, purse)
    then = _typed(after, torch.where(walks, i, x), torch.where(walks, j, y), turned, purse | takes)
    return _batch(now, then, action[:, None], takes.float())


def fall(n: int, seed: int) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    height, speed, push = (torch.rand(3, n, generator=rng) * 2 - 1).unbind(0)
    after = {"height": height + 0.1 * speed, "speed": speed - 0.1 + 0.2 * push}
    return _batch({"height": height, "speed": speed}, after, push[:, None], -height.abs())


def _typed(*columns: Tensor) -> dict[str, Tensor]:
    return {f.name: c.to(f.dtype) for f, c in zip(ROAD.features, columns, strict=True)}


def _batch(now: dict[str, Tensor], after: dict[str, Tensor], action: Tensor, reward: Tensor) -> Batch:
    n = len(action)
    return Batch({k: torch.stack([now[k], after[k]], 1) for k in now}, action[:, None], reward[:, None],
                 torch.zeros(n, 1, dtype=torch.bool), torch.ones(n, 1, dtype=torch.bool))


def _right(model: object, batch: Batch) -> float:
    _, out = model.step(begin(model, batch.features_at(0)), batch.action[:, 0])  # type: ignore[arg-type,attr-defined]
    return float(exact(out.mode, batch.features_at(1)).float().mean())


def test_a_model_that_knows_nothing_is_carried_by_what_was_seen_around_the_agent() -> None:
    unseen, model = road(400, 1), Persistence(ROAD)
    beside = Neighbours.of(model, road(200, 0), road(60, 2))
    assert _right(model, unseen) < 0.5
    assert _right(beside, unseen) > 0.9


def test_turning_is_known_to_every_side_from_one_turn() -> None:
    lived, unseen = road(400, 0), road(400, 1)
    west = (lived.features["heading"][:, 0] == 2) & (lived.action[:, 0, 0] < 2)
    beside = Neighbours.of(Persistence(ROAD), tree.take(lived, west.nonzero()[:, 0]), road(60, 2))
    turns = tree.take(unseen, (unseen.action[:, 0, 0] < 2).nonzero()[:, 0])
    _, out = beside.step(begin(beside, turns.features_at(0)), turns.action[:, 0])
    assert torch.equal(out.mode["heading"], turns.features_at(1)["heading"])


def test_thirty_transitions_beat_an_untrained_model_of_numbers() -> None:
    torch.manual_seed(0)
    lived, unseen = fall(30, 0), fall(300, 1)
    model = Ensemble(FALL)
    model.fit_normaliser(lived.features, lived.mask, lived.reward)
    beside = Neighbours.of(model, lived, fall(20, 2))

    def off(m: object) -> float:
        _, out = m.step(begin(m, unseen.features_at(0)), unseen.action[:, 0])  # type: ignore[arg-type,attr-defined]
        return float((out.mode["speed"] - unseen.features_at(1)["speed"]).square().mean().sqrt())

    assert off(beside) < 0.7 * off(model)


def test_where_the_model_is_better_the_past_fades_and_costs_nothing() -> None:
    class Knows(Persistence):
        """The world itself."""

        def step(self, state, action, rng=None):  # type: ignore[no-untyped-def]
            after = {"height": state["height"] + 0.1 * state["speed"],
                     "speed": state["speed"] - 0.1 + 0.2 * action[:, 0]}
            _, out = super().step(after, action)
            return after, type(out)(out.features, -state["height"].abs(), out.cont, out.feasible, out.uncertainty)

    model = Knows(FALL)
    beside = Neighbours.of(model, fall(300, 0), fall(100, 2))
    assert not beside.is_on
    state = begin(beside, fall(5, 3).features_at(0))
    assert torch.equal(beside.step(state, torch.zeros(5, 1))[1].mode["speed"],
                       model.step(state, torch.zeros(5, 1))[1].mode["speed"])


def test_the_newer_half_is_foretold_from_the_older_where_nothing_is_held_out() -> None:
    beside = Neighbours.of(Persistence(ROAD), road(200, 0), None)
    assert beside.is_on
    assert _right(beside, road(300, 1)) > 0.9


def test_a_batch_is_imagined_as_its_rows_one_by_one() -> None:
    beside = Neighbours.of(Persistence(ROAD), road(100, 0), road(60, 2))
    some = road(12, 3)
    _, together = beside.step(begin(beside, some.features_at(0)), some.action[:, 0])
    for i in range(12):
        row = tree.take(some, torch.tensor([i]))
        _, alone = beside.step(begin(beside, row.features_at(0)), row.action[:, 0])
        assert all(torch.equal(alone.mode[k][0], together.mode[k][i]) for k in together.mode)
        assert torch.allclose(alone.reward[0], together.reward[i], atol=1e-5)


def test_only_so_many_of_the_newest_are_kept() -> None:
    beside = Neighbours.of(Ensemble(FALL), fall(80, 0), None, NeighboursConfig(rows=50))
    assert len(beside.memory) == 50


def test_what_came_often_is_kept_once_and_counts_so_often() -> None:
    key = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    none = torch.zeros(3, 0, dtype=torch.int64)
    events = Events(torch.zeros(3, 0), none, none, torch.tensor([1.0, 0.0, 1.0]), torch.zeros(3, dtype=torch.bool))
    memory = past(key, events, has_reals=False)
    assert sorted(memory.times.tolist()) == [1.0, 2.0]
    distance, index = memory.nearest(key[:1], 2)
    assert memory.events.reward[index[0, 0]] == 1.0
    assert memory.shares(distance, index)[0, 0] > 0.99


def test_it_keeps_the_promises_of_a_world_model() -> None:
    torch.manual_seed(0)
    lived = fall(40, 0)
    model = Ensemble(FALL)
    model.fit_normaliser(lived.features, lived.mask, lived.reward)
    for beside in (Neighbours.of(model, lived, None), Neighbours.of(Persistence(ROAD), road(100, 0), None)):
        assert beside.is_on
        features = (lived if beside.schema is FALL else road(6, 4)).features_at(0)
        assert check_world_model(beside, {k: v[:6] for k, v in features.items()}) == []


def test_a_drawn_rollout_is_finite_and_its_pointer_and_board_agree() -> None:
    beside = Neighbours.of(Persistence(ROAD), road(300, 0), road(60, 2))
    rng = torch.Generator().manual_seed(0)
    future = rollout(beside, begin(beside, road(16, 4).features_at(0)), torch.randint(4, (6, 16, 1), generator=rng),
                     rng=rng)
    assert future.features["object"].shape == (7, 16, 5, 5)
    assert future.reward.isfinite().all()
    moved = (future.features["x"].diff(dim=0).abs() + future.features["y"].diff(dim=0).abs())
    assert int(moved.max()) <= 1


def test_rules_still_have_the_last_word() -> None:
    beside = Neighbours.of(Persistence(ROAD), road(200, 0), None)
    refined = Refined(beside, [parse("expect purse' == full if action == left", ROAD)])
    some = road(50, 5)
    state, out = refined.step(begin(refined, some.features_at(0)), torch.zeros(50, 1, dtype=torch.int64))
    assert (out.mode["purse"] == 1).all()
    assert (beside.decode(state.inner)["purse"] == 1).all()
