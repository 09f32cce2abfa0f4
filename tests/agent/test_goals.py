"""Goals, limits and preferences: the automaton, the deadline, the margins, the weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gedanken.agent.goals import Goal, Limit, Preference, margins
from gedanken.agent.planning.objective import Objective, Transition
from gedanken.world.distributions import Normal
from gedanken.world.model import Batch, Outcome
from gedanken.world.models.persistence import Persistence
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Features, Schema

torch.set_num_threads(1)
WORLD = Schema(
    "plant", (Feature("heat", low=-1000, high=1000), Feature("door", "category", values=("shut", "open"))),
    (Feature("power", low=-1, high=1),), lambda o, e: {}, lambda a: a,
)


def features(heat: list[float], door: list[int] | None = None) -> dict[str, Tensor]:
    return {"heat": torch.tensor(heat), "door": torch.tensor(door or [0] * len(heat)).to(torch.int16)}


def step(now: Features, after: Features, alive: float = 1.0, t: int = 0) -> Transition:
    n = len(after["heat"])
    one, yes = torch.ones(n), torch.ones(n, dtype=torch.bool)
    return Transition(now, torch.zeros(n, 1), after, one * 0, one, yes, one * 0, one * alive, t)


def goal(line: str) -> Goal:
    return Goal(WORLD, parse(line, WORLD).statement)  # type: ignore[arg-type]


def limit(line: str, margin: tuple[float, ...] = (0.0,)) -> Limit:
    return Limit.of(WORLD, parse(line, WORLD).statement, line, margin)  # type: ignore[arg-type]


def walk(g: Goal, heats: list[float]) -> tuple[list[float], list[float], list[bool]]:
    """The stage, the gain and what was reached after each state of one row."""
    carry, now = g.start(features(heats[:1])), features(heats[:1])
    stages, gains, done = [g.progress(carry).item()], [], []
    for heat in heats[1:]:
        carry, gain, reached = g.advance(carry, step(now, features([heat])))
        now = features([heat])
        stages.append(g.progress(carry).item())
        gains.append(gain.item())
        done.append(bool(reached.item()))
    return stages, gains, done


# --- goals ---


def test_stages_are_passed_in_order_and_never_lost() -> None:
    stages, gains, done = walk(goal("achieve heat > 50 then heat < 10"), [20, 5, 60, 40, 5, 99])
    assert stages == [0, 0, 1, 1, 2, 2]
    assert gains == [0, 0.5, 0, 0.5, 0]
    assert done == [False, False, False, True, False]


def test_what_holds_at_the_start_is_passed_at_once_and_several_in_one_step() -> None:
    assert walk(goal("achieve heat > 0 then heat > 50"), [20, 60])[0] == [1, 2]
    assert walk(goal("achieve heat > 30 then heat > 50 then heat > 70"), [20, 60, 80])[0] == [0, 2, 3]


def test_after_its_deadline_nothing_is_passed() -> None:
    g = goal("achieve heat > 50 within 2 steps")
    assert walk(g, [0, 0, 60])[0] == [0, 0, 1]
    assert walk(g, [0, 0, 0, 60])[0] == [0, 0, 0, 0]


def test_rows_are_at_stages_of_their_own() -> None:
    g = goal("achieve heat > 50 then door == open")
    carry = g.start(features([60, 0, 60], [0, 1, 1]))
    assert g.progress(carry).tolist() == [1, 0, 2]
    assert g.done(carry).tolist() == [False, False, True]


def test_a_dead_row_gains_nothing() -> None:
    g = goal("achieve heat > 50")
    now = features([0])
    assert g.advance(g.start(now), step(now, features([60]), alive=0.25))[1].item() == 0.25


def test_an_objective_resumes_where_its_goals_are() -> None:
    g = goal("achieve heat > 50 then heat < 10")
    objective = Objective([g])
    carry = objective.start(features([60]))
    resumed = objective.resumed(carry).start(features([0, 0, 0]))
    assert resumed[0][:, 0].tolist() == [1, 1, 1]


# --- limits ---


def test_avoid_and_maintain_are_one_thing_said_twice() -> None:
    rows = features([10, 60, 70])
    avoid, keep = limit("avoid heat > 60"), limit("maintain heat <= 60")
    assert avoid.holds(rows).tolist() == keep.holds(rows).tolist() == [True, True, False]
    assert avoid.slack(rows).tolist() == keep.slack(rows).tolist() == [50, 0, -10]


def test_on_the_very_bound_it_matters_whether_the_bound_is_allowed() -> None:
    assert limit("avoid heat >= 60").slack(features([60])).item() < 0
    assert limit("maintain heat < 60").slack(features([60])).item() < 0
    assert limit("maintain heat <= 60").slack(features([60])).item() == 0


def test_a_state_inside_the_margin_costs_the_penalty_and_more_the_deeper() -> None:
    kept = limit("avoid heat > 60", (5.0,))
    now = features([0, 0, 0, 0])
    gain = kept.advance(kept.start(now), step(now, features([50, 57, 65, 75])))[1]
    assert gain[0] == 0
    assert gain[1] == -102
    assert gain[1] > gain[2] > gain[3]


def test_the_margin_is_that_of_the_step_ahead_and_the_last_one_beyond() -> None:
    kept = limit("avoid heat > 60", (1.0, 10.0))
    now = features([0])
    costs = [kept.advance(kept.start(now), step(now, features([55]), t=t))[1].item() < 0 for t in range(4)]
    assert costs == [False, True, True, True]


def test_a_soft_limit_costs_its_weight() -> None:
    kept = limit("avoid heat > 60 with weight 2")
    now = features([0])
    assert kept.advance(kept.start(now), step(now, features([60.5])))[1].item() == pytest.approx(-2.5)


class Drifting(Persistence):
    """Predicts that the heat rises by a degree a step."""

    def step(self, state: dict[str, Tensor], action: Tensor, rng: torch.Generator | None = None
             ) -> tuple[dict[str, Tensor], Outcome]:
        state = {**state, "heat": state["heat"] + 1}
        return super().step(state, action, rng)


def experience(n: int, seed: int, horizon: int = 4) -> Batch:
    """The heat rises by a degree a step, give or take 2: the error grows with the horizon."""
    g = torch.Generator().manual_seed(seed)
    start = torch.rand(n, 1, generator=g) * 40
    noise = torch.randn(n, horizon, generator=g).cumsum(1) * 2
    heat = torch.cat([start, start + torch.arange(1, horizon + 1) + noise], 1)
    no = torch.zeros(n, horizon, dtype=torch.bool)
    return Batch({"heat": heat, "door": torch.zeros(n, horizon + 1, dtype=torch.int16)}, torch.zeros(n, horizon, 1),
                 torch.zeros(n, horizon), no, ~no)


@pytest.mark.parametrize("violation", [0.05, 0.2])
def test_margins_cover_the_share_of_predictions_they_promise(violation: float) -> None:
    kept = limit("avoid heat > 40")
    found = torch.tensor([margins(Drifting(WORLD), kept, experience(100, seed), violation) for seed in range(40)])
    assert (found[:, 1:] > found[:, :-1]).float().mean() > 0.8  # further ahead, the margin is wider
    fresh = experience(20_000, 999)
    for t in range(4):
        error = fresh.features["heat"][:, t + 1] - (fresh.features["heat"][:, 0] + t + 1)
        broken = torch.stack([(error > m).float().mean() for m in found[:, t]])  # truth is that much nearer
        assert 0.5 * violation < broken.mean() <= violation + 0.01


def test_a_model_that_is_always_right_needs_no_margin() -> None:
    batch = experience(50, 0)
    heat = batch.features["heat"][:, :1] + torch.arange(5)
    exact = replace(batch, features={**batch.features, "heat": heat})
    assert margins(Drifting(WORLD), limit("avoid heat > 40"), exact) == pytest.approx((0, 0, 0, 0), abs=1e-4)


def test_with_little_data_the_margin_is_the_worst_error_seen() -> None:
    batch = experience(5, 0, 1)
    worst = (batch.features["heat"][:, 1] - batch.features["heat"][:, 0] - 1).max().item()
    assert margins(Drifting(WORLD), limit("avoid heat > 40"), batch) == pytest.approx((max(0.0, worst),), abs=1e-4)


def test_padded_steps_are_not_counted() -> None:
    batch = experience(100, 0)
    batch.features["heat"][50:, 2:] = 1e3
    batch.mask[50:, 1:] = False
    assert max(margins(Drifting(WORLD), limit("avoid heat > 40"), batch)) < 20
    batch.mask[:, 2:] = False
    assert len(margins(Drifting(WORLD), limit("avoid heat > 40"), batch)) == 2


def test_how_wrong_it_is_about_what_broke_the_limit_long_since_is_no_matter() -> None:
    kept, batch = limit("avoid heat > 40"), experience(400, 0)
    before = margins(Drifting(WORLD), kept, batch)
    heat = batch.features["heat"].clone()
    heat[::4, 0], heat[::4, 1:] = 60, 500  # a quarter of them begins beyond the limit, and runs away
    assert max(margins(Drifting(WORLD), kept, replace(batch, features={**batch.features, "heat": heat}))) < 1.5 * max(
        before)
    batch.features["heat"][:, 0] = 60  # where no other is known, they count
    assert margins(Drifting(WORLD), kept, batch) != before


# --- preferences ---


@pytest.mark.parametrize(("line", "worth"), [("prefer heat < 30", 0.1), ("prefer heat < 30 with weight 2", 2.0)])
def test_a_preference_is_worth_its_weight_where_it_holds(line: str, worth: float) -> None:
    p = Preference(WORLD, parse(line, WORLD).statement)  # type: ignore[arg-type]
    now = features([0, 0])
    _, gain, reached = p.advance(p.start(now), step(now, features([20, 40]), alive=0.5))
    assert gain.tolist() == pytest.approx([worth / 2, 0])
    assert not reached.any()


def test_a_step_that_breaks_a_limit_reaches_nothing() -> None:
    objective = Objective([goal("achieve heat > 50"), limit("avoid door == open")])
    now = features([0, 0])
    reached = objective.advance(objective.start(now), step(now, features([60, 60], [0, 1])))[2]
    assert reached.tolist() == [True, False]


def test_the_model_of_these_tests_is_what_it_says() -> None:
    out = Drifting(WORLD).step(features([1.0]), torch.zeros(1, 1))[1]
    assert isinstance(out.features["heat"], Normal)
    assert out.mode["heat"].item() == 2
