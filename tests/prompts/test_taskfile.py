"""Task files: what they can say, and that every mistake is reported at once, by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gedanken.errors import UserError
from gedanken.prompts.tasks.taskfile import find_task, load_task, shipped_tasks

GOOD = """\
instruction: What is it?
output:
  record:
    name: text
    count: int
    kind: [animal, thing]
    tags: {list: text}
demonstrations:
  - {input: two cats, output: {name: cat, count: 2, kind: animal, tags: []}}
test: {file: test.jsonl}
count: 1
"""
ROW = {"input": "a red lamp", "output": {"name": "lamp", "count": 1, "kind": "thing", "tags": ["red"]}}


def written(folder: Path, text: str, **beside: str) -> Path:
    for name, content in beside.items():
        (folder / name.replace("_", ".")).write_text(content)
    path = folder / "task.yaml"
    path.write_text(text)
    return path


def mistakes(path: Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_task(path, similarity=object())
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def test_a_task_of_records_is_read(tmp_path: Path) -> None:
    file = load_task(written(tmp_path, GOOD, test_jsonl=json.dumps(ROW)))
    assert file.task.preview("x")[2].text == '{"name": "cat", "count": 2, "kind": "animal", "tags": []}'
    assert [item.input for item in file.test] == ["a red lamp"]


def test_every_mistake_is_reported_with_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("int", "integer").replace("count: 1", "count: -1\nselektion: fixed\nmetrics: [rouge1]")
    found = mistakes(written(tmp_path, text + "dev: [{in: 1}]\n", test_jsonl='{"input": "x"}\n{"output\n'))
    assert [line.split(": ")[0] for line in found] == [
        "task.yaml:5", "task.yaml:11", "task.yaml:12", "task.yaml:14", "test.jsonl:1", "test.jsonl:2",
    ]  # fmt: skip
    for part in ("expected text", "greater than or equal to 0", "did you mean 'selection'", "an example is", "no JSON"):
        assert any(part in line for line in found)


def test_examples_of_the_wrong_type_are_named(tmp_path: Path) -> None:
    wrong = {**ROW, "output": {**ROW["output"], "count": "many"}}  # type: ignore[dict-item]
    (found,) = mistakes(written(tmp_path, GOOD, test_jsonl="\n" + json.dumps(wrong)))
    assert found.startswith("test.jsonl:2: this example ('a red lamp'): count: ")


def test_a_test_item_among_the_demonstrations_is_refused(tmp_path: Path) -> None:
    (found,) = mistakes(written(tmp_path, GOOD, test_jsonl=json.dumps({**ROW, "input": "Two cats!"})))
    assert found == "task.yaml:9: 'two cats' in 'demonstrations' stands in 'test' too (test.jsonl:1)"


def test_csv_is_read_in_the_task_s_types(tmp_path: Path) -> None:
    text = "instruction: How many?\noutput: int\ntest: {file: test.csv}\n"
    file = load_task(written(tmp_path, text, test_csv='input,output\n"a, b",2\n'))
    assert file.test == [("a, b", 2)]
    found = mistakes(written(tmp_path, text, test_csv="input,output\na,two\nb\nc,3,4\n"))
    assert [line.split(": ")[0] for line in found] == ["test.csv:2", "test.csv:3", "test.csv:4"]
    assert "expected a whole number" in found[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: &x 1\nb: *x\n", "anchors and aliases"),
        ("a: 1\na: 2\n", "task.yaml:2: 'a' is given twice"),
        ("a: [1\nb: 2\n", "task.yaml:2: this is no YAML"),
        ("- 1\n", "a task is a mapping"),
        ("", "a task is a mapping"),
        ("instruction: x\ntest: {file: ../secret.jsonl}\n", "lies outside the task's folder"),
        ("instruction: x\ntest: {file: /etc/passwd}\n", "lies outside the task's folder"),
        ("instruction: x\ntest: {file: task.yaml}\n", ".jsonl or .csv"),
        ("instruction: x\ntest: {file: none.csv}\n", "No such file"),
        ("instruction: !!python/object/apply:os.system [ls]\n", "task.yaml:1: this is no YAML"),
        ("instruction: x\ndemonstrations: memory\n", "--memory FOLDER"),
        ("output: text\n", "'instruction' is missing"),
        ("instruction: x\noutput: {record: {model_x: int}}\n", "no name of a field"),
        ("instruction: x\noutput: " + "{list: " * 9 + "int" + "}" * 9, "nested more than"),
        ("instruction: x\ntest: {generator: chain_sun}\n", "did you mean 'chain_sum'"),
        ("instruction: x\ntest: {generator: chain_sum, size: 1000000}\n", "'size' is 1 to 10,000"),
        ("instruction: x\ntest: {generator: chain_sum, config: {min_terms: 9, max_terms: 1}}\n", "refuses its config"),
        ("x: " + "[" * 5000, "nested more than 50 deep"),
        ("x: \x00", "no YAML"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, text: str, found: str) -> None:
    if "generator" in text:
        pytest.importorskip("reasoning_gym")
    (tmp_path / "task").mkdir()
    assert found in "\n".join(mistakes(written(tmp_path / "task", text)))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text(json.dumps(ROW))
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "test.jsonl").symlink_to(tmp_path / "secret.jsonl")
    assert "outside" in mistakes(written(tmp_path / "task", GOOD))[0]


def test_a_file_too_large_is_refused(tmp_path: Path) -> None:
    assert "1,000,000 are the most" in mistakes(written(tmp_path, "x" * 1_000_001))[0]


@pytest.mark.parametrize("name", ["headlines", "intents", "reports", "sums"])
def test_shipped_tasks_are_whole_and_apart(name: str) -> None:
    if name == "sums":
        pytest.importorskip("reasoning_gym")
    file = load_task(find_task(name))
    assert len(file.test) >= 16
    assert len(file.dev) >= 8
    assert len(file.task.demonstrations) >= 16
    everything = [*file.task.demonstrations, *file.dev, *file.test]
    assert len({example.input for example in everything}) == len(everything)


def test_a_generator_brings_its_scorer() -> None:
    pytest.importorskip("reasoning_gym")
    file = load_task(find_task("sums"))
    assert file.scorer is not None
    assert file.scorer(file.test[0].input, str(file.test[0].output)) == 1.0
    assert file.scorer(file.test[0].input, "no idea") < 0.1


def test_a_task_that_is_nowhere_is_said() -> None:
    with pytest.raises(UserError, match=r"did you mean 'intents'.*those that are shipped: headlines"):
        find_task("intent")
    assert set(shipped_tasks()) >= {"headlines", "intents", "reports", "sums"}


def test_odd_keys_names_and_labels_are_mistakes_of_the_file(tmp_path: Path) -> None:
    text = 'instruction: x\n1: 2\noutput: [yes, no]\ndev: {file: "\\0"}\ntest: {generator: g, 3: 4}\n'
    found = mistakes(written(tmp_path, text))
    assert [line.split(": ")[0] for line in found] == [f"task.yaml:{line}" for line in (2, 3, 4, 5)]
    for part in ("unknown setting '1'", "in quotes", "Is a directory", "unknown '3'"):
        assert any(part in line for line in found)


@pytest.mark.filterwarnings("error")
def test_a_field_may_be_named_as_what_pydantic_has(tmp_path: Path) -> None:
    load_task(written(tmp_path, "instruction: x\noutput: {record: {json: text, copy: int}}\n"), similarity=object())
