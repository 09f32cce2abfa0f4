"""A function as a LangChain tool whose mistakes go back to the model as text.

What comes in is matched against a schema, the names of the world and the rule grammar, never executed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from ...errors import UserError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool


def answering(name: str, function: Callable[..., str], takes: type[BaseModel], description: str) -> BaseTool:
    """The tool `name`, whose arguments are those of `takes`; a `UserError` of `function` is its answer."""
    from langchain_core.tools import StructuredTool, ToolException

    @functools.wraps(function)
    def answer(*args: Any, **kwargs: Any) -> str:
        try:
            return function(*args, **kwargs)
        except UserError as error:
            raise ToolException(str(error)) from error

    return StructuredTool.from_function(
        answer, name=name, description=description, args_schema=takes, handle_tool_error=True,
        handle_validation_error=_explained)


def _explained(error: Any) -> str:
    """A validation error in a line a mistake, for the model that made it."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "\n".join(f"{'.'.join(map(str, e['loc'])) or 'input'}: {e['msg']}" for e in error.errors())
