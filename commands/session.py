"""Stepping through a world in imagination: the state, every step back to the start, and what each rule did.

`gedanken imagine` is the talk around it. The model is the agent's own imagining model: learned, refined by its rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError, nearest
from ..world.model import Outcome, State, begin
from ..world.refine import carried_over
from ..world.scenes import LEAST, Row, action_text, changes, corrections, row_of, value_text
from .drawing import record

if TYPE_CHECKING:
    from ..agent.agent import Agent
    from ..world.knowledge import Told

CHANGED, AGREED = "changed", "agreed"


@dataclass(frozen=True)
class Effect:
    """What one rule did to one imagined step: it changed what the learned model said, or agreed with it."""

    id: str
    text: str
    how: str
    what: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One imagined step from `before` to `after`; `effects` are of the rules that had a say."""

    action: Tensor  # [1, A]
    before: Row
    after: Row
    reward: float
    cont: float
    is_feasible: bool
    effects: tuple[Effect, ...]


@dataclass
class Session:
    """One walk through imagination with an agent, from a reset of its environment."""

    agent: Agent
    seed: int = 0
    trail: list[tuple[State, dict[str, Tensor], Step | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reset(self.seed)

    @property
    def features(self) -> dict[str, Tensor]:
        return self.trail[-1][1]

    @property
    def row(self) -> Row:
        return row_of(self.features)

    @property
    def steps(self) -> list[Step]:
        return [step for _, _, step in self.trail if step is not None]

    @property
    def is_over(self) -> bool:
        """Whether the last step imagined the end of the episode."""
        step = self.trail[-1][2]
        return step is not None and step.cont < 0.5

    def reset(self, seed: int | None = None) -> None:
        """Begin at the environment's state after a reset with `seed` (by default the last one's)."""
        self.seed = self.seed if seed is None else seed
        observation, _ = self.agent.env.reset(seed=self.seed)
        features = self.agent.schema.batch([self.agent.schema.observe(observation, self.agent.env)])
        self.trail = [(begin(self.agent.mind.imagining, features), features, None)]

    def undo(self) -> bool:
        """Take the last step back; False at the start."""
        if len(self.trail) == 1:
            return False
        self.trail.pop()
        return True

    def tell(self, text: str, ask: Any = None) -> list[Told]:
        """Tell rules; they act from the next step on."""
        before = self.agent.mind.imagining
        told = self.agent.tell(text, ask=ask)
        now = self.agent.mind.imagining
        self.trail = [(carried_over(state, before, now), f, step) for state, f, step in self.trail]
        return told

    @torch.no_grad()
    def step(self, action: Tensor) -> Step:
        """Imagine the most likely outcome of `action [1, A]` and go there. Raises `UserError` past the end."""
        if self.is_over:
            raise UserError("the episode has ended in imagination; `undo` or `reset`")
        mind, schema = self.agent.mind, self.agent.schema
        state, features, _ = self.trail[-1]
        _, alone = mind.learned.step(carried_over(state, mind.imagining, mind.learned), action)
        after, out = mind.imagining.step(state, action)
        features_after = {k: v.clone() for k, v in out.mode.items()}
        step = Step(
            action,
            row_of(features),
            row_of(features_after),
            float(out.reward[0]),
            float(out.cont[0]),
            bool(out.feasible[0]),
            self._effects(features, action, alone, out),
        )
        self.trail.append((after, schema.batch({k: v.numpy() for k, v in features_after.items()}), step))
        return step

    def plan(self, most: int | None = None) -> tuple[list[Step], bool]:
        """Let the planner go on: imagine its plan, `most` steps of it; also whether it reaches the objective."""
        agent = self.agent
        rng = torch.Generator().manual_seed(self.seed)
        plan = agent.planner.plan(
            agent.mind.imagining,
            self.trail[-1][0],
            agent.objective(),
            agent.planner.initial(1),
            rng,
            agent.config.budget,
        )
        taken: list[Step] = []
        for action in plan.sequence[:most]:
            if self.is_over:
                break
            taken.append(self.step(action))
        return taken, bool(plan.reached[0])

    def _effects(
        self, features: Mapping[str, Tensor], action: Tensor, alone: Outcome, out: Outcome
    ) -> tuple[Effect, ...]:
        """Each rule alone against the learned model alone: what would it change?"""
        knowledge = self.agent.mind.knowledge
        found = []
        for i, entry in enumerate(knowledge.corrections()):
            rule = entry.acting or entry.rule
            what = corrections(knowledge.schema, rule, features, action, alone)
            if what:
                found.append(Effect(entry.id, entry.text, CHANGED, tuple(what)))
            elif out.fired is not None and bool(out.fired[0, i]):
                found.append(Effect(entry.id, entry.text, AGREED))
        return tuple(found)

    def parse_action(self, text: str) -> Tensor:
        """An action by name, the beginning of a name, or number; several action features by spaces or commas.

        Raises `UserError` with the actions there are.
        """
        features = self.agent.schema.actions
        words = text.replace(",", " ").split()
        if len(words) != len(features):
            raise UserError(f"'{text}' is not an action{self._nearest(text)} ({self.choices()})")
        values = []
        for f, word in zip(features, words, strict=True):
            names = [value_text(f, v) for v in range(f.cardinality)] if f.cardinality and f.kind != "integer" else []
            starts = [i for i, name in enumerate(names) if name.startswith(word.lower())]
            if word in names:
                values.append(float(names.index(word)))
            elif len(starts) == 1:
                values.append(float(starts[0]))
            elif _is_number(word) and (not f.is_discrete or 0 <= float(word) < (f.cardinality or np.inf)):
                values.append(float(word))
            else:
                raise UserError(f"'{word}' is not an action{nearest(word, names)} ({self.choices()})")
        return self.agent.schema.clamp(torch.tensor([values]).to(self.agent.schema.action_dtype))

    def choices(self) -> str:
        """The actions in a line."""
        return "; ".join(
            f"{a.name}: " + (", ".join(a.values) if a.values else f"{a.low:g} to {a.high:g}")
            for a in self.agent.schema.actions
        )

    def _nearest(self, text: str) -> str:
        return nearest(text, [v for a in self.agent.schema.actions for v in a.values])

    def to_json(self) -> dict[str, Any]:
        """The walk as JSON data."""
        schema = self.agent.schema
        return {
            "env": self.agent.env.spec.id if self.agent.env.spec else None,
            "seed": self.seed,
            "start": record(schema, row_of(self.trail[0][1])),
            "steps": [
                {
                    "action": action_text(schema, s.action),
                    "changed": changes(schema, s.before, s.after, LEAST),
                    "reward": s.reward,
                    "continues": s.cont,
                    "feasible": s.is_feasible,
                    "rules": [{"id": e.id, "text": e.text, "how": e.how, "what": list(e.what)} for e in s.effects],
                    "features": record(schema, s.after),
                }
                for s in self.steps
            ],
        }


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False
