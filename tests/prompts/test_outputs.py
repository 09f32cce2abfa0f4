"""Types of few-shot inputs and outputs: JSON and its grammar, what is refused."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, ValidationError

from gedanken.errors import GedankenError
from gedanken.prompts import FewShotTask, Gateway, LocalChatModel, ScriptedChatModel
from gedanken.prompts.tasks.outputs import direction, kind_of, read, render, write


class Find(BaseModel):
    place: str
    count: int
    urgent: bool
    size: Literal["small", "large"] = "small"


class Count(BaseModel):
    number: Literal[1, 2, 3]
    urgent: bool


FIND = '{"place": "hall", "count": 2, "urgent": true, "size": "large"}'


def test_python_types_are_kinds() -> None:
    assert [kind_of(kind) for kind in (str, int, Literal["a", "b"], ("a",))] == ["text", "int", ["a", "b"], ["a"]]
    for wrong in ("txt", [], ["a", "A"], ["two\nlines"], [1], 3, object, lambda: 0):
        with pytest.raises(ValueError, match=r"expected text|label|no type"):
            kind_of(wrong)


def test_records_are_written_and_read_as_json() -> None:
    value = read(Find, f"Here it is:\n```json\n{FIND}\n```")
    assert value == Find(place="hall", count=2, urgent=True, size="large")
    assert write(Find, value) == FIND
    assert read(list[int], "[1, 2]") == [1, 2]
    assert "large" in direction(Find)
    with pytest.raises(ValueError, match=r"count: .*integer.*expected \{\"place\": text"):
        read(Find, FIND.replace("2", '"two"'))


def test_a_record_as_input_is_a_line_a_field() -> None:
    assert render(Find, {"place": "hall", "count": 2, "urgent": False}) == (
        "place: hall\ncount: 2\nurgent: false\nsize: small"
    )
    with pytest.raises(ValueError, match="urgent: Field required"):
        render(Find, {"place": "hall", "count": 2})
    with pytest.raises(ValueError, match="expected a whole number"):
        render("int", "two")


def test_typed_inputs_and_outputs_of_a_task() -> None:
    asked: list[str] = []

    def answer(messages: list[Any]) -> str:
        asked.append(str(messages[-1].text))
        return FIND

    task = FewShotTask(
        instruction="Note it.",
        input=list[str],
        output=Find,
        demonstrations=[(["a", "b"], Find.model_validate_json(FIND))],
    )
    gateway = Gateway(ScriptedChatModel(answers=answer))
    assert task.run([["two fires in the hall"]], gateway) == [Find.model_validate_json(FIND)]
    assert asked == ['["two fires in the hall"]']
    assert task.with_settings(count=0).demonstrations == task.demonstrations


def test_a_model_without_grammars_is_told_its_mistake_once() -> None:
    seen: list[list[str]] = []

    def answer(messages: list[Any]) -> str:
        seen.append([str(message.text) for message in messages])
        return "two" if len(seen) == 1 else "2"

    task = FewShotTask(instruction="How many?", output="int")
    assert task.run(["a pair"], Gateway(ScriptedChatModel(answers=answer))) == [2]
    assert seen[1][:-2] == seen[0]
    assert seen[1][-2] == "two"
    assert "expected a whole number, got 'two'" in seen[1][-1]


def test_the_real_model_answers_with_a_record(local: LocalChatModel) -> None:
    task = FewShotTask(instruction="Note it.", output=Count, max_tokens=30)
    (value,) = task.run(["Two lamps are broken in the hall."], Gateway(local))
    assert isinstance(value, Count)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("One two three four five six.", "One two three four"),
        ("One two.  Three four five six.", "One two."),
        ("It is 2.5 metres. No more", "It is 2.5 metres."),
        ("One two.\nThree.", "One two."),
    ],
)
def test_a_text_is_cut_to_a_number_of_words(answer: str, kept: str) -> None:
    task = FewShotTask(instruction="Say it.", max_words=4)
    assert task.run(["x"], Gateway(ScriptedChatModel(answers=[answer]))) == [kept]


def test_the_real_model_keeps_to_a_number_of_words(local: LocalChatModel) -> None:
    task = FewShotTask(instruction="Tell a long story.", max_words=3, max_tokens=8)
    (text,) = task.run(["The sea."], Gateway(local))
    assert 1 <= len(text.split()) <= 3


@pytest.mark.parametrize("decoding", ["score", "calibrated"])
def test_likelihoods_choose_among_labels(local: LocalChatModel, decoding: str) -> None:
    moods = [("I love it", "good"), ("What a joy", "good"), ("I hate it", "bad"), ("It is awful", "bad")]
    task = FewShotTask(instruction="What is the mood?", output=["good", "bad"], demonstrations=moods, decoding=decoding)
    inputs = ["This is wonderful, I am so happy", "This is terrible, I am angry"]
    assert task.run(inputs, Gateway(local)) == ["good", "bad"]


def test_calibration_takes_the_prior_of_a_label_away() -> None:
    class Biased(ScriptedChatModel):
        def score(self, messages: Any, continuations: list[str]) -> list[float]:
            """The first label is likely whatever is asked; the second gains by the input."""
            return [-1.0, -2.0] if messages[-1].text != "N/A" else [-1.0, -4.0]

    task = FewShotTask(instruction="?", output=["a", "b"])
    gateway = Gateway(Biased())
    assert task.run(["x"], gateway) == ["a"]
    assert task.with_settings(decoding="calibrated").run(["x"], gateway) == ["b"]


def test_likelihoods_are_asked_of_models_that_tell_them() -> None:
    task = FewShotTask(instruction="?", output=["a", "b"], decoding="score")
    with pytest.raises(GedankenError, match="tells none: use decoding 'answer'"):
        task.run(["x"], Gateway(ScriptedChatModel(answers=["a"])))
    with pytest.raises(ValidationError, match="is for labels and bool"):
        FewShotTask(instruction="?", output="int", decoding="calibrated")


def test_settings_that_do_not_go_together_are_named() -> None:
    wrong = {"budget_chars": 1, "budget_tokens": 1, "max_words": 3, "metrics": ["rouge1", "accurate"]}
    with pytest.raises(ValidationError) as caught:
        FewShotTask(instruction="?", output="int", **wrong)
    for part in ("budget_chars or budget_tokens", "max_words is for", "'rouge1' is for", "did you mean 'accuracy'"):
        assert part in str(caught.value)
