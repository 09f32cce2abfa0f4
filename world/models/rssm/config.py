"""How large a recurrent state space model is, and what its loss weighs; sizes by name."""

from __future__ import annotations

from dataclasses import dataclass

from ....errors import UserError


@dataclass(frozen=True)
class RSSMConfig:
    """D `deter`, H `hidden`, S `latents` of K `classes`, U `units` a head; `depth` channels in the first convolution.

    The weights of the loss are those of Hafner et al. 2023 (arXiv 2301.04104 v2), table 4 and equations 4 to 5.
    """

    deter: int = 192
    blocks: int = 4
    hidden: int = 64
    latents: int = 12
    classes: int = 8
    units: int = 64
    depth: int = 8
    unimix: float = 0.01  # share of the uniform in every latent's probabilities
    free_nats: float = 1.0
    beta_dyn: float = 1.0
    beta_rep: float = 0.1
    least_std: float = 0.02  # of a real feature, in units of its usual change a step
    weight_decay: float = 1e-2


SIZES = {
    "200k": RSSMConfig(),
    "1m": RSSMConfig(deter=512, blocks=8, hidden=160, latents=16, classes=16, units=128, depth=16),
    "4m": RSSMConfig(deter=1024, blocks=8, hidden=256, latents=24, classes=16, units=256, depth=24),
    "12m": RSSMConfig(deter=2048, blocks=8, hidden=384, latents=32, classes=16, units=384, depth=32),
}
"""About so many parameters in a world of a handful of features; images and large grids add their own."""


def config_of(name: str) -> RSSMConfig:
    """The configuration called `name`; raises `UserError` for one there is not."""
    if name not in SIZES:
        raise UserError(f"the recurrent state space model has no size '{name}'; choose one of {', '.join(SIZES)}")
    return SIZES[name]
