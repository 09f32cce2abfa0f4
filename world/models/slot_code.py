"""The code of the slot model: what the features of cells and scalars are as latents, and back.

One linear code a slot: embeddings of a cell's arrays add up to its latent, one linear map reads them all off again.
N rows, C cells, S scalars, D latent width, V values of a feature.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..distributions import encode
from ..schema import Feature, Features


class SlotCode(nn.Module):
    """Encodes and decodes the cells' `arrays` and the `scalars`, each slot to `width` numbers."""

    def __init__(self, arrays: Sequence[Feature], scalars: Sequence[Feature], width: int) -> None:
        super().__init__()
        self.arrays, self.scalars, self.width = list(arrays), list(scalars), width
        self.sizes = [f.cardinality or 0 for f in arrays]
        self.embed_cells = nn.ModuleList(nn.Embedding(size, width) for size in self.sizes)
        self.embed_scalars = nn.ModuleList(nn.Embedding(f.cardinality or 0, width) for f in scalars)
        self.decode_cells = nn.Linear(width, sum(self.sizes)) if self.sizes else None
        self.decode_scalars = nn.ModuleList(nn.Linear(width, f.cardinality or 0) for f in scalars)

    def codes(self, features: Features) -> Tensor:
        """The cells' codes `[N, C, arrays]`."""
        return torch.stack([encode(f, features[f.name]).flatten(1).to(torch.int16) for f in self.arrays], -1)

    def of_cells(self, codes: Tensor) -> Tensor:
        """Codes `[..., arrays]` to latents `[..., D]`."""
        return sum((e(codes[..., i].long()) for i, e in enumerate(self.embed_cells)), torch.zeros(()))

    def of_scalars(self, features: Features) -> Tensor:
        """The scalars' latents `[N, S, D]`."""
        if not self.scalars:
            return torch.zeros(len(next(iter(features.values()))), 0, self.width)
        pairs = zip(self.scalars, self.embed_scalars, strict=True)
        return torch.stack([e(encode(f, features[f.name])) for f, e in pairs], 1)

    def cell_logits(self, latents: Tensor) -> tuple[Tensor, ...]:
        """Latents `[..., D]` to logits `[..., V]`, one an array."""
        assert self.decode_cells is not None
        return self.decode_cells(latents).split(self.sizes, -1)

    def scalar_logits(self, i: int, latents: Tensor) -> Tensor:
        """The i-th scalar's logits `[N, V]` from all scalars' latents `[N, S, D]`."""
        return self.decode_scalars[i](latents[:, i])

    def reconstruction(self, rows: int, rng: torch.Generator | None) -> Tensor:
        """The loss of decoding `rows` random valid slots: every value the schema allows can be represented, seen or
        not, or told values that never occurred could not be."""

        def draw(f: Feature) -> Tensor:
            return torch.randint(f.cardinality or 0, (rows,), generator=rng)

        total = torch.zeros(())
        if self.arrays:
            drawn = torch.stack([draw(f) for f in self.arrays], -1)
            for i, part in enumerate(self.cell_logits(self.of_cells(drawn))):
                total = total + F.cross_entropy(part, drawn[:, i])
        for e, d, f in zip(self.embed_scalars, self.decode_scalars, self.scalars, strict=True):
            drawn = draw(f)
            total = total + F.cross_entropy(d(e(drawn)), drawn)
        return total
