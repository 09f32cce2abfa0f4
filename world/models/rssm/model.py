"""A recurrent state space model: the world model of DreamerV3 (Hafner et al. 2023, arXiv 2301.04104 v2), assimilating.

    h' = f(h, z, x, a)       deterministic path: a block-diagonal GRU
    z' ~ p(z'|h')            stochastic path, categorical: imagined (prior) ...
    z' ~ q(z'|h', x')        ... or observed (posterior)
    x' ~ p(x'|h', z', x)     features; images by convolutions, from h' and z' alone
    r', c' ~ p(.|h', z', x') reward (symexp two-hot), and whether the episode goes on

It departs from the paper in one thing: the features x that a state stands for enter the next step themselves (images
only through z). Observed, corrected or imagined, what is told of them is thereby part of the state, exactly; h and z
are left for what the features do not show. Where there is little to hide, few data are enough.

Letters: N rows, B sequences, T steps; D, S, K as in `dynamics`; R reals and C codes as in `Layout`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ... import tree
from ...distributions import Categorical, Distribution, Normal
from ...model import Batch, Outcome
from ...schema import Features, Schema
from ...training import TrainingConfig
from ...twohot import symlog
from ..scaled import Scaled
from .config import SIZES, RSSMConfig, config_of
from .dynamics import Dynamics
from .heads import Heads, moved
from .images import ImageDecoder, ImageEncoder, check
from .latents import coupled, draw, kl, uniforms
from .layers import Norm, Reader


@dataclass(frozen=True)
class Belief:
    """N rows: `deter [N, D]`, the latents' codes `stoch [N, S]`, and the features they stand for: `reals [N, R]`,
    `codes [N, C]` and the images `[N, *shape]`. Decoding what was observed or corrected gives exactly that."""

    deter: Tensor
    stoch: Tensor
    reals: Tensor
    codes: Tensor
    images: dict[str, Tensor]


class RSSM(Scaled):
    """The model; see the module's text. Raises `UserError` for images of an unsupported shape."""

    provides = frozenset({"reward", "end", "uncertainty", "stochastic", "latent"})

    def __init__(self, schema: Schema, config: RSSMConfig | None = None) -> None:
        super().__init__(schema)
        for f in self.images:
            check(f)
        self.config = c = config or RSSMConfig()
        self.read_features, self.read_action = Reader(self.layout, c.hidden), Reader(self.act_layout, c.hidden)
        self.tokens = nn.Sequential(Norm(c.units), nn.Linear(c.units, c.hidden))
        self.encode = Reader(self.layout, c.units)
        self.image_encoders = nn.ModuleDict({f.name: ImageEncoder(f, c.depth, c.hidden) for f in self.images})
        self.dynamics, self.heads = Dynamics(c), Heads(c, self.layout)
        self.image_decoders = nn.ModuleDict({f.name: ImageDecoder(f, c.depth, c.units) for f in self.images})

    @classmethod
    def sized(cls, schema: Schema, name: str) -> RSSM:
        """The model at the size called `name` ("200k", "1m", "4m", "12m"); `UserError` for another one."""
        return cls(schema, config_of(name))

    @property
    def size(self) -> str | None:
        """The name of this size; None for one that has no name."""
        return next((name for name, config in SIZES.items() if config == self.config), None)

    @staticmethod
    def recipe() -> TrainingConfig:
        """The training that suits this model: sequences long enough for what is hidden to matter."""
        return TrainingConfig(steps=600, min_steps=400, batch=32, length=16, rate=2e-3, patience=4)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """For AdamW: weights decay, biases and norms do not."""
        every = list(self.parameters())
        return [{"params": [p for p in every if p.dim() > 1], "weight_decay": self.config.weight_decay},
                {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0}]

    # --- the seam -------------------------------------------------------------------------------------------------

    def initial(self, n: int) -> Belief:
        c, zeros = self.config, self.mean.new_zeros
        images = {f.name: zeros(n, *f.shape, dtype=f.dtype) for f in self.images}
        return Belief(zeros(n, c.deter), zeros(n, c.latents, dtype=torch.int64), self.mean.repeat(n, 1),
                      zeros(n, self.layout.codes, dtype=torch.int64), images)

    @torch.no_grad()
    def observe(self, state: Belief, action: Tensor | None, features: Features, reset: Tensor | None = None,
                rng: torch.Generator | None = None) -> Belief:
        deter = torch.zeros_like(state.deter)
        if action is not None:
            after = self._advance(state, action)
            deter = after if reset is None else torch.where(reset[:, None], deter, after)
        told = replace(state, deter=deter, **self._features(features))
        tokens = self._tokens(self._seen(told.reals), told.codes, told.images)
        probs = self.dynamics.conditioned(self.dynamics.posterior_read(deter), tokens)
        return replace(told, stoch=self._drawn(probs, rng))

    @torch.no_grad()
    def step(self, state: Belief, action: Tensor, rng: torch.Generator | None = None) -> tuple[Belief, Outcome]:
        """One imagined step. With `rng` the latents and then the features are drawn, and the state carries what was
        drawn (`decode` it); the outcome holds the distribution the features were drawn from."""
        deter = self._advance(state, action)
        stoch = self._drawn(self.dynamics.imagined(deter), rng)
        part, outlook = self.heads.read(deter, self.heads.read_stoch(stoch))
        move, spread, logits, hidden = self.heads.predict(part, self._seen(state.reals), state.codes)
        mean, std = moved(state.reals, move, spread, self.change)
        features = self._distributions(mean.clamp(self.layout.low, self.layout.high), std, logits, hidden)
        values = {k: d.mode() if rng is None else d.sample(rng) for k, d in features.items()}
        after = Belief(deter, stoch, **self._features(values))
        reward, cont = self.heads.outlook(outlook, self._seen(after.reals), after.codes)
        # Nats above the surest prediction there can be, summed over the features.
        uncertainty = (std / (self.change * self.config.least_std)).log().sum(-1)
        for odds in self.layout.split(logits):
            uncertainty = uncertainty + _entropy(odds)
        return after, Outcome(features, self.heads.twohot.decode(reward), cont.sigmoid(),
                              torch.ones_like(cont, dtype=torch.bool), uncertainty)

    @torch.no_grad()
    def assimilate(self, state: Belief, features: Features, rows: Tensor, rng: torch.Generator | None = None) -> Belief:
        """On `rows` the state stands for `features` from now on, and the next step starts from them; `deter` and the
        latents stay, so that what is hidden is kept. Only images, which have no other way into the next step, condition
        the latents: of these the fewest change that make them draws of the posterior (`coupled`)."""
        told = self._features(features)
        kept = {k: getattr(state, k) for k in told}
        new = replace(state, **tree.choose(rows, told, kept))
        if not self.images:
            return new
        at = (rows & _differ(new.images, state.images)).nonzero()[:, 0]
        read = self.dynamics.posterior_read(state.deter[at])
        before, after = (
            self.dynamics.conditioned(read, self._tokens(self._seen(b.reals), b.codes, b.images))
            for b in (tree.take(state, at), tree.take(new, at)))
        return replace(new, stoch=state.stoch.index_copy(0, at, coupled(state.stoch[at], before, after, rng)))

    def decode(self, state: Belief) -> dict[str, Tensor]:
        """The features the state stands for: exactly those observed or assimilated last, else the imagined ones."""
        found = self.layout.unpack(state.reals, state.codes) if self.layout.features else {}
        return {f.name: state.images[f.name] if f.is_image else found[f.name] for f in self.schema.features}

    def latent(self, state: Belief) -> Tensor:
        """The state as one row of numbers for a policy or a value: `deter` and the one-hot latents, `[N, D + S K]`."""
        onehot = F.one_hot(state.stoch, self.config.classes).to(state.deter.dtype)
        return torch.cat([state.deter, onehot.flatten(1)], -1)

    @property
    def latent_size(self) -> int:
        return self.config.deter + self.config.latents * self.config.classes

    def loss(self, batch: Batch, rng: torch.Generator | None = None) -> dict[str, Tensor]:
        """`dyn` and `rep`, the two sides of the KL; `features`, `images`, `reward` and `cont`: equations 4 and 5 of the
        paper, each a mean over the transitions that `batch.mask` holds for. Without `rng` latents are the likeliest."""
        c, device = self.config, self.mean.device
        reals, codes = (x.transpose(0, 1) for x in self._pack(batch.features))  # [T + 1, B, ...]
        images = {f.name: batch.features[f.name].to(device).transpose(0, 1) for f in self.images}
        action, reward, ended, mask = (
            x.to(device).transpose(0, 1) for x in (batch.action, batch.reward, batch.terminated, batch.mask))
        seen = self._seen(reals)
        given = self._given(seen[:-1], codes[:-1], action)
        deter, posterior, stoch = self.dynamics.filtered(self._tokens(seen, codes, images), given, rng)
        deter, posterior, stoch = (x[1:].flatten(0, 1) for x in (deter, posterior, stoch))
        prior = self.dynamics.imagined(deter)
        part, outlook = self.heads.read(deter, self.heads.read_stoch.dense(stoch))
        before, after = (x.flatten(0, 1) for x in (seen[:-1], seen[1:]))
        was, now = (x.flatten(0, 1) for x in (codes[:-1], codes[1:]))
        move, spread, logits, hidden = self.heads.predict(part, before, was)
        pay, cont = self.heads.outlook(outlook, after, now)
        target = symlog((reals[1:] - reals[:-1]).flatten(0, 1) / self.change)
        # Seitzer et al. 2022 (arXiv 2203.09168): times the spread, so that a sure feature does not drown the others.
        surprise = ((0.5 * ((target - move) / spread).square() + spread.log()) * spread.detach()).sum(-1)
        terms = {
            "dyn": c.beta_dyn * kl(posterior.detach(), prior).clamp_min(c.free_nats),
            "rep": c.beta_rep * kl(posterior, prior.detach()).clamp_min(c.free_nats),
            "features": surprise + self.surprise(logits, now),
            "reward": self.heads.twohot.loss(pay, reward.flatten().to(pay.dtype)),
            "cont": F.binary_cross_entropy_with_logits(cont, 1 - ended.flatten().to(cont.dtype), reduction="none"),
        }
        for name, decoder in self.image_decoders.items():
            assert isinstance(decoder, ImageDecoder)
            pixels = images[name][1:].flatten(0, 1)
            terms["images"] = terms.get("images", 0.0) + decoder.loss(decoder(hidden), pixels)
        here = mask.flatten().to(deter.dtype)
        return {name: (term * here).sum() / here.sum().clamp_min(1) for name, term in terms.items()}

    # --- its parts ------------------------------------------------------------------------------------------------

    def _features(self, features: Features) -> dict[str, Any]:
        """The part of a belief that is features."""
        reals, codes = self._pack(features)
        return {"reals": reals, "codes": codes, "images": {f.name: features[f.name] for f in self.images}}

    def _pack(self, features: Features) -> tuple[Tensor, Tensor]:
        if self.layout.features:
            return self.layout.pack(features)
        image = features[self.images[0].name]
        lead = image.shape[: image.dim() - len(self.images[0].shape)]
        return self.mean.new_empty(*lead, 0), self.layout.base.new_empty(*lead, 0)

    def _seen(self, reals: Tensor) -> Tensor:
        return symlog(self.scaled(reals))

    def _tokens(self, seen: Tensor, codes: Tensor, images: Features) -> Tensor:
        """The posterior's linear read of what is seen, `[..., H]`."""
        tokens = self.tokens(self.encode(seen, codes))
        for name, encoder in self.image_encoders.items():
            tokens = tokens + encoder(images[name])
        return tokens

    def _given(self, seen: Tensor, codes: Tensor, action: Tensor) -> Tensor:
        """The dynamics' linear read of features and action, `[..., H]`; actions with bounds are scaled to -1 .. 1."""
        numbers, choices = self.act_layout.pack({a.name: action[..., i] for i, a in enumerate(self.schema.actions)})
        low, high = self.act_layout.low, self.act_layout.high
        numbers = torch.where((high - low).isfinite(), 2 * (numbers - low) / (high - low) - 1, numbers)
        return self.read_features(seen, codes) + self.read_action(numbers, choices)

    def _advance(self, state: Belief, action: Tensor) -> Tensor:
        given = self._given(self._seen(state.reals), state.codes, action)
        return self.dynamics.advance(state.deter, self.dynamics.read_stoch(state.stoch), given)

    def _drawn(self, probs: Tensor, rng: torch.Generator | None) -> Tensor:
        return draw(probs, uniforms(*probs.shape[:-1], rng=rng, like=probs))

    def _distributions(self, mean: Tensor, std: Tensor, logits: Tensor, hidden: Tensor) -> dict[str, Distribution]:
        features: dict[str, Distribution] = {}
        for f, m, s in zip(self.layout.real, *(x.split(self.layout.real_sizes, -1) for x in (mean, std)), strict=True):
            m = m.round() if f.is_discrete else m
            features[f.name] = Normal(f, m.reshape(-1, *f.shape), s.reshape(-1, *f.shape))
        for f, odds in zip(self.layout.discrete, self.layout.split(logits), strict=True):
            features[f.name] = Categorical(f, odds)
        for f in self.images:
            decoder = self.image_decoders[f.name]
            assert isinstance(decoder, ImageDecoder)
            pixels = decoder(hidden)
            features[f.name] = Normal(f, pixels, decoder.log_std.exp().expand_as(pixels))
        return {f.name: features[f.name] for f in self.schema.features}


def _entropy(logits: Tensor) -> Tensor:
    """Entropy of categoricals `[N, ..., V]` in nats, summed over them: `[N]`."""
    logp = logits.log_softmax(-1)
    return -(logp.exp() * logp).flatten(1).sum(1)


def _differ(a: Features, b: Features) -> Tensor:
    """Rows on which images differ, `[N]`."""
    return torch.stack([(a[k] != b[k]).flatten(1).any(1) for k in a]).any(0)
