"""The scripted chat model, as users' tests use it."""

import asyncio
import time
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import tool
from langchain_tests.unit_tests import ChatModelUnitTests
from pydantic import BaseModel

from gedanken.errors import UserError
from gedanken.prompts import ScriptedChatModel


class TestLangChain(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[ScriptedChatModel]:
        return ScriptedChatModel

    @property
    def chat_model_params(self) -> dict:
        return {"answers": lambda messages: "hello"}


class Weather(BaseModel):
    """The weather somewhere."""

    city: str
    degrees: int


class Place(TypedDict):
    """A place."""

    name: str


@tool
def recall(query: str) -> str:
    """Search memory."""
    return query


def test_a_script_is_followed_and_ends() -> None:
    model = ScriptedChatModel(answers=["one", ValueError("no"), "two, stop, three"])
    assert model.invoke("x").text == "one"
    with pytest.raises(ValueError, match="no"):
        model.invoke("x")
    assert model.invoke("x", stop=[", stop"]).text == "two"
    with pytest.raises(UserError, match="the script has 3 answers"):
        model.invoke("x")


def test_a_script_may_be_a_function_of_the_messages_and_the_options() -> None:
    model = ScriptedChatModel(answers=lambda messages: messages[-1].text.upper())
    assert model.invoke([("system", "s"), ("human", "door")]).text == "DOOR"

    def answer(messages: list[BaseMessage], options: dict[str, Any]) -> str:
        return options["tools"][0]["function"]["name"]

    assert ScriptedChatModel(answers=answer).bind_tools([recall]).invoke("x").text == "recall"


def test_a_script_may_go_by_patterns() -> None:
    model = ScriptedChatModel(answers={r"weather in \w+": "Rain.", "name": {"name": "recall", "args": {}}})
    assert model.invoke("Tell me of the weather in Oslo.").text == "Rain."
    with pytest.raises(UserError, match="no pattern of the script is found in 'hello'"):
        model.invoke("hello")


def test_tools_are_called() -> None:
    model = ScriptedChatModel(answers=[{"name": "recall", "args": {"query": "doors"}}, "done"])
    bound = model.bind_tools([recall, Weather])
    (call,) = bound.invoke("x").tool_calls
    assert (call["name"], call["args"]) == ("recall", {"query": "doors"})
    assert bound.invoke("x").tool_calls == []


@pytest.mark.parametrize("answer", [Weather(city="Oslo", degrees=3), {"city": "Oslo", "degrees": 3}])
def test_structured_output_is_an_instance_of_the_schema(answer: Any) -> None:
    structured = ScriptedChatModel(answers=[answer]).with_structured_output(Weather)
    assert structured.invoke("x") == Weather(city="Oslo", degrees=3)


def test_structured_output_takes_a_typed_dictionary_and_a_json_schema() -> None:
    schema = {"title": "Place", "type": "object", "properties": {"name": {"type": "string"}}, "description": "d"}
    model = ScriptedChatModel(answers=[{"name": "Oslo"}] * 2)
    assert model.with_structured_output(Place).invoke("x") == {"name": "Oslo"}
    assert model.with_structured_output(schema).invoke("x") == {"name": "Oslo"}


def test_a_whole_message_is_given_as_it_is() -> None:
    usage = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
    message = AIMessage("hi", usage_metadata=usage, response_metadata={"finish_reason": "length"})
    answer = ScriptedChatModel(answers=[message]).invoke("x")
    assert answer.usage_metadata == usage
    assert answer.response_metadata["finish_reason"] == "length"
    assert message.id is None  # the script is not written on


def test_it_says_what_it_took_and_remembers_what_it_was_asked() -> None:
    model = ScriptedChatModel(answers=["four", "more"])
    assert model.invoke([("human", "x" * 33)], stop=["!"]).usage_metadata["total_tokens"] == 10
    assert model.asked[0].messages[0].text == "x" * 33
    assert model.asked[0].options == {"stop": ["!"]}


def test_it_streams_texts_and_tool_calls() -> None:
    call = {"name": "recall", "args": {"query": "doors"}}
    model = ScriptedChatModel(answers=[" one  two\nthree \n", call, "four five"])
    pieces = list(model.stream("x"))
    assert "".join(piece.text for piece in pieces) == " one  two\nthree \n"
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert whole.usage_metadata["output_tokens"] == 5
    chunks = list(model.bind_tools([recall]).stream("x"))
    assert chunks[0].tool_calls[0]["args"] == {"query": "doors"}

    async def stream() -> list[str]:
        return [piece.text async for piece in model.astream("x")]

    assert "".join(asyncio.run(stream())) == "four five"


def test_its_delay_does_not_block_an_event_loop() -> None:
    model = ScriptedChatModel(answers=lambda messages: "a", delay_s=0.2)

    async def ask() -> list[AIMessage]:
        return await asyncio.gather(*(model.ainvoke("x") for _ in range(20)))

    started = time.monotonic()
    assert len(asyncio.run(ask())) == 20
    assert time.monotonic() - started < 1.0
