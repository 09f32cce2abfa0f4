"""Named features as flat rows of numbers, and back: what a dense network reads and writes.

Letters: R real numbers, C codes, V one-hot places (the sum of the codes' cardinalities).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..distributions import decode, encode
from ..schema import Feature, Features

_STAY = 2.0  # a discrete feature first keeps its value by this logit


class Layout(nn.Module):
    """Where each feature stands in packed rows. A feature with countable values is discrete, every other one real."""

    base: Tensor
    count: Tensor
    low: Tensor
    high: Tensor
    ordered: Tensor

    def __init__(self, features: tuple[Feature, ...]) -> None:
        super().__init__()
        self.features = features
        self.real = [f for f in features if f.cardinality is None]
        self.discrete = [f for f in features if f.cardinality is not None]
        self.real_sizes, self.code_sizes = ([math.prod(f.shape) for f in fs] for fs in (self.real, self.discrete))
        every = [f for f, size in zip(self.discrete, self.code_sizes, strict=True) for _ in range(size)]
        count = torch.tensor([f.cardinality for f in every], dtype=torch.int64)
        self.reals, self.codes, self.places = sum(self.real_sizes), len(count), int(count.sum())
        for name, value in (
            ("base", count.cumsum(0) - count), ("count", count),
            ("ordered", torch.tensor([f.kind == "integer" for f in every], dtype=torch.bool)),
            *((side, torch.tensor([getattr(f, side) for f in self.real for _ in range(math.prod(f.shape))],
                                  dtype=torch.float32)) for side in ("low", "high")),
        ):
            self.register_buffer(name, value, persistent=False)

    def pack(self, features: Features) -> tuple[Tensor, Tensor]:
        """Features `[..., *shape]` to reals `[..., R]` and codes `[..., C]`."""
        first = self.features[0]
        value = features[first.name]
        lead = value.shape[: value.dim() - len(first.shape)]
        reals = [features[f.name].reshape(*lead, n).to(self.low)
                 for f, n in zip(self.real, self.real_sizes, strict=True)]
        codes = [encode(f, features[f.name]).reshape(*lead, n).to(self.base)
                 for f, n in zip(self.discrete, self.code_sizes, strict=True)]
        return (torch.cat([*reals, self.low.new_empty(*lead, 0)], -1),
                torch.cat([*codes, self.base.new_empty(*lead, 0)], -1))

    def unpack(self, reals: Tensor, codes: Tensor) -> dict[str, Tensor]:
        """Reals `[N, R]` and codes `[N, C]` to features `[N, *shape]` of their own types."""
        found = {f.name: (part.round() if f.is_discrete else part).to(f.dtype).reshape(-1, *f.shape)
                 for f, part in zip(self.real, reals.split(self.real_sizes, -1), strict=True)}
        found |= {f.name: decode(f, part).reshape(-1, *f.shape)
                  for f, part in zip(self.discrete, codes.split(self.code_sizes, -1), strict=True)}
        return {f.name: found[f.name] for f in self.features}

    def onehot(self, codes: Tensor) -> Tensor:
        """Codes `[..., C]` to `[..., V]`."""
        return self.low.new_zeros(*codes.shape[:-1], self.places).scatter(-1, codes + self.base, 1.0)

    def moved(self, codes: Tensor, bonus: Tensor) -> Tensor:
        """Logits `[N, V]` with a bonus `[N, 3, C]` for keeping a code and, of integers, for one less and one more."""
        out = bonus.new_zeros(len(codes), self.places).scatter(-1, codes + self.base, bonus[:, 0] + _STAY)
        for k, by in ((1, -1), (2, 1)):
            to = codes + by
            exists = self.ordered & (to >= 0) & (to < self.count)
            out = out.scatter_add(-1, torch.where(exists, to, codes) + self.base, bonus[:, k] * exists)
        return out

    def split(self, logits: Tensor) -> list[Tensor]:
        """Logits `[N, V]` to one `[N, *shape, values]` a discrete feature."""
        sizes = [n * (f.cardinality or 0) for f, n in zip(self.discrete, self.code_sizes, strict=True)]
        return [part.reshape(-1, *f.shape, f.cardinality or 0)
                for f, part in zip(self.discrete, logits.split(sizes, -1), strict=True)]
