"""The shield: what is forbidden is not executed, what breaks a limit is avoided, and every intervention is recorded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gedanken.agent.goals import Limit
from gedanken.agent.shield import Decision, Shield, ShieldConfig
from gedanken.errors import GedankenError
from gedanken.world.model import begin
from gedanken.world.models.persistence import Persistence
from gedanken.world.refine import Refined
from gedanken.world.rules.compile import Compiled
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Schema

torch.set_num_threads(1)
WALK = Schema("walk", (Feature("x", "integer", low=0, high=9), Feature("ice", "boolean")),
              (Feature("action", "category", values=("left", "right", "stay", "jump")),), lambda o, e: {}, lambda a: a)
OVEN = Schema("oven", (Feature("heat", low=-1e4, high=1e4), Feature("level", low=-1e4, high=1e4)),
              (Feature("power", low=-10, high=10), Feature("fan", "boolean")), lambda o, e: {}, lambda a: a)
MOVES = ("expect x' == x + 1 if action == right", "expect x' == x - 1 if action == left",
         "expect x' == x + 2 if action == jump")
HEATS = ("expect heat' == heat + power", "expect level' == level - power")


def guard(schema: Schema, now: dict[str, Tensor], action: list[float], world: tuple[str, ...], behaviour: list[str],
          margin: float = 0.0, seed: int = 0, samples: int = 256, horizon: int = 12,
          planned: list[int] | None = None) -> tuple[list[float], Decision | None]:
    model = Refined(Persistence(schema), [parse(line, schema) for line in world])
    rules = [parse(line, schema) for line in behaviour]
    forbids = Compiled(schema, [r for r in rules if r.statement.kind == "forbid"])
    limits = [Limit.of(schema, r.statement, line, (margin,))  # type: ignore[arg-type]
              for r, line in zip(rules, behaviour, strict=True) if r.statement.kind != "forbid"]
    taken = torch.tensor([action]).to(schema.action_dtype)
    executed, decision = Shield(schema, forbids, limits, ShieldConfig(horizon, samples=samples)).guard(
        taken, now, model, begin(model, now), torch.Generator().manual_seed(seed),
        None if planned is None else torch.tensor(planned)[:, None, None])
    assert executed.shape == taken.shape
    assert executed.dtype == taken.dtype
    return executed[0].tolist(), decision


def at(x: int) -> dict[str, Tensor]:
    return {"x": torch.tensor([x]).int(), "ice": torch.tensor([False])}


def oven(heat: float, level: float = 0.0) -> dict[str, Tensor]:
    return {"heat": torch.tensor([heat]), "level": torch.tensor([level])}


def test_without_rules_everything_passes() -> None:
    assert guard(WALK, at(3), [1], MOVES, []) == ([1], None)


def test_what_is_not_forbidden_here_passes() -> None:
    assert guard(WALK, at(3), [1], MOVES, ["forbid right if x == 5"]) == ([1], None)


@pytest.mark.parametrize("seed", range(12))
def test_a_forbidden_action_is_never_executed_and_the_decision_names_the_rule(seed: int) -> None:
    rules = ["forbid left if x == 1", "forbid action in {right, jump} if x >= 5"]
    executed, decision = guard(WALK, at(5), [1], MOVES, rules, seed=seed)
    assert executed in ([0], [2])
    assert decision is not None
    assert decision.intended == (1.0,)
    assert decision.executed == tuple(executed)
    assert decision.rule == "forbid action in {right, jump} if x >= 5"


def test_where_everything_is_forbidden_the_error_names_the_rules() -> None:
    rules = ["forbid left if x == 5", "forbid right or jump", "forbid stay if x > 2"]
    with pytest.raises(GedankenError, match=r"every action is forbidden here.*forbid stay if x > 2.*narrow"):
        guard(WALK, at(5), [1], MOVES, rules)


def test_a_limit_that_the_action_would_break_is_kept_by_another() -> None:
    executed, decision = guard(WALK, at(5), [1], MOVES, ["avoid x == 6", "avoid x == 7"])
    assert executed in ([0], [2])
    assert decision is not None
    assert decision.rule == "avoid x == 6"
    assert guard(WALK, at(5), [3], MOVES, ["avoid x == 6", "avoid x == 7"])[1].rule == "avoid x == 7"  # type: ignore[union-attr]


def test_the_recorded_limit_is_the_one_the_intended_action_breaks() -> None:
    # Staying keeps both limits, yet comes nearer to the first than to the second, which is the one that was broken.
    _, decision = guard(WALK, at(5), [3], MOVES, ["maintain x >= 5", "avoid x > 6"])
    assert decision is not None
    assert decision.rule == "avoid x > 6"


def test_a_forbidden_action_is_not_chosen_to_keep_a_limit() -> None:
    executed, _ = guard(WALK, at(5), [1], MOVES, ["avoid x >= 6", "forbid stay"])
    assert executed == [0]


def test_where_no_action_keeps_the_limit_the_one_that_breaks_it_least_is_taken() -> None:
    assert guard(WALK, at(8), [1], MOVES, ["avoid x >= 3"])[0] == [0]


def test_a_continuous_action_is_replaced_by_the_nearest_that_is_allowed() -> None:
    executed, decision = guard(OVEN, oven(0), [5.0, 0.0], HEATS, ["forbid power > 2"], samples=4000)
    assert 1.5 < executed[0] <= 2
    assert decision is not None
    assert decision.rule == "forbid power > 2"


def test_a_switch_among_continuous_actions_stays_a_switch() -> None:
    executed, _ = guard(OVEN, oven(0), [5.0, 1.0], HEATS, ["forbid fan"])
    assert executed[1] == 0
    executed, _ = guard(OVEN, oven(0), [5.0, 0.0], HEATS, ["forbid power > 2"])
    assert executed[1] in (0, 1)


def test_the_margin_is_kept_too() -> None:
    executed, _ = guard(OVEN, oven(50), [9.0, 0.0], HEATS, ["avoid heat > 60"], margin=4.0, samples=4000)
    assert 5 < executed[0] <= 6
    assert guard(OVEN, oven(50), [9.0, 0.0], HEATS, ["avoid heat > 60"])[1] is None


def test_an_action_far_away_that_keeps_the_limit_goes_before_a_near_one_that_does_not() -> None:
    wide = Schema("wide", (Feature("heat", low=-1e9, high=1e9),), (Feature("power", low=-1e5, high=1e5),),
                  lambda o, e: {}, lambda a: a)
    executed, _ = guard(wide, {"heat": torch.tensor([60.5])}, [0.0], ("expect heat' == heat + power / 100000",),
                        ["avoid heat > 60"])
    assert executed[0] <= -5e4


def test_a_prediction_that_is_no_number_counts_as_breaking_the_limit() -> None:
    executed, decision = guard(OVEN, oven(0), [5.0, 0.0], ("expect heat' == power * (min(power, 0) / min(power, 0))",),
                               ["avoid heat > 60"])
    assert executed[0] < 0
    assert decision is not None


def test_equal_seeds_give_equal_decisions() -> None:
    both = [guard(OVEN, oven(0), [5.0, 0.0], HEATS, ["forbid power > 2"], seed=7) for _ in range(2)]
    assert both[0] == both[1]


CART = Schema("cart", (Feature("x", low=-1e4, high=1e4), Feature("v", low=-1e4, high=1e4)),
              (Feature("action", "category", values=("brake", "coast", "push")),), lambda o, e: {}, lambda a: a)
ROLLS = ("expect x' == x + v", "expect v' == v + 1 if action == push", "expect v' == v - 1 if action == brake")


def cart(x: float, v: float) -> dict[str, Tensor]:
    return {"x": torch.tensor([x]), "v": torch.tensor([v])}


def farthest(horizon: int, behaviour: list[str]) -> float:
    """How far a cart comes that is always to be pushed."""
    x, v, most = 0.0, 0.0, 0.0
    for _ in range(30):
        action = guard(CART, cart(x, v), [2], ROLLS, behaviour, horizon=horizon)[0][0]
        x, v = x + v, v + action - 1
        most = max(most, x)
    return most


def test_what_has_momentum_is_stopped_in_time() -> None:
    assert 8 <= farthest(12, ["avoid x > 20"]) <= 20
    assert farthest(1, ["avoid x > 20"]) > 20


def test_a_way_to_go_on_uses_no_forbidden_action() -> None:
    assert guard(CART, cart(0, 3), [1], ROLLS, ["avoid x > 9"])[1] is None
    executed, decision = guard(CART, cart(0, 3), [1], ROLLS, ["avoid x > 9", "forbid brake if v == 2"])
    assert executed == [0]
    assert decision is not None
    assert decision.rule == "avoid x > 9"


MAZE = Schema("maze", (Feature("stage", "integer", low=0, high=20), Feature("lost", "boolean")),
              (Feature("action", "category", values=tuple("abcdefgh")),), lambda o, e: {}, lambda a: a)
NARROW = ("expect stage' == stage + 1", *(f"expect lost' == true if stage == {k} and action != {letter}"
                                          for k, letter in enumerate("abcdefghabcdefgh")))


def test_the_planners_own_way_counts() -> None:
    now = {"stage": torch.tensor([0]).int(), "lost": torch.tensor([False])}
    way = [1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3]
    assert guard(MAZE, now, [0], NARROW, ["avoid lost"], planned=way)[1] is None
    wrong = guard(MAZE, now, [2], NARROW, ["avoid lost"], planned=way)
    assert wrong[0] == [0]
    assert wrong[1] is not None


def test_what_would_come_after_the_end_does_not_count() -> None:
    slides = "expect x' == x + 1 if x >= 6 or action == right"
    assert guard(WALK, at(5), [1], (slides,), ["avoid x == 9"])[0] != [1]
    assert guard(WALK, at(5), [1], (slides, "end if x' == 7"), ["avoid x == 9"])[1] is None


def test_rows_are_guarded_as_one_by_one() -> None:
    model = Refined(Persistence(CART), [parse(line, CART) for line in ROLLS])
    limit = Limit.of(CART, parse("avoid x > 20", CART).statement, "avoid x > 20")  # type: ignore[arg-type]
    shield = Shield(CART, Compiled(CART, []), [limit])
    now = {"x": torch.tensor([0.0, 10.0, 15.0, 19.0]), "v": torch.tensor([3.0, 4.0, 2.0, -2.0])}
    actions, rngs = torch.full((4, 1), 2), [torch.Generator().manual_seed(0) for _ in range(4)]
    planned = torch.zeros(5, 4, 1, dtype=torch.int64)
    together, decisions = shield.guard_rows(actions, now, model, begin(model, now), rngs, planned)
    alone = [guard(CART, cart(float(x), float(v)), [2], ROLLS, ["avoid x > 20"], planned=[0] * 5)
             for x, v in zip(now["x"], now["v"], strict=True)]
    assert together[:, 0].tolist() == [a[0][0] for a in alone]
    assert len(decisions) == sum(a[1] is not None for a in alone) > 0
