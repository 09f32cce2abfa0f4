"""A recurrent state space model for worlds of vectors: the learned dynamics that need no grid.

The PlaNet / Dreamer family (Hafner et al. 2019, arXiv 1811.04551; 2023, arXiv 2301.04104), cut down to what learns
from a thousand transitions:

    h' = GRU(h, z, x, a)             deterministic path
    z' ~ p(z'|h')   or  q(z'|h',x')  stochastic path: imagined (prior) or observed (posterior)
    x' ~ p(x'|h',z',x,a)             a Normal change for a real feature, a Categorical for a discrete one
    r', c' = f(h',z',x,a,x')         reward, and the logit that the episode goes on

The state carries the features `x` it stands for: as observed, as corrected, or as imagined. Changes are added to them,
so a correction is exact, and it carries into every later step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import tree
from ..distributions import Categorical, Distribution, Normal, decode, encode
from ..model import Batch, Outcome
from ..schema import Feature, Schema


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes and training constants; about 150,000 parameters for a dozen features."""

    hidden: int = 128
    latent: int = 16
    width: int = 128
    overshoot: int = 8  # imagined steps of the open-loop loss
    kl_weight: float = 0.1
    kl_balance: float = 0.8  # share of the KL that trains the prior
    free_nats: float = 1.0
    std_floor: float = 0.02  # in units of the feature's usual change
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    categorical: int = 0
    open_mean: bool = False
    beta: float = 0.5
    skip: bool = True
    power: float = 0.5
    hx: bool = True
    stride: int = 4
    end_in: str = 'hzix'
    end_decay: float = 1e-2
    end_ln: bool = False
    end_noise: float = 0.0
    end_width: int = 64


@dataclass(frozen=True)
class Belief:
    """N rows: `hidden [N, D]`, `latent [N, Z]`, and the features they stand for: `reals [N, R]`, `codes [N, C]`."""

    hidden: Tensor
    latent: Tensor
    reals: Tensor
    codes: Tensor


class Layout(nn.Module):
    """Where each feature stands in the packed rows: R real numbers, C codes, V one-hot places."""

    base: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, features: tuple[Feature, ...]) -> None:
        super().__init__()
        self.features = features
        self.real = [f for f in features if f.cardinality is None]
        self.discrete = [f for f in features if f.cardinality is not None]
        counts = [f.cardinality or 0 for f in self.discrete for _ in range(math.prod(f.shape))]
        self.reals, self.codes, self.places = sum(math.prod(f.shape) for f in self.real), len(counts), sum(counts)
        self.register_buffer("base", torch.tensor([0, *counts]).cumsum(0)[:-1], persistent=False)
        self.register_buffer("low", torch.tensor([f.low for f in self.real for _ in range(math.prod(f.shape))]), False)
        self.register_buffer("high", torch.tensor([f.high for f in self.real for _ in range(math.prod(f.shape))]), False)

    def pack(self, features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Features `[..., *shape]` to reals `[..., R]` and codes `[..., C]`."""
        def flat(f: Feature, value: Tensor) -> Tensor:
            return value.reshape(*value.shape[: value.dim() - len(f.shape)], -1).to(self.base.device)

        lead = next(v.shape[: v.dim() - len(f.shape)] for f in self.features for v in [features[f.name]])
        reals = [flat(f, features[f.name]).float() for f in self.real]
        codes = [flat(f, encode(f, features[f.name])) for f in self.discrete]
        return (torch.cat([*reals, self.low.new_empty(*lead, 0)], -1), torch.cat([*codes, self.base.new_empty(*lead, 0)], -1))

    def unpack(self, reals: Tensor, codes: Tensor) -> dict[str, Tensor]:
        """Reals `[N, R]` and codes `[N, C]` to features `[N, *shape]`, in the schema's order."""
        parts = zip(self.real, reals.split([math.prod(f.shape) for f in self.real], -1), strict=True)
        out = {f.name: (v.round() if f.is_discrete else v).to(f.dtype).view(-1, *f.shape) for f, v in parts}
        split = zip(self.discrete, codes.split([math.prod(f.shape) for f in self.discrete], -1), strict=True)
        out |= {f.name: decode(f, v).view(-1, *f.shape) for f, v in split}
        return {f.name: out[f.name] for f in self.features}

    def onehot(self, codes: Tensor, shift: int = 0) -> Tensor:
        """Codes `[..., C]` to one-hot `[..., V]`."""
        return self.low.new_zeros(*codes.shape[:-1], self.places).scatter_(-1, codes + self.base, 1.0)

    def logits(self, flat: Tensor) -> list[Tensor]:
        """Logits `[N, V]` to one `[N, *shape, values]` a discrete feature."""
        parts = flat.split([math.prod(f.shape) * (f.cardinality or 0) for f in self.discrete], -1)
        return [p.reshape(-1, *f.shape, f.cardinality or 0) for f, p in zip(self.discrete, parts, strict=True)]


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, outputs))


class Recurrent(nn.Module):
    """A world model of named feature vectors (`WorldModel`). Call `fit_normaliser` on the data before training."""

    provides = frozenset({"reward", "end", "uncertainty"})
    mean: Tensor
    std: Tensor
    change: Tensor
    reward_mean: Tensor
    reward_std: Tensor

    def __init__(self, schema: Schema, config: RecurrentConfig | None = None) -> None:
        super().__init__()
        self.schema, self.config = schema, config or RecurrentConfig()
        c, self.layout = self.config, Layout(schema.features)
        self.action_layout = Layout(schema.actions)
        r, v = self.layout.reals, self.layout.places
        seen = r + v
        inputs = seen + self.action_layout.reals + self.action_layout.places
        zp = c.latent * (2 if not c.categorical else 1)
        self.embed = nn.Sequential(nn.Linear(c.latent + inputs, c.width), nn.LayerNorm(c.width), nn.SiLU())
        self.cell = nn.GRUCell(c.width, c.hidden)
        self.prior = _mlp(c.hidden, c.width, zp)
        self.posterior = _mlp(c.hidden + seen, c.width, zp)
        self.trunk = _mlp(c.hidden + c.latent + inputs, c.width, 2 * r + v + self.layout.codes)
        self.skip = nn.Linear(inputs, 2 * r + v + self.layout.codes)
        self.rewarding = _mlp(c.hidden * c.hx + c.latent + inputs + seen, c.width, 1)
        ni = sum({'h': c.hidden, 'z': c.latent, 'i': inputs, 'x': seen}[k] for k in c.end_in)
        self.ending = _mlp(ni, c.end_width, 1) if c.end_ln else nn.Sequential(nn.Linear(ni, c.end_width), nn.SiLU(), nn.Linear(c.end_width, 1))
        for name, value in (("mean", 0.0), ("std", 1.0), ("change", 1.0)):
            self.register_buffer(name, torch.full((r,), value))
        self.register_buffer("reward_mean", torch.zeros(()))
        self.register_buffer("reward_std", torch.ones(()))

    @torch.no_grad()
    def fit_normaliser(self, features, mask=None, reward=None):
        reals, _ = self.layout.pack(features)
        m = torch.ones(reals.shape[0], reals.shape[1] - 1, dtype=torch.bool) if mask is None else mask
        here = torch.cat([m[:, :1], m], 1)
        dx = (reals[:, 1:] - reals[:, :-1])[m]
        x = reals[here]
        self.mean.copy_(x.mean(0)); self.std.copy_(x.std(0).clamp_min(1e-6))
        self.change.copy_(dx.std(0).clamp_min(1e-6))
        if reward is not None:
            self.reward_mean.copy_(reward[m].mean()); s = reward[m].std(); self.reward_std.copy_(s if s > 1e-6 else torch.ones(()))

    def _seen(self, reals: Tensor, codes: Tensor) -> Tensor:
        x = (reals - self.mean) / self.std
        return torch.cat([x, self.layout.onehot(codes)], -1)

    def _act(self, action: Tensor) -> Tensor:
        lay = self.action_layout
        if self.schema.discrete_actions:
            return lay.onehot(action.long())
        mid, half = (lay.low + lay.high) / 2, (lay.high - lay.low) / 2
        return (action - mid) / half

    def _latent(self, params: Tensor, rng: torch.Generator | None) -> Tensor:
        c = self.config
        if c.categorical:
            logits = params.view(-1, c.latent // c.categorical, c.categorical)
            p = 0.99 * logits.softmax(-1) + 0.01 / c.categorical
            if rng is None:
                hard = F.one_hot(p.argmax(-1), c.categorical).float()
            else:
                g = -torch.empty_like(p).exponential_(generator=rng).log()
                hard = F.one_hot((p.log() + g).argmax(-1), c.categorical).float()
            return (hard + p - p.detach()).flatten(1)
        mean, raw = params.chunk(2, -1)
        if rng is None:
            return mean
        return mean + (F.softplus(raw) + 0.1) * torch.empty_like(mean).normal_(generator=rng)

    def _kl(self, q: Tensor, p: Tensor) -> Tensor:
        c = self.config
        if c.categorical:
            def lp(x):
                return torch.log(0.99 * x.view(-1, c.latent // c.categorical, c.categorical).softmax(-1) + 0.01 / c.categorical)
            a, b = lp(q), lp(p)
            return (a.exp() * (a - b)).sum((-1, -2))
        mq, sq = q.chunk(2, -1)
        mp, sp = p.chunk(2, -1)
        sq, sp = F.softplus(sq) + 0.1, F.softplus(sp) + 0.1
        return (sp.log() - sq.log() + (sq.square() + (mq - mp).square()) / (2 * sp.square()) - 0.5).sum(-1)

    def initial(self, n: int) -> Belief:
        d = self.mean.new_zeros
        return Belief(d(n, self.config.hidden), d(n, self.config.latent), self.mean.expand(n, -1).clone(),
                      self.layout.base.new_zeros(n, self.layout.codes))

    def _advance(self, b: Belief, inputs: Tensor) -> Tensor:
        return self.cell(self.embed(torch.cat([b.latent, inputs], -1)), b.hidden)

    def _next(self, hidden, latent, inputs, b: Belief):
        """mean change (normalised), std, logits"""
        out = self.trunk(torch.cat([hidden, latent, inputs], -1))
        if self.config.skip:
            out = out + self.skip(inputs)
        r, v, c = self.layout.reals, self.layout.places, self.layout.codes
        mean, raw, logits, stay = out.split([r, r, v, c], -1)
        std = F.softplus(raw - 1) + self.config.std_floor
        if v:
            gate = self.mean.new_zeros(*b.codes.shape[:-1], v).scatter(-1, b.codes + self.layout.base, stay + 2.0)
            logits = logits + gate
        return mean, std, logits

    def _pay(self, hidden, latent, inputs, seen):
        x = torch.cat([hidden, latent, inputs, seen], -1) if self.config.hx else torch.cat([latent, inputs, seen], -1)
        d = {'h': hidden, 'z': latent, 'i': inputs, 'x': seen + (self.config.end_noise * torch.randn_like(seen) if self.training else 0)}
        return self.rewarding(x)[..., 0], self.ending(torch.cat([d[k] for k in self.config.end_in], -1))[..., 0]

    def observe(self, state, action, features, reset=None, rng=None):
        reals, codes = self.layout.pack(features)
        hidden = torch.zeros_like(state.hidden)
        if action is not None:
            hidden = self._advance(state, torch.cat([self._seen(state.reals, state.codes), self._act(action)], -1))
            if reset is not None:
                hidden = torch.where(reset[:, None], torch.zeros_like(hidden), hidden)
        return self._posterior(hidden, reals, codes, rng)[0]

    def _posterior(self, hidden, reals, codes, rng):
        q = self.posterior(torch.cat([hidden, self._seen(reals, codes)], -1))
        return Belief(hidden, self._latent(q, rng), reals, codes), q

    def _imagine(self, b: Belief, action, rng, sample=True):
        inputs = torch.cat([self._seen(b.reals, b.codes), self._act(action)], -1)
        hidden = self._advance(b, inputs)
        latent = self._latent(self.prior(hidden), rng)
        mean, std, logits = self._next(hidden, latent, inputs, b)
        reals = b.reals + self.change * mean
        reals = reals.clamp(self.layout.low, self.layout.high)
        parts = self.layout.logits(logits)
        codes = torch.cat([p.argmax(-1).flatten(1) for p in parts] + [b.codes[:, :0]], -1)
        new = Belief(hidden, latent, reals, codes)
        reward, cont = self._pay(hidden, latent, inputs, self._seen(reals, codes))
        return new, std, logits, reward, cont

    def step(self, state, action, rng=None):
        new, std, logits, reward, cont = self._imagine(state, action, rng)
        feats: dict[str, Distribution] = {}
        i = 0
        for f in self.layout.real:
            k = math.prod(f.shape)
            feats[f.name] = Normal(f, new.reals[:, i:i + k].reshape(-1, *f.shape), (std * self.change)[:, i:i + k].reshape(-1, *f.shape))
            i += k
        for f, l in zip(self.layout.discrete, self.layout.logits(logits), strict=True):
            feats[f.name] = Categorical(f, l)
        unc = (std / self.config.std_floor).log().sum(-1)
        return new, Outcome(feats, reward * self.reward_std + self.reward_mean, cont.sigmoid(), torch.ones_like(cont, dtype=torch.bool), unc)

    def assimilate(self, state, features, rows, rng=None):
        reals, codes = self.layout.pack(features)
        return tree.choose(rows, self._posterior(state.hidden, reals, codes, rng)[0], state)

    def decode(self, state):
        return self.layout.unpack(state.reals, state.codes)

    def loss(self, batch: Batch, rng=None):
        c = self.config
        reals, codes = (x.transpose(0, 1) for x in self.layout.pack(batch.features))
        action, reward, ended, mask = (x.transpose(0, 1) for x in (batch.action, batch.reward, batch.terminated, batch.mask))
        T, B = mask.shape
        m = mask.float()
        total = m.sum().clamp_min(1)
        seen = self._seen(reals, codes)
        inputs = torch.cat([seen[:-1], self._act(action)], -1)
        b, _ = self._posterior(self.mean.new_zeros(B, c.hidden), reals[0], codes[0], rng)
        beliefs, posts = [b], []
        for t in range(T):
            h = self._advance(b, inputs[t])
            b, q = self._posterior(h, reals[t + 1], codes[t + 1], rng)
            beliefs.append(b); posts.append(q)
        hid = torch.stack([x.hidden for x in beliefs]); lat = torch.stack([x.latent for x in beliefs])
        q = torch.cat(posts); p = self.prior(hid[1:].flatten(0, 1))
        fl = lambda x: x.flatten(0, 1)
        mf = fl(m)
        kl = c.kl_balance * self._kl(q.detach(), p).clamp_min(c.free_nats) + (1 - c.kl_balance) * self._kl(q, p.detach()).clamp_min(c.free_nats)
        out = {"kl": c.kl_weight * (kl * mf).sum() / total}
        prev = Belief(fl(hid[:-1]), fl(lat[:-1]), fl(reals[:-1]), fl(codes[:-1]))
        mean, std, logits = self._next(fl(hid[1:]), fl(lat[1:]), fl(inputs), prev)
        target = fl(reals[1:] - reals[:-1]) / self.change
        out["features"] = (self._score(mean, std, logits, target, fl(codes[1:])) * mf).sum() / total
        rew, cont = self._pay(fl(hid[1:]), fl(lat[1:]), fl(inputs), fl(seen[1:]))
        rt = (reward - self.reward_mean) / self.reward_std
        cc = 1 - ended.float()
        out["reward"] = ((rew - fl(rt)).square() * mf).sum() / total
        out["cont"] = (F.binary_cross_entropy_with_logits(cont, fl(cc), reduction="none") * mf).sum() / total
        # open loop
        K=c.overshoot; S=torch.arange(0,T,c.stride)
        def pad(x): return torch.cat([x, x[-1:].expand(K, *x.shape[1:])])
        pa, pr, pc, pm, prt, pcc = pad(action), pad(reals), pad(codes), torch.cat([m, m.new_zeros(K, B)]), pad(rt), pad(cc)
        b = tree.tree_map(lambda x: x.view(T, B, *x.shape[1:])[S].flatten(0, 1), prev)
        ol = rl = cl = 0.0
        orng = None if c.open_mean else rng
        n = 0.0
        for k in range(1, K + 1):
            b, std, logits, rew, cont = self._imagine(b, fl(pa[S + k - 1]), orng)
            mk = fl(pm[S + k - 1])
            err = (b.reals - fl(pr[S + k])) / self.change / k ** c.power
            s = 0.5 * err.square().sum(-1) + self._ce(logits, fl(pc[S + k]))
            ol = ol + (s * mk).sum()
            rl = rl + ((rew - fl(prt[S + k - 1])).square() * mk).sum()
            cl = cl + (F.binary_cross_entropy_with_logits(cont, fl(pcc[S + k - 1]), reduction="none") * mk).sum()
            n = n + mk.sum()
        if c.overshoot:
            n = n.clamp_min(1)
            out["open_loop"] = ol / n
            out["reward"] = out["reward"] + rl / n
            out["cont"] = out["cont"] + cl / n
        return out

    def _ce(self, logits, codes):
        s = self.mean.new_zeros(logits.shape[0])
        parts = self.layout.logits(logits)
        sp = codes.split([math.prod(f.shape) for f in self.layout.discrete], -1)
        for l, cd in zip(parts, sp, strict=True):
            s = s + F.cross_entropy(l.reshape(-1, l.shape[-1]), cd.reshape(-1), reduction="none").view(len(s), -1).sum(1)
        return s

    def _score(self, mean, std, logits, target, codes):
        nll = 0.5 * ((target - mean) / std).square() + std.log()
        b = max(self.config.beta, 0)
        return (nll * std.detach() ** (2 * b)).sum(-1) + self._ce(logits, codes)

    def parameter_groups(self):
        e = list(self.ending.parameters()); ids = {id(p) for p in e}
        ps = [p for p in self.parameters() if id(p) not in ids]
        return [{"params": [p for p in ps if p.dim() > 1], "weight_decay": self.config.weight_decay},
                {"params": [p for p in e if p.dim() > 1], "weight_decay": self.config.end_decay},
                {"params": [p for p in ps + e if p.dim() <= 1], "weight_decay": 0.0}]
