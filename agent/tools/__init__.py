"""An agent's faculties as tools for any LangChain or LangGraph agent: imagine, check a rule, remember, recall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .checking import check_rule_tool, would_hold
from .imagining import MAX_STEPS, Foreseen, foresee, imagine_tool, what_if
from .remembering import recall_tool, remember_tool
from .words import MAX_CHANGES, action_text, changes, parse_action

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from ..agent import Agent

__all__ = [
    "MAX_CHANGES",
    "MAX_STEPS",
    "Foreseen",
    "action_text",
    "changes",
    "check_rule_tool",
    "foresee",
    "imagine_tool",
    "parse_action",
    "recall_tool",
    "remember_tool",
    "tools",
    "what_if",
    "would_hold",
]


def tools(agent: Agent) -> list[BaseTool]:
    """All four tools of an agent."""
    return [imagine_tool(agent), check_rule_tool(agent), remember_tool(agent), recall_tool(agent)]
