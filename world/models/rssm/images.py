"""Images to tokens and back: four strided convolutions down, four up, whatever the size.

Letters: Y x X pixels of P channels; 64 x 64 x 3 is usual. Pixels are bytes outside, -0.5 .. 0.5 inside.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ....errors import UserError
from ...schema import Feature
from .layers import Norm

_STAGES = 4
_CHANNELS = (1, 2, 4, 8)
_LARGEST = 128


def check(feature: Feature) -> None:
    """Raises `UserError` for an image of a shape that the convolutions do not fit."""
    y, x, *channels = feature.shape
    if not (y % 2**_STAGES == x % 2**_STAGES == 0 and max(y, x) <= _LARGEST and (channels or [1])[0] in (1, 3, 4)):
        raise UserError(
            f"the image '{feature.name}' has shape {feature.shape}; the recurrent state space model sees (height, "
            f"width, channels) with 1, 3 or 4 channels last, height and width multiples of 16 up to {_LARGEST}: wrap "
            "the environment with gymnasium.wrappers.ResizeObservation(env, (64, 64)), and put the channels last")


class ImageEncoder(nn.Module):
    """An image `[..., Y, X, P]` to tokens `[..., units]`, the linear read of its last convolution."""

    def __init__(self, feature: Feature, depth: int, units: int) -> None:
        super().__init__()
        self.feature = feature
        y, x, channels = (*feature.shape, 1)[:3]
        sizes = [channels, *(depth * k for k in _CHANNELS)]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(Norm(b) for b in sizes[1:])
        self.read = nn.Linear(math.prod((y, x)) // 4**_STAGES * sizes[-1], units, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        lead, y, x = image.shape[: image.dim() - len(self.feature.shape)], *self.feature.shape[:2]
        pixels = image.reshape(-1, y, x, image.shape[-1] if len(self.feature.shape) == 3 else 1)
        hidden = pixels.to(self.read.weight.dtype) / 255 - 0.5
        for convolve, norm in zip(self.down, self.norms, strict=True):
            hidden = norm(convolve(hidden.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        return self.read(hidden.flatten(1)).unflatten(0, lead)


class ImageDecoder(nn.Module):
    """Hidden units `[N, units]` to the mean pixels `[N, *shape]`, 0 .. 255, and how far they are off, learned."""

    def __init__(self, feature: Feature, depth: int, units: int) -> None:
        super().__init__()
        self.feature = feature
        y, x, channels = (*feature.shape, 1)[:3]
        self.least = (y // 2**_STAGES, x // 2**_STAGES, depth * _CHANNELS[-1])
        sizes = [*(depth * k for k in reversed(_CHANNELS)), channels]
        self.write = nn.Linear(units, math.prod(self.least))
        self.norms = nn.ModuleList(Norm(a) for a in sizes[:-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in pairwise(sizes))
        self.log_std = nn.Parameter(torch.tensor(math.log(25.0)))

    def forward(self, units: Tensor) -> Tensor:
        hidden = self.write(units).unflatten(-1, self.least)
        for convolve, norm in zip(self.up, self.norms, strict=True):
            hidden = convolve(norm(hidden).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return 255 * hidden.sigmoid().reshape(-1, *self.feature.shape)

    def loss(self, mean: Tensor, image: Tensor) -> Tensor:
        """Squared error of pixels as shares, summed over them (Hafner et al. 2023); and, apart from it, what teaches
        `log_std`: `[N]`."""
        off = (mean - image).flatten(1)
        known = 0.5 * (off.detach().square().mean(1) * (-2 * self.log_std).exp()) + self.log_std
        return (off / 255).square().sum(1) + known - known.detach()
