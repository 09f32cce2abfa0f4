"""The mental state M = {memory, world model, affect, goal, reward} of the agent loop (Liu et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..memory import LongTerm, Replay, ShortTerm
from ..world.knowledge import KnowledgeBase
from ..world.model import Outcome, State, WorldModel
from ..world.rules.syntax import Achieve
from ..world.unseen import Unseen
from .goals import Limit
from .planning.objective import Carry, Objective
from .planning.plan import Plan
from .remembered import Failures
from .setbacks import Band, Setbacks
from .shield import Decision, Shield
from .skills import Skillbook


@dataclass
class Affect:
    """What the agent makes of its own predictions: `surprise` of the last one in nats, `novelty` of the state it is
    in (1 at first sight, 1/sqrt(visits) later), `confidence`, a running share of predictions that came true.

    They decide when to replan, what is worth remembering, and when a language model is worth asking.
    """

    surprise: float = 0.0
    novelty: float = 1.0
    confidence: float = 0.5
    visits: dict[int, int] = field(default_factory=dict)

    def feel(self, surprise: float, came_true: bool, state: int) -> None:
        self.surprise = surprise
        self.confidence += 0.05 * (float(came_true) - self.confidence)
        self.visit(state)

    def visit(self, state: int) -> None:
        """Be in a state, by its fingerprint."""
        self.visits[state] = self.visits.get(state, 0) + 1
        self.novelty = self.visits[state] ** -0.5


@dataclass
class Pursuit:
    """What the agent is doing about its goal: the plan, how far it is executed, the objective and its carry. With a
    partial view it may be `looking`; it is `at_a_loss` where no plan reaches the goal and no look tells more."""

    objective: Objective
    carry: Carry
    plan: Plan | None = None
    at: int = 0
    failed_searches: int = 0
    planner_carry: object = None
    looking: bool = False
    at_a_loss: bool = False


@dataclass
class Mind:
    """Everything the agent knows and is after. `recalled` is the learned model with the past beside it, `imagining`
    that one refined by the rules, which also remembers what failed; `doubts` counts the rules put to the test."""

    memory: LongTerm
    replay: Replay
    recent: ShortTerm
    learned: WorldModel
    knowledge: KnowledgeBase
    recalled: WorldModel
    imagining: WorldModel
    shield: Shield
    limits: list[Limit]
    failures: Failures
    affect: Affect
    rng: torch.Generator
    skills: Skillbook
    pursuit: Pursuit | None = None
    errand: tuple[Achieve, ...] = ()  # what an instruction asks of one run, instead of the standing goals
    unseen: Unseen | None = None  # what cells out of sight may hold, where the view is partial
    bounds: list[Limit] = field(default_factory=list)  # what it asks to keep clear of meanwhile
    band: Band | None = None  # beyond which a number departs from what was imagined
    belief: State | None = None
    features: dict[str, Tensor] | None = None  # [1, ...]
    predicted: Outcome | None = None
    reward: float = 0.0
    doubts: int = 0
    decisions: list[Decision] = field(default_factory=list)
    imagined_steps: int = 0
    departures: int = 0
    broken: int = 0
    conflicts: int = 0
    setbacks: Setbacks = field(default_factory=Setbacks)
