"""One episode as it was lived and as it was imagined, step by step: what films, reports and videos are drawn from."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..world.refine import carried_over
from ..world.scenes import Row, action_text, differ, row_of
from .goals import Goal

if TYPE_CHECKING:
    from .agent import Agent
    from .mind import Mind

MOST = 400
"""Of an episode, the last so many moments are kept."""


@dataclass(frozen=True)
class Frame:
    """One moment: what was observed, what had been imagined for it (None at the start), the action that led here and
    the rules that fired on it; `ahead`, name -> `[H + 1, ...]`, is the future imagined from here if a plan was made.
    `shielded` is the rule that replaced the planned action, if one did; `surprise` is in nats; `changed` says whether
    the rules made the prediction another than what was learned alone."""

    observed: Row
    imagined: Row | None
    action: str
    fired: tuple[str, ...]
    ahead: dict[str, np.ndarray] | None
    reward: float = 0.0
    surprise: float = 0.0
    shielded: str = ""
    changed: bool = False


@dataclass
class Recording:
    """Pass `frame` to `Agent.run`; one recording an episode. Of a long one the last `MOST` moments stay, and `dropped`
    says how many went."""

    frames: deque[Frame] = field(default_factory=lambda: deque(maxlen=MOST))
    dropped: int = 0
    _expected: Row | None = None
    _fired: tuple[str, ...] = ()
    _shielded: str = ""
    _changed: bool = False
    _last_plan: object = None

    def frame(self, agent: Agent) -> None:
        """Record the state the agent now sees, with what it expected of it a step ago."""
        mind = agent.mind
        assert mind.features is not None
        is_first, steps = not (self.frames or self.dropped), mind.recent.steps
        action = action_text(agent.schema, steps[-1].action) if steps and not is_first else ""
        plan = mind.pursuit.plan if mind.pursuit else None
        ahead = None
        if plan is not None and plan is not self._last_plan:
            ahead = {k: np.asarray(v[:, 0]) for k, v in plan.imagined.items()}
        self.dropped += len(self.frames) == MOST
        self.frames.append(Frame(row_of(mind.features), self._expected, action, self._fired, ahead,
                                 0.0 if is_first else mind.reward, 0.0 if is_first else mind.affect.surprise,
                                 self._shielded, self._changed))
        self._last_plan = plan
        self._expected, self._fired, self._shielded = expectation(mind), fired(mind), _shield(mind)
        self._changed = bool(self._fired) and _is_changed(agent)


def expectation(mind: Mind) -> Row | None:
    """What is imagined for the next moment: by the plan that is being followed, else by the step before acting."""
    pursuit = mind.pursuit
    if pursuit and pursuit.plan is not None and pursuit.at < len(next(iter(pursuit.plan.imagined.values()))):
        return {k: np.asarray(v[pursuit.at, 0]) for k, v in pursuit.plan.imagined.items()}
    return row_of(mind.predicted.mode) if mind.predicted is not None else None


def fired(mind: Mind) -> tuple[str, ...]:
    """The rules that corrected what is expected of the action just chosen."""
    if mind.predicted is None or mind.predicted.fired is None:
        return ()
    columns = mind.predicted.fired[0].nonzero()[:, 0].tolist()
    entries = mind.knowledge.corrections() if columns else []
    return tuple(entries[i].text for i in columns)


@torch.no_grad()
def _is_changed(agent: Agent) -> bool:
    """Whether the action just chosen is predicted to bring another thing than by what was learned alone."""
    mind, action = agent.mind, agent.pending
    if action is None or mind.predicted is None:
        return False
    _, alone = mind.learned.step(carried_over(mind.belief, mind.imagining, mind.learned), action)
    return bool(differ(agent.schema, alone, mind.predicted)[0])


def _shield(mind: Mind) -> str:
    """The rule by which the action just chosen is another than was planned."""
    return mind.decisions[-1].rule if mind.decisions and mind.pursuit and mind.pursuit.plan is None else ""


def milestones(agent: Agent) -> list[tuple[str, bool]]:
    """The milestones of what the agent pursues, in words of the rule language, and whether each is behind it."""
    from ..world.rules.text import to_text

    pursuit = agent.mind.pursuit
    if pursuit is None:
        return []
    found: list[tuple[str, bool]] = []
    for term, carry in zip(pursuit.objective.terms, pursuit.carry, strict=True):
        if isinstance(term, Goal):
            parts, wanted = term.statement.conditions, term.wanted(carry)
            passed = round(float(term.progress(carry)[0]))
            last = max((k for k, part in enumerate(parts) if part in wanted), default=passed)
            found += [(to_text(part), k < last and part not in wanted) for k, part in enumerate(parts)]
    return found
