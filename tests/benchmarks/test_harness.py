"""Jobs to rows: what is stored, what is done again, what a kill costs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from harness import run
from jobs import Square, square
from store import Store, key_of, plain

from gedanken.errors import UserError


def jobs(tmp_path: Path, *numbers: int) -> list[Square]:
    return [Square(n, str(tmp_path / "trace")) for n in numbers]


def done(tmp_path: Path) -> list[int]:
    """Which numbers were squared, in what order, since the last call."""
    trace = tmp_path / "trace"
    numbers = [int(line) for line in trace.read_text().split()] if trace.exists() else []
    trace.unlink(missing_ok=True)
    return numbers


def quietly(tmp_path: Path, *numbers: int, **options: object) -> list[dict[str, object]]:
    options = {"n_jobs": 1, "quiet": True, **options}
    return run(jobs(tmp_path, *numbers), square, tmp_path / "rows.jsonl", **options)


def test_rows_are_the_jobs_and_what_came_of_them_in_the_order_of_the_jobs(tmp_path: Path) -> None:
    rows = quietly(tmp_path, 3, 1, 2)
    assert [(row["number"], row["square"]) for row in rows] == [(3, 9), (1, 1), (2, 4)]
    assert rows.failed == []


def test_a_rerun_does_only_what_is_missing(tmp_path: Path) -> None:
    quietly(tmp_path, 1, 2)
    assert done(tmp_path) == [1, 2]
    assert len(quietly(tmp_path, 1, 2, 3)) == 3
    assert done(tmp_path) == [3]
    quietly(tmp_path, 1, 2, 3, version="2")
    assert done(tmp_path) == [1, 2, 3]


def test_what_raises_is_stored_as_failed_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "trace.broken").write_text("2")
    rows = quietly(tmp_path, 1, 2, 3)
    assert [row["number"] for row in rows] == [1, 3]
    assert rows.failed[0]["number"] == 2
    assert "cannot be squared today" in rows.failed[0]["error"]
    done(tmp_path)
    (tmp_path / "trace.broken").unlink()
    rows = quietly(tmp_path, 1, 2, 3)
    assert (done(tmp_path), len(rows), rows.failed) == ([2], 3, [])


def test_an_interrupt_keeps_what_was_finished(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        quietly(tmp_path, 1, 2, -1, 3)
    assert set(done(tmp_path)) == {1, 2, -1}
    with Store(tmp_path / "rows.jsonl") as kept:
        assert {row["square"] for row in kept.rows.values()} == {1, 4}


def test_a_torn_line_is_dropped_with_a_warning_and_done_again(tmp_path: Path) -> None:
    quietly(tmp_path, 1, 2)
    done(tmp_path)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.warns(UserWarning, match="line 2 is not whole"):
        rows = quietly(tmp_path, 1, 2)
    assert (done(tmp_path), [row["square"] for row in rows]) == ([2], [1, 4])
    assert [json.loads(line)["row"]["square"] for line in path.read_text().splitlines()] == [1, 4]


def test_a_store_belongs_to_one_run_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path / "rows.jsonl"), pytest.raises(UserError, match="another run"):
        quietly(tmp_path, 1)


def test_processes_run_with_one_thread_each_and_store_every_row(tmp_path: Path) -> None:
    rows = quietly(tmp_path, *range(4), n_jobs=2, backend="processes")
    assert [row["square"] for row in rows] == [0, 1, 4, 9]
    assert {row["threads"] for row in rows} == {1}
    assert os.getpid() not in {row["process"] for row in rows}


def test_a_job_and_a_row_are_plain_values(tmp_path: Path) -> None:
    assert key_of(plain({"a": 1, "b": 2}), "x", "1") == key_of(plain({"b": 2, "a": 1}), "x", "1")
    with pytest.raises(UserError, match="plain values"):
        plain({"a": object()})
    rows = run([{"n": 1}], lambda job: {"value": float("nan")}, tmp_path / "rows.jsonl", n_jobs=1, quiet=True)
    assert "plain values" in rows.failed[0]["error"]


def test_an_unknown_backend_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choose one of processes"):
        quietly(tmp_path, 1, backend="cluster")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["ray", "dask"])
def test_a_local_cluster_of_two_workers_gives_the_same_rows(tmp_path: Path, backend: str) -> None:
    pytest.importorskip("distributed" if backend == "dask" else backend)
    rows = quietly(tmp_path, *range(10), n_jobs=2, backend=backend)
    assert [row["square"] for row in rows] == [n**2 for n in range(10)]
    assert {row["threads"] for row in rows} == {1}
    assert os.getpid() not in {row["process"] for row in rows}
    done(tmp_path)
    quietly(tmp_path, *range(10), n_jobs=2, backend=backend)
    assert done(tmp_path) == []
