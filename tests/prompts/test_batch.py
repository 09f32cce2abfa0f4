"""The local model answers several prompts in one padded batch."""

import asyncio
import time
from typing import Any, TypedDict

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from pydantic import BaseModel

from gedanken.errors import UserError
from gedanken.prompts import Asking, FewShotTask, Gateway, GatewayConfig, LocalChatModel, ModelTimeout, translate
from gedanken.prompts.local.loading import load
from gedanken.prompts.local.prefixes import CHUNK
from gedanken.prompts.local.together import groups

WORLD = "The world has doors and keys. " * 20
ENDS = ["", "a", "What is a door? " * 9, "Where is the key, and who has it?", "Why?", "x" * 300]


@pytest.mark.parametrize("beginning", ["", WORLD])
@pytest.mark.parametrize(("size", "temperature"), [(8, 0.0), (2, 1.0)])
def test_a_batch_answers_as_one_by_one(tiny: LocalChatModel, beginning: str, size: int, temperature: float) -> None:
    model = LocalChatModel(model=tiny.model, batch_size=size, max_tokens=12, temperature=temperature, seed=3)
    prompts = [beginning + end for end in ENDS]
    answers, alone = model.batch(prompts), [model.invoke(prompt) for prompt in prompts]
    assert [a.text for a in answers] == [a.text for a in alone]
    assert len({a.text for a in alone}) > 1
    for one, other in zip(answers, alone, strict=True):
        assert one.usage_metadata == other.usage_metadata
        assert one.response_metadata == other.response_metadata


def test_the_embedded_model_answers_a_batch_as_one_by_one(local: LocalChatModel) -> None:
    prompts = ["What is the capital of France?", "Name a colour and an animal, in one sentence.", "Two?"]
    answers = [answer.text for answer in local.batch(prompts, max_tokens=8)]
    assert answers == [local.invoke(prompt, max_tokens=8).text for prompt in prompts]


def test_grammars_and_stop_texts_hold_in_a_batch(tiny: LocalChatModel) -> None:
    answers = tiny.batch(ENDS, grammar='root ::= "expect " [0-9]+', temperature=2.0, seed=1)
    assert all(answer.text.startswith("expect ") for answer in answers)
    free = tiny.invoke(ENDS[0]).text
    assert tiny.batch(ENDS[:2], stop=[free[3:5]])[0].text == free[:3]


@pytest.fixture
def read(tiny: LocalChatModel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The (rows, columns) of every forward pass of the tiny model, nothing read before."""
    decoder = load(tiny.model)
    decoder.prefixes._kept.clear()
    passes: list[tuple[int, int]] = []
    forward = decoder.model.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        passes.append(tuple(kwargs["input_ids"].shape))
        return forward(*args, **kwargs)

    monkeypatch.setattr(decoder.model, "forward", counted)
    return passes


def test_a_shared_beginning_is_read_once(tiny: LocalChatModel, read: list[tuple[int, int]]) -> None:
    prompts = [WORLD + end for end in ENDS]
    tiny.batch(prompts, max_tokens=1)
    shared = len(WORLD) // CHUNK
    assert read[:shared] == [(1, CHUNK)] * shared
    assert sum(columns for _, columns in read) < len(WORLD) + 3 * CHUNK
    read.clear()
    tiny.batch(prompts, max_tokens=1)
    assert read[0][0] == len(prompts)  # nothing of the beginning is read again


def test_sentences_of_one_world_and_inputs_of_one_task_share_their_beginning(
    tiny: LocalChatModel, read: list[tuple[int, int]]
) -> None:
    door, once = Gateway(tiny), Asking(readings=1, max_tokens=2)
    examples = [("Keep out of the lava.", "forbid forward if front == lava")]
    task = FewShotTask(instruction=WORLD, demonstrations=[("It is hot.", "yes")], output=["yes", "no"])
    for ask in (
        lambda sentence: translate(sentence, WORLD, examples, door, None, once),
        lambda sentence: task.run([sentence], door),
    ):
        columns = []
        for sentence in ("The door is open.", "Who has the key?"):
            read.clear()
            ask(sentence)
            columns.append(sum(columns for rows, columns in read if rows == 1))
        assert columns[1] < columns[0] - len(WORLD) // 2


def test_one_that_does_not_fit_leaves_the_others_be(tiny: LocalChatModel) -> None:
    answers = tiny.batch(["a", "x" * 4000, "b"], return_exceptions=True)
    assert isinstance(answers[1], UserError)
    assert answers[0].text == tiny.invoke("a").text
    with pytest.raises(UserError, match="reads 2048 in all"):
        tiny.batch(["a", "x" * 4000])


def test_what_was_written_before_the_time_limit_stays(tiny: LocalChatModel, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tiny.invoke(ENDS[0]).text
    first = text[2:4]  # the first prompt's answer ends soon
    decoder = load(tiny.model)
    step = decoder.model.forward
    monkeypatch.setattr(decoder.model, "forward", lambda *a, **k: (time.sleep(0.02), step(*a, **k))[1])
    answers = tiny.batch(ENDS, timeout=0.5, max_tokens=900, stop=[first], return_exceptions=True)
    assert answers[0].text == text.partition(first)[0]
    assert any(isinstance(answer, ModelTimeout) for answer in answers)


def test_a_batch_has_like_lengths_and_no_more_tokens_than_allowed() -> None:
    assert [len(group) for group in groups([100] * 9, size=8)] == [8, 1]
    assert list(groups([900, 300, 200, 5000, 300], size=8, tokens=1000)) == [[2, 1, 4], [0], [3]]


def test_every_prompt_of_a_batch_has_its_own_run(tiny: LocalChatModel) -> None:
    ends: list[str] = []

    class Tracer(BaseCallbackHandler):
        def on_llm_end(self, response: Any, **kwargs: Any) -> None:
            ends.append(response.generations[0][0].text)

    answers = tiny.batch(["a", "b"], config={"callbacks": [Tracer()]})
    assert ends == [answer.text for answer in answers]
    assert len({answer.id for answer in answers}) == 2


def test_a_batch_is_asynchronous_too(tiny: LocalChatModel) -> None:
    answers = asyncio.run(tiny.abatch(["a", "b"]))
    assert [answer.text for answer in answers] == [tiny.invoke(prompt).text for prompt in ("a", "b")]


def test_the_gateway_asks_a_local_model_in_batches(tiny: LocalChatModel) -> None:
    door = Gateway(tiny, GatewayConfig(max_calls=5))
    answers = door.ask_many(ENDS, "test")
    assert answers[:5] == [tiny.invoke(prompt).text for prompt in ENDS[:5]]
    assert "budget of 5 calls" in str(answers[5])
    assert len(door.calls) == 5


class Weather(BaseModel):
    """The weather somewhere."""

    city: str
    is_raining: bool


class Place(TypedDict):
    """A place."""

    name: str


SCHEMA = {
    "title": "Colour",
    "description": "A colour.",
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}},
    "required": ["colour"],
}


def test_structured_output_of_every_kind_of_schema(tiny: LocalChatModel) -> None:
    roomy = LocalChatModel(model=tiny.model, max_tokens=400)
    weather = roomy.with_structured_output(Weather, include_raw=True).invoke("Oslo.")
    assert isinstance(weather["parsed"], Weather) or weather["raw"].invalid_tool_calls
    for schema, key in ((Place, "name"), (SCHEMA, "colour")):
        answers = roomy.with_structured_output(schema, include_raw=True).batch(["Oslo.", "A colour?"])
        for answer in answers:
            assert answer["raw"].invalid_tool_calls or set(answer["parsed"]) == {key}
    assert roomy.with_structured_output(SCHEMA).invoke("A colour?")["colour"] in ("red", "blue")
