"""Refinement: rules correct every imagined step, exactly where they apply, and the correction lasts."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gedanken.world.distributions import Board, Categorical, Distribution, Normal
from gedanken.world.model import Outcome, begin, rollout
from gedanken.world.models.persistence import Persistence
from gedanken.world.models.slots import Slots, SlotsConfig
from gedanken.world.refine import Refined
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Derived, Feature, Features, Grid, Pointed, Schema

torch.set_num_threads(1)
THINGS = ("empty", "wall", "key", "door")
STEPS = torch.tensor([(1, 0), (0, 1), (-1, 0), (0, -1)])


def ahead(features: Features) -> Tensor:
    step = STEPS[features["heading"].long()]
    x, y = features["x"].long() + step[:, 0], features["y"].long() + step[:, 1]
    inside = (x >= 0) & (x < 4) & (y >= 0) & (y < 4)
    return torch.where(inside, x * 4 + y, -1)


THING = Feature("thing", "category", (4, 4), values=THINGS)
X, Y = Feature("x", "integer", low=0, high=3), Feature("y", "integer", low=0, high=3)
HEADING = Feature("heading", "category", values=("right", "down", "left", "up"))
HOLDS = Feature("holds", "category", values=("nothing", "key", "ball"))
MOVES = Feature("action", "category", values=("forward", "turn", "take", "drop"))
FRONT = Pointed(Feature("front", "category", values=THINGS), "thing", ahead)
GRID = Grid(("thing",), "x", "y", "heading")
ROOM = Schema("room", (THING, X, Y, HEADING, HOLDS), (MOVES,), lambda o, e: {}, lambda a: a, (FRONT,), GRID)
PLANT = Schema(
    "plant",
    (Feature("heat", low=-50, high=150), Feature("speed", low=-5, high=5), Feature("stock", "integer", low=0),
     Feature("level", "integer", low=-2, high=6), Feature("lit", "boolean"), Feature("cells", shape=(3,))),
    (Feature("power", low=-1, high=1),), lambda o, e: {}, lambda a: a,
    (Derived(Feature("fahrenheit"), lambda f: f["heat"] * 1.8 + 32, lambda f, v: {"heat": (v - 32) / 1.8}),),
)


def room(n: int = 1, **values: int) -> dict[str, Tensor]:
    """An empty room with the agent at (1, 1), looking right."""
    rows = {"thing": torch.zeros(n, 4, 4), "x": torch.ones(n), "y": torch.ones(n), "heading": torch.zeros(n),
            "holds": torch.zeros(n)} | {k: torch.full((n,), v) for k, v in values.items()}
    return {f.name: rows[f.name].to(f.dtype) for f in ROOM.features}


def plant(n: int = 1, **values: float) -> dict[str, Tensor]:
    rows = {"heat": 20.0, "speed": 0.5, "stock": 3, "level": 2, "lit": 0} | values
    out = {k: torch.full((n,), float(v)) for k, v in rows.items()} | {"cells": torch.tensor([[1.0, 2.0, 3.0]] * n)}
    return {f.name: out[f.name].to(f.dtype) for f in PLANT.features}


def refined(schema: Schema, *lines: str, model: object = None, **options: object) -> Refined:
    rules = [parse(line, schema) for line in lines]
    return Refined(model or Persistence(schema), rules, **options)  # type: ignore[arg-type]


def after(schema: Schema, now: Features, *lines: str, action: float = 0, rng: torch.Generator | None = None) -> Outcome:
    model = refined(schema, *lines)
    n = len(next(iter(now.values())))
    taken = torch.full((n, 1), action).to(schema.action_dtype)
    return model.step(begin(model, now), taken, rng)[1]


def share(out: Outcome, name: str) -> Tensor:
    """The probabilities of a scalar feature's values."""
    d = out.features[name]
    assert isinstance(d, Categorical)
    return d.logits.softmax(-1)[0]


# --- hard rules ---


def test_a_hard_equality_leaves_no_other_value_possible() -> None:
    out = after(ROOM, room(), "expect holds' == key")
    assert share(out, "holds").tolist() == [0, 1, 0]


def test_a_rule_that_does_not_fire_changes_nothing() -> None:
    now = room(3)
    model = Persistence(ROOM)
    bare = model.step(now, torch.zeros(3, 1, dtype=torch.int64))[1]
    out = after(ROOM, now, "expect holds' == key and front' == empty if action == take and front == key")
    assert not out.fired.any()
    for name, d in bare.features.items():
        assert torch.equal(out.features[name].mode(), d.mode())
        assert torch.equal(out.features[name].logits, d.logits)  # type: ignore[union-attr]


def test_a_rule_corrects_only_the_rows_on_which_it_fires() -> None:
    now = room(2)
    now["thing"][0, 2, 1] = THINGS.index("key")
    out = after(ROOM, now, "expect holds' == key and front' == empty if action == take and front == key", action=2)
    assert out.mode["holds"].tolist() == [1, 0]
    assert out.mode["thing"].sum() == 0
    assert out.fired[:, 0].tolist() == [True, False]


def test_the_order_in_which_rules_are_given_does_not_matter() -> None:
    lines = ["expect holds' == key if x == 1", "expect holds' == ball if x == 1 and y == 1", "expect x' != 1",
             "expect x' != 0 with weight 3", "expect x' == 0 with weight 2", "expect y' == 2 with probability 0.7",
             "expect front' == wall", "always x' <= 2"]
    shares = set()
    for order in itertools.islice(itertools.permutations(lines), 0, None, 1009):
        out = after(ROOM, room(), *order)
        shares.add(tuple(round(p, 5) for k in ("holds", "x", "y") for p in share(out, k).tolist()))
    assert len(shares) == 1


def test_of_two_contradicting_hard_rules_the_more_specific_wins() -> None:
    lines = ("expect holds' == key if x == 1", "expect holds' == ball if x == 1 and y == 1")
    for order in itertools.permutations(lines):
        assert after(ROOM, room(), *order).mode["holds"].item() == HOLDS.values.index("ball")


def test_conflicting_hard_rules_never_give_nan() -> None:
    lines = ["expect holds' == key", "expect holds' != key", "expect holds' in {nothing}", "expect holds' == ball",
             "always holds' in {key}", "expect x' < 1", "expect x' > 2", "always x' == 1"]
    out = after(ROOM, room(), *lines, rng=torch.Generator().manual_seed(0))
    for name in ("holds", "x"):
        assert not share(out, name).isnan().any()
        assert share(out, name).sum().item() == pytest.approx(1)
    real = after(PLANT, plant(), "expect heat' < 3", "expect heat' > 30", "expect heat' == 10", "always heat' >= 40",
                 rng=torch.Generator().manual_seed(0))
    assert real.features["heat"].sample(torch.Generator().manual_seed(0)).item() >= 40


def test_a_soft_rule_never_overrules_a_hard_one() -> None:
    out = after(ROOM, room(), "expect holds' == key with weight 50", "expect holds' != key",
                "expect holds' == key with probability 0.9")
    assert share(out, "holds")[1] == 0


def test_same_keeps_everything_as_it_was() -> None:
    now = room(2, x=2, y=3, heading=1, holds=2)
    now["thing"][:, 0, 2] = 3
    out = after(ROOM, now, "expect same")
    assert all(torch.equal(out.mode[k], now[k]) for k in now)
    cold = after(PLANT, plant(heat=17.5), "expect same(heat)", "expect heat' == 99 with weight 0.001")
    assert cold.mode["heat"].item() == pytest.approx(17.5, abs=0.01)


def test_same_of_a_pointed_feature_keeps_that_cell() -> None:
    now = room()
    now["thing"][0, 2, 1] = 3
    out = after(ROOM, now, "expect same(front)", "expect front' == wall with weight 9")
    assert out.mode["thing"][0, 2, 1] == 3


def test_a_pointed_feature_is_written_at_the_cell_seen_from_the_corrected_pose() -> None:
    out = after(ROOM, room(), "expect front' == key", "expect x' == 2 if action == forward")
    expected = torch.zeros(4, 4)
    expected[3, 1] = THINGS.index("key")  # from (2, 1), looking right
    assert torch.equal(out.mode["thing"][0].float(), expected)


def test_a_pointed_feature_off_the_board_is_not_written() -> None:
    out = after(ROOM, room(x=3), "expect front' == key")
    assert out.mode["thing"].sum() == 0


def test_a_cell_named_by_its_index_is_written() -> None:
    out = after(ROOM, room(), "expect thing'[x + 1, y + 1] == door", "expect thing'[x + 9, y] == wall")
    assert out.mode["thing"].nonzero().tolist() == [[0, 2, 2]]
    real = after(PLANT, plant(), "expect cells'[1] == 7.5", "expect cells'[level] <= 1")
    assert real.mode["cells"][0].tolist() == pytest.approx([1, 7.5, 1])


# --- inequalities ---


@pytest.mark.parametrize(("claim", "allowed"), [
    ("< 2", range(-2, 2)), ("<= 2", range(-2, 3)), ("> 2", range(3, 7)), (">= 2", range(2, 7)), ("!= 2", {-2, 0, 6}),
    ("< 2.5", range(-2, 3)), (">= 2.5", range(3, 7)), ("in {-1, 4}", {-1, 4}),
])
def test_a_bounded_integer_is_restricted_to_what_the_rule_allows(claim: str, allowed: set[int]) -> None:
    p = share(after(PLANT, plant(), f"expect level' {claim}"), "level")
    possible = {int(k) - 2 for k in p.nonzero()[:, 0]}
    assert set(allowed) <= possible
    assert possible <= set(allowed) | (set(range(-2, 7)) - {2} if claim.startswith("!=") else set())


@pytest.mark.parametrize(("claim", "expected"), [
    ("heat' < 10", 10), ("heat' <= 10", 10), ("heat' > 10", 20), ("heat' >= 30", 30), ("0 <= heat' <= 15", 15),
    ("heat' == 25 within 2", 23), ("heat' == heat + 10 * power", 30),
    ("fahrenheit' == 212", 100), ("fahrenheit' <= 50", 10),
])
def test_a_real_feature_goes_to_the_nearest_value_that_the_rule_allows(claim: str, expected: float) -> None:
    out = after(PLANT, plant(), f"expect {claim}", action=1.0)
    assert out.mode["heat"].item() == pytest.approx(expected, abs=1e-3)


def test_a_strict_bound_is_not_reached() -> None:
    assert after(PLANT, plant(), "expect heat' < 10").mode["heat"].item() < 10


@pytest.mark.parametrize(("claim", "expected"), [
    ("stock' == stock + 2", 5), ("stock' < 3", 2), ("stock' > 3", 4), ("stock' < 2.5", 2), ("stock' >= 3.2", 4),
    ("stock' != 3", 4), ("stock' in {1, 9}", 1),
])
def test_an_integer_without_bounds_stays_whole(claim: str, expected: int) -> None:
    value = after(PLANT, plant(), f"expect {claim}").mode["stock"]
    assert value.dtype == torch.int32
    assert value.item() == expected


def test_draws_keep_a_hard_bound() -> None:
    rng = torch.Generator().manual_seed(0)
    out = after(PLANT, plant(500, heat=9.9995), "always heat' <= 10", rng=rng)
    assert out.features["heat"].sample(rng).max() <= 10


def test_a_boolean_is_set_and_cleared() -> None:
    assert after(PLANT, plant(), "expect lit'").mode["lit"].item() is True
    assert after(PLANT, plant(lit=1), "expect not lit'").mode["lit"].item() is False


# --- weights and probabilities ---


def test_a_weight_multiplies_the_odds() -> None:
    plain, out = (after(ROOM, room(), *lines) for lines in ([], ["expect holds' == key with weight 2"]))
    before, now = plain.features["holds"].log_probs()[0].exp(), share(out, "holds")
    assert (now[1] / now[0]).item() == pytest.approx((before[1] / before[0] * torch.e**2).item(), rel=1e-3)


@pytest.mark.parametrize("line", ["expect same(holds) with weight 3", "expect same with weight 3"])
def test_a_weight_on_same_is_soft(line: str) -> None:
    out = after(ROOM, room(), line, "expect holds' == key with weight 20")
    assert out.mode["holds"].item() == 1


def test_a_weight_on_a_real_bound_moves_an_uncertain_model_and_hardly_a_certain_one() -> None:
    model = Persistence(PLANT)

    class Uncertain(Persistence):
        def step(self, state: dict[str, Tensor], action: Tensor, rng: torch.Generator | None = None
                 ) -> tuple[dict[str, Tensor], Outcome]:
            state, out = super().step(state, action, rng)
            heat = out.features["heat"]
            assert isinstance(heat, Normal)
            wide: dict[str, Distribution] = {**out.features, "heat": replace(heat, std=torch.full_like(heat.std, 10.0))}
            return state, replace(out, features=wide)

    heats = []
    for inner in (model, Uncertain(PLANT)):
        told = refined(PLANT, "expect heat' < 15 with weight 3", model=inner)
        heats.append(told.step(begin(told, plant()), torch.zeros(1, 1))[1].mode["heat"].item())
    assert heats[0] == pytest.approx(20, abs=0.1)
    assert 5 < heats[1] < 15.5


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9, 1.0])
def test_a_probability_is_exact_whatever_the_model_says(p: float) -> None:
    out = after(ROOM, room(), f"expect holds' == key with probability {p}", "expect holds' != ball")
    assert share(out, "holds")[1].item() == pytest.approx(p, abs=1e-5)


def test_a_probability_on_a_cell_is_exact() -> None:
    board = after(ROOM, room(), "expect front' == key with probability 0.3").features["thing"]
    assert isinstance(board, Board)
    cell = board.cell(torch.tensor([2 * 4 + 1]))
    assert cell.logits.softmax(-1)[0, 2].item() == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize("claim", ["holds' == key and x' == 3", "same(x) and holds' == key",
                                   "holds' == key and front' == wall"])
def test_a_joint_probability_is_drawn_for_all_or_nothing(claim: str) -> None:
    rng = torch.Generator().manual_seed(0)
    out = after(ROOM, room(2000), f"expect {claim} with probability 0.25", rng=rng)
    assert 0.2 < (out.mode["holds"] == 1).float().mean() < 0.3
    if "x' == 3" in claim:
        assert torch.equal(out.mode["holds"] == 1, out.mode["x"] == 3)
    if "front'" in claim:
        assert torch.equal(out.mode["holds"] == 1, out.mode["thing"][:, 2, 1] == 1)


def test_a_probability_on_a_real_feature_is_drawn() -> None:
    rng = torch.Generator().manual_seed(0)
    out = after(PLANT, plant(2000), "expect heat' == 90 with probability 0.25", rng=rng)
    assert 0.2 < (out.mode["heat"] > 80).float().mean() < 0.3
    assert after(PLANT, plant(), "expect heat' == 90 with probability 0.25").mode["heat"].item() == 20


# --- reward, end, forbid, always ---


def test_rewards_that_fire_add_up_and_replace_what_the_model_predicts() -> None:
    out = after(ROOM, room(), "reward +1 if x' == 1", "reward -0.25 if y == 1", "reward 5 if x == 0")
    assert out.reward.item() == 0.75


def test_an_end_and_a_forbidden_action_are_marked() -> None:
    now = room(2)
    now["x"][1] = 3
    out = after(ROOM, now, "end if x' == 3", "forbid forward if x == 3")
    assert out.cont.tolist() == [1, 0]
    assert out.feasible.tolist() == [True, False]


def test_always_projects_every_step_onto_what_is_allowed() -> None:
    model = refined(PLANT, "expect heat' == heat + 30", "always heat' <= 100")
    future = rollout(model, begin(model, plant()), torch.zeros(6, 1, 1))
    assert future.features["heat"][:, 0].tolist() == pytest.approx([20, 50, 80, 100, 100, 100, 100], abs=1e-3)


def test_a_guard_on_the_next_state_sees_what_other_rules_made_of_it() -> None:
    out = after(ROOM, room(), "expect holds' == ball if x' == 3", "expect x' == 3 if action == forward")
    assert out.mode["holds"].item() == HOLDS.values.index("ball")


# --- assimilation ---


def taking_slots() -> Slots:
    """Untrained dynamics (nothing changes) over a trained code: what is encoded decodes to itself."""
    torch.manual_seed(0)
    model = Slots(ROOM, SlotsConfig(autoencode_rows=256))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        optimiser.zero_grad()
        model.code.reconstruction(64, None).backward()
        optimiser.step()
    model.requires_grad_(False)
    model.mechanisms.bias[:, :] = 0.0
    model.mechanisms.bias[:, -3, 0] = 9.0  # the pointer stays
    return model


TAKE = "expect holds' == key and front' == empty if action == take and front == key"


@pytest.mark.parametrize("how", ["always", "fired", "never"])
def test_what_only_a_rule_knows_lasts_in_the_latent_if_it_is_assimilated(how: str) -> None:
    model = refined(ROOM, TAKE, model=taking_slots(), assimilate=how)
    now = room()
    now["thing"][0, 2, 1] = THINGS.index("key")
    actions = torch.tensor([2, 1, 1, 1])[:, None, None]
    held = rollout(model, begin(model, now), actions).features["holds"][:, 0].tolist()
    assert held == ([0, 1, 0, 0, 0] if how == "never" else [0, 1, 1, 1, 1])
    cells = rollout(model, begin(model, now), actions).features["thing"][-1, 0, 2, 1].item()
    assert cells == (THINGS.index("key") if how == "never" else 0)


def test_the_latent_decodes_to_the_corrected_features_after_every_step() -> None:
    model = refined(ROOM, TAKE, "expect thing'[3, 3] == door with probability 0.5", model=taking_slots())
    state, rng = begin(model, room(32)), torch.Generator().manual_seed(0)
    for _ in range(3):
        state, _ = model.step(state, torch.randint(4, (32, 1), generator=rng), rng)
        seen = model.inner.decode(state.inner)
        assert all(torch.equal(seen[k], v) for k, v in state.features.items())
    assert 4 < (state.features["thing"][:, 3, 3] == 3).sum() < 32


def test_rows_are_corrected_as_if_they_were_alone() -> None:
    model = refined(ROOM, TAKE, "expect x' == x + 1 if action == forward and front == empty", model=taking_slots())
    now = room(4)
    now["thing"][::2, 2, 1] = THINGS.index("key")
    actions = torch.tensor([[0], [0], [2], [2]])
    together = model.step(begin(model, now), actions)[1].mode
    for i in range(4):
        alone = model.step(begin(model, {k: v[i:i + 1] for k, v in now.items()}), actions[i:i + 1])[1].mode
        assert all(torch.equal(together[k][i], alone[k][0]) for k in alone)


def test_a_refined_model_says_what_rules_let_it_provide() -> None:
    assert refined(ROOM, "reward 1 if x' == 3").provides == {"reward"}
    assert refined(ROOM, "end if x' == 3").provides == {"end"}


def test_the_one_hot_code_of_persistence_is_certain() -> None:
    d = Persistence(ROOM).step(room(holds=2), torch.zeros(1, 1, dtype=torch.int64))[1].features["holds"]
    assert isinstance(d, Categorical)
    assert torch.equal(d.logits.argmax(-1), F.one_hot(torch.tensor([2]), 3).argmax(-1))
