"""One episode as it was lived and as it was imagined, step by step: what the filmstrip is drawn from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..world.scenes import Row, action_text, row_of

if TYPE_CHECKING:
    from ..agent.agent import Agent
    from ..agent.mind import Mind


@dataclass(frozen=True)
class Frame:
    """One moment: what was observed, what had been imagined for it (None at the start), the action that led here and
    the rules that fired on it; `ahead`, name -> `[H + 1, ...]`, is the future imagined from here if a plan was made."""

    observed: Row
    imagined: Row | None
    action: str
    fired: tuple[str, ...]
    ahead: dict[str, np.ndarray] | None


@dataclass
class Recording:
    """Pass `frame` to `Agent.run`; one recording an episode."""

    frames: list[Frame] = field(default_factory=list)
    _expected: Row | None = None
    _fired: tuple[str, ...] = ()
    _last_plan: object = None

    def frame(self, agent: Agent) -> None:
        """Record the state the agent now sees, with what it expected of it a step ago."""
        mind = agent.mind
        assert mind.features is not None
        steps = mind.recent.steps
        action = action_text(agent.schema, steps[-1].action) if self.frames and steps else ""
        plan = mind.pursuit.plan if mind.pursuit else None
        ahead = None
        if plan is not None and plan is not self._last_plan:
            ahead = {k: np.asarray(v[:, 0]) for k, v in plan.imagined.items()}
        self.frames.append(Frame(row_of(mind.features), self._expected, action, self._fired, ahead))
        self._last_plan = plan
        self._expected, self._fired = _expectation(mind), _fired(mind)


def _expectation(mind: Mind) -> Row | None:
    """What is imagined for the next moment: by the plan that is being followed, else by the step before acting."""
    pursuit = mind.pursuit
    if pursuit and pursuit.plan is not None and pursuit.at < len(next(iter(pursuit.plan.imagined.values()))):
        return {k: np.asarray(v[pursuit.at, 0]) for k, v in pursuit.plan.imagined.items()}
    return row_of(mind.predicted.mode) if mind.predicted is not None else None


def _fired(mind: Mind) -> tuple[str, ...]:
    """The rules that corrected what is expected of the action just chosen."""
    if mind.predicted is None or mind.predicted.fired is None:
        return ()
    entries = mind.knowledge.corrections()
    return tuple(entries[i].text for i in mind.predicted.fired[0].nonzero()[:, 0].tolist())
