"""What a user may set of an agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..prompts import GatewayConfig
from ..world.neighbours import NeighboursConfig
from ..world.recollection import FeedConfig
from ..world.teaching import TeachingConfig
from ..world.training import TrainingConfig
from .adapting import AdaptingConfig
from .planning.plan import Budget
from .reflecting import ReflectingConfig
from .shield import ShieldConfig


@dataclass(frozen=True)
class AgentConfig:
    """`budget` a plan; `layout_steps` after which learning in a grid world asks for another layout, `episode_steps`
    after which any episode is broken off, since some never end;
    `train_every` new transitions the model is trained again at an episode's end, where the agent learns as it acts;
    `surprising` nats from which a transition is remembered as a surprise. Learning as it acts, a "curious" agent is
    also after what its model does not know, each nat worth `curiosity` (Sekar et al. 2020, arXiv 2005.05960); otherwise
    a nat of it costs `caution`.
    `violations` is the share of predictions that may keep a limit and prove wrong: the fewer, the wider its margin;
    `shield` says how far beyond the next state a way to keep the limits must be seen before an action is executed.
    With `adapting` what is lived while deployed is learned by a few gradient steps an episode (test-time training)
    instead of whole trainings. With `teaching` the accepted rules train the model, so that it predicts in time what it
    was told. Past transitions are recalled beside the world model as `neighbours` say ("auto": where that was measured
    to help). A prompt has at most `context_tokens`; `feed` is what long-term memory adds to it (None: nothing). With
    `reflecting` lessons are drawn between episodes. With `skills` chains of deeds that came true lead later searches.
    `calls` are the limits of what it asks language models, and the user's own prompts."""

    budget: Budget = field(default_factory=lambda: Budget(transitions=40_000, seconds=20.0))
    layout_steps: int = 25
    episode_steps: int = 10_000
    train_every: int = 250
    surprising: float = 3.0
    holdout: float = 0.1
    exploration: Literal["random", "curious"] = "random"
    curiosity: float = 0.1
    caution: float = 0.0
    violations: float = 0.01
    shield: ShieldConfig = field(default_factory=ShieldConfig)
    training: TrainingConfig | None = None
    adapting: AdaptingConfig | None = None
    teaching: TeachingConfig | None = None
    neighbours: NeighboursConfig | Literal["auto"] | None = "auto"
    context_tokens: int = 4096
    feed: FeedConfig | None = field(default_factory=FeedConfig)
    reflecting: ReflectingConfig | None = None
    skills: bool = True
    calls: GatewayConfig = field(default_factory=GatewayConfig)
