"""What there is to see at one moment of an episode: the state, the plan, the rules at work, what was expected, how far
the goal is. The terminal and the video draw the same scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..agent.recording import Frame, Recording, fired, milestones
from ..world.scenes import LEAST, Row, action_text, changes
from .drawing import is_drawable, pointer

if TYPE_CHECKING:
    from ..agent.agent import Agent
    from ..world.schema import Schema

COMING = 12
"""Actions of the plan that are shown."""


@dataclass(frozen=True)
class Scene:
    """One moment. `doing` is the action just chosen ("" at the end), `coming` what the plan has after it, `path` the
    cells (column, line) it leads over, `active` the rules that fire on the chosen action; `otherwise` is what came
    otherwise than expected, `is_expected` whether anything was expected at all."""

    schema: Schema
    episode: int
    t: int
    frame: Frame
    past: tuple[Frame, ...]
    doing: str
    coming: tuple[str, ...]
    path: tuple[tuple[int, int], ...]
    active: tuple[str, ...]
    shielded: str
    otherwise: tuple[str, ...]
    milestones: tuple[tuple[str, bool], ...]
    total: float

    @property
    def is_expected(self) -> bool:
        return self.frame.imagined is not None

    @property
    def observed(self) -> Row:
        return self.frame.observed

    def ticks(self) -> list[tuple[bool, str]]:
        """The goal's milestones; without one, the return is what it is after."""
        return [(done, text) for text, done in self.milestones]


@dataclass
class Watcher:
    """Makes a scene of every moment of `Agent.run`, one episode after the other."""

    episode: int = 0
    total: float = 0.0
    recording: Recording = field(default_factory=Recording)

    def look(self, agent: Agent) -> Scene:
        """The scene now; call it once a moment."""
        mind = agent.mind
        if mind.recent.t == 0:
            self.episode, self.total, self.recording = self.episode + 1, 0.0, Recording()
        self.recording.frame(agent)
        frame = self.recording.frames[-1]
        self.total += frame.reward
        pursuit, pending = mind.pursuit, agent.pending
        coming: tuple[str, ...] = ()
        path: tuple[tuple[int, int], ...] = ()
        if pursuit and pursuit.plan is not None and pending is not None:
            coming = tuple(action_text(agent.schema, a[0]) for a in pursuit.plan.sequence[pursuit.at :][:COMING])
            path = _path(agent.schema, {k: np.asarray(v[pursuit.at :, 0]) for k, v in pursuit.plan.imagined.items()})
        otherwise = changes(agent.schema, frame.observed, frame.imagined, LEAST) if frame.imagined else []
        doing = action_text(agent.schema, pending[0]) if pending is not None else ""
        shielded = mind.decisions[-1].rule if doing and mind.decisions and pursuit and pursuit.plan is None else ""
        return Scene(agent.schema, self.episode, mind.recent.t, frame, tuple(self.recording.frames), doing, coming,
                     path, fired(mind) if doing else (), shielded, tuple(otherwise), tuple(milestones(agent)),
                     self.total)


def _path(schema: Schema, imagined: dict[str, np.ndarray]) -> tuple[tuple[int, int], ...]:
    """The cells that a plan leads over, in order, none twice."""
    if not is_drawable(schema):
        return ()
    steps = len(next(iter(imagined.values())))
    cells = [pointer(schema, {k: v[t] for k, v in imagined.items()})[:2] for t in range(steps)]
    return tuple(dict.fromkeys(cells))
