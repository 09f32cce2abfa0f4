"""Experience on disk: how fast it is written and sampled, and what it costs in RAM, beside torchrl and plain numpy.

    python benchmarks/experience.py [--quick] [--seed 0] [--json PATH] [--steps 1000000] [--folder PATH]

A million steps of 200 numbers in episodes of 1,000; batches are 16 sequences of 64. Peers: torchrl's replay buffer
(`TensorDictReplayBuffer`, `LazyMemmapStorage`, `SliceSampler` with its trajectories cached; `pip install torchrl`, left
out where it is not there) and numpy arrays mapped from files. Neither tells after a crash what of it is whole; ours is
durable at every return. All take turns within one run, in rounds; a ratio is of one round. Warm: the system has the
file in its cache. Cold: it was told to drop it (Linux); torchrl's maps stay open, so it has no cold figure. Rates are
given by the clock and by processor time, which waiting for the disk and for other work on the machine does not change.
"""

from __future__ import annotations

import gc
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from common import Figures, options

from gedanken.memory import Column, Layout, LongTerm, Replay, Step

WIDTH, EPISODE, BATCH, LENGTH = 200, 1_000, 16, 64
LAYOUT = Layout((Column("x", "float32", (WIDTH,)),), Column("action", "float32", (2,)))
STRATEGIES = ("uniform", "recent", "surprising")
GOALS = {"written in batches of 1,000": ">= 200,000", "written one by one": ">= 10,000", "sampled warm": ">= 1,000"}


class Store(Protocol):
    """A place for experience on disk."""

    def extend(self, steps: list[Step], surprise: np.ndarray) -> None: ...
    def append(self, steps: list[Step]) -> None: ...
    def sample(self) -> object: ...
    def close(self) -> None: ...


class Ours:
    def __init__(self, folder: Path, steps: int, seed: int) -> None:
        self.path, self.rng = folder / "memory.sqlite", np.random.default_rng(seed)
        self.open()

    def open(self) -> None:
        self.memory = LongTerm(self.path, LAYOUT)
        self.replay = Replay(self.memory, holdout=0.0)

    def extend(self, steps: list[Step], surprise: np.ndarray) -> None:
        episode = self.memory.begin()
        self.memory.append_many(episode, steps, surprise.tolist())
        self.memory.end(episode)

    def append(self, steps: list[Step]) -> None:
        episode = self.memory.begin()
        for step in steps:
            self.memory.append(episode, step, 0.5)
        self.memory.end(episode)

    def sample(self, strategy: Any = "uniform") -> object:
        return self.replay.sample(BATCH, LENGTH, self.rng, strategy=strategy)

    def close(self) -> None:
        self.memory.close()


class Numpy:
    """Arrays in files; who reads them must know how many rows are real."""

    def __init__(self, folder: Path, steps: int, seed: int) -> None:
        self.folder, self.steps, self.rng, self.size = folder / "numpy", steps, np.random.default_rng(seed), 0
        self.folder.mkdir()
        self.shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "x": (np.float32, (WIDTH,)), "action": (np.float32, (2,)), "reward": (np.float32, ()),
            "terminated": (np.bool_, ()), "episode": (np.int64, ()),
        }  # fmt: skip
        self.open("w+")

    def open(self, mode: Any = "r+") -> None:
        self.columns = {k: np.memmap(self.folder / k, dtype, mode, shape=(self.steps, *shape))
                        for k, (dtype, shape) in self.shapes.items()}  # fmt: skip

    def extend(self, steps: list[Step], surprise: np.ndarray) -> None:
        end, c = self.size + len(steps), self.columns
        c["x"][self.size : end] = np.stack([s.features["x"] for s in steps])
        c["action"][self.size : end] = np.stack([s.action for s in steps])
        c["reward"][self.size : end] = [s.reward for s in steps]
        c["terminated"][self.size : end] = [s.terminated for s in steps]
        c["episode"][self.size : end] = self.size // EPISODE
        self.size = end

    def append(self, steps: list[Step]) -> None:
        c = self.columns
        for s in steps:
            c["x"][self.size], c["action"][self.size], c["reward"][self.size] = s.features["x"], s.action, s.reward
            c["terminated"][self.size], c["episode"][self.size] = s.terminated, self.size // EPISODE
            self.size += 1

    def sample(self) -> object:
        episode = self.rng.integers(0, self.size // EPISODE, BATCH)
        start = episode * EPISODE + self.rng.integers(0, EPISODE - LENGTH, BATCH)
        rows = start[:, None] + np.arange(LENGTH + 1)
        return {k: column[rows] for k, column in self.columns.items()}

    def close(self) -> None:
        self.columns.clear()


class Torchrl:
    def __init__(self, folder: Path, steps: int, seed: int) -> None:
        from tensordict import TensorDict
        from torchrl.data import LazyMemmapStorage, TensorDictReplayBuffer
        from torchrl.data.replay_buffers.samplers import SliceSampler

        torch.manual_seed(seed)
        self.make, self.size = TensorDict, 0
        self.buffer = TensorDictReplayBuffer(
            storage=LazyMemmapStorage(steps, scratch_dir=folder / "torchrl"),
            sampler=SliceSampler(slice_len=LENGTH, traj_key="episode", cache_values=True),
            batch_size=BATCH * LENGTH,
        )

    def extend(self, steps: list[Step], surprise: np.ndarray) -> None:
        n = len(steps)
        self.buffer.extend(self.make({
            "x": torch.from_numpy(np.stack([s.features["x"] for s in steps])),
            "action": torch.from_numpy(np.stack([s.action for s in steps])),
            "reward": torch.tensor([s.reward for s in steps]),
            "terminated": torch.tensor([s.terminated for s in steps]),
            "episode": torch.full((n,), self.size // EPISODE),
        }, [n]))  # fmt: skip
        self.size += n

    def append(self, steps: list[Step]) -> None:
        for s in steps:
            self.buffer.add(self.make({
                "x": torch.from_numpy(s.features["x"]), "action": torch.from_numpy(s.action),
                "reward": torch.tensor(s.reward), "terminated": torch.tensor(s.terminated),
                "episode": torch.tensor(self.size // EPISODE),
            }, []))  # fmt: skip
            self.size += 1

    def sample(self) -> object:
        return self.buffer.sample()

    def close(self) -> None:
        del self.buffer


def episodes(rng: np.random.Generator) -> Iterator[tuple[list[Step], np.ndarray]]:
    """Steps of one episode after another, each beginning where the one before ended; made before the clock runs."""
    while True:
        x = rng.standard_normal((EPISODE + 1, WIDTH), np.float32)
        action, states = np.zeros(2, np.float32), [{"x": row} for row in x]
        yield [Step(states[t], action, 0.1, t == EPISODE - 1, False, states[t + 1]) for t in range(EPISODE)], (
            rng.exponential(size=EPISODE))  # fmt: skip


class Rates:
    """How much of each thing everyone does in a second, by the clock and by processor time."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], list[tuple[float, float]]] = {}

    def measure(self, what: str, name: str, work: Callable[[], object], calls: int, each: int = 1) -> None:
        """Of `calls` to `work`, which does `each` of it."""
        clock, processor = time.perf_counter(), time.process_time()
        for _ in range(calls):
            work()
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        self.found.setdefault((what, name), []).append((calls * each / clock, calls * each / processor))

    def write(self, figures: Figures) -> None:
        for by, of in enumerate(("s", "processor s")):
            for (what, name), values in self.found.items():
                unit = "steps" if what.startswith("written") else "batches"
                goal = GOALS.get(what, "") if name.startswith("ours") else ""
                figures.add(f"{name}: {what}, a {of}", [v[by] for v in values], unit, goal)
            for (what, name), values in self.found.items():
                if name in ("numpy", "torchrl"):
                    pairs = zip(self.found[what, "ours"], values, strict=True)
                    figures.add(f"ours / {name}: {what}, a {of}", [a[by] / b[by] for a, b in pairs], "x")


def private_mb() -> float:
    """RAM of this process that is its own, without what it maps from files, MB (Linux; NaN elsewhere)."""
    gc.collect()
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) / 1024
    return float("nan")


def drop(folder: Path) -> None:
    """Tell the system to forget what it has of these files."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    args = options(
        __doc__ or "",
        steps=(int, 1_000_000, "steps in memory"),
        folder=(Path, None, "where the files are put (default: the system's folder for temporary files)"),
    )
    torch.set_num_threads(1)
    steps, rounds, batches = (100_000, 3, 40) if args.quick else (args.steps, 5, 100)
    single = 2_000 if args.quick else 5_000
    figures, rates = Figures(), Rates()
    with tempfile.TemporaryDirectory(dir=args.folder, ignore_cleanup_errors=True) as name:
        folder, room = Path(name), steps + (rounds + 1) * single
        before = private_mb()
        stores: dict[str, Store] = {"ours": Ours(folder, room, args.seed), "numpy": Numpy(folder, room, args.seed)}
        try:
            stores["torchrl"] = Torchrl(folder, room, args.seed)
        except ImportError as error:
            print(f"  (torchrl is left out: {error})")
        lives = episodes(np.random.default_rng(args.seed))
        share = steps // EPISODE // rounds
        for _ in range(rounds):
            lived = [next(lives) for _ in range(min(share, 20))]
            for name, store in stores.items():
                written = itertools.cycle(lived)
                write = lambda s=store, w=written: s.extend(*next(w))  # noqa: E731
                rates.measure("written in batches of 1,000", name, write, share, EPISODE)
            for name, store in stores.items():
                written = itertools.cycle(lived)
                write = lambda s=store, w=written: s.append(next(w)[0])  # noqa: E731
                rates.measure("written one by one", name, write, single // EPISODE, EPISODE)
        figures.add("RAM that writing all of it took, MB (all stores)", [private_mb() - before], "MB")
        ours = stores["ours"]
        assert isinstance(ours, Ours)
        for name, store in stores.items():
            before = private_mb()
            start = time.perf_counter()
            store.sample()
            figures.add(f"{name}: the first batch", [time.perf_counter() - start], "s")
            for _ in range(batches):
                store.sample()
            figures.add(f"{name}: RAM that sampling took", [private_mb() - before], "MB", "does not grow")
        for _ in range(rounds):
            for name, store in stores.items():
                rates.measure("sampled warm", name, store.sample, batches)
            for strategy in STRATEGIES[1:]:
                rates.measure("sampled warm", f"ours, {strategy}", lambda s=strategy: ours.sample(s), batches)
        for _ in range(rounds):
            for name, store in stores.items():
                if isinstance(store, Ours | Numpy):
                    store.close()
                    drop(folder)
                    store.open()
                    if isinstance(store, Ours):
                        store.sample()  # opening and reading the index is not sampling
                    rates.measure("sampled cold", name, store.sample, batches // 4)
        start = time.perf_counter()
        ours.close()
        ours.open()
        figures.add("ours: opening the file and checking it", [time.perf_counter() - start], "s")
        figures.add("ours: size of the file", [ours.path.stat().st_size / 1e6], "MB")
        for store in stores.values():
            store.close()
    rates.write(figures)
    figures.write(args.json)


if __name__ == "__main__":
    main()
