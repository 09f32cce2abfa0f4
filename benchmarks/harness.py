"""What every table of evidence is measured by: jobs -> rows, in parallel, resumable.

    @dataclass(frozen=True)
    class Episode:                                     # a job says in plain values what is to be done
        level: str
        seed: int

    def play(job: Episode) -> dict[str, object]:       # a worker does one, anywhere
        return {"solved": True, "steps": 17}

    rows = run(jobs, play, store="runs/babyai.jsonl", version="1")

A row is the job's fields and what the worker returned. Each is in the store before the next is waited for, so that
Ctrl-C or a kill loses what was under way and nothing else, and the same command goes on where it stopped. A job that
raises is stored as failed, reported, and tried again by the next run.

Workers run through joblib: "processes" (loky), "threads", "ray" or "dask", on two workers of this machine or on the
cluster that RAY_ADDRESS or DASK_SCHEDULER_ADDRESS names. One torch thread each.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from store import Store, key_of, plain

from gedanken.errors import UserError

Row = dict[str, Any]
Worker = Callable[[Any], Row]

BACKENDS = {"processes": "loky", "threads": "threading", "ray": "ray", "dask": "dask"}
CLUSTERS = {"ray": "RAY_ADDRESS", "dask": "DASK_SCHEDULER_ADDRESS"}


def choices(store: str) -> dict[str, tuple[type, object, str]]:
    """The options of a script that runs through the harness, for `common.options`; `store` is the default file."""
    return {
        "store": (Path, Path(store), "the finished rows; the same command goes on from there"),
        "backend": (str, "processes", "processes, threads, ray or dask"),
        "n_jobs": (int, 2, "workers"),
    }


class Rows(list[Row]):
    """The finished rows in the order of their jobs; `failed` are the others: the job's fields and `error`."""

    failed: list[Row]


@dataclass(frozen=True)
class Place:
    """Where a worker is found by other processes: what a module keeps between jobs (an agent) then stays with it."""

    folder: str
    module: str
    name: str

    @staticmethod
    def of(worker: Worker) -> Place | None:
        """None for a worker that has no name of its own (a lambda, a closure): it is sent along instead."""
        module = sys.modules.get(worker.__module__)
        file = getattr(module, "__file__", None)
        if file is None or getattr(module, worker.__qualname__, None) is not worker:
            return None
        name = Path(file).stem if worker.__module__ == "__main__" else worker.__module__
        return Place(str(Path(file).resolve().parents[name.count(".")]), name, worker.__qualname__)

    def found(self) -> Worker:
        if self.folder not in sys.path:
            sys.path.insert(0, self.folder)
        worker: Worker = getattr(importlib.import_module(self.module), self.name)
        return worker


def run(
    jobs: Iterable[Any],
    worker: Worker,
    store: str | Path,
    *,
    name: str = "",
    version: str = "1",
    backend: str = "processes",
    n_jobs: int = 2,
    quiet: bool = False,
) -> Rows:
    """Do what is missing of `jobs` and return all their rows.

    `name` is the benchmark (by default the worker's module), `version` that of the code that measures. Raises
    `UserError` for a backend that is unknown or not installed, and for a store that another run is writing.
    """
    if backend not in BACKENDS:
        raise UserError(f"unknown backend '{backend}'; choose one of {', '.join(BACKENDS)}")
    place = Place.of(worker)
    name = name or (place.module if place else worker.__module__)
    wanted = {key_of(said, name, version): (said, job) for job in jobs for said in [plain(job)]}
    with Store(store) as kept:
        missing = [(key, job) for key, (_, job) in wanted.items() if key not in kept.rows]
        console = Console(stderr=True, quiet=quiet)
        if len(missing) < len(wanted):
            console.print(f"{len(wanted) - len(missing)} of {len(wanted)} rows are in {kept.path} already")
        with _bar(console, name, len(missing)) as advance:
            for key, entry in _done(missing, place or worker, backend, n_jobs):
                kept.add(key, {"benchmark": name, "version": version, "job": wanted[key][0], **entry})
                advance(entry)
        rows = Rows({**said, **kept.rows[key]} for key, (said, _) in wanted.items() if key in kept.rows)
        rows.failed = [{**said, "error": kept.errors[key]} for key, (said, _) in wanted.items() if key in kept.errors]
        for row in rows.failed:
            console.print(f"failed: { {k: v for k, v in row.items() if k != 'error'} }: "
                          f"{row['error'].strip().splitlines()[-1]}", markup=False, style="red")
        if rows.failed:
            console.print(f"{len(rows.failed)} of {len(wanted)} failed (whole errors in {kept.path}); the same command "
                          "tries them again")
    return rows


def _done(jobs: Sequence[tuple[str, Any]], worker: Place | Worker, backend: str, n_jobs: int
          ) -> Iterator[tuple[str, Row]]:
    """(key, entry) of each job as it is finished."""
    if not jobs:
        return
    calls = [joblib.delayed(_work)(worker, key, job) for key, job in jobs]
    with _cluster(backend, n_jobs):
        if backend == "ray":  # its pool gives results in whole rounds only
            size = 4 * n_jobs
            for i in range(0, len(calls), size):
                yield from joblib.Parallel(n_jobs, batch_size=1)(calls[i : i + size])
        else:
            parallel = joblib.Parallel(n_jobs, batch_size=1, pre_dispatch="2*n_jobs", return_as="generator_unordered")
            yield from parallel(calls)


def _work(worker: Place | Worker, key: str, job: Any) -> tuple[str, Row]:
    """One job where it is done; what it raises is data."""
    import torch

    began = time.perf_counter()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        row = (worker.found() if isinstance(worker, Place) else worker)(job)
        entry: Row = {"row": plain(row)}
    except Exception:
        entry = {"error": traceback.format_exc()}
    finally:
        torch.set_num_threads(threads)
    return key, {**entry, "seconds": round(time.perf_counter() - began, 3)}


@contextlib.contextmanager
def _cluster(backend: str, n_jobs: int) -> Iterator[None]:
    """joblib's backend, set up: a cluster of the given address, else local workers that end with the run."""
    address = os.environ.get(CLUSTERS.get(backend, ""))
    see = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    with contextlib.ExitStack() as stack:
        if backend == "ray":
            ray, register = _needed("ray"), _needed("ray.util.joblib").register_ray
            if not ray.is_initialized():
                local = {} if address else {"num_cpus": n_jobs, "include_dashboard": False}
                ray.init(address, runtime_env={"env_vars": see}, log_to_driver=False, logging_level="error", **local)
                stack.callback(ray.shutdown)
            register()
        elif backend == "dask":
            distributed = _needed("distributed")
            local = {} if address else {"n_workers": n_jobs, "threads_per_worker": 1, "dashboard_address": None,
                                        "env": see}
            stack.enter_context(distributed.Client(address, **local))
        threads = {"inner_max_num_threads": 1} if backend == "processes" else {}
        stack.enter_context(joblib.parallel_config(BACKENDS[backend], n_jobs=n_jobs, **threads))
        yield


def _needed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        extra = "ray" if module.startswith("ray") else "dask"
        raise UserError(f"this backend needs {extra}: pip install 'gedanken[{extra}]'") from None


@contextlib.contextmanager
def _bar(console: Console, name: str, total: int) -> Iterator[Callable[[Row], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn(), TextColumn("[red]{task.fields[failed]}"))
    with Progress(*columns, console=console, disable=console.quiet or not total) as progress:
        task, failed = progress.add_task(name, total=total, failed=""), 0

        def advance(entry: Row) -> None:
            nonlocal failed
            failed += "error" in entry
            progress.update(task, advance=1, failed=f"{failed} failed" if failed else "")

        yield advance
