"""A probabilistic ensemble in observation space: explicit dynamics for small, fully observed worlds.

PETS (Chua et al. 2018, arXiv 1805.12114): E networks, each trained on its own bootstrap of the data, say how the
features change and how sure they are; where they differ, the data decide nothing yet.

    x' ~ p_e(x'|x, a)           normal changes with bounded, learned variances; keep or replace for discrete features
    r', c' = g_e(x, a, x')      reward, and the logit that the episode goes on

A state is the features themselves. With `rng` every row follows one member for the rest of its imagination (TS-inf),
drawn at its first step; without, the members' mean. Letters: E members, N rows, B sequences, T steps, R reals, C codes,
V one-hot places.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import tree
from ..distributions import Categorical, Distribution, Normal
from ..fingerprint import fingerprint
from ..model import Batch, Outcome
from ..schema import Features, Schema
from ..training import TrainingConfig
from .scaled import Scaled, bce

UNDRAWN = -1
"""The member of a row that follows none yet."""
_POISSON = torch.tensor([math.exp(-1) / math.factorial(k) for k in range(8)], dtype=torch.float64).cumsum(0)
_GOLDEN, _MIXERS = -7046029254386353131, (-4658895280553007687, -7723592293110705685)  # splitmix64's


@dataclass(frozen=True)
class EnsembleConfig:
    """Sizes; about 60,000 parameters for a handful of features."""

    members: int = 5
    width: int = 64
    layers: int = 2  # hidden ones
    bounds_weight: float = 0.01  # pulls the learned bounds of the log variances together
    least_std: float = 0.05  # differences below this share of the usual change count as none
    weight_decay: float = 1e-3
    bootstrap: bool = True


@dataclass(frozen=True)
class Followed:
    """N rows: the features, `reals [N, R]` and `codes [N, C]`, and the `member [N]` each row follows (-1: undrawn)."""

    reals: Tensor
    codes: Tensor
    member: Tensor


@dataclass(frozen=True)
class Predicted:
    """What each member says of N rows (without the first axis: what one of them or all say): `mean` and `variance
    [E, N, R]` in the features' units, `logits [E, N, V]`, scaled `reward [E, N]`, and the logit of going on, `cont`."""

    mean: Tensor
    variance: Tensor
    logits: Tensor
    reward: Tensor
    cont: Tensor


class Members(nn.Module):
    """E perceptrons of one shape, side by side: `[E, N, inputs]` (or `[N, inputs]` for all) to `[E, N, outputs]`, one
    batched product a layer."""

    def __init__(self, members: int, inputs: int, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        sizes = [inputs, *[width] * layers, outputs]
        pairs = list(itertools.pairwise(sizes))
        self.weights = nn.ParameterList(
            nn.init.trunc_normal_(torch.empty(members, i, o), std=1 / (2 * math.sqrt(i)), a=-9, b=9) for i, o in pairs)
        self.biases = nn.ParameterList(torch.zeros(members, 1, o) for _, o in pairs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(len(self.weights[0]), *x.shape[-2:])
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, F.silu(x) if k else x, weight)
        return x


class Ensemble(Scaled):
    """A world model of named feature vectors that shows what it does not know (`WorldModel`)."""

    provides = frozenset({"reward", "end", "uncertainty", "stochastic"})
    beyond = 0.5

    def __init__(self, schema: Schema, config: EnsembleConfig | None = None) -> None:
        super().__init__(schema)
        self.blind("ensemble")
        self.config = c = config or EnsembleConfig()
        reals, codes, places, seen = self.layout.reals, self.layout.codes, self.layout.places, self.seen_size
        inputs = seen + self.act_size
        self.dynamics = Members(c.members, inputs, c.width, c.layers, 2 * reals + places + 3 * codes)
        self.outlook = Members(c.members, inputs + seen + reals, c.width, c.layers, 2)
        self.least_log_variance = nn.Parameter(torch.full((c.members, 1, reals), -10.0))
        self.most_log_variance = nn.Parameter(torch.full((c.members, 1, reals), 0.5))

    @staticmethod
    def recipe() -> TrainingConfig:
        """The training that suits this model: single transitions."""
        return TrainingConfig(steps=1500, min_steps=500, batch=128, length=1, rate=3e-3, patience=5)

    def prepare(self, everything: Batch, is_first: bool) -> None:
        """Before every training, take the scales from all the data: what is lived later may be of another size."""
        self.fit_normaliser(everything.features, everything.mask, everything.reward)

    def initial(self, n: int) -> Followed:
        codes = self.layout.base.new_zeros(n, self.layout.codes)
        return Followed(self.mean.repeat(n, 1), codes, codes.new_full((n,), UNDRAWN))

    def observe(self, state: Followed, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> Followed:
        """The features as they are; the world is taken as fully observed."""
        reals, codes = self.layout.pack(features)
        return Followed(reals, codes, torch.full_like(state.member, UNDRAWN))

    @torch.no_grad()
    def step(self, state: Followed, action: Tensor, rng: torch.Generator | None = None) -> tuple[Followed, Outcome]:
        """One imagined step. Without `rng` the members' average, whose spread is theirs and their differences'; with it
        the outcome is of the member each row follows, and the state carries what was drawn from it.

        `uncertainty` is what knowing the right member would tell of the outcome, in nats: noise does not count."""
        p = self._predict(state.reals, state.codes, action)
        if rng is None:
            member, said = state.member, self._average(p)
            reals, odds = said.mean, said.logits
        else:
            member = _drawn(state.member, self.config.members, rng)
            said = tree.tree_map(lambda x: x[member, torch.arange(len(member))], p)
            reals = said.mean + said.variance.sqrt() * torch.empty_like(said.mean).normal_(generator=rng)
            reals = reals.clamp(self.layout.low, self.layout.high)
            odds = said.logits - torch.empty_like(said.logits).exponential_(generator=rng).log()  # Gumbel: a draw
        after = Followed(reals, self.chosen(odds), member)
        return after, Outcome(self._distributions(said), said.reward * self.reward_std + self.reward_mean,
                              said.cont.sigmoid(), torch.ones_like(said.cont, dtype=torch.bool), self._disagreement(p))

    def assimilate(self, state: Followed, features: Features, rows: Tensor,
                   rng: torch.Generator | None = None) -> Followed:
        """The corrected features; each row goes on with the member it follows."""
        reals, codes = self.layout.pack(features)
        return tree.choose(rows, Followed(reals, codes, state.member), state)

    def decode(self, state: Followed) -> dict[str, Tensor]:
        return self.layout.unpack(state.reals, state.codes)

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """`features`, `reward` and `cont`, means over the transitions that `batch.mask` holds for and over the members,
        and `bounds`. With `rng`, in training, each member counts a transition as often as its bootstrap does; without,
        all of them count every one once."""
        c, mask = self.config, batch.mask
        now, after = (self.layout.pack({k: v[:, s][mask] for k, v in batch.features.items()})
                      for s in (slice(-1), slice(1, None)))
        action, paid = batch.action[mask], (batch.reward[mask] - self.reward_mean) / self.reward_std
        weight = self.mean.new_ones(c.members, len(action))
        if rng is not None and c.bootstrap:
            weight = bootstrap(fingerprint({"reals": now[0], "codes": now[1]}, action), c.members)
        p = self._predict(*now, action, after)
        # Seitzer et al. 2022 (arXiv 2203.09168): times std, so that a sure feature does not drown the others.
        variance = p.variance / self.change.square()
        error = ((after[0] - p.mean) / self.change).square()
        surprise = 0.5 * (error / variance + variance.log())
        surprise = (surprise if rng is None else surprise * variance.detach().sqrt()).sum(-1)
        nats = self.surprise(p.logits.flatten(0, 1), after[1].repeat(c.members, 1)).view_as(surprise)
        goes_on = (1 - batch.terminated[mask].float()).expand_as(p.cont)
        terms = {"features": surprise + nats, "reward": (p.reward - paid).square(), "cont": bce(p.cont, goes_on)}
        losses = {name: (term * weight).sum() / weight.sum().clamp_min(1) for name, term in terms.items()}
        return losses | {"bounds": c.bounds_weight * (self.most_log_variance - self.least_log_variance).mean(0).sum()}

    def parameter_groups(self) -> list[dict]:
        """For AdamW: weights decay, biases and bounds do not."""
        decays = [*self.dynamics.weights, *self.outlook.weights]
        free = [*self.dynamics.biases, *self.outlook.biases, self.least_log_variance, self.most_log_variance]
        return [{"params": decays, "weight_decay": self.config.weight_decay}, {"params": free, "weight_decay": 0.0}]

    def _predict(self, reals: Tensor, codes: Tensor, action: Tensor,
                 after: tuple[Tensor, Tensor] | None = None) -> Predicted:
        """What each member says follows. It reads reward and end off the packed features `after` where they are known,
        else off those that it expects itself."""
        r, v, c = self.layout.reals, self.layout.places, self.layout.codes
        inputs = torch.cat([self.seen(reals, codes), self.act(action)], -1)
        change, spread, logits, bonus = self.dynamics(inputs).split([r, r, v, 3 * c], -1)
        mean = (reals + self.change * change).clamp(self.layout.low, self.layout.high)
        most, least = self.most_log_variance, self.least_log_variance
        spread = least + F.softplus(most - F.softplus(most - spread) - least)
        if c:
            every = (len(change) * len(reals), 3, c)
            logits = logits + self.layout.moved(codes.repeat(len(change), 1), bonus.reshape(every)).view_as(logits)
        if after is None:
            following = self.chosen(logits.flatten(0, 1)).view(*logits.shape[:2], c)
            seen = self.seen(mean, following)
        else:
            seen = self.seen(*after).expand(len(change), -1, -1)
        # Squares of the real features as well: costs and limits are often of that kind.
        x = torch.cat([inputs.expand(len(change), -1, -1), seen, seen[..., :r].square()], -1)
        reward, cont = self.outlook(x).unbind(-1)
        return Predicted(mean, self.change.square() * spread.exp(), logits, reward, cont)

    def _average(self, p: Predicted) -> Predicted:
        """The mixture of the members, as one normal or categorical a feature."""
        odds = [part.log_softmax(-1).exp().mean(0).log().flatten(1) for part in self._factors(p.logits)]
        return Predicted(p.mean.mean(0), p.variance.mean(0) + _variance(p.mean),
                         torch.cat([*odds, p.logits[0, :, :0]], -1), p.reward.mean(0), p.cont.sigmoid().mean(0).logit())

    def _disagreement(self, p: Predicted) -> Tensor:
        """The mutual information of outcome and member (Houlsby et al. 2011, arXiv 1112.5745), in nats, summed over the
        features, reward and end: `[N]`. Of normals by their variances, of discrete ones by their entropies."""
        least = self.config.least_std**2
        noise = p.variance.mean(0) / self.change.square() + least
        nats = 0.5 * torch.log1p(_variance(p.mean / self.change) / noise).sum(-1)
        nats = nats + 0.5 * torch.log1p(_variance(p.reward) / least)
        nats = nats + _information(torch.stack([p.cont, torch.zeros_like(p.cont)], -1))
        for odds in self._factors(p.logits):
            nats = nats + _information(odds).sum(1)
        return nats

    def _factors(self, logits: Tensor) -> list[Tensor]:
        """Logits `[E, N, V]` to one `[E, N, codes, values]` a discrete feature."""
        return [part.view(*logits.shape[:2], -1, part.shape[-1]) for part in self.layout.split(logits.flatten(0, 1))]

    def _distributions(self, said: Predicted) -> dict[str, Distribution]:
        found: dict[str, Distribution] = {}
        parts = zip(*(x.split(self.layout.real_sizes, -1) for x in (said.mean, said.variance.sqrt())), strict=True)
        for f, (mean, std) in zip(self.layout.real, parts, strict=True):
            found[f.name] = Normal(f, (mean.round() if f.is_discrete else mean).reshape(-1, *f.shape),
                                   std.reshape(-1, *f.shape))
        found |= {f.name: Categorical(f, odds)
                  for f, odds in zip(self.layout.discrete, self.layout.split(said.logits), strict=True)}
        return {f.name: found[f.name] for f in self.schema.features}


def bootstrap(key: Tensor, members: int) -> Tensor:
    """How often each member's bootstrap holds the rows of fingerprint `key [N]`: `[E, N]`, Poisson(1) (Oza and Russell
    2001), the same whenever a row is drawn, so that nothing has to be remembered."""
    mixed = key + _GOLDEN * torch.arange(1, members + 1)[:, None]
    for shift, factor in ((30, _MIXERS[0]), (27, _MIXERS[1])):
        mixed = (mixed ^ ((mixed >> shift) & ((1 << (64 - shift)) - 1))) * factor
    uniform = ((mixed >> 11) & ((1 << 53) - 1)).double() / (1 << 53)
    return torch.bucketize(uniform, _POISSON).float()


def _drawn(member: Tensor, members: int, rng: torch.Generator) -> Tensor:
    """`member [N]` with the undrawn rows dealt out evenly, neighbours to different members."""
    undrawn = member == UNDRAWN
    first = torch.randint(members, (1,), generator=rng)
    return torch.where(undrawn, (undrawn.cumsum(0) + first) % members, member)


def _variance(x: Tensor) -> Tensor:
    """The variance of `x [E, ...]` over the members."""
    return (x - x.mean(0)).square().mean(0)


def _information(logits: Tensor) -> Tensor:
    """Mutual information of a categorical and the member, `logits [E, ..., V]`: `[...]`, in nats."""
    logp = logits.log_softmax(-1)
    p = logp.exp()
    mean = p.mean(0)
    return ((p * logp).sum(-1).mean(0) - (mean * mean.clamp_min(1e-30).log()).sum(-1)).clamp_min(0)
