"""What one gradient step minimises: REINFORCE for the actor, two-hot regression on lambda returns for the critic."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ....world.schema import Schema
from ....world.twohot import TwoHot
from ..dream import Dream
from ..networks import mlp
from ..reader import Reader
from .policy import Actions, Policy
from .returns import ReturnScale, lambda_returns


@dataclass(frozen=True)
class ActorCriticConfig:
    """DreamerV3's settings (arXiv 2301.04104, table 4), but for small networks and the pace of some hundred gradient
    steps on one CPU core: there the paper's rates of 4e-5, and of 0.02 for the slow critic, would hold values down. The
    discount is the objective's own."""

    horizon: int = 15  # imagined steps of a dream
    sequences: int = 8  # real sequences a gradient step, of
    length: int = 16  # transitions each; dreams begin at every state of theirs
    steps: int = 300  # gradient steps of one `improve`
    rate: float = 3e-3
    clip: float = 100.0
    width: int = 128
    layers: int = 2
    bins: int = 127
    lam: float = 0.95
    entropy: float = 3e-4
    slow_rate: float = 0.1  # by which the slow critic follows
    slow_weight: float = 0.3  # of the regulariser towards it
    infeasible: float = 10.0  # cost of a choice that must not be executed
    lookahead: int = 1  # imagined steps of a plan: one shows whether the action may be taken
    greedy: bool = False  # plans take the likeliest action; otherwise one is drawn, which explores


class Networks(nn.Module):
    """The networks: what they read, the actor, the critic and its slow copy. B rows, P policy parameters, K bins."""

    def __init__(self, schema: Schema, config: ActorCriticConfig, latent: int, carried: int,
                 rng: torch.Generator) -> None:
        super().__init__()
        c = config
        self.reader, self.actions = Reader(schema, latent, carried), Actions(schema)
        self.twohot = TwoHot(c.bins)
        inputs = self.reader.width
        self.actor = mlp(inputs, c.width, c.layers, self.actions.parameters, rng, 0.01)
        self.critic = mlp(inputs, c.width, c.layers, c.bins, rng, 0.0)
        self.slow = mlp(inputs, c.width, c.layers, c.bins, rng, 0.0).requires_grad_(False)
        self.slow.load_state_dict(self.critic.state_dict())

    def policy(self, inputs: Tensor) -> Policy:
        """The policy at inputs `[..., I]`."""
        return self.actions.policy(self.actor(inputs))

    def value(self, inputs: Tensor) -> Tensor:
        """The critic's values at inputs `[..., I]`: `[...]`."""
        return self.twohot.decode(self.critic(inputs))


def losses(networks: Networks, dream: Dream, config: ActorCriticConfig, scale: ReturnScale,
           discount: float) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The losses of one dream (to be summed), and figures of it.

    The actor follows the score function weighted by advantages, in units of the return scale, for discrete and
    continuous actions alike (equation 6); states count by the probability that the episode still runs there.
    """
    onward = discount * dream.cont
    weight = torch.cat([torch.ones_like(onward[:1]), onward[:-1].cumprod(0)])
    share = weight * dream.valid / (len(weight) * dream.valid.sum()).clamp_min(1)
    odds = networks.critic(dream.inputs)  # [H + 1, N, K]
    value = networks.twohot.decode(odds.detach())
    returns = lambda_returns(dream.gain, onward, value, config.lam)
    spread = scale.update(returns[:, dream.valid])
    policy = networks.policy(dream.inputs[:-1])
    advantage, entropy = (returns - value[:-1]) / spread, policy.entropy()
    with torch.no_grad():
        slow = networks.twohot.decode(networks.slow(dream.inputs[:-1]))
    odds = odds[:-1]
    towards = networks.twohot.loss(odds, returns) + config.slow_weight * networks.twohot.loss(odds, slow)
    chased = advantage * policy.log_prob(dream.chosen) + config.entropy * entropy
    found = {"actor": -(share * chased).sum(), "critic": (share * towards).sum()}
    return found, {"return": returns[0, dream.valid].mean().item(), "entropy": entropy.mean().item(),
                   "scale": spread.item(), "infeasible": 1 - dream.feasible.float().mean().item()}
