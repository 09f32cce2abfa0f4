"""What cannot be done, and why: the question is put to imagination again, each time without one thing in its way.

Where no plan reaches the goal, the search goes on to its end, so that "impossible" is told apart from "not found".
Then what failed before, the person's own prohibitions, and the deadline are set aside one after the other; the first
without which the goal is reached is the reason. If it is none of these, the rules are followed back from what is wanted
to the first condition that nothing brings about.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from ...world.model import begin
from ...world.rules.text import to_text
from ...world.rules.words import condition_words
from ..goals import Goal
from ..planning.search import Search, Survey
from ..remembered import Remembered
from .approach import approached
from .band import refined_of
from .chain import chain, told, unseen
from .question import Obstacle, Question, broken_by, in_steps, is_reached, only_by_breaking, ruled, wanted
from .setback import one_line

if TYPE_CHECKING:
    from ..agent import Agent


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
    rng = torch.Generator().manual_seed(agent.seed)
    question = Question(mind.imagining, mind.belief, pursuit.objective, pursuit.carry)
    if Search().unfit(agent.schema) is not None:
        return approached(agent, goal, question, budget, rng)
    survey = question.asked(budget, rng)
    if is_reached(survey):
        if broken := broken_by(agent, survey.plan):    # such a way is gone only when no other is left
            return only_by_breaking(goal, broken, survey.plan)
        return Obstacle("possible", goal, f"the goal can be reached, by {in_steps(survey.plan)} as it is imagined",
                        needs=len(survey.plan.sequence))
    for cause in (_failed, _late, _forbidden):
        if (found := cause(agent, goal, question, budget, rng)) is not None:
            return found
    return _impossible(agent, goal, question, survey)


def _failed(agent: Agent, goal: str, question: Question, budget: int, rng: torch.Generator) -> Obstacle | None:
    """Whether it would be reached by what was tried already."""
    mind = agent.mind
    if not len(mind.failures) or not isinstance(question.model, Remembered) or refined_of(question.model) is None:
        return None
    survey = replace(question, model=ruled(question.model.inner, mind.knowledge.compiled())).asked(budget, rng)
    if not is_reached(survey) or broken_by(agent, survey.plan):
        return None
    tried = [str(s) for s in agent.mind.setbacks.all[-3:]]
    text = "what is imagined to reach the goal was tried and did not work"
    return Obstacle("failed", goal, text, reasons=tuple(tried))


def _late(agent: Agent, goal: str, question: Question, budget: int, rng: torch.Generator) -> Obstacle | None:
    """Whether it would be reached in more time, and in how much from the beginning."""
    hurried = [t.statement.within for t in question.objective.terms if isinstance(t, Goal) and t.statement.within]
    if not hurried:
        return None
    unhurried = question.unhurried()
    if not is_reached(unhurried.asked(budget, rng)):
        return None
    left = min(hurried) - agent.mind.recent.t
    now = unhurried.asked(budget, rng, shortest=True)
    least, exact = len(now.plan.sequence), is_reached(now)
    first = agent.mind.recent.steps[0].features if agent.mind.recent.steps else None
    text = f"the deadline is too short: {min(hurried)} steps were allowed, {max(0, left)} are left, and from here "
    text += f"{least if exact else 'more'} are needed"
    if first is not None:
        features = agent.schema.batch([first])
        objective = replace(unhurried.objective, carried=None)
        start = replace(unhurried, state=begin(question.model, features), objective=objective,
                        carry=objective.start(features)).asked(budget, rng, shortest=True)
        if is_reached(start):
            least = len(start.plan.sequence)
            text += f"; from where the episode began it takes at least {least}"
    return Obstacle("deadline", goal, text, needs=least if exact else None)


def _forbidden(agent: Agent, goal: str, question: Question, budget: int, rng: torch.Generator) -> Obstacle | None:
    """Whether it would be reached if nothing were forbidden or to be avoided, and what that way breaks."""
    free = question.lifted((), every=True).unhurried()
    survey = free.asked(budget, rng, shortest=True)
    if not is_reached(survey):
        survey = free.asked(budget, rng)
    if not is_reached(survey):
        return None
    broken = broken_by(agent, survey.plan)
    return only_by_breaking(goal, broken, survey.plan) if broken else None


def _impossible(agent: Agent, goal: str, question: Question, survey: Survey) -> Obstacle:
    """What is wanted and cannot be, as far as it was imagined, back to the first reason."""
    knowledge = agent.mind.knowledge
    count = len(next(iter(survey.features.values())))
    conditions = wanted(question.objective, question.carry)
    if survey.is_whole:
        text = (f"the goal cannot be reached, as far as is imagined: nothing that can be done leads to it (states: "
                f"{count})")
    else:
        text = (f"no way to the goal was found in {survey.plan.transitions:,} imagined steps (states: {count}); there "
                "may be one further away")
    reasons: list[str] = []
    for condition in conditions[:1]:
        links = chain(condition, survey.features, knowledge.corrections(), knowledge.schema)
        if links:
            reasons += told(links, survey.features, knowledge.schema)
        else:
            reasons.append(f"each part of it comes about, but not at once that "
                           f"{condition_words(condition, knowledge.schema)}")
            reasons.append(unseen(survey.features, knowledge.schema))
    return Obstacle("impossible" if survey.is_whole else "budget", goal, text, reasons=tuple(reasons))
