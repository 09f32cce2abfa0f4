"""Forgetting: down to a quota, by policy, and everything else stays right."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gedanken.errors import UserError
from gedanken.memory import LongTerm, Quota, Replay

from .conftest import LAYOUT, life

Live = Callable[..., int]


def test_the_oldest_goes_first_and_never_what_a_person_showed(memory: LongTerm, live: Live) -> None:
    shown = live(memory, 30, source="user")
    lived = [live(memory, 100) for _ in range(10)]
    dreamt = memory.begin(imagined=True)
    memory.append_many(dreamt, life(dreamt, 10))
    memory.end(dreamt)
    going = memory.begin()
    memory.append_many(going, life(going, 70, terminated=False))
    assert memory.forget("oldest", 500) == 10 + 64 + 36 + 64 + 36 + 64 + 36 + 64 + 36 + 64 + 36 + 64 + 36
    assert len(memory.episodes(imagined=True)) == 1
    assert len(memory.transitions(imagined=True)) == 0
    assert len(memory) == len(memory.transitions()) == 30 + 400 + 70
    assert [e.held for e in memory.episodes()] == [30, *[0] * 6, *[100] * 4, 70]
    assert [e.length for e in memory.episodes()] == [30, *[100] * 10, 70]
    assert memory.forget("oldest", 0) == 400
    assert set(memory.transitions().episode.tolist()) == {shown, going}
    assert memory.forget("oldest", 0) == 0
    memory.append(going, life(going, 71)[70])
    assert memory.transitions([going]).t.tolist() == list(range(71))
    assert lived


def test_what_surprised_stays_longest(memory: LongTerm) -> None:
    worth = [0.5, 9.0, float("nan"), -3.0, 2.0, 0.1]
    for nats in worth:
        episode = memory.begin()
        memory.append_many(episode, life(episode, 10), [*[-5.0 if nats == nats else nats] * 9, nats])
        memory.end(episode)
    left = []
    for keep in (50, 40, 30):
        memory.forget("least_surprising", keep)
        left.append(sorted(set(memory.transitions().episode.tolist())))
    assert left == [[1, 2, 3, 5, 6], [1, 2, 3, 5], [2, 3, 5]]


@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_replay_and_checkpoints_stay_right(memory: LongTerm, live: Live, cache_bytes: int) -> None:
    for i in range(20):
        live(memory, 90, group=f"g{i % 7}")
    replay = Replay(memory, holdout=0.3, cache_bytes=cache_bytes)
    held_out = set(replay.transitions(True).episode.tolist())
    checkpoint = replay.state_dict()
    position = memory.position()
    memory.forget("oldest", 1000)
    assert len(replay) == len(memory) <= 1000
    assert set(replay.transitions(True).episode.tolist()) == held_out & set(memory.transitions().episode.tolist())
    found = replay.sample(200, 100, np.random.default_rng(0))
    assert (np.diff(found.features["speed"], axis=1)[found.mask] == 1).all()
    memory.forget("oldest", 0)
    assert memory.position() == position
    restarted = Replay(memory, cache_bytes=cache_bytes)
    restarted.load_state_dict(checkpoint)
    assert len(restarted) == 0
    live(memory, 5)
    assert memory.position() == position + 5
    assert len(restarted) == len(replay) == 5


def test_a_place_inside_a_chunk_is_forgotten_with_it(memory: LongTerm) -> None:
    episode = memory.begin()
    memory.append_many(episode, life(episode, 150))
    memory.end(episode)
    replay = Replay(memory, holdout=0.0)
    memory.forget("oldest", 100)
    assert replay.transitions().t.tolist() == list(range(64, 150))
    found = replay.sample(100, 200, np.random.default_rng(0))
    assert set(found.t.tolist()) == {64}
    assert found.mask.sum(axis=1).tolist() == [86] * 100


@pytest.mark.parametrize("unit", ["transitions", "bytes"])
def test_a_quota_is_kept_as_episodes_end(tmp_path: Path, live: Live, unit: str) -> None:
    record = 64
    quota = Quota(1000 if unit == "transitions" else 1016 * record, unit)  # type: ignore[arg-type]
    with LongTerm(tmp_path / "m.sqlite", LAYOUT, quota=quota) as memory:
        assert memory.chunks.records.type.itemsize == record
        sizes = []
        for _ in range(60):
            live(memory, 64)
            sizes.append(len(memory))
        assert max(sizes) <= 1000
        assert sizes[-1] > 900 - 64
        assert memory.transitions().episode.max() == 60


def test_space_is_given_back_to_the_disk(tmp_path: Path, live: Live) -> None:
    with LongTerm(tmp_path / "m.sqlite", LAYOUT) as memory:
        for _ in range(100):
            live(memory, 640)
        memory.snapshot(tmp_path / "before.sqlite")
        memory.forget("oldest", 640)
        after = memory.path.stat().st_size
        assert after < 0.25 * (tmp_path / "before.sqlite").stat().st_size
        assert len(memory) == 640


def test_a_reader_goes_on_while_another_thread_writes_and_forgets(memory: LongTerm, live: Live) -> None:
    live(memory, 300)
    is_over = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not is_over.is_set():
                live(memory, 300)
                memory.forget("oldest", 500)
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=work)
    writer.start()
    try:
        replay = Replay(memory, holdout=0.0, cache_bytes=0)
        for seed in range(100):
            strategy = ("uniform", "recent", "surprising")[seed % 3]
            found = replay.sample(16, 30, np.random.default_rng(seed), strategy=strategy)  # type: ignore[arg-type]
            assert (np.diff(found.features["speed"], axis=1)[found.mask] == 1).all()
    finally:
        is_over.set()
        writer.join()
    assert not failures
    assert memory.position() > 1000


def test_wrong_quotas_are_refused(memory: LongTerm) -> None:
    for call, why in (
        (lambda: memory.forget("newest", 3), "'oldest' or 'least_surprising'"),  # type: ignore[arg-type]
        (lambda: memory.forget("oldest", -1), "at least 0"),
        (lambda: memory.forget("oldest", 3, "MB"), "'transitions' or 'bytes'"),  # type: ignore[arg-type]
    ):
        with pytest.raises(UserError, match=why):
            call()
