"""Where the demonstrations and test items of a task file come from: its own lines, a JSONL or CSV file beside it, or a
generator of reasoning-gym. Each comes with the file and line it stands on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import GedankenError, UserError, nearest
from ..yamlfile import Document, Mistakes, Place, read_text
from .metrics import Scorer
from .outputs import Kind, is_json, read
from .selection import Demonstration

MAX_BYTES = 20_000_000
MAX_ROWS = 100_000
MAX_CHARS = 100_000
MAX_GENERATED = 10_000


@dataclass(frozen=True)
class Row:
    """An example as it was written, and where."""

    path: Path
    line: int
    example: Demonstration
    is_generated: bool = False


@dataclass(frozen=True)
class Source:
    """The rows of one split; `scorer` where a generator brought one."""

    rows: list[Row]
    scorer: Scorer | None = None


def read_source(document: Document, place: Place, given: Any, kinds: tuple[Kind, Kind], mistakes: Mistakes) -> Source:
    """Return the rows of a split: a list of {input, output}, {file: NAME} or {generator: NAME, size, seed, config}."""
    path, line = document.path, document.line(place)
    if given is None:
        return Source([])
    if isinstance(given, list):
        rows = [_row(path, document.line((*place, n)), item, mistakes) for n, item in enumerate(given)]
        return Source([row for row in rows if row is not None])
    if isinstance(given, dict) and set(given) == {"file"} and isinstance(given["file"], str):
        return Source(list(_read_file(document, line, given["file"], kinds, mistakes)))
    if isinstance(given, dict) and "generator" in given:
        return _generated(document, place, given, kinds[1], mistakes)
    mistakes.add(path, line, f"'{place[-1]}' is a list of {{input, output}}, {{file: NAME}} or {{generator: NAME}}")
    return Source([])


def _row(path: Path, line: int, item: Any, mistakes: Mistakes) -> Row | None:
    if not isinstance(item, dict) or set(item) != {"input", "output"}:
        mistakes.add(path, line, "an example is {input: ..., output: ...} and nothing else")
        return None
    if len(str(item["input"])) > MAX_CHARS:
        mistakes.add(path, line, f"an input has more than {MAX_CHARS:,} characters")
        return None
    return Row(path, line, Demonstration(item["input"], item["output"]))


def _read_file(
    document: Document, line: int, name: str, kinds: tuple[Kind, Kind], mistakes: Mistakes
) -> Iterator[Row]:
    folder = document.path.parent.resolve()
    path = (folder / name.replace("\0", "")).resolve()  # a NUL is in no name
    if not path.is_relative_to(folder):
        mistakes.add(document.path, line, f"file '{name}' lies outside the task's folder; put it beside the task")
        return
    try:
        text = read_text(path, MAX_BYTES)
    except UserError as error:
        mistakes.add(document.path, line, str(error))
        return
    shown = document.path.parent / name
    parse = {".jsonl": _jsonl, ".csv": _csv}.get(path.suffix.lower())
    if parse is None:
        mistakes.add(document.path, line, f"file '{name}' is read as .jsonl or .csv; name it so")
        return
    for count, (at, item) in enumerate(parse(shown, text, kinds, mistakes)):
        if count == MAX_ROWS:
            mistakes.add(shown, at, f"more than {MAX_ROWS:,} rows")
            return
        if row := _row(shown, at, item, mistakes):
            yield row


def _jsonl(path: Path, text: str, kinds: tuple[Kind, Kind], mistakes: Mistakes) -> Iterator[tuple[int, Any]]:
    for line, content in enumerate(text.splitlines(), 1):
        if content.strip():
            try:
                yield line, json.loads(content)
            except (ValueError, RecursionError) as error:
                mistakes.add(path, line, f"this is no JSON: {error}")


def _csv(path: Path, text: str, kinds: tuple[Kind, Kind], mistakes: Mistakes) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text))
    if set(reader.fieldnames or ()) != {"input", "output"}:
        mistakes.add(path, 1, "the first line of a CSV file of examples is: input,output")
        return
    try:
        for cells in reader:
            try:
                yield reader.line_num, {name: _cell(kind, cells[name]) for name, kind in
                                        zip(("input", "output"), kinds, strict=True)} | _surplus(cells)
            except ValueError as error:
                mistakes.add(path, reader.line_num, str(error))
    except csv.Error as error:
        mistakes.add(path, reader.line_num, f"this is no CSV: {error}")


def _cell(kind: Kind, text: str | None) -> Any:
    """A cell as the task's type; records and lists stand there as JSON."""
    if text is None:
        raise ValueError("a cell is missing")
    return json.loads(text) if is_json(kind) else read(kind, text)


def _surplus(cells: dict[Any, Any]) -> dict[str, Any]:
    return {"more": cells[None]} if None in cells else {}


def _generated(document: Document, place: Place, given: dict[Any, Any], kind: Kind, mistakes: Mistakes) -> Source:
    known: dict[str, type] = {"generator": str, "size": int, "seed": int, "config": dict}
    for name, value in given.items():
        if name not in known:
            mistakes.add(document.path, document.line((*place, name)), f"unknown '{name}'{nearest(str(name), known)}")
        elif not isinstance(value, known[name]) or isinstance(value, bool):
            mistakes.add(document.path, document.line((*place, name)), f"'{name}' is {known[name].__name__}")
        elif name == "size" and value not in range(1, MAX_GENERATED + 1):
            mistakes.add(document.path, document.line((*place, name)), f"'size' is 1 to {MAX_GENERATED:,}")
    line = document.line(place)
    if any(path == str(document.path) and at >= line for path, at, _ in mistakes.found):
        return Source([])
    try:
        entries, scorer = generate(
            given["generator"], given.get("size", 50), given.get("seed", 0), given.get("config", {})
        )
    except GedankenError as error:
        mistakes.add(document.path, line, str(error))
        return Source([])
    rows = []
    for question, answer in entries:
        try:
            value = answer if is_json(kind) else read(kind, answer)
            rows.append(Row(document.path, line, Demonstration(question, value), is_generated=True))
        except ValueError as error:
            mistakes.add(document.path, line, f"'{given['generator']}' gives an answer of another type: {error}")
            break
    return Source(rows, scorer)


def generate(name: str, size: int, seed: int, config: dict[str, Any]) -> tuple[list[tuple[str, str]], Scorer]:
    """Return (question, answer) pairs of a generator of reasoning-gym, no question twice, and its scorer.

    Raises:
        UserError: reasoning-gym is not installed, knows no such generator, or refuses the config.
    """
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise UserError("a generator needs reasoning-gym: `pip install 'gedanken[reasoning]'`") from error
    if name not in DATASETS:
        raise UserError(f"reasoning-gym has no generator '{name}'{nearest(name, DATASETS)}")
    try:
        dataset = reasoning_gym.create_dataset(name, size=size, seed=seed, **config)
        entries = {entry["question"]: entry for entry in dataset}
    except (AssertionError, TypeError, ValueError) as error:
        raise UserError(f"generator '{name}' refuses its config: {error}") from error

    def score(question: str, answer: str) -> float:
        return float(dataset.score_answer(answer, entries[question])) if question in entries else 0.0

    return [(question, str(entry["answer"])) for question, entry in entries.items()], score
