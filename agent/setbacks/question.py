"""What is asked about a goal that is not reached: a question that is put to imagination, and what it may come to."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from ...world.model import State, WorldModel
from ...world.refine import Refined
from ...world.rules.compile import Compiled
from ...world.rules.syntax import Expression, Forbid
from ...world.rules.text import to_text
from ..goals import Goal, Limit
from ..planning.objective import Carry, Objective
from ..planning.plan import Budget, Plan
from ..planning.search import Search, SearchConfig, Survey
from .band import refined_of

if TYPE_CHECKING:
    from ..agent import Agent

Kind = Literal["none", "possible", "ended", "failed", "forbidden", "deadline", "impossible", "budget", "unknown"]


SECONDS = 20.0
"""So long imagination takes over one question at most."""


@dataclass(frozen=True)
class Obstacle:
    """Why the goal is not reached.

    `kind`: "none" (it is reached, or there is no goal), "possible" (a plan is imagined), "ended" (the episode did),
    "failed" (what would reach it was tried and did not work), "forbidden" (only by breaking `rules`), "deadline"
    (`needs` steps at least), "impossible" (imagined to the end, nothing reaches it), "budget" (not imagined to the
    end), "unknown" (there is no imagining every way). `reasons` follow the rules back from what is wanted to the first
    condition that nothing brings about.
    """

    kind: Kind
    goal: str = ""
    text: str = ""
    rules: tuple[str, ...] = ()
    needs: int | None = None
    reasons: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.kind not in ("none", "possible")

    def __str__(self) -> str:
        return "; ".join([self.text, *self.reasons])

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class Question:
    """What is asked of imagination: from one state, under one objective, where it stands."""

    model: WorldModel
    state: State
    objective: Objective
    carry: Carry

    def lifted(self, texts: Sequence[str], every: bool = False) -> Question:
        """The same without the limits and prohibitions of these texts, or without `every` one."""
        terms = [(t, c) for t, c in zip(self.objective.terms, self.carry, strict=True)
                 if not isinstance(t, Limit) or not (every or t.text in texts)]
        model, refined = self.model, refined_of(self.model)
        if refined is not None:
            kept = [k for k, r in enumerate(refined.rules.rules)
                    if not isinstance(r.statement, Forbid) or not (every or to_text(r) in texts)]
            rules = Compiled(refined.schema, [refined.rules.rules[k] for k in kept],
                             [refined.rules.priority[k] for k in kept])
            model = ruled(model, rules)
        return replace(self, model=model, objective=replace(self.objective, terms=[t for t, _ in terms]),
                       carry=tuple(c for _, c in terms))

    def unhurried(self) -> Question:
        """The same without deadlines."""
        terms = [replace(t, statement=t.statement.model_copy(update={"within": None})) if isinstance(t, Goal) else t
                 for t in self.objective.terms]
        return replace(self, objective=replace(self.objective, terms=terms))

    def asked(self, budget: int, rng: torch.Generator, shortest: bool = False) -> Survey:
        """The answer; with `shortest` the plan is one that no other is shorter than."""
        search = Search(SearchConfig(bound=_nothing) if shortest else None)
        return search.survey(self.model, self.state, self.objective.resumed(self.carry), rng, Budget(budget, SECONDS))


def only_by_breaking(goal: str, broken: Sequence[str], plan: Plan) -> Obstacle:
    named = ", ".join(f"`{text}`" for text in broken)
    return Obstacle("forbidden", goal, f"the goal can be reached only by breaking {named}", rules=tuple(broken),
                    needs=len(plan.sequence))


def ruled(model: Any, rules: Compiled) -> WorldModel:
    """The model, whatever is wrapped around its refinement, refined by other rules."""
    if isinstance(model, Refined):
        return Refined(model.inner, rules, model.assimilation)
    other = copy.copy(model)
    other.inner = ruled(model.inner, rules)
    return other


def broken_by(agent: Agent, plan: Plan) -> list[str]:
    """The rules on behaviour that a plan breaks."""
    knowledge, texts = agent.mind.knowledge, []
    now = {k: v[:-1, 0] for k, v in plan.imagined.items()}
    after = {k: v[1:, 0] for k, v in plan.imagined.items()}
    for entry in knowledge.corrections():
        rule = entry.acting
        if rule is None or not isinstance(rule.statement, Forbid):
            continue
        if not bool(Compiled(knowledge.schema, [rule]).allowed(now, plan.sequence[:, 0]).all()):
            texts.append(entry.text)
    texts += [limit.text for limit in [*agent.mind.limits, *agent.mind.bounds] if not bool(limit.holds(after).all())]
    return texts


def wanted(objective: Objective, carry: Carry) -> list[Expression]:
    """The conditions that would advance the goals now."""
    terms = zip(objective.terms, carry, strict=True)
    return [condition for term, own in terms if isinstance(term, Goal) for condition in term.wanted(own)]


def is_reached(survey: Survey) -> bool:
    return bool(survey.plan.reached[0])


def in_steps(plan: Plan) -> str:
    n = len(plan.sequence)
    return f"{n} step{'' if n == 1 else 's'}"


def _nothing(features: Any, carry: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.zeros(len(next(iter(features.values()))))
