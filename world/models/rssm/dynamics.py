"""The dynamics: a block-diagonal GRU and the two distributions of the latents that it carries.

    h' = BlockGRU(h; h, z, given)      given: the features the state stands for, and the action
    z' ~ p(z' | h')                    imagined (prior)
    z' ~ q(z' | h', x')                observed (posterior)

Letters: D units of `h` in G blocks, H hidden units, S latents of K classes; N rows, B sequences, T steps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import RSSMConfig
from .latents import draw, straight_through, uniforms, unimix
from .layers import Lookup, Norm


class Dynamics(nn.Module):
    """What moves the state. Inputs come as sums `[N, H]` of linear reads, made for all time steps at once."""

    def __init__(self, config: RSSMConfig) -> None:
        super().__init__()
        self.config = c = config
        width = c.deter // c.blocks
        self.read_deter = nn.Linear(c.deter, 2 * c.hidden)  # for the next step | for the posterior
        self.read_stoch = Lookup(torch.full((c.latents,), c.classes), c.hidden)
        self.inputs_norm = Norm(3, c.hidden)
        self.shared = nn.Linear(3 * c.hidden, c.deter)
        self.within = nn.Parameter(torch.randn(c.blocks, width, width) / width**0.5)
        self.norm = Norm(c.deter)
        self.gates = nn.Parameter(torch.randn(c.blocks, width, 3 * width) / width**0.5)
        self.gates_bias = nn.Parameter(torch.zeros(c.blocks, 1, 3 * width))
        self.prior = nn.Sequential(
            nn.Linear(c.deter, c.hidden), Norm(c.hidden), nn.Linear(c.hidden, c.hidden), Norm(c.hidden),
            nn.Linear(c.hidden, c.latents * c.classes))
        self.posterior = nn.Sequential(Norm(c.hidden), nn.Linear(c.hidden, c.latents * c.classes))

    def advance(self, deter: Tensor, stoch: Tensor, given: Tensor, read: Tensor | None = None) -> Tensor:
        """The next `[N, D]` from `deter [N, D]` and the linear reads of the latents and of what is given, `[N, H]`
        each; `read [N, H]` is that of `deter` itself, if it is known."""
        n, c = len(deter), self.config
        if read is None:
            read = F.linear(deter, self.read_deter.weight[: c.hidden], self.read_deter.bias[: c.hidden])
        inputs = self.inputs_norm(torch.stack([read, stoch, given], 1)).flatten(1)
        before = self._blocks(deter)
        hidden = self.norm(self._flat(torch.baddbmm(self._blocks(self.shared(inputs)), before, self.within), n))
        reset, candidate, update = torch.baddbmm(self.gates_bias, self._blocks(hidden), self.gates).chunk(3, -1)
        candidate = _tanh(reset.sigmoid() * candidate)
        return self._flat(torch.lerp(before, candidate, (update - 1).sigmoid()), n)

    def imagined(self, deter: Tensor) -> Tensor:
        """The prior `[..., S, K]` of the latents."""
        return self._probs(self.prior(deter))

    def posterior_read(self, deter: Tensor) -> Tensor:
        """The posterior's linear read `[..., H]` of the deterministic part."""
        return F.linear(deter, self.read_deter.weight[self.config.hidden :], self.read_deter.bias[self.config.hidden :])

    def conditioned(self, read: Tensor, tokens: Tensor) -> Tensor:
        """The posterior `[..., S, K]` from the linear reads of the deterministic part and of what is seen."""
        return self._probs(self.posterior(read + tokens))

    def filtered(self, tokens: Tensor, given: Tensor, rng: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
        """Observed sequences: `tokens [T + 1, B, H]` and `given [T, B, H]` to the deterministic part
        `[T + 1, B, D]`, the posterior `[T + 1, B, S, K]` and its draws `[T + 1, B, S * K]`, which let gradients
        pass."""
        c, batch = self.config, tokens.shape[1]
        uniform = uniforms(len(tokens), batch, c.latents, rng=rng, like=tokens)
        deters: list[Tensor] = [tokens.new_zeros(batch, c.deter)]
        posteriors: list[Tensor] = []
        draws: list[Tensor] = []
        for t in range(len(tokens)):
            read, for_posterior = self.read_deter(deters[-1]).split(c.hidden, -1)
            probs = self.conditioned(for_posterior, tokens[t])
            draws.append(straight_through(draw(probs, None if uniform is None else uniform[t]), probs))
            posteriors.append(probs)
            if t < len(given):
                deters.append(self.advance(deters[-1], self.read_stoch.dense(draws[-1]), given[t], read))
        return torch.stack(deters), torch.stack(posteriors), torch.stack(draws)

    def _probs(self, logits: Tensor) -> Tensor:
        return unimix(logits.unflatten(-1, (self.config.latents, self.config.classes)), self.config.unimix)

    def _blocks(self, x: Tensor) -> Tensor:
        """`[N, D]` to `[G, N, D / G]`, a view."""
        return x.view(len(x), self.config.blocks, -1).transpose(0, 1)

    def _flat(self, blocks: Tensor, n: int) -> Tensor:
        return blocks.transpose(0, 1).reshape(n, -1)


def _tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent by way of the sigmoid, which is four times faster on a CPU; exact to 1e-7."""
    return 2 * (2 * x).sigmoid() - 1
