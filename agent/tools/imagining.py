"""The tool "what if I ...?": a sequence of actions, imagined step by step from where the agent is now.

It only reads: it acts on nothing and tells the agent nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from ...errors import UserError
from ...world.model import Outcome, State
from ...world.rules.compile import Compiled
from ...world.rules.evaluate import Rows, truth
from ...world.rules.syntax import End, Expect, Forbid, Reward
from ...world.rules.text import to_text
from ...world.schema import Features, Schema
from ..imagined import rules_of
from .answering import answering
from .words import action_text, changes, choices, parse_action

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from ..agent import Agent
    from ..mind import Mind

MAX_STEPS = 100


class WhatIf(BaseModel):
    """What to imagine."""

    actions: list[str] = Field(
        description="actions to take one after the other, by name; several action features, or real ones, as "
                    "'torque=1.5, brake=true'", min_length=1, max_length=MAX_STEPS)
    steps: int | None = Field(None, description="how many steps in all; the actions are repeated from the first until "
                              "then", ge=1, le=MAX_STEPS)


def imagine_tool(agent: Agent) -> BaseTool:
    """A LangChain tool that imagines a sequence of actions from where the agent is now and tells, step by step in the
    schema's names, what would change, what it pays, whether it ends, how sure the model is, and which rules apply."""

    def imagine(actions: list[str], steps: int | None = None) -> str:
        return what_if(agent, actions, steps)

    listed = "; ".join(a.describe() for a in agent.schema.actions)
    return answering("imagine", imagine, WhatIf, (
        "What would happen if I took these actions, from where I am now? Imagined by the learned world "
        f"model and the rules; nothing is executed. Actions: {listed}"))


def what_if(agent: Agent, actions: Sequence[str], steps: int | None = None) -> str:
    """Imagine `actions` (repeated from the first up to `steps`) and say what happens, a line a step.

    Raises `UserError` for an action that does not exist, or before an episode has begun.
    """
    schema, mind = agent.mind.knowledge.schema, agent.mind
    if mind.belief is None or mind.features is None:
        raise UserError("no episode is under way, so there is no state to imagine from; reset the agent first")
    if not actions:
        raise UserError(f"no actions to imagine; name some of: {choices(schema)}")
    taken = [parse_action(text, schema) for text in actions]
    count = min(MAX_STEPS, len(taken) if steps is None else max(1, steps))
    state, now = mind.belief, mind.features
    lines: list[str] = []
    for t in range(count):
        action = taken[t % len(taken)][None]
        step = foresee(mind, state, now, action)
        lines.append(f"{t + 1}. {action_text(action[0], schema)}: {step.text}")
        if not step.is_possible:
            lines[-1] += "; nothing further is imagined"
            break
        if step.is_last:
            if t + 1 < count:
                lines.append(f"The remaining {count - t - 1} steps are not imagined.")
            break
        state, now = step.state, dict(step.features)
    return "\n".join(lines)


@dataclass(frozen=True)
class Foreseen:
    """One imagined step: in words, the rules whose condition it meets, the state and features `[1, ...]` after it."""

    text: str
    rules: tuple[str, ...]
    state: State
    features: Features
    is_possible: bool = True
    is_last: bool = False


@torch.no_grad()
def foresee(mind: Mind, state: State, now: Features, action: Tensor) -> Foreseen:
    """Imagine one action `[1, A]` from a state `[1]` whose features are `now`."""
    schema, model, rules = mind.knowledge.schema, mind.imagining, rules_of(mind.imagining)
    state, out = model.step(state, action)
    after = model.decode(state)
    if not bool(out.feasible[0]):
        rule = _forbidding(rules, schema, now, action)
        why = f"`{rule}`" if rule else "tried here before, and it did not turn out as imagined"
        return Foreseen(f"not possible: {why}", (rule,) if rule else (), state, after, is_possible=False)
    parts = [changes(schema, now, after), _pays(out, model.provides)]
    over = float(out.cont[0]) < 0.5
    parts.append(f"the episode ends{_chance(1 - out.cont)}" if over else _may_end(out))
    parts.append(f"uncertainty {float(out.uncertainty[0]):.2g} nats" if "uncertainty" in model.provides else "")
    parts += [f"breaks `{limit.text}`" for limit in mind.limits if not bool(limit.holds(after)[0])]
    applied = _applied(rules, Rows(schema, now, action, after))
    if applied:
        parts.append("by " + ", ".join(f"`{rule}`" for rule in applied))
    return Foreseen("; ".join(filter(None, parts)), applied, state, after, is_last=over)


def _pays(out: Outcome, provides: frozenset[str]) -> str:
    reward = float(out.reward[0])
    return f"reward {0.0 if abs(reward) < 5e-4 else reward:.3g}" if "reward" in provides else ""


def _may_end(out: Outcome) -> str:
    end = 1 - float(out.cont[0])
    return f"the episode may end (probability {end:.2g})" if end > 0.05 else ""


def _chance(probability: Tensor) -> str:
    p = float(probability[0])
    return "" if p > 0.99 else f" (probability {p:.2g})"


def _applied(rules: Compiled | None, rows: Rows) -> tuple[str, ...]:
    """The rules on how the world behaves whose condition the step meets."""
    found = []
    for rule in rules.rules if rules else ():
        s = rule.statement
        if isinstance(s, Expect | Reward | End) and (s.guard is None or bool(truth(s.guard, rows)[0])):
            found.append(to_text(rule))
    return tuple(found)


def _forbidding(rules: Compiled | None, schema: Schema, now: Features, action: Tensor) -> str | None:
    """The rule that forbids an action, if one does."""
    for rule in rules.rules if rules else ():
        if isinstance(rule.statement, Forbid) and not bool(Compiled(schema, [rule]).allowed(now, action)[0]):
            return to_text(rule)
    return None
