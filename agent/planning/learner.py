"""The seam for planners that learn: besides planning, they are improved in imagination.

`Agent.train` improves such a planner after its world model, under the agent's own objective and the refined model, so
that what was told shapes what is learned. What it learns is saved with the agent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch

from ...world.model import WorldModel
from ...world.schema import Schema
from ...world.training import Progress, Source
from .objective import Carry, Objective, Transition


@runtime_checkable
class Learner(Protocol):
    """A `Planner` that learns. `plan` still changes nothing on the object; `improve` does."""

    def improve(self, model: WorldModel, replay: Source, objective: Objective, rng: torch.Generator,
                steps: int | None = None, progress: Callable[[Progress], None] | None = None) -> dict[str, float]:
        """Learn for `steps` gradient steps (None: as configured) from states drawn from `replay`, and return what it
        came to ({} where there is nothing to start from). An interrupt leaves the last whole step."""

    def state_dict(self) -> dict[str, Any]:
        """All that was learned, optimiser included: nested dictionaries and lists of tensors and JSON data."""

    def load_state_dict(self, state: dict[str, Any], schema: Schema) -> None:
        """Go on from `state`, which was learned for a world of `schema`. Raises `UserError` where it was not."""


@runtime_checkable
class Apprentice(Protocol):
    """A `Planner` that learns from every step as it is lived, too (Dyna)."""

    def observe(self, schema: Schema, step: Transition, objective: Objective, carry: Carry,
                rng: torch.Generator) -> None:
        """Learn from N real transitions, from `carry` of the objective on."""
