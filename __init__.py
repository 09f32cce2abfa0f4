"""gedanken: thought experiments for agents. Names are imported on first use, so that importing this stays light."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent.adapting import AdaptingConfig
    from .agent.agent import Agent
    from .agent.config import AgentConfig
    from .agent.reflecting import ReflectingConfig
    from .agent.results import EpisodeResult, RunResult
    from .errors import GedankenError, UserError
    from .world.checks import check_world_model
    from .world.models.simulator import Simulator, check_clone
    from .world.recollection import FeedConfig
    from .world.schema import Derived, Feature, Grid, Pointed, Schema, check_schema
    from .world.teaching import TeachingConfig

__version__ = "0.1.0"

_HOMES = {
    "AdaptingConfig": "agent.adapting",
    "Agent": "agent.agent",
    "AgentConfig": "agent.config",
    "Derived": "world.schema",
    "EpisodeResult": "agent.results",
    "Feature": "world.schema",
    "FeedConfig": "world.recollection",
    "GedankenError": "errors",
    "Grid": "world.schema",
    "Pointed": "world.schema",
    "ReflectingConfig": "agent.reflecting",
    "RunResult": "agent.results",
    "Schema": "world.schema",
    "Simulator": "world.models.simulator",
    "TeachingConfig": "world.teaching",
    "UserError": "errors",
    "check_clone": "world.models.simulator",
    "check_schema": "world.schema",
    "check_world_model": "world.checks",
}
__all__ = [
    "AdaptingConfig",
    "Agent",
    "AgentConfig",
    "Derived",
    "EpisodeResult",
    "Feature",
    "FeedConfig",
    "GedankenError",
    "Grid",
    "Pointed",
    "ReflectingConfig",
    "RunResult",
    "Schema",
    "Simulator",
    "TeachingConfig",
    "UserError",
    "check_clone",
    "check_schema",
    "check_world_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gedanken' has no attribute '{name}'")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
