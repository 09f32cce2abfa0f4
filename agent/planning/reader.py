"""What a learned planner reads: decoded features, the model's own latent where it shows one, and how far the goals are.

Decoded features are what rules correct and what an objective judges; the latent holds what is hidden; the carry of the
objective makes goals in several stages, and their deadlines, a thing the policy can see.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...world.model import State, WorldModel
from ...world.models.layout import Layout
from ...world.schema import Features, Schema
from ...world.twohot import symlog
from .objective import Carry

FARTHEST = 10.0
"""Real features are read up to this many standard deviations from their mean."""


class Reader(nn.Module):
    """N states to rows `[N, I]`: reals (symlog, then standardised by replay), one-hot codes, `latent` numbers of the
    model's own and `carried` numbers of the objective's carry."""

    mean: Tensor
    std: Tensor

    def __init__(self, schema: Schema, latent: int, carried: int) -> None:
        super().__init__()
        self.layout, self.latent, self.carried = Layout(schema.features), latent, carried
        self.width = self.layout.reals + self.layout.places + latent + carried
        self.register_buffer("mean", torch.zeros(self.layout.reals))
        self.register_buffer("std", torch.ones(self.layout.reals))

    @staticmethod
    def sizes(model: WorldModel, state: State, carry: Carry) -> tuple[int, int]:
        """How many numbers of the latent and of the carry there are to read."""
        latent = latent_of(model, state)
        return 0 if latent is None else latent.shape[1], sum(c[0].numel() for c in carry)

    @torch.no_grad()
    def fit(self, features: Features) -> None:
        """Take the scales from `features [..., *shape]`; what never varies keeps a scale of 1."""
        reals = symlog(self.layout.pack(features)[0]).flatten(0, -2)
        if self.layout.reals and len(reals):
            std = reals.std(0, correction=0)
            self.mean.copy_(reals.mean(0))
            self.std.copy_(torch.where(std > 1e-6, std, 1.0))

    def forward(self, features: Features, latent: Tensor | None, carry: Sequence[Tensor]) -> Tensor:
        """Features `[N, *shape]`, latent `[N, Z]` and carry to `[N, I]`. A carry of another width than at first (a goal
        was told or retired since) is cut or filled up with zeros: new goals count from the next training on."""
        reals, codes = self.layout.pack(features)
        parts = [((symlog(reals) - self.mean) / self.std).clamp(-FARTHEST, FARTHEST), self.layout.onehot(codes)]
        if self.latent:
            if latent is None or latent.shape[1] != self.latent:
                raise ValueError(f"this reader reads {self.latent} latent numbers; build another for another model")
            parts.append(latent)
        if self.carried:
            stages = torch.cat([reals[:, :0], *(symlog(c.flatten(1).to(reals)) for c in carry)], -1)
            parts.append(F.pad(stages, (0, self.carried - stages.shape[1])))
        return torch.cat(parts, -1)

    def read(self, model: WorldModel, state: State, carry: Carry, features: Features | None = None) -> Tensor:
        """The rows of a model's state, `[N, I]`."""
        return self(model.decode(state) if features is None else features,
                    latent_of(model, state) if self.latent else None, carry)


def latent_of(model: WorldModel, state: State) -> Tensor | None:
    """The latent a model shows of a state, `[N, Z]`, or None. Wrappers pass on the model's `provides`."""
    return model.latent(state) if "latent" in model.provides else None  # type: ignore[attr-defined]
