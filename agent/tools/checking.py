"""The tool "would this rule have held?": counted over everything in memory. The rule is not told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from ...world.checking import BEHAVIOUR
from ...world.fitting import weighed
from ...world.rulebook import entry_of
from ...world.rules.check import warnings
from ...world.rules.parse import parse
from ...world.rules.text import to_text
from .answering import answering

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from ..agent import Agent


class RuleLine(BaseModel):
    """A rule to count."""

    rule: str = Field(max_length=1_000, description="one line of the rule language, such as: expect same if action == "
                      "forward and front == wall")


def check_rule_tool(agent: Agent) -> BaseTool:
    """A LangChain tool that counts how often a rule would have held over all of memory. The rule is not told."""

    def check_rule(rule: str) -> str:
        return would_hold(agent, rule)

    return answering("check_rule", check_rule, RuleLine, (
        "How often did this rule apply, and hold, in everything the agent remembers? Checks one line of the rule "
        "language without adding it."))


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
