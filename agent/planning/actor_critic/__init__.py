"""An actor and a critic trained in imagination, as a planner and as advice for other planners."""

from .advised import Advised, Guided
from .learning import ActorCriticConfig
from .planner import ActorCritic

__all__ = ["ActorCritic", "ActorCriticConfig", "Advised", "Guided"]
