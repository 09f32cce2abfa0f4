"""A recurrent state space model for worlds of vectors: the learned dynamics that need no grid.

The PlaNet and Dreamer family (Hafner et al. 2019, arXiv 1811.04551; 2023, arXiv 2301.04104), cut down to what learns
from a thousand transitions:

    h' = GRU(h, z, x, a)               deterministic path
    z' ~ p(z'|h')   or   q(z'|h', x')  stochastic path: imagined (prior) or observed (posterior)
    x' ~ p(x'|h', z', x, a)            a change for a real feature, keep or replace for a discrete one
    r', c' = f(z', x, a, x')           reward, and the logit that the episode goes on

The loss scores one observed step and, open loop, `overshoot` imagined ones. Letters: N rows, B sequences, T steps,
R real numbers, C codes, V one-hot places (the sum of the codes' cardinalities), Z latents, D hidden units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import tree
from ..distributions import Categorical, Distribution, Normal
from ..model import Batch, Outcome
from ..schema import Features, Schema
from ..training import TrainingConfig
from .scaled import Scaled, bce

_LEAST_LATENT_STD = 0.1


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes and the weights of the loss; about 100,000 parameters for a handful of features."""

    hidden: int = 96
    latent: int = 16
    width: int = 96
    overshoot: int = 8  # imagined steps of the open-loop loss
    stride: int = 4  # steps between the posteriors that imagination starts from
    kl_weight: float = 0.1
    kl_balance: float = 0.8  # share of the KL that trains the prior
    free_nats: float = 1.0
    least_std: float = 0.02  # in units of the feature's usual change a step
    weight_decay: float = 1e-2


@dataclass(frozen=True)
class Belief:
    """N rows: `hidden [N, D]`, `latent [N, Z]` and the features they stand for, `reals [N, R]` and `codes [N, C]`.

    The features are carried along as observed, as corrected or as imagined: decoding what was observed gives exactly
    that, and a change predicted from a corrected value is added to the corrected value.
    """

    hidden: Tensor
    latent: Tensor
    reals: Tensor
    codes: Tensor


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, outputs))


def _plain(inputs: int, width: int) -> nn.Sequential:
    # Without a norm: weight decay then bounds how sharply it can bend, which few ends need most.
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, 1))


class Recurrent(Scaled):
    """A world model of named feature vectors (`WorldModel`). Call `fit_normaliser` on the data before training."""

    provides = frozenset({"reward", "end", "uncertainty"})

    def __init__(self, schema: Schema, config: RecurrentConfig | None = None) -> None:
        super().__init__(schema)
        self.blind("recurrent model")
        self.config = c = config or RecurrentConfig()
        reals, codes, places, seen = self.layout.reals, self.layout.codes, self.layout.places, self.seen_size
        inputs = seen + self.act_size
        self.embed = nn.Sequential(nn.Linear(c.latent + inputs, c.width), nn.LayerNorm(c.width), nn.SiLU())
        self.cell = nn.GRUCell(c.width, c.hidden)
        self.prior = _mlp(c.hidden, c.width, 2 * c.latent)
        self.posterior = _mlp(c.hidden + seen, c.width, 2 * c.latent)
        self.heads = _mlp(c.hidden + c.latent + inputs, c.width, 2 * reals + places + 3 * codes)
        self.reward_head = _plain(c.latent + inputs + seen + reals, c.width)
        self.cont_head = _plain(c.latent + inputs + seen + reals, c.width)

    @staticmethod
    def recipe() -> TrainingConfig:
        """The training that suits this model: sequences long enough to be imagined open loop."""
        return TrainingConfig(steps=600, min_steps=400, batch=32, length=16, rate=3e-3, patience=4)

    def initial(self, n: int) -> Belief:
        zeros = self.mean.new_zeros
        return Belief(zeros(n, self.config.hidden), zeros(n, self.config.latent), self.mean.repeat(n, 1),
                      self.layout.base.new_zeros(n, self.layout.codes))

    @torch.no_grad()
    def observe(self, state: Belief, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> Belief:
        hidden = torch.zeros_like(state.hidden)
        if action is not None:
            inputs = torch.cat([self.seen(state.reals, state.codes), self.act(action)], -1)
            moved = self._advance(state.hidden, state.latent, inputs)
            hidden = moved if reset is None else torch.where(reset[:, None], hidden, moved)
        return self._condition(hidden, features, rng)

    @torch.no_grad()
    def step(self, state: Belief, action: Tensor, rng: torch.Generator | None = None) -> tuple[Belief, Outcome]:
        """One imagined step. With `rng` the latent and then the features are drawn, and the state carries what was
        drawn (`decode` it); the outcome holds the distribution it was drawn from."""
        after, normal, logits, reward, cont = self._imagine(state, action, rng)
        features: dict[str, Distribution] = {}
        parts = zip(*(x.split(self.layout.real_sizes, -1) for x in normal), strict=True)
        for f, (mean, std) in zip(self.layout.real, parts, strict=True):
            features[f.name] = Normal(f, (mean.round() if f.is_discrete else mean).reshape(-1, *f.shape),
                                      std.reshape(-1, *f.shape))
        # Nats above the surest prediction there can be, summed over the features.
        uncertainty = (normal[1] / (self.change * self.config.least_std)).log().sum(-1)
        for f, odds in zip(self.layout.discrete, self.layout.split(logits), strict=True):
            features[f.name] = Categorical(f, odds)
            uncertainty = uncertainty + features[f.name].entropy()
        return after, Outcome({f.name: features[f.name] for f in self.schema.features},
                              reward * self.reward_std + self.reward_mean, cont.sigmoid(),
                              torch.ones_like(cont, dtype=torch.bool), uncertainty)

    @torch.no_grad()
    def assimilate(self, state: Belief, features: Features, rows: Tensor, rng: torch.Generator | None = None) -> Belief:
        """The posterior given `features` at the step the state stands for: same `hidden`, another latent."""
        return tree.choose(rows, self._condition(state.hidden, features, rng), state)

    def decode(self, state: Belief) -> dict[str, Tensor]:
        """The features the state stands for: exactly those observed or assimilated last, else the imagined ones."""
        return self.layout.unpack(state.reals, state.codes)

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """`kl`; `features`, `reward` and `cont` of observed steps; `open_loop` of imagined ones, which `reward` and
        `cont` count too. Each is a mean over the transitions that `batch.mask` holds for. Without `rng` latents are
        their means."""
        c, device = self.config, self.mean.device
        reals, codes = (x.transpose(0, 1) for x in self.layout.pack(batch.features))  # [T + 1, B, ...]
        action, reward, ended, mask = (
            x.to(device).transpose(0, 1) for x in (batch.action, batch.reward, batch.terminated, batch.mask))
        paid, goes_on = (reward - self.reward_mean) / self.reward_std, 1 - ended.float()
        weight, length = mask.float(), len(mask)

        seen = self.seen(reals, codes)
        inputs = torch.cat([seen[:-1], self.act(action)], -1)
        hidden = [self.mean.new_zeros(mask.shape[1], c.hidden)]
        posteriors = [self.posterior(torch.cat([hidden[0], seen[0]], -1))]
        latent = [_draw(posteriors[0], rng)]
        for t in range(length):
            hidden.append(self._advance(hidden[-1], latent[-1], inputs[t]))
            posteriors.append(self.posterior(torch.cat([hidden[-1], seen[t + 1]], -1)))
            latent.append(_draw(posteriors[-1], rng))
        track = Belief(torch.stack(hidden), torch.stack(latent), reals, codes)  # [T + 1, B, ...]
        before, after = (tree.tree_map(lambda x, s=s: x[s].flatten(0, 1), track) for s in (slice(-1), slice(1, None)))
        inputs, here, q = inputs.flatten(0, 1), weight.flatten(), torch.cat(posteriors[1:])
        mean, std, logits = self._features(before, after.hidden, after.latent, inputs)
        pay, cont = self._outlook(after, inputs)
        p, prior_share = self.prior(after.hidden), c.kl_balance
        kl = (prior_share * _kl(q.detach(), p).clamp_min(c.free_nats)
              + (1 - prior_share) * _kl(q, p.detach()).clamp_min(c.free_nats))
        error, std = (after.reals - mean) / self.change, std / self.change
        # Seitzer et al. 2022 (arXiv 2203.09168): times std, so that a sure feature does not drown the others.
        surprise = ((0.5 * (error / std).square() + std.log()) * std.detach()).sum(-1)
        surprise = surprise + self.surprise(logits, after.codes)
        terms = {"kl": c.kl_weight * kl, "features": surprise, "reward": (pay - paid.flatten()).square(),
                 "cont": bce(cont, goes_on.flatten())}
        losses = {name: (term * here).sum() / here.sum().clamp_min(1) for name, term in terms.items()}

        # Open loop: latent overshooting (Hafner et al. 2019) on the decoded features, which is what planning will do.
        starts = torch.arange(0, length, c.stride, device=device)
        belief: Belief = tree.tree_map(lambda x: x[starts].flatten(0, 1), track)
        sums, count = dict.fromkeys(("open_loop", "reward", "cont"), self.mean.new_zeros(())), self.mean.new_zeros(())
        for k in range(min(c.overshoot, length)):
            at = (starts + k).clamp_max(length - 1)
            here = (weight[at] * (starts + k < length)[:, None]).flatten()
            belief, _, logits, pay, cont = self._imagine(belief, action[at].flatten(0, 1), rng, draws_features=False)
            # Errors add up like a random walk's, so step k counts by its variance.
            error = (belief.reals - reals[at + 1].flatten(0, 1)) / (self.change * math.sqrt(k + 1))
            terms = {"open_loop": 0.5 * error.square().sum(-1) + self.surprise(logits, codes[at + 1].flatten(0, 1)),
                     "reward": (pay - paid[at].flatten()).square(), "cont": bce(cont, goes_on[at].flatten())}
            sums = {name: sums[name] + (term * here).sum() for name, term in terms.items()}
            count = count + here.sum()
        return losses | {name: losses.get(name, 0.0) + s / count.clamp_min(1) for name, s in sums.items()}

    def parameter_groups(self) -> list[dict]:
        """For AdamW: weights decay, biases and norms do not."""
        every = list(self.parameters())
        return [{"params": [p for p in every if p.dim() > 1], "weight_decay": self.config.weight_decay},
                {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0}]

    def _advance(self, hidden: Tensor, latent: Tensor, inputs: Tensor) -> Tensor:
        return self.cell(self.embed(torch.cat([latent, inputs], -1)), hidden)

    def _condition(self, hidden: Tensor, features: Features, rng: torch.Generator | None) -> Belief:
        reals, codes = self.layout.pack(features)
        q = self.posterior(torch.cat([hidden, self.seen(reals, codes)], -1))
        return Belief(hidden, _draw(q, rng), reals, codes)

    def _features(self, before: Belief, hidden: Tensor, latent: Tensor,
                  inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The next features: `mean` and `std [N, R]` in their own units, `logits [N, V]`."""
        r, v, c = self.layout.reals, self.layout.places, self.layout.codes
        change, spread, logits, bonus = self.heads(torch.cat([hidden, latent, inputs], -1)).split([r, r, v, 3 * c], -1)
        mean = (before.reals + self.change * change).clamp(self.layout.low, self.layout.high)
        std = self.change * (F.softplus(spread - 1) + self.config.least_std)
        return mean, std, logits + self.layout.moved(before.codes, bonus.view(len(bonus), 3, c))

    def _outlook(self, after: Belief, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled reward and the logit of going on, `[N]` each. Both see the features the step leads to, and squares
        of the real ones (costs and limits); not the hidden units, by which they would learn a few ends by heart."""
        seen = self.seen(after.reals, after.codes)
        x = torch.cat([after.latent, inputs, seen, seen[:, : self.layout.reals].square()], -1)
        return self.reward_head(x)[:, 0], self.cont_head(x)[:, 0]

    def _imagine(self, before: Belief, action: Tensor, rng: torch.Generator | None, draws_features: bool = True,
                 ) -> tuple[Belief, tuple[Tensor, Tensor], Tensor, Tensor, Tensor]:
        """One prior step: the belief, (mean, std), logits, scaled reward, logit of going on."""
        inputs = torch.cat([self.seen(before.reals, before.codes), self.act(action)], -1)
        hidden = self._advance(before.hidden, before.latent, inputs)
        latent = _draw(self.prior(hidden), rng)
        mean, std, logits = self._features(before, hidden, latent, inputs)
        reals, odds = mean, logits
        if rng is not None and draws_features:
            reals = mean + std * torch.empty_like(mean).normal_(generator=rng)
            odds = logits - torch.empty_like(logits).exponential_(generator=rng).log()  # Gumbel: argmax is a draw
        after = Belief(hidden, latent, reals, self.chosen(odds))
        return after, (mean, std), logits, *self._outlook(after, inputs)


def _normal(parameters: Tensor) -> tuple[Tensor, Tensor]:
    mean, spread = parameters.chunk(2, -1)
    return mean, F.softplus(spread) + _LEAST_LATENT_STD


def _draw(parameters: Tensor, rng: torch.Generator | None) -> Tensor:
    mean, std = _normal(parameters)
    return mean if rng is None else mean + std * torch.empty_like(mean).normal_(generator=rng)


def _kl(q: Tensor, p: Tensor) -> Tensor:
    """KL(q || p) of diagonal normals, parameters `[N, 2 Z]`: `[N]`."""
    (q_mean, q_std), (p_mean, p_std) = _normal(q), _normal(p)
    square = (q_std.square() + (q_mean - p_mean).square()) / (2 * p_std.square())
    return (p_std.log() - q_std.log() + square - 0.5).sum(-1)
