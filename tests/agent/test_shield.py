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
          margin: float = 0.0, seed: int = 0, samples: int = 256) -> tuple[list[float], Decision | None]:
    model = Refined(Persistence(schema), [parse(line, schema) for line in world])
    rules = [parse(line, schema) for line in behaviour]
    forbids = Compiled(schema, [r for r in rules if r.statement.kind == "forbid"])
    limits = [Limit.of(schema, r.statement, line, (margin,))  # type: ignore[arg-type]
              for r, line in zip(rules, behaviour, strict=True) if r.statement.kind != "forbid"]
    taken = torch.tensor([action]).to(schema.action_dtype)
    executed, decision = Shield(schema, forbids, limits, ShieldConfig(samples=samples)).guard(
        taken, now, model, begin(model, now), torch.Generator().manual_seed(seed))
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
