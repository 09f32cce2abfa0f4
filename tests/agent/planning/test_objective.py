"""The objective scores trajectories as it scores steps, weighs risk by its worst share, and goes on beyond the end."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from gedanken.agent.goals import Goal, Limit
from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.agent.planning.objective import Curiosity, Objective, Return, Survival, Transition
from gedanken.world.distributions import Normal
from gedanken.world.model import Batch, Outcome, Trajectory
from gedanken.world.rules.parse import parse
from gedanken.world.schema import Feature, Features, Schema

WORLD = Schema("road", (Feature("x"), Feature("heat")), (Feature("u", low=-1.0, high=1.0),), lambda o, e: o,
               lambda a: a)


def limit(line: str, margins: tuple[float, ...] = (0.0,)) -> Limit:
    return Limit.of(WORLD, parse(line, WORLD).statement, line, margins)  # type: ignore[arg-type]


def trajectory(h: int = 5, n: int = 12, seed: int = 0) -> Trajectory:
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng)

    cont = draw(h, n).sigmoid()
    alive = torch.cat([torch.ones(1, n), cont[:-1]]).cumprod(0)
    return Trajectory({"x": draw(h + 1, n), "heat": draw(h + 1, n)}, draw(h, n, 1).clamp(-1, 1), draw(h, n), cont,
                      draw(h, n) > -1.5, draw(h, n).abs(), alive)


def step_by_step(objective: Objective, t: Trajectory) -> tuple[Tensor, Tensor]:
    """The same score from `advance`, which search uses."""
    carry = objective.start({k: v[0] for k, v in t.features.items()})
    total, reached = torch.zeros(t.reward.shape[1]), torch.zeros(t.reward.shape[1], dtype=torch.bool)
    for k in range(len(t.reward)):
        now, after = ({name: v[i] for name, v in t.features.items()} for i in (k, k + 1))
        carry, gain, here = objective.advance(carry, Transition(
            now, t.action[k], after, t.reward[k], t.cont[k], t.feasible[k], t.uncertainty[k], t.alive[k], k))
        total, reached = total + gain, reached | here
    return total, reached


def test_a_whole_trajectory_is_worth_the_sum_of_its_steps() -> None:
    goal = Goal(WORLD, parse("achieve x > 0.5 then heat > 0.5", WORLD).statement)  # type: ignore[arg-type]
    terms = [goal, Return(), Survival(0.3), Curiosity(-0.2), limit("avoid heat > 1", (0.0, 0.1, 0.3))]
    for t in (trajectory(), trajectory(1, 3, seed=1)):
        total, reached = step_by_step(Objective(terms), t)
        assert torch.allclose(Objective(terms).worth(t), total, atol=1e-3)
        assert torch.equal(Objective(terms).reached(t), reached)
    assert reached.dtype == torch.bool
    assert torch.allclose(Objective([]).worth(t), step_by_step(Objective([]), t)[0])


def test_a_resumed_goal_goes_on_from_where_each_state_is() -> None:
    goal = Goal(WORLD, parse("achieve x > 99 then heat > -99", WORLD).statement)  # type: ignore[arg-type]
    resumed = Objective([goal]).resumed((torch.tensor([[0.0, 0.0], [1.0, 0.0]]),))
    t = dataclasses.replace(trajectory(n=8), feasible=torch.ones(5, 8, dtype=torch.bool))
    assert resumed.reached(t).tolist() == [False] * 4 + [True] * 4
    assert resumed.rows(slice(1, 2)).worth(t).min() > 0.4
    assert resumed.rows(slice(0, 1)).worth(t).max() == 0


def test_the_value_stands_for_what_lies_beyond_the_horizon() -> None:
    t = dataclasses.replace(trajectory(), feasible=torch.ones(5, 12, dtype=torch.bool))
    valued = dataclasses.replace(t, value=torch.full((5, 12), 10.0))
    objective = Objective([Return()], discount=0.9)
    beyond = 0.9**5 * t.alive[-1] * t.cont[-1] * 10
    assert torch.allclose(objective.worth(valued), objective.worth(t) + beyond)
    assert torch.equal(dataclasses.replace(objective, bootstrap=False).worth(valued), objective.worth(t))


def test_risk_is_the_expected_violation_or_that_of_the_worst_share() -> None:
    # Two candidates of four futures: the first breaks the limit in one future, badly; the second in two, by a hair.
    heat = torch.tensor([0.0, 0, 0, 5.0, 0, 0, 1.1, 1.1])
    one = torch.ones(1, 8)
    t = Trajectory({"x": torch.zeros(2, 8), "heat": torch.stack([heat * 0, heat])}, torch.zeros(1, 8, 1), one * 0.0,
                   one, one.bool(), one * 0, one)
    objective = Objective([Return(), limit("avoid heat > 1")])
    expected = objective.worth(t, particles=4)
    assert expected.tolist() == pytest.approx([-104 / 4, -200.2 / 4], rel=1e-4)
    assert objective.worth(t, particles=4, tail=0.25).tolist() == pytest.approx([-104, -100.1], rel=1e-4)
    assert objective.worth(t, particles=4, tail=0.5).tolist() == pytest.approx([-52, -100.1], rel=1e-4)


class Slippery:
    """x' = x + u + noise that grows with speed. The faster, the better, but `x > 1` shall not happen."""

    provides = frozenset({"reward"})
    schema = WORLD

    def initial(self, n: int) -> dict[str, Tensor]:
        return {"x": torch.zeros(n), "heat": torch.zeros(n)}

    def observe(self, state: Features, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(features)

    def step(self, state: Features, action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        u = action[:, 0]
        x = state["x"] + u
        if rng is not None:
            x = x + 0.5 * u.abs() * torch.empty_like(x).normal_(generator=rng)
        after, one = {"x": x, "heat": state["heat"]}, torch.ones_like(x)
        said = {k: Normal(f, after[k], 0.5 * u.abs() + 1e-3) for k, f in WORLD.base.items()}
        return after, Outcome(said, u, one, one.bool(), u.abs())

    def assimilate(self, state: Features, features: Features, rows: Tensor,
                   rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {k: torch.where(rows, features[k], v) for k, v in state.items()}

    def decode(self, state: Features) -> dict[str, Tensor]:
        return dict(state)

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {}


def planned(objective: Objective, **settings: float) -> float:
    config = CEMConfig(**({"horizon": 1, "samples": 200, "iterations": 4} | settings))  # type: ignore[arg-type]
    plan = CEM(config).plan(Slippery(), Slippery().initial(1), objective, None, torch.Generator().manual_seed(0))
    return float(plan.action)


def test_who_looks_at_chance_and_at_its_worst_goes_slower() -> None:
    objective = Objective([Return(), limit("avoid x > 0.8 with weight 1")])
    likely, expected, worst = planned(objective), planned(objective, particles=64), planned(
        objective, particles=64, tail=0.05)
    assert likely == pytest.approx(0.8, abs=0.05)
    assert expected < likely - 0.1
    assert worst < expected - 0.08


def test_uncertainty_may_cost_or_attract() -> None:
    dull = Objective([Curiosity(-1.0)])
    assert abs(planned(dull)) < 0.05
    assert abs(planned(Objective([Curiosity(1.0)]))) > 0.95
