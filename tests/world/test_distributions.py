"""Distributions of one next feature: what corrections do to them, and that a Board reads like the whole array."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gedanken.world.distributions import CERTAIN, FLOOR, Board, Categorical, Normal, decode, encode
from gedanken.world.schema import Feature

torch.set_num_threads(1)
COLOR = Feature("color", "category", values=("red", "green", "blue", "grey"))
COUNT = Feature("count", "integer", low=-2, high=3)
LIT = Feature("lit", "boolean")
CELLS = Feature("cells", "category", (2, 3), values=("empty", "wall", "key"))
HEAT = Feature("heat", low=-10, high=10)
quick = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 10_000)
every = torch.ones(1, dtype=torch.bool)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=rng(seed)) * 3


def probabilities(d: Categorical) -> Tensor:
    return d.logits.softmax(-1)


# --- codes ---


@pytest.mark.parametrize("feature", [COLOR, COUNT, LIT])
def test_every_value_goes_to_a_code_and_back(feature: Feature) -> None:
    codes = torch.arange(feature.cardinality or 0)
    values = decode(feature, codes)
    assert values.dtype == feature.dtype
    assert torch.equal(encode(feature, values), codes)


def test_values_beyond_the_bounds_get_the_nearest_code() -> None:
    assert encode(COUNT, torch.tensor([-9, 9])).tolist() == [0, 5]


# --- categorical ---


@quick
@given(seeds)
def test_probabilities_sum_to_one_and_none_is_below_the_floor(seed: int) -> None:
    d = Categorical(COLOR, randn(5, 4, seed=seed) * 30)
    p = d.log_probs().exp()
    assert torch.allclose(p.sum(-1), torch.ones(5), atol=1e-5)
    assert (p >= FLOOR / 4 - 1e-7).all()


@quick
@given(seeds)
def test_the_log_probability_of_an_array_is_the_sum_over_its_cells(seed: int) -> None:
    d = Categorical(CELLS, randn(3, 2, 3, 3, seed=seed))
    value = torch.randint(3, (3, 2, 3), generator=rng(seed))
    expected = sum(d.log_probs()[:, i, j].gather(1, value[:, i, j, None])[:, 0] for i in range(2) for j in range(3))
    assert torch.allclose(d.log_prob(value), expected, atol=1e-5)


def test_entropy_is_that_of_a_uniform_and_of_a_certain_one() -> None:
    uniform = Categorical(COLOR, torch.zeros(1, 4))
    assert uniform.entropy().item() == pytest.approx(math.log(4))
    certain = uniform.set(every, torch.tensor([2]))
    assert certain.entropy().item() == 0.0


def test_draws_follow_the_probabilities_and_repeat_with_the_seed() -> None:
    d = Categorical(COLOR, torch.tensor([0.1, 0.2, 0.3, 0.4]).log().expand(20_000, 4))
    drawn = d.sample(rng())
    assert torch.equal(drawn, d.sample(rng()))
    share = torch.bincount(drawn.long(), minlength=4) / len(drawn)
    assert torch.allclose(share, torch.tensor([0.1, 0.2, 0.3, 0.4]), atol=0.02)


@quick
@given(seeds, st.lists(st.booleans(), min_size=3, max_size=3))
def test_set_is_certain_on_its_rows_and_leaves_the_others(seed: int, rows: list[bool]) -> None:
    before = Categorical(COUNT, randn(3, 6, seed=seed))
    value = torch.tensor([-2, 0, 3])
    after = before.set(torch.tensor(rows), value)
    for i, chosen in enumerate(rows):
        if chosen:
            assert after.mode()[i] == value[i] == after.sample(rng(seed))[i]
        else:
            assert torch.equal(after.logits[i], before.logits[i])


def test_no_weight_brings_back_what_is_ruled_out() -> None:
    d = Categorical(COLOR, torch.zeros(1, 4)).set(every, torch.tensor([1]))
    tilted = d.tilt(every, torch.tensor([[20.0, 0, 0, 0]]))
    assert probabilities(tilted)[0].tolist() == [0, 1, 0, 0]


def test_a_weight_moves_a_certain_model() -> None:
    d = Categorical(COLOR, torch.tensor([[CERTAIN, 0, 0, 0]])).tilt(every, torch.tensor([[0, 8.0, 0, 0]]))
    assert d.mode().item() == 1


@quick
@given(seeds, st.floats(0.1, 5))
def test_tilt_multiplies_the_odds_by_the_exponential_of_the_weight(seed: int, weight: float) -> None:
    d = Categorical(COLOR, randn(1, 4, seed=seed))
    p, q = d.log_probs().exp()[0], probabilities(d.tilt(every, torch.tensor([[weight, 0, 0, 0]])))[0]
    assert (q[0] / q[1]).item() == pytest.approx((p[0] / p[1]).item() * math.exp(weight), rel=1e-3)


# --- board ---


def dense(board: Board) -> Categorical:
    """The same as one categorical a cell, built the slow way."""
    n, c = board.known.shape
    logits = torch.zeros(n, c, board.logits.shape[-1])
    for i in range(n):
        for j in range(c):
            logits[i, j, int(board.known[i, j])] = CERTAIN
        for k, j in enumerate(board.index[i].tolist()):
            if j >= 0:
                logits[i, j] = board.logits[i, k]
    return Categorical(board.feature, logits.view(n, *board.feature.shape, -1))


def board(seed: int, n: int = 4, k: int = 3) -> Board:
    g = rng(seed)
    known = torch.randint(3, (n, 6), generator=g).to(torch.int16)
    index = torch.stack([torch.randperm(6, generator=g)[:k] for _ in range(n)])
    index = torch.where(torch.rand(n, k, generator=g) < 0.3, -1, index)
    return Board(CELLS, known, index, torch.randn(n, k, 3, generator=g) * 2)


@quick
@given(seeds)
def test_a_board_reads_like_the_whole_array(seed: int) -> None:
    b = board(seed)
    d = dense(b)
    assert torch.equal(b.mode(), d.mode())
    assert b.mode().shape == (4, 2, 3)
    assert torch.allclose(b.entropy(), d.entropy(), atol=1e-4)
    value = torch.randint(3, (4, 2, 3), generator=rng(seed))
    certain = (d.log_probs().amax(-1) > math.log(1 - FLOOR)).sum()  # a known cell that is right costs nothing
    assert torch.allclose(b.log_prob(value), d.log_prob(value), atol=0.02 * certain)


@quick
@given(seeds)
def test_any_cell_of_a_board_is_that_of_the_whole_array(seed: int) -> None:
    b = board(seed)
    flat = dense(b).logits.flatten(1, 2)
    for j in range(6):
        assert torch.equal(b.cell(torch.full((4,), j)).logits, flat[:, j])


@quick
@given(seeds, st.integers(-1, 5), st.booleans())
def test_a_cell_put_back_changes_that_cell_only(seed: int, j: int, is_certain: bool) -> None:
    b = board(seed)
    index = torch.full((4,), j)
    cell = Categorical(Feature("cell", "category", values=CELLS.values), randn(4, 3, seed=seed))
    cell = cell.set(torch.ones(4, dtype=torch.bool), torch.tensor([0, 1, 2, 0])) if is_certain else cell
    after, flat = b.with_cell(index, cell), dense(b).logits.flatten(1, 2)
    wanted = flat.softmax(-1)
    if j >= 0:
        wanted[:, j] = cell.logits.softmax(-1)
    assert torch.allclose(dense(after).logits.flatten(1, 2).softmax(-1), wanted, atol=1e-5)


def test_an_untouched_cell_may_become_uncertain() -> None:
    b = Board(CELLS, torch.zeros(2, 6, dtype=torch.int16), torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, 0, 3))
    index = torch.tensor([4, -1])
    unsure = Categorical(b.cell(index).feature, torch.tensor([[0.4, 0.3, 0.3]] * 2).log())
    after = b.with_cell(index, unsure)
    assert after.cell(torch.tensor([4, 4])).logits.softmax(-1)[:, 2].tolist() == pytest.approx([0.3, 0], abs=1e-4)
    drawn = torch.stack([after.sample(rng(k)) for k in range(300)])[:, 0, 1, 1]
    assert 0.2 < (drawn == 2).float().mean() < 0.4


def test_a_board_set_as_a_whole_is_certain_of_it() -> None:
    b = board(3)
    value = torch.randint(3, (4, 2, 3), generator=rng(9))
    after = b.set(torch.tensor([True, False, True, False]), value)
    assert torch.equal(after.mode()[::2], value[::2].to(torch.int16))
    assert torch.equal(after.mode()[1::2], b.mode()[1::2])
    assert after.entropy()[::2].tolist() == [0, 0]


# --- normal ---


def normal(mean: float, std: float) -> Normal:
    return Normal(HEAT, torch.tensor([mean]), torch.tensor([std]))


def grid_moments(d: Normal, weight: float, bound: float, sign: int) -> tuple[float, float]:
    """Mean and spread of the product with a step expert, integrated numerically."""
    x = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    p = torch.exp(-0.5 * ((x - d.mean.double()) / d.std.double()) ** 2 + weight * (sign * (x - bound) > 0))
    p = p / p.sum()
    mean = (p * x).sum()
    return mean.item(), (p * (x - mean) ** 2).sum().sqrt().item()


def test_log_probability_and_entropy_are_those_of_torch() -> None:
    d, other = normal(1.0, 2.0), torch.distributions.Normal(1.0, 2.0)
    assert d.log_prob(torch.tensor([0.3])).item() == pytest.approx(other.log_prob(torch.tensor(0.3)).item())
    assert d.entropy().item() == pytest.approx(other.entropy().item())


@quick
@given(st.floats(-5, 5), st.floats(0.1, 3), st.floats(-5, 5), st.floats(0.1, 6), st.sampled_from([-1, 1]))
def test_leaning_on_a_bound_matches_the_moments_of_the_exact_product(
    mean: float, std: float, bound: float, weight: float, sign: int
) -> None:
    d = normal(mean, std)
    after = d.lean(every, torch.tensor([bound]), sign, weight)
    expected = grid_moments(d, weight, bound, sign)
    assert after.mean.item() == pytest.approx(expected[0], abs=0.02 * std + 1e-3)
    assert after.std.item() == pytest.approx(expected[1], rel=0.05, abs=1e-3)


def test_fusing_gives_the_precision_weighted_mean() -> None:
    after = normal(0.0, 1.0).fuse(every, torch.tensor([3.0]), 0.5)
    assert after.mean.item() == pytest.approx(3 * 4 / 5)
    assert after.std.item() == pytest.approx(5**-0.5)


def test_no_draw_leaves_the_bounds() -> None:
    d = Normal(HEAT, torch.zeros(1000), torch.full((1000,), 5.0))
    rows = torch.arange(1000) % 2 == 0
    drawn = d.clip(rows, -1.0, 2.0).sample(rng())
    assert drawn[rows].min() >= -1
    assert drawn[rows].max() <= 2
    assert drawn[~rows].abs().max() > 2


def test_the_last_of_two_contradicting_bounds_counts() -> None:
    d = normal(0.0, 1.0).clip(every, 5.0, math.inf).clip(every, -math.inf, 3.0)
    assert d.mode().item() == 3
    assert d.set(every, torch.tensor([7.0])).sample(rng()).item() == pytest.approx(7, abs=0.01)


def test_an_integer_without_bounds_stays_whole() -> None:
    d = Normal(Feature("n", "integer"), torch.tensor([2.6]), torch.tensor([3.0]))
    assert d.mode().dtype == torch.int32
    assert d.mode().item() == 3
    assert d.sample(rng()).dtype == torch.int32
