"""Test-time training: an agent that is deployed goes on learning, a few gradient steps an episode.

A batch is drawn from three parts of memory: what was lived since the last full training, the newest first; of that,
what surprises the model as it imagines now; and what was lived before, as far as the world still agrees with it. Old
transitions that have become as surprising as almost none was when training ended tell of another world: they are left
out, so that a changed world is learned and an unchanged one is not forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..memory import Transitions
from ..world.model import Batch
from ..world.training import Trainer
from .learn import Experience, surprises
from .mind import Mind
from .replaying import Parts

ALIEN = 5.0
"""Nats beyond what is usual by which an old transition surprises a model that has learned another world."""


@dataclass(frozen=True)
class AdaptingConfig:
    """`steps` gradient steps an episode at `rate` times the training's first learning rate. `new` and `surprising` are
    shares of a batch; the rest is old. New transitions count half as much `half_life` transitions later. An old one
    agrees with the world up to the `usual` quantile of the surprises when training ended."""

    steps: int = 60
    rate: float = 1.0
    new: float = 0.5
    surprising: float = 0.25
    half_life: int = 1_000
    usual: float = 0.98


@dataclass(frozen=True)
class Deployment:
    """Since when an agent is deployed: the last `episode` before, the `usual` surprise of training data in nats, and
    whether the world was found to have changed since."""

    episode: int
    usual: float
    has_changed: bool = False

    @staticmethod
    def begin(mind: Mind, experience: Experience, config: AdaptingConfig) -> Deployment:
        """From now on, as the model imagines now."""
        known = experience.replay.transitions()
        surprise = surprises(mind.knowledge.refine(mind.learned), experience, known)
        usual = float(np.quantile(surprise, config.usual)) if len(known) else float("inf")
        episodes = mind.memory.episodes()
        return Deployment(episodes[-1].id if episodes else 0, usual)

    def since(self, lived: Transitions) -> np.ndarray:
        """Which transitions were lived since, `[N]` bool."""
        return np.asarray(lived.episode > self.episode)

    def present(self, lived: Transitions, surprise: np.ndarray) -> np.ndarray:
        """Which transitions, of `surprise [N]` nats, may be of the world as it is now: those since, and of the others
        all that the model does not find `ALIEN`. `[N]` bool."""
        return self.since(lived) | (surprise <= self.usual + ALIEN)


class Mixture(Parts):
    """Batches of the new, the surprising and the old (`Source`)."""

    def __init__(self, experience: Experience, surprise: np.ndarray, is_new: np.ndarray, usual: float,
                 config: AdaptingConfig) -> None:
        """`surprise [M]` in nats and `is_new [M]` of all training transitions; an old one agrees up to `usual` nats."""
        age = np.arange(len(is_new))[::-1]
        recency = is_new * 0.5 ** (age / config.half_life)
        agrees = ~is_new & (surprise <= usual)
        self.kept = is_new | agrees
        super().__init__(experience, (
            (config.new, recency),
            (config.surprising, recency * surprise.clip(0.0)),
            (1 - config.new - config.surprising, agrees.astype(np.float64)),
        ))

    def everything(self) -> Batch | None:
        """All transitions that still tell of this world."""
        return self.experience.everything(self.kept)


def adapt(mind: Mind, experience: Experience, trainer: Trainer, since: Deployment, config: AdaptingConfig) -> bool:
    """Train a little on what is new. Returns whether the world has changed: whether the share of the new that is
    unusually surprising lies more than three standard errors above what it was at first. Only then may the model's
    structure change (a sparse model opens its gates); else it stays, and only the weights go on."""
    known: Transitions = experience.replay.transitions()
    surprise, is_new = surprises(mind.knowledge.refine(mind.learned), experience, known), since.since(known)
    if not is_new.any():
        return False
    expected, count = 1 - config.usual, is_new.sum()
    beyond = (surprise[is_new] > since.usual).mean()
    has_changed = bool(beyond > expected + 3 * np.sqrt(expected * (1 - expected) / count))
    mixture = Mixture(experience, surprise, is_new, since.usual, config)
    trainer.adapt(mixture, config.steps, config.rate, reopen=has_changed)
    return has_changed
