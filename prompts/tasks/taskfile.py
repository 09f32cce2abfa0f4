"""A few-shot task as a YAML file: the fields of `FewShotTask`, types written as data, examples inline or beside it.

    instruction: What does the person want?
    output: [fetch, clean]              # text, int, float, bool, labels, {list: TYPE} or {record: {NAME: TYPE, ...}}
    demonstrations: {file: train.jsonl} # a list of {input, output}, a .jsonl or .csv file, {generator: NAME}, or memory
    dev: {file: dev.jsonl}              # to choose settings on
    test: {file: test.jsonl}            # to measure on
    selection: nearest
    count: 8

The file is checked whole before anything starts: every mistake is reported at once, by line.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model

from ...errors import UserError, nearest
from ..fewshot import FewShotTask, check_one
from ..yamlfile import Document, Mistakes, Place, read_yaml
from .examples import Row, Source, read_source
from .metrics import Scorer
from .outputs import PLAIN, Kind, annotation, kind_of
from .selection import Demonstration, Fingerprint

SPLITS = ("demonstrations", "dev", "test")
SETTINGS = tuple(name for name in FewShotTask.model_fields if name not in ("demonstrations", "similarity"))
MAX_DEPTH = 5


@dataclass(frozen=True)
class TaskFile:
    """A task with its splits; dev and test share no input, nor with the demonstrations."""

    path: Path
    task: FewShotTask
    dev: list[Demonstration] = field(default_factory=list)
    test: list[Demonstration] = field(default_factory=list)
    scorer: Scorer | None = None


def load_task(path: Path | str, similarity: Any = None, retriever: Any = None) -> TaskFile:
    """Return the task of a YAML file.

    Args:
        path: the file.
        similarity: LangChain embeddings for "nearest" and "diverse"; None for the local ones.
        retriever: a LangChain retriever, for `demonstrations: memory`.

    Raises:
        UserError: naming every mistake in the file and the files beside it, by line.
    """
    document = read_yaml(Path(path))
    data, mistakes = document.data, Mistakes()
    if not isinstance(data, dict):
        raise UserError(f"{path}:1: a task is a mapping: instruction, output, demonstrations, ...")
    for name in data:
        if name not in (*SETTINGS, *SPLITS):
            known = (*SETTINGS, *SPLITS)
            text = f"unknown setting '{name}'{nearest(str(name), known)}"
            mistakes.add(document.path, document.line((str(name),)), text)
    named = len(mistakes.found)
    kinds = {name: _kind(document, (name,), data.get(name, "text"), mistakes) for name in ("input", "output")}
    are_typed = len(mistakes.found) == named  # else every example would look wrong
    if similarity is None:
        from ..embeddings import CachedEmbeddings, LocalEmbeddings

        similarity = CachedEmbeddings(LocalEmbeddings())
    if data.get("demonstrations") == "memory":
        data = {**data, "demonstrations": None}
        if retriever is None:
            mistakes.add(document.path, document.line(("demonstrations",)),
                         "demonstrations out of memory need an agent's memory (--memory FOLDER)")  # fmt: skip
        else:
            similarity = retriever
    task = _task(document, {**{n: data[n] for n in SETTINGS if n in data}, **kinds, "similarity": similarity}, mistakes)
    given = (kinds["input"], kinds["output"])
    sources = {name: read_source(document, (name,), data.get(name), given, mistakes) for name in SPLITS}
    examples = {name: _checked(sources[name], given, mistakes) if are_typed else [] for name in SPLITS}
    kept = _apart(examples, mistakes)
    mistakes.raise_any()
    assert task is not None
    task = task.with_settings(demonstrations=kept["demonstrations"])
    return TaskFile(document.path, task, kept["dev"], kept["test"], _joint_scorer(sources))


def shipped_tasks() -> dict[str, Path]:
    """Return the task files that come with the package, by name."""
    folder = Path(str(files("gedanken"))) / "examples" / "fewshot"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_task(given: str) -> Path:
    """Return the file of a task: a path, or the name of a shipped one.

    Raises:
        UserError: there is neither.
    """
    if Path(given).is_file():
        return Path(given)
    shipped = shipped_tasks()
    if given in shipped:
        return shipped[given]
    raise UserError(
        f"there is no task file '{given}'{nearest(given, shipped)}; those that are shipped: {', '.join(shipped)}"
    )


def _task(document: Document, settings: dict[str, Any], mistakes: Mistakes) -> FewShotTask | None:
    """The task without its demonstrations; None where a setting is wrong."""
    try:
        return FewShotTask(**settings)
    except UserError as error:
        mistakes.add(document.path, document.line(("selection",)), str(error))
    except ValidationError as error:
        for wrong in error.errors():
            place = tuple(wrong["loc"])
            if place and place[0] == "output" and any(m[1] == document.line(place) for m in mistakes.found):
                continue
            named = f"'{place[0]}' " if place and wrong["type"] != "value_error" else ""
            text = "is missing" if wrong["type"] == "missing" else wrong["msg"].removeprefix("Value error, ")
            mistakes.add(document.path, document.line(place), named + text[:1].lower() + text[1:])
    return None


def _kind(document: Document, place: Place, given: Any, mistakes: Mistakes, depth: int = 0) -> Kind:
    """The type that is written at a place; "text" where it is wrong."""

    def wrong(text: str) -> str:
        mistakes.add(document.path, document.line(place), text)
        return "text"

    if depth > MAX_DEPTH:
        return wrong(f"types are nested more than {MAX_DEPTH} deep")
    if isinstance(given, Mapping) and len(given) == 1:
        (name, inner), *_ = given.items()
        if name == "labels":
            return _kind(document, (*place, "labels"), inner, mistakes, depth + 1)
        if name == "list":
            item = annotation(_kind(document, (*place, "list"), inner, mistakes, depth + 1))
            return list[item]  # type: ignore[valid-type]
        if name == "record" and isinstance(inner, Mapping) and inner:
            return _record(document, (*place, "record"), inner, mistakes, depth)
    if isinstance(given, list) and any(isinstance(label, bool) for label in given):
        return wrong("YAML reads yes, no, on and off as true and false; write such labels in quotes: ['yes', 'no']")
    if isinstance(given, list | str):
        try:
            return kind_of(given)
        except ValueError as error:
            near = nearest(given, PLAIN) if isinstance(given, str) else ""
            return wrong(str(error).replace(" or a pydantic model", ", {list: TYPE} or {record: {...}}") + near)
    return wrong(f"a type is {', '.join(PLAIN)}, a list of labels, {{list: TYPE}} or {{record: {{NAME: TYPE, ...}}}}")


def _record(document: Document, place: Place, given: Mapping[Any, Any], mistakes: Mistakes, depth: int) -> Kind:
    fields: dict[str, Any] = {}
    for name, inner in given.items():
        if not isinstance(name, str) or not name.isidentifier() or name.startswith("_") or name.startswith("model_"):
            mistakes.add(document.path, document.line((*place, str(name))), f"'{name}' is no name of a field")
            continue
        fields[name] = (annotation(_kind(document, (*place, name), inner, mistakes, depth + 1)), ...)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Field name .* shadows", UserWarning)  # "json" and "copy" are good names here
        return create_model("Record", __config__=ConfigDict(extra="forbid"), **fields)


def _checked(source: Source, kinds: tuple[Kind, Kind], mistakes: Mistakes) -> list[tuple[Row, Demonstration]]:
    kept = []
    for row in source.rows:
        try:
            kept.append((row, check_one(row.example, *kinds)))
        except ValueError as error:
            mistakes.add(row.path, row.line, f"this example{error}")
    return kept


def _apart(examples: dict[str, list[tuple[Row, Demonstration]]], mistakes: Mistakes) -> dict[str, list[Demonstration]]:
    """The examples of each split. An input that stands in two would let the test be known before; in one twice, it
    counts double: a mistake of whoever wrote it, and left out where a generator did."""
    seen: dict[str, tuple[str, Row]] = {}
    apart: dict[str, list[Demonstration]] = {split: [] for split in SPLITS}
    for split in reversed(SPLITS):  # what is tested on stays
        for row, example in examples[split]:
            words = Fingerprint.of(example.input).words
            other, first = seen.setdefault(words, (split, row))
            if first is row:
                apart[split].append(example)
            elif not row.is_generated:
                there = f"line {first.line}" if first.path == row.path else f"{first.path.name}:{first.line}"
                text = f"{example.input[:40]!r} in '{split}' stands in '{other}' too ({there})"
                mistakes.add(row.path, row.line, text)
    return apart


def _joint_scorer(sources: dict[str, Source]) -> Scorer | None:
    scorers = [source.scorer for source in sources.values() if source.scorer is not None]
    if not scorers:
        return None
    return lambda question, answer: max(scorer(question, answer) for scorer in scorers)


