"""Imagination as tools for a language model: "what if I ...?", and "would this rule have held?".

Both only read: they imagine and count, act on nothing, and tell the agent nothing. What comes in is matched against
the schema's names and the rule grammar, never executed; what is wrong with it goes back to the model as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from ..errors import UserError, nearest
from ..world.checking import BEHAVIOUR
from ..world.fitting import weighed
from ..world.model import Outcome
from ..world.rulebook import entry_of
from ..world.rules.check import warnings
from ..world.rules.compile import Compiled
from ..world.rules.evaluate import Rows, truth
from ..world.rules.parse import parse
from ..world.rules.syntax import End, Expect, Forbid, Reward
from ..world.rules.text import to_text
from ..world.schema import Feature, Features, Schema
from .imagined import rules_of

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from .agent import Agent

MAX_STEPS = 100
MAX_CHANGES = 12
"""Changes listed a step; more are counted."""


class WhatIf(BaseModel):
    """What to imagine."""

    actions: list[str] = Field(
        description="actions to take one after the other, by name; several action features, or real ones, as "
                    "'torque=1.5, brake=true'", min_length=1, max_length=MAX_STEPS)
    steps: int | None = Field(None, description="how many steps in all; the actions are repeated from the first until "
                              "then", ge=1, le=MAX_STEPS)


class RuleLine(BaseModel):
    """A rule to count."""

    rule: str = Field(description="one line of the rule language, such as: expect same if action == forward and front "
                      "== wall")


def imagine_tool(agent: Agent) -> BaseTool:
    """A LangChain tool that imagines a sequence of actions from where the agent is now and tells, step by step in the
    schema's names, what would change, what it pays, whether it ends, how sure the model is, and which rules apply."""
    from langchain_core.tools import StructuredTool, ToolException

    def imagine(actions: list[str], steps: int | None = None) -> str:
        try:
            return what_if(agent, actions, steps)
        except UserError as error:
            raise ToolException(str(error)) from error

    listed = "; ".join(a.describe() for a in agent.schema.actions)
    return StructuredTool.from_function(
        imagine, name="imagine", args_schema=WhatIf, handle_tool_error=True, handle_validation_error=_explained,
        description="What would happen if I took these actions, from where I am now? Imagined by the learned world "
                    f"model and the rules; nothing is executed. Actions: {listed}")


def check_rule_tool(agent: Agent) -> BaseTool:
    """A LangChain tool that counts how often a rule would have held over all of memory. The rule is not told."""
    from langchain_core.tools import StructuredTool, ToolException

    def check_rule(rule: str) -> str:
        try:
            return would_hold(agent, rule)
        except UserError as error:
            raise ToolException(str(error)) from error

    return StructuredTool.from_function(
        check_rule, name="check_rule", args_schema=RuleLine, handle_tool_error=True, handle_validation_error=_explained,
        description="How often did this rule apply, and hold, in everything the agent remembers? Checks one line of "
                    "the rule language without adding it.")


@torch.no_grad()
def what_if(agent: Agent, actions: Sequence[str], steps: int | None = None) -> str:
    """Imagine `actions` (repeated from the first up to `steps`) and say what happens, a line a step.

    Raises `UserError` for an action that does not exist, or before an episode has begun.
    """
    schema, mind = agent.mind.knowledge.schema, agent.mind
    if mind.belief is None or mind.features is None:
        raise UserError("no episode is under way, so there is no state to imagine from; reset the agent first")
    if not actions:
        raise UserError(f"no actions to imagine; name some of: {_choices(schema)}")
    taken = [parse_action(text, schema) for text in actions]
    count = min(MAX_STEPS, len(taken) if steps is None else max(1, steps))
    model, rules = mind.imagining, rules_of(mind.imagining)
    state, now, lines = mind.belief, dict(mind.features), []
    for t in range(count):
        action = taken[t % len(taken)][None]
        state, out = model.step(state, action)
        after = model.decode(state)
        head = f"{t + 1}. {action_text(action[0], schema)}: "
        if not bool(out.feasible[0]):
            lines.append(f"{head}not possible: {_forbidding(rules, schema, now, action)}; nothing further is imagined")
            break
        parts = [changes(schema, now, after), _pays(out, model.provides)]
        over = float(out.cont[0]) < 0.5
        parts.append(f"the episode ends{_chance(1 - out.cont)}" if over else _may_end(out))
        parts.append(f"uncertainty {float(out.uncertainty[0]):.2g} nats" if "uncertainty" in model.provides else "")
        parts += [f"breaks `{limit.text}`" for limit in mind.limits if not bool(limit.holds(after)[0])]
        parts += _applied(rules, Rows(schema, now, action, after))
        lines.append(head + "; ".join(p for p in parts if p))
        if over:
            if t + 1 < count:
                lines.append(f"The remaining {count - t - 1} steps are not imagined.")
            break
        now = after
    return "\n".join(lines)


def would_hold(agent: Agent, line: str) -> str:
    """How often a rule applied and held over memory, as text. Raises `RuleError` where it cannot be read."""
    schema = agent.mind.knowledge.schema
    rule = parse(line.strip(), schema)
    text = to_text(rule)
    notes = "".join(f"\nwarning: {note}" for note in warnings(rule, schema))
    if isinstance(rule.statement, BEHAVIOUR):
        return f"`{text}` says how to behave, not what happens: there is nothing to count.{notes}"
    transitions = agent.mind.memory.transitions()
    ((fit, evidence),) = weighed([rule], schema, transitions)
    found = entry_of("", rule).judged(evidence, fit)
    text = f"`{text}`" + (f" ({found.fitting.removeprefix('# ')})" if found.fitting else "")
    return f"{text} {evidence}, of {len(transitions)} transitions: {found.status}. It was not added.{notes}"


# --- actions and values as text -------------------------------------------------------------------------------------


def parse_action(text: str, schema: Schema) -> Tensor:
    """An action row `[A]` from its name, or from `name=value` pairs divided by commas.

    Raises `UserError` that lists what there is, and the nearest name.
    """
    given: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, value = (p.strip() for p in part.replace("==", "=").partition("="))
        if not equals:
            name, value = _owner(name, schema), name
        if name not in {a.name for a in schema.actions}:
            close = nearest(name, [a.name for a in schema.actions])
            raise UserError(f"unknown action {_quoted(name)}; {_choices(schema)}{close}")
        given[name] = value
    if missing := [a.name for a in schema.actions if a.name not in given]:
        raise UserError(f"the action {_quoted(text)} says nothing of {', '.join(missing)}; {_choices(schema)}")
    return torch.tensor([_code(a, given[a.name], schema) for a in schema.actions], dtype=schema.action_dtype)


def action_text(action: Tensor, schema: Schema) -> str:
    """An action row `[A]` in words that `parse_action` reads."""
    words = [_word(a, v + a.offset) for a, v in zip(schema.actions, action.tolist(), strict=True)]
    if len(words) == 1 and schema.actions[0].kind == "category":
        return words[0]
    return ", ".join(f"{a.name}={w}" for a, w in zip(schema.actions, words, strict=True))


def changes(schema: Schema, now: Features, after: Features) -> str:
    """What differs between two states of one row: `door closed -> open, object[2, 3] key -> empty`."""
    found = []
    for name, f in (schema.base | {n: d.feature for n, d in schema.derivations.items()}).items():
        a, b = (schema.value(name, x)[0] for x in (now, after))
        for at in (a != b).nonzero().tolist() if f.shape else [[]] * bool(a != b):
            before, new = _word(f, a[tuple(at)].item()), _word(f, b[tuple(at)].item())
            if before != new:
                found.append(f"{name}{at if at else ''} {before} -> {new}")
    more = f" and {len(found) - MAX_CHANGES} more" if len(found) > MAX_CHANGES else ""
    return ", ".join(found[:MAX_CHANGES]) + more or "nothing changes"


def _owner(value: str, schema: Schema) -> str:
    """The action feature that a bare value belongs to."""
    owners = [a.name for a in schema.actions if value in a.values] or [a.name for a in schema.actions][:2]
    if len(owners) > 1 or (len(schema.actions) > 1 and value not in schema.feature(owners[0]).values):
        known = [v for a in schema.actions for v in a.values]
        raise UserError(f"unknown action {_quoted(value)}; {_choices(schema)}{nearest(value, known)}")
    return owners[0]


def _code(a: Feature, value: str, schema: Schema) -> float:
    if a.kind == "category":
        if value not in a.values:
            raise UserError(f"unknown action {_quoted(value)}; {_choices(schema)}{nearest(value, a.values)}")
        return a.values.index(value)
    if a.kind == "boolean":
        if value.lower() not in ("true", "false", "0", "1"):
            raise UserError(f"{a.name} is true or false, not {_quoted(value)}")
        return float(value.lower() in ("true", "1"))
    try:
        number = float(value)
    except ValueError:
        raise UserError(f"{a.name} is a number, not {_quoted(value)}; {_choices(schema)}") from None
    if not a.low <= number <= a.high or (a.kind == "integer" and not number.is_integer()):
        raise UserError(f"{a.name} cannot be {number:g}; {_choices(schema)}")
    return number - a.offset


def _choices(schema: Schema) -> str:
    return "the actions are " + "; ".join(a.describe() for a in schema.actions)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _word(f: Feature, value: float) -> str:
    if f.kind == "category":
        return f.values[int(value)] if 0 <= int(value) < len(f.values) else str(int(value))
    return str(bool(value)).lower() if f.kind == "boolean" else f"{value:.4g}" if f.kind == "real" else f"{int(value)}"


# --- one imagined step as text --------------------------------------------------------------------------------------


def _pays(out: Outcome, provides: frozenset[str]) -> str:
    reward = float(out.reward[0])
    return f"reward {0.0 if abs(reward) < 5e-4 else reward:.3g}" if "reward" in provides else ""


def _may_end(out: Outcome) -> str:
    end = 1 - float(out.cont[0])
    return f"the episode may end (probability {end:.2g})" if end > 0.05 else ""


def _chance(probability: Tensor) -> str:
    p = float(probability[0])
    return "" if p > 0.99 else f" (probability {p:.2g})"


def _applied(rules: Compiled | None, rows: Rows) -> list[str]:
    """The rules on how the world behaves whose condition the step meets."""
    found = []
    for rule in rules.rules if rules else ():
        s = rule.statement
        if isinstance(s, Expect | Reward | End) and (s.guard is None or bool(truth(s.guard, rows)[0])):
            found.append(f"`{to_text(rule)}`")
    return [f"by {', '.join(found)}"] if found else []


def _forbidding(rules: Compiled | None, schema: Schema, now: Features, action: Tensor) -> str:
    for rule in rules.rules if rules else ():
        if isinstance(rule.statement, Forbid) and not bool(Compiled(schema, [rule]).allowed(now, action)[0]):
            return f"`{to_text(rule)}`"
    return "tried here before, and it did not turn out as imagined"


def _explained(error: Any) -> str:
    """A validation error in a line a mistake, for the model that made it."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "\n".join(f"{'.'.join(map(str, e['loc'])) or 'input'}: {e['msg']}" for e in error.errors())
