"""The recurrent state space model of DreamerV3: block GRU, categorical latents, two-hot heads, images."""

from .config import SIZES, RSSMConfig
from .model import RSSM, Belief

__all__ = ["RSSM", "SIZES", "Belief", "RSSMConfig"]
