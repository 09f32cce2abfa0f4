"""What cannot be done, and why: the question is put to imagination again, each time without one thing in its way.

Where no plan reaches the goal, the search goes on to its end, so that "impossible" is told apart from "not found".
Then what failed before, the person's own prohibitions, and the deadline are set aside one after the other; the first
without which the goal is reached is the reason. If it is none of these, the rules are followed back from what is wanted
to the first condition that nothing brings about.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from ...world.model import State, WorldModel, begin
from ...world.refine import Refined
from ...world.rules.compile import Compiled
from ...world.rules.syntax import Expression, Forbid
from ...world.rules.text import to_text
from ...world.rules.words import condition_words
from ..goals import Goal, Limit
from ..planning.objective import Carry, Objective
from ..planning.plan import Budget, Plan
from ..planning.search import Search, SearchConfig, Survey
from ..remembered import Remembered
from .band import refined_of
from .chain import chain, told, unseen
from .setback import one_line

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
class _Question:
    """What is asked of imagination: from one state, under one objective, where it stands."""

    model: WorldModel
    state: State
    objective: Objective
    carry: Carry

    def without(self, *kinds: type) -> _Question:
        """The same without the terms of these kinds."""
        kept = [(t, c) for t, c in zip(self.objective.terms, self.carry, strict=True) if not isinstance(t, kinds)]
        return replace(self, objective=replace(self.objective, terms=[t for t, _ in kept]),
                       carry=tuple(c for _, c in kept))

    def unhurried(self) -> _Question:
        """The same without deadlines."""
        terms = [replace(t, statement=t.statement.model_copy(update={"within": None})) if isinstance(t, Goal) else t
                 for t in self.objective.terms]
        return replace(self, objective=replace(self.objective, terms=terms))

    def asked(self, budget: int, rng: torch.Generator, shortest: bool = False) -> Survey:
        """The answer; with `shortest` the plan is one that no other is shorter than."""
        search = Search(SearchConfig(bound=_nothing) if shortest else None)
        return search.survey(self.model, self.state, self.objective.resumed(self.carry), rng, Budget(budget, SECONDS))


def why_not(agent: Agent, budget: int = 20_000) -> Obstacle:
    """See `Agent.why_not`."""
    found = _asked(agent, budget)
    reasons = tuple(map(one_line, found.reasons))
    return replace(found, goal=one_line(found.goal), text=one_line(found.text), reasons=reasons)


def _asked(agent: Agent, budget: int) -> Obstacle:
    mind, pursuit = agent.mind, agent.mind.pursuit
    last = mind.recent.steps[-1] if mind.recent.steps else None
    goals = agent.goals()
    goal = "; ".join(map(to_text, goals))
    if pursuit is None or mind.features is None or not goals:
        return Obstacle("none", goal, "there is no goal that is pursued")
    if agent.has_reached_goals():
        return Obstacle("none", goal, "the goal is reached")
    if last is not None and last.terminated:
        return Obstacle("ended", goal, f"the episode ended with step {mind.recent.t} before the goal was reached")
    reason = Search().unfit(agent.schema)
    if reason is not None:
        return Obstacle("unknown", goal, "whether the goal can be reached is not to be told by imagining every way: "
                                         "this world has features or actions that are numbers")
    rng = torch.Generator().manual_seed(agent.seed)
    question = _Question(mind.imagining, mind.belief, pursuit.objective, pursuit.carry)
    survey = question.asked(budget, rng)
    if _reached(survey):
        if broken := _broken(agent, survey.plan):    # such a way is gone only when no other is left
            return _only_by_breaking(goal, broken, survey.plan)
        return Obstacle("possible", goal, f"the goal can be reached, by {_steps(survey.plan)} as it is imagined",
                        needs=len(survey.plan.sequence))
    for cause in (_failed, _late, _forbidden):
        if (found := cause(agent, goal, question, budget, rng)) is not None:
            return found
    return _impossible(agent, goal, question, survey)


def _failed(agent: Agent, goal: str, question: _Question, budget: int, rng: torch.Generator) -> Obstacle | None:
    """Whether it would be reached by what was tried already."""
    mind = agent.mind
    if not len(mind.failures) or not isinstance(question.model, Remembered) or refined_of(question.model) is None:
        return None
    survey = replace(question, model=_ruled(question.model.inner, mind.knowledge.compiled())).asked(budget, rng)
    if not _reached(survey) or _broken(agent, survey.plan):
        return None
    tried = [str(s) for s in agent.mind.setbacks.all[-3:]]
    text = "what is imagined to reach the goal was tried and did not work"
    return Obstacle("failed", goal, text, reasons=tuple(tried))


def _late(agent: Agent, goal: str, question: _Question, budget: int, rng: torch.Generator) -> Obstacle | None:
    """Whether it would be reached in more time, and in how much from the beginning."""
    hurried = [t.statement.within for t in question.objective.terms if isinstance(t, Goal) and t.statement.within]
    if not hurried:
        return None
    unhurried = question.unhurried()
    if not _reached(unhurried.asked(budget, rng)):
        return None
    left = min(hurried) - agent.mind.recent.t
    now = unhurried.asked(budget, rng, shortest=True)
    least, exact = len(now.plan.sequence), _reached(now)
    first = agent.mind.recent.steps[0].features if agent.mind.recent.steps else None
    text = f"the deadline is too short: {min(hurried)} steps were allowed, {max(0, left)} are left, and from here "
    text += f"{least if exact else 'more'} are needed"
    if first is not None:
        features = agent.schema.batch([first])
        objective = replace(unhurried.objective, carried=None)
        start = replace(unhurried, state=begin(question.model, features), objective=objective,
                        carry=objective.start(features)).asked(budget, rng, shortest=True)
        if _reached(start):
            least = len(start.plan.sequence)
            text += f"; from where the episode began it takes at least {least}"
    return Obstacle("deadline", goal, text, needs=least if exact else None)


def _forbidden(agent: Agent, goal: str, question: _Question, budget: int, rng: torch.Generator) -> Obstacle | None:
    """Whether it would be reached if nothing were forbidden or to be avoided, and what that way breaks."""
    refined = refined_of(question.model)
    if refined is None:
        return None
    free = replace(question, model=_ruled(question.model, _freed(refined.rules))).without(Limit).unhurried()
    survey = free.asked(budget, rng, shortest=True)
    if not _reached(survey):
        survey = free.asked(budget, rng)
    if not _reached(survey):
        return None
    broken = _broken(agent, survey.plan)
    return _only_by_breaking(goal, broken, survey.plan) if broken else None


def _only_by_breaking(goal: str, broken: Sequence[str], plan: Plan) -> Obstacle:
    named = ", ".join(f"`{text}`" for text in broken)
    return Obstacle("forbidden", goal, f"the goal can be reached only by breaking {named}", rules=tuple(broken),
                    needs=len(plan.sequence))


def _freed(rules: Compiled) -> Compiled:
    """The rules without those that forbid."""
    kept = [k for k, rule in enumerate(rules.rules) if not isinstance(rule.statement, Forbid)]
    return Compiled(rules.schema, [rules.rules[k] for k in kept], [rules.priority[k] for k in kept])


def _ruled(model: Any, rules: Compiled) -> WorldModel:
    """The model, whatever is wrapped around its refinement, refined by other rules."""
    if isinstance(model, Refined):
        return Refined(model.inner, rules, model.assimilation)
    other = copy.copy(model)
    other.inner = _ruled(model.inner, rules)
    return other


def _broken(agent: Agent, plan: Plan) -> list[str]:
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
    texts += [limit.text for limit in agent.mind.limits if not bool(limit.holds(after).all())]
    return texts


def _impossible(agent: Agent, goal: str, question: _Question, survey: Survey) -> Obstacle:
    """What is wanted and cannot be, as far as it was imagined, back to the first reason."""
    knowledge = agent.mind.knowledge
    count = len(next(iter(survey.features.values())))
    wanted = _wanted(question.objective, question.carry)
    if survey.is_whole:
        text = (f"the goal cannot be reached, as far as is imagined: nothing that can be done leads to it (states: "
                f"{count})")
    else:
        text = (f"no way to the goal was found in {survey.plan.transitions:,} imagined steps (states: {count}); there "
                "may be one further away")
    reasons: list[str] = []
    for condition in wanted[:1]:
        links = chain(condition, survey.features, knowledge.corrections(), knowledge.schema)
        if links:
            reasons += told(links, survey.features, knowledge.schema)
        else:
            reasons.append(f"each part of it comes about, but not at once that "
                           f"{condition_words(condition, knowledge.schema)}")
            reasons.append(unseen(survey.features, knowledge.schema))
    return Obstacle("impossible" if survey.is_whole else "budget", goal, text, reasons=tuple(reasons))


def _wanted(objective: Objective, carry: Carry) -> list[Expression]:
    """The conditions that would advance the goals now."""
    terms = zip(objective.terms, carry, strict=True)
    return [condition for term, own in terms if isinstance(term, Goal) for condition in term.wanted(own)]


def _reached(survey: Survey) -> bool:
    return bool(survey.plan.reached[0])


def _steps(plan: Plan) -> str:
    n = len(plan.sequence)
    return f"{n} step{'' if n == 1 else 's'}"


def _nothing(features: Any, carry: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.zeros(len(next(iter(features.values()))))
