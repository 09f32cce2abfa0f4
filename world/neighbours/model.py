"""A world model around a world model: beside what it predicts, what followed in the most similar past situations.

    p(x'|s, a) = (1 - w) p_model(x'|s, a) + w p_past(x'|s, a)        w by output, and by how near the nearest is

With tens of transitions the past carries the world; where the model has become better the weights, which held-out
transitions decide, go to nothing, and with them the cost. Nearest neighbours beside a parametric model: Khandelwal et
al. 2020 (arXiv 1911.00172) in language, Atkeson et al. 1997 in control. Nothing is saved: memory is the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .. import tree
from ..around import Around
from ..model import Batch, Outcome, State, WorldModel, begin
from ..schema import Features
from .past import Past, past
from .reading import Reading, Situation
from .recall import Mixing, Recalled, recall
from .weighing import Weights, weigh


@dataclass(frozen=True)
class NeighboursConfig:
    """The `k` nearest of at most `rows` newest transitions, `latents` where those of a model are compared. A weight
    whose gain on held-out transitions is below `price` nats is 0. Fewer than `held_out` of them could not tell: then
    the newer half of the past is foretold from the older."""

    k: int = 8
    rows: int = 20_000
    latents: int = 2_000
    price: float = 2.0
    held_out: int = 16


class Neighbours(Around):
    """`model` and the past. Made by `Neighbours.of`."""

    def __init__(self, model: WorldModel, reading: Reading, memory: Past, weights: Weights, centre: Tensor,
                 scale: Tensor, least: Tensor, k: int) -> None:
        super().__init__(model)
        self.provides = model.provides | {"reward", "end"}
        self.reading, self.mixing = reading, Mixing(reading)
        self.memory, self.weights, self.k = memory, weights, k
        self.centre, self.scale, self.least = centre, scale, least

    @staticmethod
    @torch.no_grad()
    def of(model: WorldModel, lived: Batch, held_out: Batch | None, config: NeighboursConfig | None = None,
           ) -> Neighbours:
        """The neighbours among the transitions `lived` (sequences of one, oldest first) and their weights beside
        `model`, by the transitions `held_out`."""
        c = config or NeighboursConfig()
        most = c.latents if "latent" in model.provides else c.rows
        lived = tree.tree_map(lambda x: x[-most:], lived)
        self = _remembering(model, lived, c)
        unseen, judged = held_out, self
        if unseen is None or len(unseen.mask) < c.held_out:
            half = len(lived.mask) // 2
            judged, unseen = (self if not half else _remembering(model, tree.tree_map(lambda x: x[:half], lived), c),
                              tree.tree_map(lambda x: x[half:], lived))
        unseen = tree.tree_map(lambda x: x[-_JUDGED:], unseen)
        now, after = unseen.features_at(0), unseen.features_at(1)
        state, action = begin(model, now), unseen.action[:, 0]
        _, out = model.step(state, action)
        recalled, seen = judged.recalled(state, now, action)
        paid = unseen.reward[:, 0]
        spread = torch.cat([self.least / _LEAST, lived.reward.std(correction=0).clamp_min(0.2)[None]])
        self.weights = weigh(self.mixing, out, recalled, seen, after, paid, unseen.terminated[:, 0], spread, c.price)
        return self

    @property
    def is_on(self) -> bool:
        """Whether the past has any weight."""
        return self.weights.has_any

    @torch.no_grad()
    def step(self, state: State, action: Tensor, rng: torch.Generator | None = None) -> tuple[State, Outcome]:
        """The inner step mixed with what was recalled, and assimilated. With `rng` a row follows one neighbour in all
        outputs that it is drawn for, so that what came together stays together."""
        after, out = self.inner.step(state, action, rng)
        if not self.is_on:
            return after, out
        told, now = self.recalled(state, self.inner.decode(state), action)
        weight = self.weights.at(told.distance)
        out = self.mixing(out, told, now, weight)
        said = self.inner.decode(after)
        features = out.mode if rng is None else self._drawn(said, told, now, weight, rng)
        features = {k: features.get(k, v) for k, v in said.items()}
        return self.inner.assimilate(after, features, tree.differ(features, said), rng), out

    def recalled(self, state: State, features: Features, action: Tensor) -> tuple[Recalled, Situation]:
        """What followed in the past where it was like `features [N, ...]` under `action [N, A]`, and what was read."""
        now = self.reading.situation(features)
        key = self.reading.key(now, action, self.centre, self.scale, _latent(self.inner, state))
        return recall(self.reading, self.memory, now, key, self.k, self.least), now

    def _drawn(self, said: Features, told: Recalled, now: Situation, weight: Tensor, rng: torch.Generator,
               ) -> dict[str, Tensor]:
        """What the inner model drew, and of the outputs whose share is above a draw a row, what one neighbour did."""
        pick, rows = torch.multinomial(told.shares, 1, generator=rng)[:, 0], torch.arange(len(weight))
        events = tree.tree_map(lambda x: x[rows, pick], told.events)
        follows = torch.rand(len(weight), 1, generator=rng) < weight
        happened = self.reading.applied(said, now, events)
        names = self.mixing.groups
        of = {name: names.index(name) for name in names} | {y: names.index(x) for x, y in self.mixing.poses}
        return {k: tree.choose(follows[:, of[k]], v, said[k]) if k in of else said[k] for k, v in happened.items()}


_LEAST = 0.02
"""The smallest std of a real, in usual changes a step."""
_JUDGED = 2_048
"""As many held-out transitions are enough to weigh by."""


def _remembering(model: WorldModel, lived: Batch, config: NeighboursConfig) -> Neighbours:
    """The past of `lived`, not weighed yet."""
    reading = Reading(model.schema)
    now, action = lived.features_at(0), lived.action[:, 0]
    seen = reading.situation(now)
    events = reading.events(seen, lived.features_at(1), lived.reward[:, 0], lived.terminated[:, 0])
    latent = _latent(model, begin(model, now))
    compared = seen.reals if latent is None else latent
    spread = _spread(compared, 1.0)
    if latent is not None:  # as a whole a latent differs as much as one number does
        spread = spread * max(1, latent.shape[1]) ** 0.5
    centre = compared.mean(0)
    has_reals = latent is not None or bool(reading.layout.reals) or not model.schema.discrete_actions
    memory = past(reading.key(seen, action, centre, spread, latent), events, has_reals)
    nothing = Weights(torch.zeros(4), torch.zeros(5, len(Mixing(reading).groups)))
    return Neighbours(model, reading, memory, nothing, centre, spread, _LEAST * _spread(events.reals, 1e-2), config.k)


def _spread(x: Tensor, still: float) -> Tensor:
    """The standard deviation of the columns of `x [M, R]`; `still` of one that never changes."""
    std = (x - x.mean(0)).square().mean(0).sqrt()
    return torch.where(std > 1e-6, std, still)


def _latent(model: WorldModel, state: State) -> Tensor | None:
    return model.latent(state) if "latent" in model.provides else None  # type: ignore[attr-defined]
