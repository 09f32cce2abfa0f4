"""Few-shot tasks: selection, types, errors."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import ValidationError

from gedanken.errors import GedankenError, UserError
from gedanken.memory import Column, Layout, LongTerm, Retrieval
from gedanken.prompts import FewShotTask, Gateway, LocalChatModel, ModelUnavailable, ScriptedChatModel
from gedanken.prompts.tasks.selection import Demonstration, noted

SIZES = [("a mouse", 1), ("a cat", 2), ("a horse", 3), ("a whale", 4), ("a rat", 1)]


class Letters(Embeddings):
    """Counts of a few letters: deterministic, and alike for words that look alike."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[text.count(letter) + 0.01 for letter in "mouscatrhwle"] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class Found(BaseRetriever):
    documents: list[Document]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return self.documents


def task(**settings: Any) -> FewShotTask:
    return FewShotTask(**{"instruction": "How big is it?", "demonstrations": SIZES, "output": "int", **settings})


def inputs(chosen: list[Any]) -> list[str]:
    return [demonstration.input for demonstration in chosen]


def test_fixed_demonstrations_keep_their_order() -> None:
    assert inputs(task(count=2).select("a dog")) == ["a mouse", "a cat"]


def test_random_demonstrations_are_repeatable_and_differ_by_seed_and_query() -> None:
    random = task(selection="random", count=3)
    assert random.select("a dog") == task(selection="random", count=3).select("a dog")
    drawn = {tuple(inputs(task(selection="random", count=3, seed=seed).select("a dog"))) for seed in range(8)}
    assert len(drawn) > 3
    assert len({tuple(inputs(random.select(f"dog {n}"))) for n in range(8)}) > 3


def test_the_nearest_demonstrations_stand_last() -> None:
    chosen = task(selection="nearest", count=2, similarity=Letters()).select("a cat cat")
    assert inputs(chosen) == ["a rat", "a cat"]


def test_diverse_demonstrations_do_not_repeat_each_other() -> None:
    alike = [("hot hot", 1), ("hot hot hot", 1), ("hot cold", 2)]
    settings = {"demonstrations": alike, "similarity": Letters(), "count": 2}
    assert inputs(task(selection="nearest", **settings).select("hot"))[::-1] == ["hot hot", "hot hot hot"]
    assert inputs(task(selection="diverse", diversity=0.7, **settings).select("hot"))[::-1][1] == "hot cold"


@pytest.mark.parametrize("selection", ["fixed", "random", "nearest", "diverse"])
def test_a_demonstration_is_never_its_own_query(selection: str) -> None:
    chosen = task(selection=selection, count=9, similarity=Letters()).select(" A  cat ")
    assert sorted(inputs(chosen)) == ["a horse", "a mouse", "a rat", "a whale"]


def test_a_retriever_chooses_among_the_demonstrations() -> None:
    store = InMemoryVectorStore(Letters())
    store.add_texts([text for text, _ in SIZES])
    nearest = task(selection="nearest", count=2, similarity=store.as_retriever(search_kwargs={"k": 3}))
    assert inputs(nearest.select("a cat"))[-1] == "a rat"
    assert "a cat" not in inputs(nearest.select("a cat"))


def test_a_retriever_may_bring_demonstrations_of_its_own() -> None:
    brought = Document("an ant", metadata={"output": 0})
    assert task(selection="nearest", similarity=Found(documents=[brought])).select("a fly") == [("an ant", 0)]


def test_a_document_that_is_no_demonstration_is_named() -> None:
    with pytest.raises(UserError, match="'an ant', which is no demonstration"):
        task(selection="nearest", similarity=Found(documents=[Document("an ant")])).select("a fly")


def test_a_length_budget_leaves_out_what_does_not_fit() -> None:
    chosen = task(count=9, budget_chars=15).select("a dog")
    assert inputs(chosen) == ["a mouse", "a cat"]
    assert task(count=9, budget_chars=0).select("a dog") == []


def test_a_token_budget_is_counted_by_the_model(local: LocalChatModel) -> None:
    short = task(count=9, budget_tokens=8, demonstrations=[("a mouse", 1), ("a hippopotamus and a rhinoceros", 4)])
    assert inputs(short.select("a dog", Gateway(local))) == ["a mouse"]
    assert inputs(short.select("a dog")) == ["a mouse"]  # estimated


def test_the_best_may_stand_first() -> None:
    nearest = task(selection="nearest", count=2, similarity=Letters(), order="best_first")
    assert inputs(nearest.select("a cat cat")) == ["a cat", "a rat"]


@pytest.mark.parametrize(
    ("text", "other", "near"),
    [
        ("Bring me the red toolbox.", "bring me  the red toolbox", True),
        ("Bring me the red toolbox from the shed.", "Bring me the red toolboxes from the shed.", True),
        ("Bring me the red toolbox.", "Bring me the blue bucket.", False),
        ("What is 12 + 34?", "What is 12 + 35?", False),
        ("12 + 3", "12 - 3", False),
        ("1.5", "15", False),
    ],
)
def test_near_copies_are_told_from_others(text: str, other: str, near: bool) -> None:
    chosen = task(demonstrations=[(other, 1)]).select(text)
    assert (not chosen) == near


def test_notes_of_a_memory_are_demonstrations(tmp_path: Path) -> None:
    layout = Layout((Column("x", "float32"),), Column("action", "int64"))
    with LongTerm(tmp_path / "memory.db", layout) as memory:
        for animal, size in SIZES:
            memory.note(noted(Demonstration(animal, size)), kind="demonstration")
        memory.note("a horse is a lesson\n=> not a number", kind="demonstration")
        found = task(demonstrations=[], selection="nearest", count=2,
                     similarity=Retrieval(memory).as_retriever(k=9, kind="demonstration"))  # fmt: skip
        assert found.select("horse")[-1] == ("a horse", 3)
        assert all(isinstance(demonstration.output, int) for demonstration in found.select("horse"))


def test_a_preview_shows_the_messages() -> None:
    messages = task(count=1).preview("a dog")
    assert [(m.type, m.text) for m in messages] == [
        ("system", "How big is it?\nAnswer with one whole number and nothing else."),
        ("human", "a mouse"),
        ("ai", "1"),
        ("human", "a dog"),
    ]


@pytest.mark.parametrize(
    ("output", "answer", "value"),
    [
        ("int", " 42. ", 42),
        ("float", "-0.5", -0.5),
        ("bool", "Yes", True),
        ("bool", "false", False),
        ("text", " any thing ", "any thing"),
        (["open", "shut"], '"Open"', "open"),
    ],
)
def test_outputs_are_typed(output: Any, answer: str, value: Any) -> None:
    result = task(output=output, demonstrations=[]).run(["x"], Gateway(ScriptedChatModel(answers=[answer])))
    assert result == [value]
    assert type(result[0]) is type(value)


@pytest.mark.parametrize(
    ("output", "answer", "error"),
    [
        ("int", "2.5", "expected a whole number, got '2.5'"),
        ("float", "nan", "expected a number"),
        ("bool", "maybe", "expected true or false"),
        ("text", "  ", "the answer is empty"),
        (["open", "shut"], "ajar", "expected one of open, shut, got 'ajar'"),
    ],
)
def test_an_unusable_answer_is_recorded_or_raised(output: Any, answer: str, error: str) -> None:
    unusable = task(output=output, demonstrations=[])
    (prediction,) = unusable.predict(["x"], Gateway(ScriptedChatModel(answers=[answer, answer])))
    assert prediction.output is None
    assert error in (prediction.error or "")
    with pytest.raises(GedankenError, match="1 of 1 answers cannot be used:\n'x': "):
        unusable.run(["x"], Gateway(ScriptedChatModel(answers=[answer, answer])))


def test_without_a_model_a_task_says_so() -> None:
    with pytest.raises(ModelUnavailable):
        task().run(["a dog"], Gateway(None))


@pytest.mark.parametrize("output", [["open", "shut"], "int", "float", "bool"])
def test_the_real_model_answers_in_the_type(local: LocalChatModel, output: Any) -> None:
    typed = task(output=output, demonstrations=[], instruction="How is the door?")
    (prediction,) = typed.predict(["Tell me a story about the door."], Gateway(local))
    assert prediction.error is None
    assert type(prediction.output) is {"int": int, "float": float, "bool": bool}.get(str(output), str)


def test_the_real_model_learns_from_demonstrations(local: LocalChatModel) -> None:
    moods = [("I love it", "good"), ("What a joy", "good"), ("I hate it", "bad"), ("It is awful", "bad")]
    mood = task(instruction="What is the mood?", output=["good", "bad"], demonstrations=moods)
    assert mood.run(["This is wonderful, I am so happy", "This is terrible, I am angry"], Gateway(local)) == [
        "good",
        "bad",
    ]


def test_every_wrong_demonstration_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        task(demonstrations=[("a", 1), ("b", "two"), ("c", "3")])
    assert "demonstration 2 ('b'): expected a whole number, got 'two'" in str(caught.value)
    assert "demonstration 3: write '3' as the task's type" in str(caught.value)
    with pytest.raises(ValidationError, match="two labels are the same"):
        task(output=["Open", "open"], demonstrations=[])


@pytest.mark.parametrize("selection", ["nearest", "diverse"])
def test_a_selection_by_likeness_needs_something_that_judges_it(selection: str) -> None:
    with pytest.raises(UserError, match=f"selection '{selection}' needs similarity"):
        task(selection=selection)
