"""`gedanken fewshot` as a person types it, with a scripted model in the place of a hosted one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from typer.testing import CliRunner, Result

from gedanken.commands.app import app
from gedanken.memory import Column, Layout, LongTerm
from gedanken.prompts import ScriptedChatModel
from gedanken.prompts.tasks.selection import Demonstration, noted

TASK = """\
# What it is for.
instruction: Even or odd?
output: [even, odd]
demonstrations: {file: train.csv}
dev: [{input: number eight, output: even}, {input: number nine, output: odd}]
test: {file: test.jsonl}
selection: fixed  # for a start
count: 1
"""


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def answer(messages: list[Any]) -> str:
        return "odd" if messages[-1].text.split()[-1] in ("five", "nine", "9") else "even"

    monkeypatch.setattr("gedanken.prompts.chat_model", lambda name: name and ScriptedChatModel(answers=answer))
    monkeypatch.setattr("gedanken.prompts.embeddings.LocalEmbeddings", lambda: DeterministicFakeEmbedding(size=8))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.csv").write_text("input,output\nnumber one,odd\nnumber two,even\nnumber three,odd\n")
    rows = [{"input": "number four", "output": "even"}, {"input": "number five", "output": "odd"}]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "task.yaml").write_text(TASK)
    return tmp_path / "task.yaml"


def fewshot(*arguments: str, **more: Any) -> Result:
    return CliRunner().invoke(app, ["fewshot", *arguments], **more)


def test_inputs_are_answered(task: Path) -> None:
    Path("inputs.txt").write_text("number 8\n\nnumber 9\n")
    done = fewshot("run", str(task), "--input", "number five", "--inputs", "inputs.txt", "--json", "out.json")
    assert done.exit_code == 0, done.output
    assert [row["output"] for row in json.loads(Path("out.json").read_text())] == ["odd", "even", "odd"]
    assert fewshot("run", str(task), "--inputs", "-", input="number 9\n").output.count("odd") == 1


def test_the_prompt_is_shown_without_asking(task: Path) -> None:
    done = fewshot("preview", str(task), "--llm", "none", "--json", "prompt.json")
    assert done.exit_code == 0, done.output
    assert [row["text"] for row in json.loads(Path("prompt.json").read_text())][1:] == [
        "number one", "odd", "number four",
    ]  # fmt: skip


def test_arms_are_compared_and_answers_kept(task: Path) -> None:
    done = fewshot("evaluate", str(task), "--seeds", "2", "--json", "out.json")
    assert done.exit_code == 0, done.output
    assert "1.000 ± 0.000" in done.output
    assert set(json.loads(Path("out.json").read_text())["arms"]) == {"zero-shot", "1 random", "1 nearest", "1 diverse"}
    assert Path("runs/fewshot/task.jsonl").read_text().count("\n") >= 2
    assert "dev items" in fewshot("tune", str(task)).output


def test_what_is_chosen_is_written_into_a_copy(task: Path) -> None:
    done = fewshot("tune", str(task), "--counts", "0,2", "--selections", "random", "--write", "tuned.yaml")
    assert done.exit_code == 0, done.output
    lines = Path("tuned.yaml").read_text().splitlines()
    assert lines[0] == "# What it is for."
    assert "count: 0" in lines
    assert "selection: fixed" in lines
    assert fewshot("preview", "tuned.yaml").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "TASK"], 2, "nothing to answer"),
        (["run", "TASK", "--inputs", "none.txt"], 2, "cannot read none.txt"),
        (["run", "TASK", "--input", "x", "--llm", "none"], 1, "no language model is configured"),
        (["run", "none.yaml", "--input", "x"], 2, "those that are shipped: headlines"),
        (["evaluate", "TASK", "--split", "train"], 2, "a split is 'test' or 'dev'"),
        (["evaluate", "TASK", "--arms", "best"], 2, "unknown arm best"),
        (["evaluate", "TASK", "--journal", "test.jsonl"], 2, "test.jsonl:1: this is no line of answers"),
        (["tune", "TASK", "--counts", "two"], 2, "--counts is a list of numbers"),
        (["tune", "TASK", "--write", "deep/tuned.yaml"], 2, "write the copy beside"),
        (["tune", "TASK", "--write", "TASK"], 2, "this is the task itself"),
    ],
)
def test_a_mistake_is_said(task: Path, arguments: list[str], code: int, said: str) -> None:
    done = fewshot(*[str(task) if argument == "TASK" else argument for argument in arguments])
    assert said in done.output.replace("\n", " ")
    assert done.exit_code == code


def test_an_answer_that_cannot_be_used_is_shown(task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mute: Callable[[str], ScriptedChatModel] = lambda name: ScriptedChatModel(answers=lambda _: "seven")  # noqa: E731
    monkeypatch.setattr("gedanken.prompts.chat_model", mute)
    done = fewshot("run", str(task), "--input", "number 7", "--json", "out.json")
    assert done.exit_code == 1
    assert "1 of 1 answers cannot be used" in done.output
    assert json.loads(Path("out.json").read_text())[0]["output"] is None


def test_ctrl_c_says_where_the_answers_are(task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("gedanken.prompts.tasks.evaluation.evaluate", interrupted)
    done = fewshot("evaluate", str(task), "--journal", "kept.jsonl")
    assert done.exit_code == 1
    assert "answers are kept in kept.jsonl: the same command goes on there" in done.output.replace("\n", " ")


def test_demonstrations_come_out_of_an_agent_s_memory(task: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = LongTerm("memory.db", Layout((Column("x", "float32"),), Column("action", "int64")))
    memory.note(noted(Demonstration("number six", "even")), kind="demonstration")
    agent = SimpleNamespace(mind=SimpleNamespace(memory=memory), close=memory.close)
    monkeypatch.setattr("gedanken.commands.fewshot.tasks.load_agent", lambda *_, **__: agent)
    monkeypatch.setattr("gedanken.prompts.LocalEmbeddings", lambda: DeterministicFakeEmbedding(size=8))
    task.write_text("instruction: Even or odd?\noutput: [even, odd]\ndemonstrations: memory\nselection: nearest\n")
    done = fewshot("preview", str(task), "--memory", "saved", "--input", "number four", "--json", "prompt.json")
    assert done.exit_code == 0, done.output
    assert [row["text"] for row in json.loads(Path("prompt.json").read_text())][1:3] == ["number six", "even"]
    assert "--memory FOLDER" in fewshot("preview", str(task), "--input", "x").output
