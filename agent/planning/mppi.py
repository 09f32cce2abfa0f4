"""Model predictive path integral control (Williams et al. 2017, arXiv 1707.02342), as TD-MPC2 plans (Hansen et al.
2024, arXiv 2310.16828): sequences count by the exponential of what they are worth.

    repeat:  A ~ belief, N sequences, among them some that the model's own policy takes
             E <- the best of A;  w <- softmax(value(E) / temperature)
             belief <- refit to E by w
    follow the first action of the belief's most likely sequence

Where the model provides a value, it stands for what lies beyond the horizon; where it provides a policy, its sequences
are candidates, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...world import tree
from .sequences import Belief
from .shooting import Carry, Imagination, Shooting, ShootingConfig


@dataclass(frozen=True)
class MPPIConfig(ShootingConfig):
    """A plan imagines about `horizon * samples * iterations` transitions a state."""

    iterations: int = 3
    elites: int = 32
    temperature: float = 0.5  # in standard deviations of the elites' values, whatever their scale
    guided: int = 16  # candidates that the model's policy takes, where it provides one


class MPPI(Shooting[MPPIConfig]):
    """Plans by path integrals."""

    def __init__(self, config: MPPIConfig | None = None) -> None:
        self.config = config or MPPIConfig()

    def search(self, imagine: Imagination, rng: torch.Generator) -> Carry:
        c, belief = self.config, imagine.belief()
        policy, likeliest = self._policy(imagine, belief, rng), belief.likeliest()[:, :, None]
        for n in imagine.rounds(c.samples, c.iterations, reserve=1):
            actions = torch.cat([likeliest, policy, belief.sample(n, rng)], 2)[:, :, :n]
            imagine(actions)
            elites, value = imagine.best(c.elites)
            belief = belief.refit(elites, weights(value, c.temperature))
            likeliest = belief.likeliest()[:, :, None]
        imagine(likeliest)
        return Carry(belief, likeliest, imagine.phase)

    def _policy(self, imagine: Imagination, belief: Belief, rng: torch.Generator) -> Tensor:
        """Sequences that the model's policy takes from first actions of the belief, `[K, B, G, A]`."""
        c, model = self.config, imagine.model
        steps, cost = c.length, c.length * c.repeat * c.guided
        has_policy = "policy" in model.provides and model.schema.discrete_actions
        count = c.guided if has_policy and imagine.affords(4 * cost) else 0
        actions = belief.sample(count, rng)
        if not count:
            return actions
        imagine.spent += cost
        every = model.schema.all_actions(imagine.device)
        state = tree.repeat(imagine.state, count)
        for k in range(steps - 1):
            for _ in range(c.repeat):
                state, out = model.step(state, actions[k].flatten(0, 1), rng)
            assert out.action_logits is not None
            chosen = torch.multinomial(out.action_logits.softmax(1), 1, generator=rng)[:, 0]
            actions[k + 1] = every[chosen].view_as(actions[k])
        return actions


def weights(value: Tensor, temperature: float) -> Tensor:
    """Weights of the elites `[B, E]`, summing to one: `softmax(value / (temperature * std))`; none for a broken one."""
    honest = value.isfinite()
    filled = torch.where(honest, value, value.nan_to_num(neginf=0.0)[:, :1])
    scale = filled.std(1, keepdim=True, correction=0).clamp_min(1e-6) * temperature
    odds = torch.where(honest | ~honest.any(1, keepdim=True), filled / scale, -torch.inf)
    return odds.softmax(1)
