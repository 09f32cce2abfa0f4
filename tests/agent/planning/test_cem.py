"""The cross-entropy method on worlds whose best plan is known: a point mass and a corridor, both exact."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from gedanken.agent.planning.cem import CEM, CEMConfig
from gedanken.agent.planning.objective import Objective, Return, Survival
from gedanken.agent.planning.plan import Budget
from gedanken.errors import UserError
from gedanken.world.distributions import Categorical, Normal
from gedanken.world.model import Batch, Outcome, begin
from gedanken.world.schema import Feature, Features, Schema

torch.set_num_threads(1)
RETURN = Objective([Return()])


class Exact:
    """Parts of a world model that every exact world shares: its state is its one or two features."""

    provides = frozenset({"reward"})
    schema: Schema

    def initial(self, n: int) -> dict[str, Tensor]:
        return {f.name: torch.zeros(n, dtype=f.dtype) for f in self.schema.features}

    def observe(self, state: Features, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(features)

    def assimilate(self, state: Features, features: Features, rows: Tensor,
                   rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {k: torch.where(rows, features[k], v) for k, v in state.items()}

    def decode(self, state: Features) -> dict[str, Tensor]:
        return dict(state)

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {}

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
    codes = CEM().plan(Corridor(), {"cell": torch.zeros(2, dtype=torch.int32)}, RETURN, None, seeded()).carry.elites
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
    assert plan.carry.belief.mean.isfinite().all()


def test_where_every_rollout_is_broken_the_plan_is_still_an_action() -> None:
    model = PointMass()
    plan = CEM().plan(model, {"x": torch.full((1,), torch.nan)}, RETURN, None, seeded())
    assert plan.value.item() == -torch.inf
    assert plan.action.abs().item() <= 1
    assert plan.carry.belief.mean.isfinite().all()


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
    assert 0 < plan.transitions <= transitions
    assert plan.transitions == plan.statistics["iterations"] * plan.statistics["candidates"] * 10


def test_no_time_left_still_gives_one_iteration() -> None:
    planner, none = CEM(CEMConfig(iterations=50)), Budget(seconds=0.0)
    plan = planner.plan(PointMass(), {"x": torch.zeros(1)}, RETURN, None, seeded(), none)
    assert plan.statistics["iterations"] == 1


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


def test_mixed_actions_are_refused_in_words() -> None:
    model = PointMass()
    schema = dataclasses.replace(model.schema, actions=(Feature("u", low=-1.0, high=1.0), Feature("grip", "boolean")))
    model.schema = schema
    with pytest.raises(UserError, match="mixes discrete and continuous"):
        CEM().plan(model, {"x": torch.zeros(1)}, Objective([Survival()]), None, seeded())
