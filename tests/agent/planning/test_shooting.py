"""Shooting planners on worlds whose best plan is known: a point mass, a corridor, a gripper, all exact."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.agent.planning.mppi import MPPI, MPPIConfig, weights
from gedanken.agent.planning.objective import Objective, Return
from gedanken.agent.planning.plan import Budget
from gedanken.agent.planning.random_shooting import RandomShooting, RandomShootingConfig
from gedanken.agent.planning.sequences import BeliefConfig, Discrete, noise
from gedanken.agent.planning.shooting import Shooting
from gedanken.world.distributions import Categorical, Normal
from gedanken.world.model import Outcome, begin
from gedanken.world.schema import Feature, Features, Schema

from . import exact_worlds

torch.set_num_threads(1)
RETURN = Objective([Return()])


class Exact(exact_worlds.Exact):
    """An exact world that steps by itself, and says what comes of it."""

    provides = frozenset({"reward"})

    def outcome(self, features: dict[str, Normal | Categorical], reward: Tensor, cont: Tensor) -> Outcome:
        return Outcome({**features}, reward, cont, torch.ones_like(cont, dtype=torch.bool), torch.zeros_like(cont))


class PointMass(Exact):
    """x' = x + u/10, u in [-1, 1]; costs (x' - 0.5)^2, plus noise in `x` when stepped with `rng`."""

    def __init__(self, broken: bool = False, noise: float = 0.0, bound: float = 1.0) -> None:
        self.broken, self.noise = broken, noise
        force = Feature("u", low=-bound, high=bound)
        self.schema = Schema("mass", (Feature("x"),), (force,), lambda o, e: o, lambda a: a)

    def step(self, state: Features, action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        u = action[:, 0]
        x = state["x"] + 0.1 * u
        if rng is not None:
            x = x + self.noise * torch.empty_like(x).normal_(generator=rng)
        reward = -(x - 0.5).square()
        if self.broken:  # every push to the right is worth a lot, but the model is broken there
            reward = torch.where(u > 0, torch.nan, reward)
        one = torch.ones_like(x)
        return {"x": x}, self.outcome({"x": Normal(self.schema.features[0], x, one)}, reward, one)


class Corridor(Exact):
    """Cells 0 to 9; the end pays 1 and ends the episode. The `gait` must be 1 to move at all."""

    def __init__(self) -> None:
        self.schema = Schema(
            "corridor", (Feature("cell", "integer", low=0, high=9),),
            (Feature("move", "category", values=("left", "stay", "right")), Feature("gait", "boolean")),
            lambda o, e: o, lambda a: a)

    def step(self, state: Features, action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        cell = (state["cell"] + (action[:, 0] - 1) * action[:, 1]).clamp(0, 9).int()
        there = (cell == 9).float()
        logits = torch.nn.functional.one_hot(cell.long(), 10) * 30.0
        return {"cell": cell}, self.outcome({"cell": Categorical(self.schema.features[0], logits)}, there, 1 - there)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_point_mass_is_driven_to_its_goal() -> None:
    model, planner = PointMass(), CEM(CEMConfig(horizon=8, samples=128, iterations=5))
    state, carry, rng = {"x": torch.tensor([-0.5, 0.2, 1.3])}, planner.initial(3), seeded()
    for _ in range(14):
        plan = planner.plan(model, state, RETURN, carry, rng)
        state, carry = model.step(state, plan.action)[0], plan.carry
    assert (state["x"] - 0.5).abs().max() < 0.03
    assert plan.action.shape == (3, 1)
    assert plan.sequence.shape == (8, 3, 1)
    assert plan.imagined["x"].shape == (9, 3)
    assert not plan.reached.any()


def test_the_imagined_features_are_those_of_the_sequence() -> None:
    model = PointMass()
    state = {"x": torch.tensor([-0.5, 0.2])}
    plan = CEM().plan(model, state, RETURN, None, seeded())
    for t, action in enumerate(plan.sequence):
        assert torch.equal(plan.imagined["x"][t], state["x"])
        state, _ = model.step(state, action)
    assert torch.equal(plan.sequence[0], plan.action)


def test_a_corridor_is_walked_in_the_fewest_steps() -> None:
    model, planner = Corridor(), CEM(CEMConfig(horizon=10, samples=256, iterations=6, elites=16))
    state = begin(model, {"cell": torch.tensor([5, 7], dtype=torch.int32)})
    plan = planner.plan(model, state, Objective([Return()], discount=0.9), None, seeded())
    assert plan.reached.tolist() == [True, True]
    assert plan.action.tolist() == [[2, 1], [2, 1]]
    assert plan.action.dtype == torch.int64
    assert (plan.imagined["cell"] == 9).int().argmax(0).tolist() == [4, 2]


def test_actions_keep_to_their_bounds() -> None:
    model = PointMass(bound=0.25)
    planner = CEM(CEMConfig(horizon=5, iterations=10, spread=5.0))
    plan = planner.plan(model, {"x": torch.full((2,), -9.0)}, RETURN, None, seeded())
    assert plan.sequence.abs().max() <= 0.25
    assert (plan.sequence > 0.2).float().mean() > 0.8
    codes = CEM().plan(Corridor(), {"cell": torch.zeros(2, dtype=torch.int32)}, RETURN, None, seeded()).carry[0].kept
    assert codes[..., 0].max() == 2
    assert codes[..., 1].max() == 1


def test_actions_without_bounds_are_found_too() -> None:
    model = PointMass(bound=torch.inf)
    plan = CEM(CEMConfig(horizon=3, iterations=12)).plan(model, {"x": torch.zeros(1)}, RETURN, None, seeded())
    assert plan.action.item() > 2.0
    assert plan.value.item() > -0.05


def test_broken_rollouts_never_win() -> None:
    planner = CEM(CEMConfig(horizon=3, samples=512))
    plan = planner.plan(PointMass(broken=True), {"x": torch.zeros(2)}, RETURN, None, seeded())
    assert plan.value.isfinite().all()
    assert (plan.sequence <= 0).all()
    assert plan.carry[0].belief.mean.isfinite().all()


def test_where_every_rollout_is_broken_the_plan_is_still_an_action() -> None:
    model = PointMass()
    plan = CEM().plan(model, {"x": torch.full((1,), torch.nan)}, RETURN, None, seeded())
    assert plan.value.item() == -torch.inf
    assert plan.action.abs().item() <= 1
    assert plan.carry[0].belief.mean.isfinite().all()


def test_a_warm_start_helps() -> None:
    model, state = PointMass(), {"x": torch.full((4,), -1.0)}
    well = CEM(CEMConfig(iterations=8)).plan(model, state, RETURN, None, seeded())
    brief = CEM(CEMConfig(iterations=1, samples=16, elites=4))
    after, _ = model.step(state, well.action)
    cold = brief.plan(model, after, RETURN, None, seeded(1))
    warm = brief.plan(model, after, RETURN, well.carry, seeded(1))
    assert (warm.value > cold.value).all()


def test_more_iterations_find_more_than_random_shooting() -> None:
    model, state = PointMass(), {"x": torch.full((32,), -1.0)}
    shooting = CEM(CEMConfig(iterations=1, samples=256)).plan(model, state, RETURN, None, seeded())
    searched = CEM(CEMConfig(iterations=4, samples=64)).plan(model, state, RETURN, None, seeded())
    assert shooting.transitions == searched.transitions
    assert searched.value.mean() > shooting.value.mean() + 1


@pytest.mark.parametrize("transitions", [20, 45, 500, 2000, 10_000])
def test_the_budget_is_kept(transitions: int) -> None:
    planner = CEM(CEMConfig(horizon=10, samples=64, iterations=4))
    plan = planner.plan(PointMass(), {"x": torch.zeros(3)}, RETURN, None, seeded(), Budget(transitions=transitions))
    assert 0 < plan.transitions <= 3 * transitions
    assert plan.transitions == 3 * plan.statistics["rounds"] * plan.statistics["candidates"] * 10


def test_no_time_left_still_gives_one_iteration() -> None:
    planner, none = CEM(CEMConfig(iterations=50)), Budget(seconds=0.0)
    plan = planner.plan(PointMass(), {"x": torch.zeros(1)}, RETURN, None, seeded(), none)
    assert plan.statistics["rounds"] == 1


def test_plans_are_seeded_and_planners_hold_nothing() -> None:
    planner, state = CEM(), {"x": torch.zeros(2)}
    before = dict(vars(planner))
    a, b = (planner.plan(PointMass(), state, RETURN, None, seeded(5)) for _ in range(2))
    assert torch.equal(a.sequence, b.sequence)
    assert vars(planner) == before


def test_particles_average_over_chance() -> None:
    model, state = PointMass(noise=0.5), {"x": torch.full((2,), 0.5)}
    likely = CEM(CEMConfig(horizon=4)).plan(model, state, RETURN, None, seeded())
    averaged = CEM(CEMConfig(horizon=4, particles=16)).plan(model, state, RETURN, None, seeded())
    assert (likely.value > -0.05).all()
    assert (averaged.value < -0.3).all()  # chance costs at least 4 steps of noise, which the likely future denies
    assert averaged.transitions == 16 * likely.transitions


class Gripper(Exact):
    """x' = x + u/10 only while the grip is closed; costs (x' - 0.5)^2. One action is a number, the other a choice."""

    def __init__(self) -> None:
        actions = (Feature("grip", "boolean"), Feature("u", low=-1.0, high=1.0),
                   Feature("tool", "category", values=("none", "claw", "hook")))
        self.schema = Schema("gripper", (Feature("x"),), actions, lambda o, e: o, lambda a: a)

    def step(self, state: Features, action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        grip, u, tool = action.unbind(1)
        x = state["x"] + 0.1 * u * grip * (tool == 2)
        one = torch.ones_like(x)
        normal = Normal(self.schema.features[0], x, one)
        return {"x": x}, self.outcome({"x": normal}, -(x - 0.5).square(), one)


ALL = [RandomShooting(), CEM(), MPPI()]


@pytest.mark.parametrize("planner", ALL, ids=["random", "cem", "mppi"])
def test_mixed_actions_are_planned_side_by_side(planner: Shooting[Any]) -> None:
    model, state, carry, rng = Gripper(), {"x": torch.tensor([-0.5, 1.5])}, planner.initial(2), seeded()
    for _ in range(18):
        plan = planner.plan(model, state, RETURN, carry, rng)
        state, carry = model.step(state, plan.action)[0], plan.carry
    assert plan.action.dtype == torch.float32
    assert set(plan.sequence[..., 0].flatten().tolist()) <= {0.0, 1.0}
    assert set(plan.sequence[..., 2].flatten().tolist()) <= {0.0, 1.0, 2.0}
    assert (state["x"] - 0.5).abs().max() < (0.1 if isinstance(planner, CEM) else 0.4)


@pytest.mark.parametrize("planner", ALL, ids=["random", "cem", "mppi"])
def test_every_planner_drives_the_point_mass_home(planner: Shooting[Any]) -> None:
    model, state, carry, rng = PointMass(), {"x": torch.tensor([-0.5, 1.3])}, planner.initial(2), seeded()
    for _ in range(16):
        plan = planner.plan(model, state, RETURN, carry, rng, Budget(transitions=8_000))
        assert plan.transitions <= 2 * 8_000
        state, carry = model.step(state, plan.action)[0], plan.carry
    assert (state["x"] - 0.5).abs().max() < 0.2


def test_an_endless_action_is_refused_in_words() -> None:
    model = PointMass()
    model.schema = dataclasses.replace(model.schema, actions=(Feature("count", "integer", low=0),))
    assert "has no bounds" in str(CEM().unfit(model.schema))


@pytest.mark.parametrize("planner", ALL, ids=["random", "cem", "mppi"])
def test_states_planned_in_chunks_keep_to_their_rows(planner: Shooting[Any]) -> None:
    model = Recording()
    small = dataclasses.replace(planner.config, max_rows=2 * planner.config.samples)
    chunked, state = type(planner)(small), {"x": torch.linspace(-1, 1, 7)}
    plan = chunked.plan(model, state, RETURN, None, seeded())
    assert model.most <= small.max_rows
    assert len(plan.carry) == 4
    assert plan.sequence.shape == (20, 7, 1)
    again = chunked.plan(model, state, RETURN, plan.carry, seeded())
    assert (again.value >= plan.value - 0.5).all()
    assert plan.value[3] > plan.value[0]  # nearer to the goal


class Recording(PointMass):
    """The point mass, which remembers the most rows it was ever stepped with."""

    most = 0

    def step(self, state: Features, action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        self.most = max(self.most, len(action))
        return super().step(state, action, rng)


class Guarded(Corridor):
    """The corridor in which moving at all is forbidden for now, but for one joint action."""

    def step(self, state: Features, action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        after, out = super().step(state, action, rng)
        held = (state["cell"] == 4) & ((action[:, 0] != 0) | (action[:, 1] != 1))
        return after, dataclasses.replace(out, feasible=~held)


def test_first_actions_the_model_forbids_are_not_drawn() -> None:
    model, planner = Guarded(), RandomShooting(RandomShootingConfig(samples=8, horizon=12))
    plan = planner.plan(model, {"cell": torch.tensor([4, 5], dtype=torch.int32)}, RETURN, None, seeded())
    assert plan.action[0].tolist() == [0, 1]
    assert plan.value[0] > -1e3


def test_a_held_action_is_held_and_warm_starts_keep_its_phase() -> None:
    planner, model, state = CEM(CEMConfig(horizon=8, repeat=3)), PointMass(), {"x": torch.zeros(2)}
    carry, plans = None, []
    for _ in range(4):
        plans.append(planner.plan(model, state, RETURN, carry, seeded()))
        carry = plans[-1].carry
    assert [p.carry[0].phase for p in plans] == [0, 1, 2, 0]
    for phase, plan in enumerate(plans):
        for t in range(1, 8):
            if (t + phase) % 3:
                assert torch.equal(plan.sequence[t], plan.sequence[t - 1])
    kept = plans[0].carry[0].kept[:, :, 0]
    assert torch.equal(plans[0].sequence, kept.repeat_interleave(3, 0)[:8])


@pytest.mark.parametrize("colour", [0.0, 1.0, 2.0])
def test_noise_has_the_power_spectrum_of_its_colour(colour: float) -> None:
    drawn = noise((64, 4096), colour, seeded(), torch.device("cpu"))
    assert drawn.std(1).sub(1).abs().max() < 0.05
    power = torch.fft.rfft(drawn - drawn.mean(0), dim=0).abs().square().mean(1)[2:24]
    slope = torch.log(power).diff().sum() / torch.log(torch.tensor(23 / 2))
    assert slope.item() == pytest.approx(-colour, abs=0.4)


def test_coloured_codes_keep_their_odds_and_hold_on() -> None:
    codes = (Feature("move", "category", values=("a", "b", "c")), Feature("grip", "boolean"))
    held = {}
    for colour in (0.0, 3.0):
        belief = Discrete.widest(list(codes), BeliefConfig(colour=colour), 12, 1, torch.device("cpu"))
        tilted = dataclasses.replace(belief, probs=torch.tensor([[0.6, 0.3, 0.1], [0.8, 0.2, 0.0]]).expand(12, 1, 2, 3))
        drawn = tilted.sample(8192, seeded())[:, 0]
        odds = torch.stack([(drawn == v).float().mean((0, 1)) for v in range(3)], 1)
        assert odds == pytest.approx(tilted.probs[0, 0], abs=0.03)
        held[colour] = float((drawn[1:] == drawn[:-1]).float().mean())
    assert held[3.0] > held[0.0] + 0.15


def test_the_most_likely_sequence_is_what_path_integrals_follow() -> None:
    plan = MPPI(MPPIConfig(iterations=6)).plan(PointMass(), {"x": torch.zeros(3)}, RETURN, None, seeded())
    belief = plan.carry[0].belief
    assert torch.equal(plan.sequence, belief.likeliest())
    one = torch.tensor([[1.0, 0.0, -1.0, -torch.inf]])
    assert weights(one, 1e-6).tolist() == [[1, 0, 0, 0]]
    assert weights(one, 0.5)[0, 3] == 0
    assert weights(torch.full((1, 4), -torch.inf), 0.5).tolist() == [[0.25] * 4]


class Advising(Corridor):
    """The corridor with a policy that walks to the right, and a value that likes the right."""

    provides = frozenset({"reward", "policy", "value"})

    def step(self, state: Features, action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        after, out = super().step(state, action, rng)
        right = (self.schema.all_actions() == torch.tensor([2, 1])).all(1)
        return after, dataclasses.replace(out, value=after["cell"].float(),
                                          action_logits=(18.0 * right).expand(len(action), -1))


def test_a_models_policy_and_value_guide_the_plan() -> None:
    state = {"cell": torch.zeros(2, dtype=torch.int32)}  # too far from the end to see it
    planner = MPPI(MPPIConfig(samples=8, iterations=1, horizon=6, guided=6))
    free = planner.plan(Corridor(), state, RETURN, None, seeded())
    led = planner.plan(Advising(), state, RETURN, None, seeded())
    assert (free.value == 0).all()
    assert (led.imagined["cell"][-1] >= 5).all()
    assert (led.value > 4).all()
    assert led.transitions == free.transitions + 2 * 6 * 6


def test_a_budget_of_a_few_transitions_is_kept_by_looking_less_far() -> None:
    for planner in ALL:
        plan = planner.plan(PointMass(), {"x": torch.zeros(1)}, RETURN, None, seeded(), Budget(transitions=6))
        assert plan.transitions <= 6
        assert plan.action.abs().item() <= 1
