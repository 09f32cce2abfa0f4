"""A 64-bit fingerprint of each row of features, for recognising states that were met before."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .schema import Features


def fingerprint(features: Features, *extra: Tensor) -> Tensor:
    """Hash features `[N, *shape]` (and extra columns `[N]` or `[N, K]`) to int64 `[N]`.

    A random linear hash modulo 2^64 of the rows' bytes, eight at a time, with each word mixed first: two different
    rows collide with a probability of about 2^-60. Real features are compared to four decimals.
    """
    columns = []
    for value in (*features.values(), *extra):
        flat = value.reshape(len(value), -1)
        if flat.is_floating_point():
            flat = (flat.double() * 1e4).round().clamp(-2.0**62, 2.0**62).to(torch.int64)
        flat = (flat.to(torch.int8) if flat.dtype == torch.bool else flat).contiguous()
        flat = flat.as_strided(flat.shape, (flat.shape[1], 1))  # of one expanded row it may be 0
        columns.append(flat.view(torch.int8))
    raw = torch.cat(columns, 1)
    words = F.pad(raw, (0, -raw.shape[1] % 8)).view(torch.int64)
    mixed = (words ^ (words >> 29)) * _MIXER
    return ((mixed ^ (mixed >> 32)) * _weights(words.shape[1])).sum(1)


_MIXER = -4658895280553007687  # splitmix64's first multiplier, as a signed number


@lru_cache(maxsize=64)
def _weights(count: int) -> Tensor:
    return torch.randint(-2**62, 2**62, (count,), generator=torch.Generator().manual_seed(count)) * 2 + 1
