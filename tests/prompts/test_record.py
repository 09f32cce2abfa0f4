"""The record of calls on disk."""

import json
import threading
from pathlib import Path

import pytest

from gedanken.errors import UserError
from gedanken.prompts import Gateway, GatewayConfig, ScriptedChatModel, read_calls, render

LINE = {"when": "w", "model": "m", "purpose": "p", "prompt": "x", "answer": None, "tokens": 1, "seconds": 0.5,
        "error": None}


def ask(path: Path, prompt: object = "x") -> None:
    Gateway(ScriptedChatModel(answers=["a"]), GatewayConfig(record_path=path)).ask(prompt, "test")


def test_what_is_recorded_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    ask(path, render("propose", schema="s", rules=[], surprises=["x"], known=[], examples=[]))
    calls, damaged = read_calls(path)
    assert (list(calls), damaged) == ([1], 0)
    assert calls[1].answer == "a"
    assert calls[1].template is not None
    assert calls[1].template.startswith("propose ")
    assert path.stat().st_mode & 0o077 == 0  # nobody else's to read


def test_damaged_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    wrong = ["{", "[]", "3", "\x00", json.dumps(LINE | {"tokens": "many"}), json.dumps({"when": "w"}), "[" * 100_000]
    path.write_text("\n".join([json.dumps(LINE), *wrong, json.dumps(LINE | {"later": "field"})]) + "\n")
    calls, damaged = read_calls(path)
    assert (list(calls), damaged) == ([1, 9], 7)


def test_a_line_that_a_kill_left_unfinished_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text('{"when": "20')
    ask(path)
    calls, damaged = read_calls(path)
    assert (list(calls), damaged) == ([2], 1)


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    threads = [threading.Thread(target=ask, args=(path, "x" * 50_000)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls, damaged = read_calls(path)
    assert (len(calls), damaged) == (8, 0)


def test_a_record_may_get_its_file_later(tmp_path: Path) -> None:
    asked = Gateway(ScriptedChatModel(answers=["a", "b", "c"]))
    asked.ask("x", "test")
    asked.record.move_to(tmp_path / "calls.jsonl")
    asked.ask("x", "test")
    asked.record.move_to(tmp_path / "other.jsonl")  # it has its file
    asked.ask("x", "test")
    assert [call.answer for call in read_calls(tmp_path / "calls.jsonl")[0].values()] == ["a", "b", "c"]
    assert not (tmp_path / "other.jsonl").exists()


def test_a_record_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*calls\.jsonl"):
        read_calls(tmp_path / "calls.jsonl")


def test_lone_surrogates_are_recorded(tmp_path: Path) -> None:
    ask(tmp_path / "calls.jsonl", "\ud800")
    assert len(read_calls(tmp_path / "calls.jsonl")[0]) == 1
