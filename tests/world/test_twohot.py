"""Symlog and two-hot against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from gedanken.world.twohot import TwoHot, symexp, symlog


def test_symlog_and_its_inverse() -> None:
    x = torch.tensor([-math.expm1(2.0), -1.0, 0.0, 1.0, math.expm1(3.0)])
    assert torch.allclose(symlog(x), torch.tensor([-2.0, -math.log(2), 0.0, math.log(2), 3.0]))
    assert torch.allclose(symexp(symlog(x)), x)


def test_five_bins_are_where_the_paper_puts_them() -> None:
    bins = TwoHot(5, reach=2.0).bins.tolist()
    e, e2 = math.expm1(1.0), math.expm1(2.0)
    assert bins == pytest.approx([-e2, -e, 0.0, e, e2])


def test_a_value_is_shared_by_the_two_bins_around_it() -> None:
    twohot = TwoHot(5, reach=2.0)
    quarter = math.expm1(1.0) / 4
    weights = twohot.encode(torch.tensor([[0.0, quarter], [-quarter, 100.0]]))
    assert torch.allclose(weights, torch.tensor([[[0, 0, 1, 0, 0], [0, 0, 0.75, 0.25, 0]],
                                                 [[0, 0.25, 0.75, 0, 0], [0, 0, 0, 0, 1.0]]]), atol=1e-6)


def test_decoding_turns_encoding_round() -> None:
    twohot, values = TwoHot(), torch.tensor([-1e4, -37.5, -0.1, 0.0, 1e-3, 1.0, 500.0])
    assert torch.allclose(twohot.decode(twohot.encode(values).log()), values, rtol=1e-3, atol=1e-4)


def test_equal_logits_mean_exactly_nothing() -> None:
    assert TwoHot().decode(torch.zeros(3, 255)).tolist() == [0.0, 0.0, 0.0]


def test_the_loss_is_the_cross_entropy_of_the_encoding() -> None:
    twohot, rng = TwoHot(7, reach=3.0), torch.Generator().manual_seed(0)
    logits, values = torch.randn(4, 5, 7, generator=rng), 30 * torch.randn(4, 5, generator=rng)
    wanted = -(twohot.encode(values) * logits.log_softmax(-1)).sum(-1)
    assert torch.allclose(twohot.loss(logits, values), wanted, atol=1e-6)
    assert twohot.loss(torch.zeros(1, 7), torch.ones(1)).item() == pytest.approx(math.log(7))


@pytest.mark.parametrize("count", [1, 4])
def test_an_even_or_tiny_number_of_bins_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="odd number"):
        TwoHot(count)
