"""Whether a goal can be reached in a world of numbers: imagination looks for a way there, or as near as can be.

    A ~ sequences of actions that are held for a while, refitted to what they are worth (CEM): the goal, less what the
        limits exclude, and a little for ending nearer to what is wanted next
    again without the person's limits and prohibitions; with each one of those broken set aside alone; without deadline

Not every way can be imagined there, so that nothing is said to be impossible.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...world.rules.evaluate import Rows, robustness
from ...world.rules.syntax import Expression
from ...world.rules.text import to_text
from ...world.schema import Schema
from ..goals import Goal, Limit
from ..planning.cem import CEM, CEMConfig
from ..planning.objective import Memoryless, Transition
from ..planning.plan import Budget, Plan
from .question import SECONDS, Obstacle, Question, broken_by, in_steps, only_by_breaking, wanted

if TYPE_CHECKING:
    from ..agent import Agent

STEPS = 160
"""So far ahead ways are imagined."""
PIECES = 16
"""Actions that a way is made of, each held."""
CHEAPER = 8
"""Steps of ways side by side that are imagined for one of a search."""


@dataclass(frozen=True)
class Nearness(Memoryless):
    """Worth a tenth where `condition` is come to from where one is, and less where it is come nearer to."""

    schema: Schema
    condition: Expression
    away: float  # how far from it one is, in its unit

    def advance(self, carry: Tensor, step: Transition) -> tuple[Tensor, Tensor, Tensor]:
        before, after = (robustness(self.condition, Rows(self.schema, f)).clamp_max(0) for f in (step.now, step.next))
        return carry, 0.1 * step.alive * (after - before) / self.away, torch.zeros_like(step.feasible)


@dataclass(frozen=True)
class Way:
    """The best way that was found: up to where the goal is reached, if it `arrives`; else how `near` to what is wanted
    it came at best, in the unit of that condition."""

    plan: Plan
    arrives: bool
    near: float


def approached(agent: Agent, goal: str, question: Question, budget: int, rng: torch.Generator) -> Obstacle:
    """Why a goal in a world of numbers is not reached; "unknown" where no way is found at all."""
    schema = agent.mind.knowledge.schema
    condition = next(iter(wanted(question.objective, question.carry)), None)
    if condition is None:
        return Obstacle("unknown", goal, "what is wanted next cannot be told")

    def look(asked: Question) -> Way:
        return _looked(asked, schema, condition, budget, rng)

    way = look(question)
    if way.arrives and not broken_by(agent, way.plan):
        return Obstacle("possible", goal, f"the goal can be reached, by {in_steps(way.plan)} as it is imagined",
                        needs=len(way.plan.sequence))
    free = look(question.lifted((), every=True))
    if free.arrives and (broken := _in_the_way(agent, free.plan, question)):
        alone = [text for text in broken if look(question.lifted((text,))).arrives] if len(broken) > 1 else []
        found = only_by_breaking(goal, alone or broken, free.plan)
        texts = {e.text: e.sentence for e in agent.rules if e.sentence}
        said = tuple(f"`{text}` was told as {texts[text]!r}" for text in found.rules if text in texts)
        return replace(found, reasons=(*said, _nearest(condition, way)))
    hurried = [t.statement.within for t in question.objective.terms if isinstance(t, Goal) and t.statement.within]
    if hurried and (later := look(question.unhurried())).arrives:
        left = max(0, min(hurried) - agent.mind.recent.t)
        return Obstacle("deadline", goal, f"the deadline is too short: {min(hurried)} steps were allowed, {left} are "
                                          f"left, and the way that was found from here takes {in_steps(later.plan)}",
                        needs=len(later.plan.sequence))
    return Obstacle("unknown", goal, f"no way to the goal was found in {STEPS} steps ahead, nor without limits and "
                                     "prohibitions; in a world of numbers not every way can be imagined",
                    reasons=(_nearest(condition, free if free.near > way.near else way),))


def _looked(question: Question, schema: Schema, condition: Expression, budget: int, rng: torch.Generator) -> Way:
    terms = zip(question.objective.terms, question.carry, strict=True)
    kept = [(t, c) for t, c in terms if isinstance(t, Goal | Limit)]
    here = -float(robustness(condition, Rows(schema, question.model.decode(question.state)))[0])
    near = Nearness(schema, condition, max(here, 1e-6))
    objective = replace(question.objective, terms=[*(t for t, _ in kept), near], bootstrap=False,
                        carried=(*(c for _, c in kept), torch.zeros(1, 0)))
    planner = CEM(CEMConfig(horizon=STEPS, repeat=STEPS // PIECES, samples=96, iterations=6, colour=1.0, spread=1.0))
    plan = planner.plan(question.model, question.state, objective, None, rng, Budget(CHEAPER * budget, SECONDS))
    steps = _arrives_after(question, plan)
    if steps is not None:
        imagined = {k: v[:steps + 1] for k, v in plan.imagined.items()}
        plan = replace(plan, sequence=plan.sequence[:steps], imagined=imagined)
    ahead = {k: v[:, 0] for k, v in plan.imagined.items()}
    return Way(plan, steps is not None, float(robustness(condition, Rows(schema, ahead)).max()))


def _arrives_after(question: Question, plan: Plan) -> int | None:
    """The steps of a plan after which every goal is reached; None where one is not."""
    if not bool(plan.reached[0]):
        return None
    goals = [(t, c) for t, c in zip(question.objective.terms, question.carry, strict=True) if isinstance(t, Goal)]
    one, yes = torch.ones(1), torch.ones(1, dtype=torch.bool)
    for t, action in enumerate(plan.sequence):
        now, after = ({k: v[s] for k, v in plan.imagined.items()} for s in (t, t + 1))
        step = Transition(now, action, after, one * 0, one, yes, one * 0, one, t)
        goals = [(goal, goal.advance(carry, step)[0]) for goal, carry in goals]
        if all(bool(goal.done(carry)[0]) for goal, carry in goals):
            return t + 1
    return None


def _in_the_way(agent: Agent, plan: Plan, question: Question) -> list[str]:
    """The rules on behaviour that a plan breaks, or the limits that it comes nearer to than is safe."""
    after = {k: v[1:, 0] for k, v in plan.imagined.items()}
    limits = [t for t in question.objective.terms if isinstance(t, Limit)]
    close = [t.text for t in limits if bool((t.slack(after) < max(t.margins)).any())]
    return broken_by(agent, plan) or close


def _nearest(condition: Expression, way: Way) -> str:
    return f"the nearest that was come to `{to_text(condition)}` without that is {max(0.0, -way.near):.3g} away from it"
