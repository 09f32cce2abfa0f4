"""Lambda returns and the return scale against values worked out by hand."""

from __future__ import annotations

import pytest
import torch

from gedanken.agent.planning.actor_critic.returns import ReturnScale, lambda_returns


def test_lambda_returns_by_hand() -> None:
    gain, discount = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[0.9], [0.0], [0.5]])
    value = torch.tensor([[10.0], [20.0], [30.0], [40.0]])
    last = 3 + 0.5 * (0.2 * 40 + 0.8 * 40)  # 23
    middle = 2 + 0.0  # the episode ends there: what comes after does not count
    first = 1 + 0.9 * (0.2 * 20 + 0.8 * middle)  # 6.04
    assert torch.allclose(lambda_returns(gain, discount, value, 0.8)[:, 0], torch.tensor([first, middle, last]))


@pytest.mark.parametrize(("lam", "wanted"), [(0.0, 1 + 0.5 * 8), (1.0, 1 + 0.5 * (1 + 0.5 * 4))])
def test_between_one_step_and_the_whole_future(lam: float, wanted: float) -> None:
    ones, value = torch.ones(2, 1), torch.tensor([[0.0], [8.0], [4.0]])
    assert lambda_returns(ones, 0.5 * ones, value, lam)[0].item() == pytest.approx(wanted)


def test_the_scale_is_the_average_spread_of_the_percentiles_and_at_least_one() -> None:
    scale, returns = ReturnScale(rate=0.5), torch.linspace(0, 100, 101)
    assert scale.update(returns).item() == pytest.approx(90.0)
    assert scale.update(3 * returns).item() == pytest.approx(180.0)
    assert ReturnScale().update(returns / 1_000).item() == 1.0


def test_a_few_outliers_do_not_move_the_scale() -> None:
    returns = torch.cat([torch.linspace(0, 2, 98), torch.tensor([1e6, -1e6])])
    assert ReturnScale().update(returns).item() < 2.0
