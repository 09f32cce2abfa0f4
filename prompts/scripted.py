"""A chat model that follows a script, the same every time: for the tests of whoever builds on chat models.

    model = ScriptedChatModel(answers=["Hello.", {"name": "recall", "args": {"query": "doors"}}, ValueError("down")])
    model = ScriptedChatModel(answers={r"weather in (\\w+)": "It rains.", r".*": "I do not know."})
    model = ScriptedChatModel(answers=lambda messages: messages[-1].text.upper())
    agent = gedanken.Agent(env, llm=model)
    model.asked[-1].messages, model.asked[-1].options
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, Field, PrivateAttr

from ..errors import UserError
from .gateway.attempts import estimate_tokens
from .local import toolcalls

Answer = str | Mapping[str, Any] | BaseModel | Exception
"""Text; a tool call (`{"name": ..., "args": ...}`), or the arguments of the tool or schema that was bound, also as an
instance of it; a whole `AIMessage`; an exception, which is raised."""


@dataclass(frozen=True)
class Asked:
    """What a scripted model was asked: the messages, and the options of the call (`stop`, `tools`, ...)."""

    messages: list[BaseMessage]
    options: dict[str, Any]


class ScriptedChatModel(BaseChatModel):
    """A chat model that answers from a script, and remembers what it was asked.

    `answers` is a list, given one by one; a mapping from patterns, of which the first that is found in the last message
    answers; or a function of the messages, or of the messages and the call's options. Texts stream word by word, and
    every answer says how many tokens it took (4 characters each).

    Raises:
        UserError: the list has no answer left, or no pattern is found.
    """

    is_free: ClassVar[bool] = True

    answers: Any = Field(default_factory=list)
    delay_s: float = 0.0
    """Seconds before each answer."""
    model: str = "scripted"

    _asked: list[Asked] = PrivateAttr(default_factory=list)
    _given: int = PrivateAttr(default=0)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)

    @property
    def _llm_type(self) -> str:
        return "gedanken-scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model}

    @property
    def asked(self) -> list[Asked]:
        """Everything it was asked, oldest first."""
        with self._lock:
            return list(self._asked)

    def get_num_tokens(self, text: str) -> int:
        """Four characters a token; LangChain's own default would fetch another model's tokenizer."""
        return estimate_tokens(text)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Offer tools, which the script may call.

        Raises:
            UserError: `tool_choice` names no tool.
        """
        converted = [convert_to_openai_tool(tool) for tool in tools]
        toolcalls.check_choice(converted, tool_choice)
        return self.bind(tools=converted, tool_choice=tool_choice, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        time.sleep(self.delay_s)
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages, stop, kwargs))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        await asyncio.sleep(self.delay_s)
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages, stop, kwargs))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        time.sleep(self.delay_s)
        answer = self._answer(messages, stop, kwargs)
        chunks = [AIMessageChunk(content=word) for word in re.findall(r"\s*\S+\s*$|\s*\S+|\s+$", answer.text)]
        for index, call in enumerate(answer.tool_calls):
            part = tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=index)
            chunks.append(AIMessageChunk(content="", tool_call_chunks=[part]))
        last = AIMessageChunk(content="", chunk_position="last", usage_metadata=answer.usage_metadata,
                              response_metadata=answer.response_metadata)
        for message in (*chunks, last):
            chunk = ChatGenerationChunk(message=message)
            if run_manager:
                run_manager.on_llm_new_token(str(message.content), chunk=chunk)
            yield chunk

    def _answer(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> AIMessage:
        options = kwargs if stop is None else {**kwargs, "stop": stop}
        answer = self._scripted(messages, options)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, AIMessage):
            message = answer.model_copy(deep=True)
        elif isinstance(answer, str):
            message = AIMessage(content=_before(answer, stop or []))
        else:
            message = _called(answer, options)
        if message.usage_metadata is None:
            taken, given = estimate_tokens(" ".join(m.text for m in messages)), estimate_tokens(_written(message))
            message.usage_metadata = UsageMetadata(
                input_tokens=taken, output_tokens=given, total_tokens=taken + given
            )
        message.response_metadata = {"model_name": self.model, **message.response_metadata}
        return message

    def _scripted(self, messages: list[BaseMessage], options: dict[str, Any]) -> Answer | AIMessage:
        with self._lock:
            self._asked.append(Asked(list(messages), options))
            if isinstance(self.answers, Sequence):
                if self._given >= len(self.answers):
                    raise UserError(f"the script has {len(self.answers)} answers, and one more was asked for")
                self._given += 1
                return self.answers[self._given - 1]
        if isinstance(self.answers, Mapping):
            text = str(messages[-1].text)
            for pattern, answer in self.answers.items():
                if re.search(pattern, text, re.DOTALL):
                    return answer
            raise UserError(f"no pattern of the script is found in {text!r}; patterns: {', '.join(self.answers)}")
        takes_options = len(inspect.signature(self.answers).parameters) > 1
        return self.answers(messages, options) if takes_options else self.answers(messages)


def _called(answer: Mapping[str, Any] | BaseModel, options: dict[str, Any]) -> AIMessage:
    """A message that calls a tool; JSON where none was offered."""
    given = answer.model_dump(mode="json") if isinstance(answer, BaseModel) else dict(answer)
    names = [tool["function"]["name"] for tool in options.get("tools") or []]
    if not names:
        return AIMessage(content=json.dumps(given))
    if set(given) == {"name", "args"}:
        name, args = given["name"], given["args"]
    else:
        chosen, own = options.get("tool_choice"), type(answer).__name__
        name, args = next((n for n in (chosen, own) if n in names), names[0]), given
    identity = "call_" + hashlib.sha256(json.dumps([name, args], default=str).encode()).hexdigest()[:16]
    return AIMessage(content="", tool_calls=[tool_call(name=name, args=args, id=identity)])


def _written(message: AIMessage) -> str:
    return str(message.text) + "".join(json.dumps([call["name"], call["args"]]) for call in message.tool_calls)


def _before(text: str, stop: Sequence[str]) -> str:
    for end in stop:
        text = text.split(end, 1)[0]
    return text
