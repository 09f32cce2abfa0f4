"""The equations of Hafner et al. 2023 (arXiv 2301.04104 v2), against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from gedanken.world.models.rssm.config import RSSMConfig
from gedanken.world.models.rssm.dynamics import Dynamics
from gedanken.world.models.rssm.latents import coupled, draw, kl, straight_through, unimix
from gedanken.world.models.rssm.layers import Lookup, Norm

torch.set_num_threads(1)


def test_unimix() -> None:
    """logits log(8), 0, 0, 0: probabilities 8/11, 1/11, 1/11, 1/11, mixed with 1% of a quarter each."""
    probs = unimix(torch.tensor([math.log(8), 0, 0, 0]), 0.01)
    assert probs.tolist() == pytest.approx([0.99 * 8 / 11 + 0.0025, *[0.99 / 11 + 0.0025] * 3])
    assert unimix(torch.tensor([1e4, 0.0]), 0.01).tolist() == pytest.approx([0.995, 0.005])


def test_kl_balance_and_free_bits() -> None:
    """Two latents, q = (.9, .1) and p = (.5, .5) each; the gradients of the two sides differ by their weights."""
    one = 0.9 * math.log(1.8) + 0.1 * math.log(0.2)
    q, p = torch.tensor([[0.9, 0.1]] * 2, requires_grad=True), torch.tensor([[0.5, 0.5]] * 2, requires_grad=True)
    assert kl(q, p).item() == pytest.approx(2 * one)
    dyn, rep = 1.0 * kl(q.detach(), p).clamp_min(0.5), 0.1 * kl(q, p.detach()).clamp_min(0.5)
    (dyn + rep).backward()
    assert p.grad is not None
    assert q.grad is not None
    assert torch.allclose(p.grad, -torch.tensor([[0.9, 0.1]] * 2) / 0.5)
    assert torch.allclose(q.grad, 0.1 * (torch.tensor([[math.log(1.8), math.log(0.2)]] * 2) + 1))
    q.grad = p.grad = None
    kl(q, p).clamp_min(1.0).backward()  # below the free nat: no gradient
    assert p.grad is None or not p.grad.any()


def test_draws_follow_their_probabilities_and_pass_gradients() -> None:
    rng = torch.Generator().manual_seed(0)
    probs = torch.tensor([[0.7, 0.1, 0.2]]).expand(20_000, 1, 3)
    codes = draw(probs, torch.rand(20_000, 1, 1, generator=rng))
    assert F.one_hot(codes[:, 0], 3).float().mean(0).tolist() == pytest.approx([0.7, 0.1, 0.2], abs=0.015)
    assert draw(probs, None).unique().tolist() == [0]
    leaf = torch.tensor([[0.6, 0.4]], requires_grad=True)
    row = straight_through(torch.tensor([1]), leaf)
    assert row.tolist() == [0.0, 1.0]
    row.backward(torch.tensor([2.0, 5.0]))
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [[2.0, 5.0]]


def test_coupling_draws_the_new_distribution_and_changes_as_little_as_it_can() -> None:
    rng = torch.Generator().manual_seed(0)
    old, new = torch.tensor([0.6, 0.3, 0.1]).expand(40_000, 1, 3), torch.tensor([0.2, 0.3, 0.5]).expand(40_000, 1, 3)
    before = draw(old, torch.rand(40_000, 1, 1, generator=rng))
    after = coupled(before, old, new, rng)
    assert F.one_hot(after[:, 0], 3).float().mean(0).tolist() == pytest.approx([0.2, 0.3, 0.5], abs=0.015)
    assert (after != before).float().mean().item() == pytest.approx(0.4, abs=0.015)  # the total variation distance
    assert torch.equal(coupled(before, old, old, rng), before)
    assert torch.equal(coupled(before, old, old, None), before)
    assert coupled(before, old, new, None).unique().tolist() == [2]


def test_a_lookup_multiplies_by_one_hot_rows() -> None:
    lookup = Lookup(torch.tensor([3, 2]), 5)
    codes = torch.tensor([[[2, 0], [0, 1]], [[1, 1], [2, 1]]])
    onehot = torch.cat([F.one_hot(codes[..., 0], 3), F.one_hot(codes[..., 1], 2)], -1).float()
    assert torch.allclose(lookup(codes), lookup.dense(onehot), atol=1e-6)


def test_the_block_gru() -> None:
    """Against the plain loop over blocks: every block sees its own units and all of the inputs."""
    torch.manual_seed(0)
    c = RSSMConfig(deter=8, blocks=2, hidden=3, latents=2, classes=3)
    d, n, k = Dynamics(c), 5, 4
    deter, stoch, given = torch.randn(n, 8), torch.randn(n, 3), torch.randn(n, 3)

    def norm(x: torch.Tensor) -> torch.Tensor:
        return F.silu(x / (x.square().mean(-1, keepdim=True) + 1e-4).sqrt())

    read = deter @ d.read_deter.weight[:3].T + d.read_deter.bias[:3]
    x = torch.cat([norm(read), norm(stoch), norm(given)], -1) @ d.shared.weight.T + d.shared.bias
    x = norm(x + torch.cat([deter[:, b * k : (b + 1) * k] @ d.within[b] for b in range(2)], -1))
    parts = []
    for b in range(2):
        reset, candidate, update = (x[:, b * k : (b + 1) * k] @ d.gates[b] + d.gates_bias[b]).chunk(3, -1)
        update = torch.sigmoid(update - 1)
        parts.append(update * torch.tanh(torch.sigmoid(reset) * candidate)
                     + (1 - update) * deter[:, b * k : (b + 1) * k])
    assert torch.allclose(d.advance(deter, stoch, given), torch.cat(parts, -1), atol=1e-5)


def test_the_norm_is_the_root_mean_square_and_silu() -> None:
    x = torch.tensor([[3.0, 4.0]])
    rms = math.sqrt(12.5 + 1e-4)
    assert Norm(2)(x)[0].tolist() == pytest.approx([v / rms / (1 + math.exp(-v / rms)) for v in (3, 4)])
