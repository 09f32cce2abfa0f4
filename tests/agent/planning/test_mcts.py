"""Tree search on worlds small enough to solve by hand: a world is a table of what each action leads to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from gedanken.agent.planning import selection
from gedanken.agent.planning.mcts import MCTS, Improved, MCTSConfig
from gedanken.agent.planning.objective import Objective, Return
from gedanken.agent.planning.plan import Budget, Plan
from gedanken.errors import UserError
from gedanken.world.distributions import CERTAIN, Categorical, Normal
from gedanken.world.model import Batch, Outcome
from gedanken.world.schema import Feature, Features, Schema

torch.set_num_threads(1)
RETURN = Objective([Return()], discount=0.9)


@dataclass
class Table:
    """In state s, action a leads to `to[s][a]` (-1: infeasible) and pays `pays` there; `ends` are terminal. With
    `chance` an action leads to `other` instead."""

    to: list[list[int]]
    pays: dict[int, float]
    ends: tuple[int, ...] = ()
    chance: float = 0.0
    other: int = 0
    values: dict[int, float] | None = None

    def __post_init__(self) -> None:
        states, actions = len(self.to), len(self.to[0])
        self.schema = Schema("table", (Feature("s", "integer", low=0, high=states - 1),),
                             (Feature("a", "category", values=tuple(f"a{i}" for i in range(actions))),),
                             lambda o, e: {}, lambda a: a)
        self.provides = frozenset({"reward", "end"} | ({"stochastic"} if self.chance else set())
                                  | ({"value"} if self.values else set()))
        self.rows = 0

    def initial(self, n: int) -> dict[str, Tensor]:
        return {"s": torch.zeros(n, dtype=torch.int32)}

    def observe(self, state: Features, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(features)

    def assimilate(self, state: Features, features: Features, rows: Tensor,
                   rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return dict(features)

    def decode(self, state: Features) -> dict[str, Tensor]:
        return dict(state)

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        return {}

    def step(self, state: Features, action: Tensor,
             rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
        self.rows += len(action)
        after = torch.tensor(self.to)[state["s"].long(), action[:, 0]]
        feasible = after >= 0
        if rng is not None and self.chance:
            after = torch.where(torch.rand(len(after), generator=rng) < self.chance, self.other, after)
        after = after.clamp_min(0)
        pay, end = torch.zeros(len(self.to)), torch.zeros(len(self.to))
        for s, r in self.pays.items():
            pay[s] = r
        for s in self.ends:
            end[s] = 1
        logits = torch.nn.functional.one_hot(after, len(self.to)) * CERTAIN
        value = torch.tensor([self.values.get(int(s), 0.0) for s in after]) if self.values else None
        features: dict[str, Categorical | Normal] = {"s": Categorical(self.schema.features[0], logits)}
        return {"s": after.int()}, Outcome({**features}, pay[after], 1 - end[after], feasible,
                                           torch.zeros(len(after)), value)


MAZE = ("S.#..",
        "..#.#",
        ".#...",
        "...#G")


def maze() -> tuple[Table, list[int]]:
    """The maze as a table, and how far each free cell is from the goal."""
    w, h = len(MAZE[0]), len(MAZE)
    to = []
    for s in range(w * h):
        x, y = s % w, s // w
        near = [(x + 1, y), (x, y + 1), (x - 1, y), (x, y - 1)]
        to.append([j * w + i if 0 <= i < w and 0 <= j < h and MAZE[j][i] != "#" else s for i, j in near])
    goal = "".join(MAZE).index("G")
    far, queue = [99] * (w * h), deque([goal])
    far[goal] = 0
    while queue:
        s = queue.popleft()
        for p in range(w * h):
            if s in to[p] and far[p] == 99 and "".join(MAZE)[p] != "#":
                far[p] = far[s] + 1
                queue.append(p)
    return Table(to, {goal: 1.0}, (goal,)), far


def states(*s: int) -> dict[str, Tensor]:
    return {"s": torch.tensor(s, dtype=torch.int32)}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plan(model: Table, at: dict[str, Tensor], objective: Objective = RETURN, seed: int = 0,
         budget: Budget | None = None, **config: object) -> Plan:
    return MCTS(MCTSConfig(**config)).plan(model, at, objective, None, seeded(seed), budget)  # type: ignore[arg-type]


@pytest.mark.parametrize("root", ["gumbel", "puct"])
def test_a_small_maze_is_solved_by_a_shortest_path_from_everywhere(root: str) -> None:
    model, far = maze()
    starts = [s for s, d in enumerate(far) if 0 < d < 99]
    found = plan(model, states(*starts), root=root, simulations=200, gumbel=0.0)
    assert found.reached.all()
    for b, s in enumerate(starts):
        steps = [s, *found.imagined["s"][1:, b].tolist()]
        assert steps.index("".join(MAZE).index("G")) == far[s]


@pytest.mark.parametrize("root", ["gumbel", "puct"])
def test_a_batch_is_planned_as_its_rows_one_by_one(root: str) -> None:
    model, _ = maze()
    together = plan(model, states(0, 12, 3), root=root, simulations=30, gumbel=0.0)
    for b, s in enumerate((0, 12, 3)):
        alone = plan(model, states(s), root=root, simulations=30, gumbel=0.0)
        torch.testing.assert_close(together.carry.policy[b], alone.carry.policy[0])
        assert together.value[b].item() == pytest.approx(alone.value.item())
        assert torch.equal(together.action[b], alone.action[0])


def test_visits_and_returns_of_a_tree_that_was_worked_out_by_hand() -> None:
    # From 0: a0 -> 1 (pays 1, end), a1 -> 2 (pays 0) -> 3 by a0 (pays 4, end) or 1 by a1.
    model = Table([[1, 2], [1, 1], [3, 1], [3, 3]], {1: 1.0, 3: 4.0}, (1, 3))
    found = plan(model, states(0), root="puct", simulations=3)
    # a0 brings 1; a1 (not tried yet) brings 0; then a0: scaled Q 1 + 0.5 sqrt(2)/2 c beats a1: 0 + the same.
    assert found.value.item() == pytest.approx(1.0)
    assert found.carry.policy[0].tolist() == pytest.approx([2 / 3, 1 / 3])
    found = plan(model, states(0), root="gumbel", simulations=8, gumbel=0.0)
    # Halving visits both four times; a1's node tries a0 (4), then a1 (1): (0 + 3.6 + ...) > 1.
    assert found.action.item() == 1
    assert found.imagined["s"][:, 0].tolist() == [0, 2, 3]
    assert found.reached.item()


def test_puct_of_three_actions_by_hand() -> None:
    visits, q = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[2.0, 4.0, 0.0]])
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    scores = selection.puct(visits, q, logits, torch.tensor([0.0]), torch.tensor([4.0]))[0]
    c = 1.25 + torch.log(torch.tensor((4 + 19_652 + 1) / 19_652)).item()
    expected = [0.5 + 0.5 * 2 / 4 * c, 1.0 + 0.3 * 2 / 2 * c, 0.0 + 0.2 * 2 * c]
    assert scores.tolist() == pytest.approx(expected)


def test_completed_returns_and_the_improved_policy_by_hand() -> None:
    visits, q = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[2.0, 4.0, 0.0]])
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    mixed = (1.0 + 4 * (0.5 * 2 + 0.3 * 4) / 0.8) / 5  # own value 1, four visits
    assert selection.completed(visits, q, logits, torch.tensor([1.0]))[0].tolist() == pytest.approx([2, 4, mixed])
    weights = selection.improved(visits, q, logits, torch.tensor([1.0]))[0]
    sigma = torch.tensor([0.0, 1.0, (mixed - 2) / 2]) * (50 + 3) * 0.1
    torch.testing.assert_close(weights, logits[0] + sigma)


def test_the_schedule_of_sequential_halving() -> None:
    # Four actions, eight simulations: two rounds of four: each once, then the best two twice more.
    assert selection.schedule(4, 8)[4].tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert selection.schedule(4, 8)[1].tolist() == list(range(8))
    assert selection.schedule(2, 6)[2].tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("simulations", [12, 6])
def test_the_improved_policy_is_better_than_the_prior_even_with_fewer_simulations_than_actions(
        simulations: int) -> None:
    pays = torch.rand(20, 12, generator=seeded())
    model = Table([[-1] * 12] * 260, {}, tuple(range(20, 260)))
    for i in range(20):
        model.to[i] = list(range(20 + 12 * i, 32 + 12 * i))
    model.pays = {20 + n: float(r) for n, r in enumerate(pays.flatten())}
    found = plan(model, states(*range(20)), simulations=simulations, considered=simulations)
    gain = (found.carry.policy * pays).sum(1) - pays.mean(1)
    assert gain.mean() > 0.2
    if simulations == 12:
        assert (gain > 0).all()


@pytest.mark.parametrize("root", ["gumbel", "puct"])
def test_what_is_infeasible_and_what_only_leads_there_is_not_taken(root: str) -> None:
    # a0 is infeasible at once; a1 -> 1, whose every action is infeasible; a2 -> 2, which goes on.
    model = Table([[-1, 1, 2], [-1, -1, -1], [2, 2, 2]], {1: 5.0, 2: 0.1})
    found = plan(model, states(0), root=root, simulations=30, gumbel=0.0)
    assert found.action.item() == 2
    assert found.carry.policy[0, :2].tolist() == [0, 0]


def test_where_nothing_is_feasible_there_is_still_an_action() -> None:
    found = plan(Table([[-1, -1]], {}), states(0))
    assert found.action.item() in (0, 1)
    assert not found.reached.item()


def test_nothing_counts_after_the_end() -> None:
    # Beyond the end of a0 lies a fortune that nobody gets; a1 pays a little.
    model = Table([[1, 2], [3, 3], [2, 2], [3, 3]], {3: 100.0, 2: 0.5}, (1,))
    assert plan(model, states(0), gumbel=0.0).action.item() == 1


def test_chance_is_averaged() -> None:
    # a0 pays 10 half of the time and else ruins (-20); a1 pays 1 for sure, as both outcomes are drawn for it alike.
    model = Table([[1, 2], [1, 1], [2, 2], [3, 3]], {1: 10.0, 3: -20.0, 2: 1.0}, (1, 2, 3), chance=0.5, other=3)
    found = plan(model, states(0), simulations=400, outcomes=32, root="puct")
    assert found.value.item() == pytest.approx(-5.0, abs=5.0)
    sure = plan(Table(model.to, model.pays, model.ends), states(0), simulations=50, root="puct")
    assert sure.value.item() == pytest.approx(10.0)


def test_a_models_values_and_its_advice_are_used() -> None:
    model = Table([[1, 2], [1, 1], [2, 2]], {}, values={2: 1.0})
    assert plan(model, states(0), simulations=2, gumbel=0.0).action.item() == 1

    class Advised(Table):
        width = 2

        def advice(self, state: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            return torch.zeros(len(state["s"])), torch.tensor([[0.0, 9.0, 0.0][: self.width]])

    advised = Advised(model.to, {})
    assert plan(advised, states(0), simulations=1).action.item() == 1
    advised.width = 3
    with pytest.raises(UserError, match="3 actions"):
        plan(advised, states(0))


def test_random_steps_value_what_lies_beyond() -> None:
    chain = [[1, 4], [2, 2], [3, 3], [3, 3], [4, 4]]
    far_reward = Table(chain, {3: 1.0}, (3,))
    blind = plan(far_reward, states(0), simulations=2, root="puct")
    seeing = plan(far_reward, states(0), simulations=2, root="puct", rollout=5)
    assert blind.value.item() == 0
    assert seeing.action.item() == 0
    assert seeing.value.item() == pytest.approx(0.9**2, rel=1e-3)


@pytest.mark.parametrize("transitions", [1, 5, 30, 200])
def test_the_budget_is_kept(transitions: int) -> None:
    model, _ = maze()
    found = plan(model, states(0, 5), budget=Budget(transitions=transitions))
    assert found.transitions == model.rows
    assert found.transitions <= 2 * transitions
    assert plan(model, states(0), simulations=10_000, budget=Budget(seconds=0.0)).statistics["simulations"] == 1


def test_a_plan_starts_from_where_the_last_one_was_leading() -> None:
    model, _ = maze()
    first = plan(model, states(3), simulations=300, gumbel=0.0)
    after, _ = model.step(states(3), first.action)
    planner = MCTS(MCTSConfig(simulations=1, gumbel=0.0))
    assert isinstance(first.carry, Improved)
    warm = planner.plan(model, after, RETURN, first.carry, seeded())
    assert warm.action.item() == first.sequence[1].item()


def test_continuous_actions_are_sampled_and_mixed_ones_refused() -> None:
    class Line(Table):
        def step(self, state: Features, action: Tensor,
                 rng: torch.Generator | None = None) -> tuple[dict[str, Tensor], Outcome]:
            x = state["s"] + action[:, 0]
            ok = torch.ones(len(x), dtype=torch.bool)
            return {"s": x}, Outcome({"s": Normal(self.schema.features[0], x, x * 0)}, -(x - 2).abs(), ok.float(), ok,
                                     ok.float())

    line = Line([[0]], {})
    free, grip = Feature("u", low=-1.0, high=1.0), Feature("grip", "boolean")
    line.schema = Schema("line", (Feature("s"),), (free,), lambda o, e: {}, lambda a: a)
    found = plan(line, {"s": torch.zeros(3)}, simulations=200, samples=16)
    assert (found.action > 0.3).all()
    assert (found.action <= 1).all()
    mixed = Schema("both", (Feature("s"),), (free, grip), lambda o, e: {}, lambda a: a)
    assert "mixes" in (MCTS().unfit(mixed) or "")
    line.schema = mixed
    with pytest.raises(UserError, match="mixes"):
        plan(line, {"s": torch.zeros(1)})
    with pytest.raises(UserError, match="root"):
        MCTS(MCTSConfig(root="uct"))  # type: ignore[arg-type]


def test_equal_seeds_give_equal_plans() -> None:
    model, _ = maze()
    a, b = (plan(model, states(0, 3), seed=7, simulations=40) for _ in range(2))
    assert torch.equal(a.sequence, b.sequence)
    assert torch.equal(a.carry.policy, b.carry.policy)
