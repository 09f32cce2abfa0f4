"""Tool calls for a model that only writes text: the tools as a JSON schema its answer must obey, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call_chunk

from ...errors import UserError, nearest

ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "developer": "system"}
EVERY = ("any", "required", True)
FREE = ("auto", None, False)


@dataclass(frozen=True)
class Offer:
    """The tools of a call: what the model is told of them, and the schema of its answer."""

    instruction: str
    schema: dict[str, Any]


def check_choice(tools: Sequence[dict[str, Any]], choice: str | bool | None) -> None:
    """Raise UserError where `choice` is neither a way of choosing nor the name of a tool."""
    names = [tool["function"]["name"] for tool in tools]
    if choice not in (*EVERY, *FREE, "none", *names):
        raise UserError(f"tool_choice {choice!r} names no tool; tools: {', '.join(names)}{nearest(str(choice), names)}")


def offer(tools: Sequence[dict[str, Any]], choice: str | bool | None) -> Offer | None:
    """Return what to tell the model and what to hold it to, or None where it has no tool to call."""
    if not tools or choice == "none":
        return None
    functions = [tool["function"] for tool in tools]
    if choice not in EVERY and choice not in FREE:
        functions = [function for function in functions if function["name"] == choice]
    forms = [_form(function) for function in functions]
    if choice in FREE:
        forms.append(_object({"answer": {"type": "string"}}))
    lines = [f"- {f['name']}: {f.get('description', '')} {json.dumps(_parameters(f))}" for f in functions]
    instruction = "Answer with one call of a tool, as JSON with its name and arguments. The tools:\n" + "\n".join(lines)
    if choice in FREE:
        instruction += '\nWhere no tool helps, answer {"answer": "your text"}.'
    return Offer(instruction, forms[0] if len(forms) == 1 else {"anyOf": forms})


def parse(text: str) -> AIMessageChunk:
    """Return the model's JSON as a message: a tool call, its plain answer, or, cut short, an invalid tool call."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        cut = invalid_tool_call(name=None, args=text, id=None, error="the answer was cut short: raise max_tokens")
        return AIMessageChunk(content="", invalid_tool_calls=[cut])
    if "answer" in value and "name" not in value:
        return AIMessageChunk(content=value["answer"])
    # The same call has the same id, so that a seeded answer can be repeated.
    identity = "call_" + hashlib.sha256(text.encode()).hexdigest()[:16]
    call = tool_call_chunk(name=value["name"], args=json.dumps(value["arguments"]), id=identity, index=0)
    return AIMessageChunk(content="", tool_call_chunks=[call])


def plain_messages(messages: Sequence[BaseMessage], offered: Offer | None = None) -> list[dict[str, str]]:
    """Return messages as the (role, content) texts that chat templates take, the tools told in the system message.

    Raises:
        UserError: a message holds an image or anything else that is not text.
    """
    plain = [{"role": _role(message), "content": _content(message)} for message in messages]
    if offered is not None:
        if plain and plain[0]["role"] == "system":
            plain[0]["content"] += "\n" + offered.instruction
        else:
            plain.insert(0, {"role": "system", "content": offered.instruction})
    return plain


def _role(message: BaseMessage) -> str:
    return ROLES.get(message.type.removesuffix("MessageChunk").lower(), getattr(message, "role", "user"))


def _content(message: BaseMessage) -> str:
    for block in message.content if isinstance(message.content, list) else []:
        if isinstance(block, dict) and block.get("type") not in ("text", "tool_use", "tool_call"):
            raise UserError(f"this model reads text only, and a message holds {block.get('type')!r}")
    text = str(message.text)
    if isinstance(message, AIMessage) and message.tool_calls:
        calls = [json.dumps({"name": call["name"], "arguments": call["args"]}) for call in message.tool_calls]
        text = "\n".join(part for part in (text, *calls) if part)
    if isinstance(message, ToolMessage) and message.name:
        text = f"{message.name}: {text}"
    return text


def _form(function: dict[str, Any]) -> dict[str, Any]:
    return _object({"name": {"const": function["name"]}, "arguments": _parameters(function)})


def _parameters(function: dict[str, Any]) -> dict[str, Any]:
    return function.get("parameters") or {"type": "object", "properties": {}, "additionalProperties": False}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
