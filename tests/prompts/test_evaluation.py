"""Evaluation of few-shot tasks: metrics, arms, seeds, the journal, tuning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from gedanken.errors import UserError
from gedanken.prompts import FewShotTask, Gateway, ScriptedChatModel
from gedanken.prompts.tasks.evaluation import Arm, draw_pool, evaluate, standard_arms
from gedanken.prompts.tasks.journal import Journal
from gedanken.prompts.tasks.metrics import measure
from gedanken.prompts.tasks.selection import Demonstration
from gedanken.prompts.tasks.tuning import grid, tune

DEMONSTRATIONS = [Demonstration(f"number {n} of all", ["even", "odd"][n % 2]) for n in range(20)]
ITEMS = [Demonstration(f"what is {n}?", ["even", "odd"][n % 2]) for n in range(100, 110)]


def copying(messages: list[Any]) -> str:
    """Answers what the last demonstration says; without any, "even"."""
    return str(messages[-2].text) if len(messages) > 2 else "even"


def task(**settings: Any) -> FewShotTask:
    given = {"instruction": "Even or odd?", "output": ["even", "odd"], "demonstrations": DEMONSTRATIONS}
    return FewShotTask(**{**given, "similarity": DeterministicFakeEmbedding(size=8), **settings})


def test_metrics_by_hand() -> None:
    found = measure(["accuracy", "macro_f1"], ["a", "b", None, "b"], ["a", "b", "a", "a"])
    assert found == pytest.approx({"accuracy": 0.5, "macro_f1": (0.5 + 2 / 3) / 2})
    found = measure(["rouge1", "rougeL"], ["the cat sat", None], ["the cat sat down", "x"])
    assert found == pytest.approx({"rouge1": 6 / 7 / 2, "rougeL": 6 / 7 / 2})
    records = [{"place": "The Hall", "tags": ["x", "y"]}], [{"place": "the hall", "tags": ["y", "z"]}]
    assert measure(["field_f1", "exact_match"], *records) == pytest.approx({"field_f1": 2 / 3, "exact_match": 0})
    assert measure(["mean_absolute_error"], [3, None], [1, 5]) == {"mean_absolute_error": 2.0}
    assert measure(["scorer"], ["x", "y"], ["x", "z"], [1.0, 0.5]) == {"scorer": 0.75}


def test_arms_are_measured_side_by_side() -> None:
    result = evaluate(task(), ITEMS, Gateway(ScriptedChatModel(answers=copying)), standard_arms(3), (0, 1, 2), pool=0.5)
    zero, *others = result.results
    assert zero.values["accuracy"] == [0.5] * 3
    assert [r.arm.name for r in others] == ["3 random", "3 nearest", "3 diverse"]
    assert others[0].spread("accuracy") > 0
    assert result.to_dict()["arms"]["zero-shot"]["accuracy"] == {"mean": 0.5, "spread": 0.0, "values": [0.5] * 3}


def test_pools_differ_by_seed_and_repeat() -> None:
    assert len(draw_pool(DEMONSTRATIONS, 0.5, 0)) == 10
    assert draw_pool(DEMONSTRATIONS, 0.5, 0) == draw_pool(DEMONSTRATIONS, 0.5, 0) != draw_pool(DEMONSTRATIONS, 0.5, 1)


def test_an_item_is_never_shown_to_itself() -> None:
    shown: list[str] = []

    def look(messages: list[Any]) -> str:
        shown.extend(str(m.text) for m in messages[:-1] if m.text == messages[-1].text)
        return "even"

    gateway = Gateway(ScriptedChatModel(answers=look))
    evaluate(task(), DEMONSTRATIONS, gateway, standard_arms(20))
    assert shown == []


def test_an_interrupted_evaluation_goes_on_where_it_was(tmp_path: Path) -> None:
    path, calls = tmp_path / "answers.jsonl", [0]

    def interrupted(messages: list[Any]) -> str:
        calls[0] += 1
        if calls[0] == 25:
            raise KeyboardInterrupt
        return copying(messages)

    arms = [Arm("zero-shot", {"count": 0}), Arm("2 random", {"count": 2, "selection": "random"})]
    with pytest.raises(KeyboardInterrupt):
        evaluate(task(), ITEMS, Gateway(ScriptedChatModel(answers=interrupted)), arms, (0, 1), journal=Journal(path))
    kept = len(path.read_text().splitlines())
    assert kept >= 16
    path.write_text(path.read_text() + '{"key": "half a li')  # killed in the middle of a line
    calls[0] = 100
    gateway = Gateway(ScriptedChatModel(answers=interrupted))
    result = evaluate(task(), ITEMS, gateway, arms, (0, 1), journal=Journal(path))
    assert calls[0] - 100 == 30 - kept  # zero-shot is the same for both seeds, and is asked once
    again = evaluate(task(), ITEMS, Gateway(ScriptedChatModel()), arms, (0, 1), journal=Journal(path))
    assert again == result
    assert {json.loads(line)["answer"] for line in path.read_text().splitlines()} == {"even", "odd"}


def test_a_changed_task_is_asked_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "answers.jsonl")
    zero = [Arm("zero-shot", {"count": 0})]
    evaluate(task(), ITEMS, Gateway(ScriptedChatModel(answers=copying)), zero, journal=journal)
    changed = task(instruction="Odd or even?")
    with pytest.raises(UserError, match="one more was asked for"):
        evaluate(changed, ITEMS, Gateway(ScriptedChatModel()), zero, journal=journal)


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    with pytest.raises(UserError, match=r"notes.txt:1: this is no line of answers"):
        Journal(path)
    assert path.read_text() == "my notes\n"


def test_unusable_answers_count_as_wrong() -> None:
    result = evaluate(task(), ITEMS, Gateway(ScriptedChatModel(answers=lambda _: "neither")), standard_arms(1, False))
    assert result.results[0].values["accuracy"] == [0.0]
    assert result.results[0].unusable == len(ITEMS)


def test_nothing_to_evaluate_on_is_said() -> None:
    with pytest.raises(UserError, match="no items"):
        evaluate(task(), [], Gateway(None), standard_arms(1))
    with pytest.raises(UserError, match="pool is a share"):
        evaluate(task(), ITEMS, Gateway(None), standard_arms(1), pool=0.0)
    with pytest.raises(UserError, match="of a generator"):
        evaluate(task(metrics=["scorer"]), ITEMS, Gateway(None), standard_arms(1))


def test_tuning_takes_the_best_and_of_equals_the_shortest() -> None:
    arms = grid([0, 1, 4], ["fixed", "random"], ["best_last", "best_first"])
    assert [arm.name for arm in arms] == [
        "zero-shot", "1 fixed", "1 random", "4 fixed", "4 random, best last", "4 random, best first",
    ]  # fmt: skip

    def counting(messages: list[Any]) -> str:
        """Right whenever four demonstrations are shown."""
        number = int("".join(filter(str.isdigit, str(messages[-1].text))))
        return ["even", "odd"][number % 2] if len(messages) >= 10 else "odd"

    tuned = tune(task(), ITEMS, Gateway(ScriptedChatModel(answers=counting)), arms)
    assert tuned.best == {"count": 4, "selection": "fixed"}
    assert [r.arm.settings["count"] for r in tuned.ranked] == [4, 4, 4, 0, 1, 1]
