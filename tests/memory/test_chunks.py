"""Chunks: whatever is written, in whatever pieces, comes out bit for bit; files of the first format go on."""

from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from gedanken.errors import UserError
from gedanken.memory import Column, Layout, LongTerm, Replay, Step, Transitions
from gedanken.memory.experience.records import LENGTH

from .conftest import LAYOUT, life

DATA = Path(__file__).parent / "data"


def bits(found: Transitions) -> list[bytes]:
    columns = [*found.features.values(), *found.next_features.values()]
    return [c.tobytes() for c in (*columns, found.action, found.reward, found.terminated, found.truncated, found.t)]


def odd_life(rng: np.random.Generator, length: int) -> list[Step]:
    """Steps with jumps between them, ends in the middle, NaNs of several bit patterns and negative zeros."""
    patterns = np.array([0x7FC00000, 0x7FC00001, 0xFFC00123, 0x7F800001, 0x80000000, 0], np.uint32).view(np.float32)

    def any_state() -> dict[str, np.ndarray]:
        return {"grid": rng.integers(-9, 9, (2, 3)).astype(np.int16), "speed": rng.choice(patterns)}

    now, steps = any_state(), []
    for _ in range(length):
        then = any_state()
        terminated = bool(rng.random() < 0.02)
        steps.append(Step(now, int(rng.integers(4)), float(rng.normal()), terminated, bool(rng.random() < 0.02), then))
        now = any_state() if rng.random() < 0.1 else then
    return steps


@pytest.mark.parametrize("seed", range(4))
def test_what_is_written_comes_out_bit_for_bit_however_it_was_written(memory: LongTerm, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = odd_life(rng, 300)
    surprises = rng.normal(size=300).astype(np.float32)
    episodes = [memory.begin() for _ in range(3)]
    memory.append_many(episodes[0], steps, surprises.tolist())
    for step, surprise in zip(steps, surprises.tolist(), strict=True):
        memory.append(episodes[1], step, surprise)
    at = 0
    while at < 300:
        size = int(rng.integers(1, 150))
        memory.append_many(episodes[2], steps[at : at + size], surprises[at : at + size].tolist())
        at += size
    replay = Replay(memory, holdout=0.0)
    for _ in range(2):  # open, then folded
        ways = [memory.transitions([e]) for e in episodes]
        assert bits(ways[0]) == bits(ways[1]) == bits(ways[2])
        assert ways[0].features["speed"].tobytes() == b"".join(s.features["speed"].tobytes() for s in steps)
        assert ways[0].next_features["speed"].tobytes() == b"".join(
            s.next_features["speed"].tobytes() for s in steps if s.next_features
        )
        assert bits(replay.transitions()) == bits(memory.transitions())
        assert replay.surprise().tobytes() == np.tile(surprises, 3).tobytes()
        found = replay.sample(200, 5, rng)
        t = found.t[:, None] + np.arange(5)
        assert (found.reward == np.where(found.mask, ways[0].reward[t.clip(max=299)], 0)).all()
        for e in episodes:
            memory.end(e)
    assert memory.database.rows("SELECT count(*) FROM steps") == [(0,)]
    totals = [e.total_reward for e in memory.episodes()]
    assert totals == pytest.approx([sum(s.reward for s in steps)] * 3)


def test_a_long_episode_is_kept_in_full_chunks_with_every_state_once(memory: LongTerm) -> None:
    episode = memory.begin()
    for step in life(episode, 3 * LENGTH + 5):
        memory.append(episode, step)
    lengths = memory.database.rows("SELECT length FROM chunks ORDER BY t")
    assert lengths == [(LENGTH,)] * 3
    memory.end(episode)
    sizes = memory.database.rows("SELECT length(data) FROM records ORDER BY chunk")
    assert [size for (size,) in sizes] == [(n + 1) * memory.chunks.records.type.itemsize for n in (64, 64, 64, 5)]


def test_a_step_s_surprise_is_kept_replaced_and_sampled(memory: LongTerm) -> None:
    episode = memory.begin()
    memory.append_many(episode, life(episode, 100), [0.1] * 50 + [float("nan")] * 50)
    other = memory.begin()
    memory.append(other, life(other, 1)[0])
    replay = Replay(memory, holdout=0.0)
    known = replay.surprise()
    assert known[:50].tolist() == [pytest.approx(0.1)] * 50
    assert np.isnan(known[50:]).all()
    assert len(known) == 101
    replay.update_surprise(np.array([other, episode, episode]), np.array([0, 3, 99]), np.array([0.2, 5.0, 7.0]))
    for case in (replay, Replay(memory, holdout=0.0, cache_bytes=0)):
        known = case.surprise()
        assert [known[i] for i in (100, 3, 99)] == pytest.approx([0.2, 5.0, 7.0])
        found = case.sample(4000, 1, np.random.default_rng(0), strategy="surprising")
        counts = np.bincount(found.t + 200 * (found.episode == other))
        assert counts[99] > counts[3] > 10 * counts[[1, 2, 4, 5, 30]].max()
        assert counts[1] > 0  # nothing is never drawn
        usual = counts[50:99].mean()  # without a surprise: as the average of those with one
        assert counts[1] * 2 < usual < counts[3] / 2


@pytest.mark.parametrize("strategy", ["uniform", "recent", "surprising", "weights"])
def test_from_the_file_and_from_ram_the_same_is_drawn(memory: LongTerm, strategy: str) -> None:
    rng = np.random.default_rng(1)
    going = []
    for length in (1, 3, 70, 200, 64, 65, 130):
        episode = memory.begin(group=f"g{length % 3}")
        memory.append_many(episode, odd_life(rng, length), rng.normal(size=length).tolist())
        going.append(episode)
    for episode in going[:4]:
        memory.end(episode)
    one, two = Replay(memory, holdout=0.3), Replay(memory, holdout=0.3, cache_bytes=0)
    for held_out in (False, True):
        weights = rng.random(one.count(held_out)) if strategy == "weights" else None
        name = "uniform" if weights is not None else strategy
        for length in (1, 7, 64, 100):
            a, b = (r.sample(50, length, np.random.default_rng(2), held_out, name, weights) for r in (one, two))  # type: ignore[arg-type]
            for field in ("action", "reward", "terminated", "mask", "episode", "t"):
                assert np.array_equal(getattr(a, field), getattr(b, field)), field
            for feature in a.features:
                assert a.features[feature].tobytes() == b.features[feature].tobytes()
        assert bits(one.transitions(held_out)) == bits(two.transitions(held_out))


def test_what_is_imagined_stays_apart(memory: LongTerm) -> None:
    lived, imagined = memory.begin(), memory.begin(source="dream", imagined=True)
    for episode in (lived, imagined):
        memory.append_many(episode, life(episode, 100))
        memory.append(episode, life(episode, 1)[0])
    replay = Replay(memory, holdout=0.0)
    assert len(memory) == len(replay) == len(memory.transitions()) == 101
    assert [e.id for e in memory.episodes()] == [lived]
    assert set(replay.transitions().episode.tolist()) == {lived}
    assert len(memory.transitions([imagined])) == 0
    assert len(memory.transitions([imagined], imagined=True)) == 101
    (kept,) = memory.episodes(imagined=True)
    assert (kept.id, kept.length, kept.imagined) == (imagined, 101, True)


def test_a_file_of_the_first_format_goes_on(tmp_path: Path) -> None:
    path = Path(shutil.copy(DATA / "format1.sqlite", tmp_path))
    with LongTerm(path, LAYOUT) as memory:
        long, jump, left = memory.episodes()
        assert (long.length, long.total_reward, long.group, long.seed, long.ended) == (100, 4950.0, "long", 3, True)
        assert (jump.length, jump.total_reward, jump.source, jump.ended) == (6, 10.5, "user", True)
        assert (left.length, left.ended) == (8, False)
        found = memory.transitions([long.id, jump.id])
        assert found.features["speed"].tolist() == [*range(100), *range(5), 50]
        assert found.next_features["speed"].tolist() == [*range(1, 101), *range(1, 6), 51]
        assert found.truncated.tolist() == [False] * 105 + [True]
        odd = memory.transitions([left.id])
        assert odd.features["speed"][-1:].tobytes() == np.array([0x7FC00001], np.uint32).tobytes()
        assert len(memory) == len(Replay(memory)) == 114
        replay = Replay(memory)
        replay.load_state_dict({"version": 1, "holdout": 0.1, "seed": 0, "row": 114, "episode": 3, "skipped": []})
        memory.append(left.id, life(left.id, 9)[8])
        assert memory.transitions([left.id]).t.tolist() == list(range(9))
        assert len(replay) == 115
        (note,) = memory.notes()
        assert (note.text, note.tags, note.importance) == ("doors need keys", ("door",), 0.9)
    larger = Layout((Column("grid", "int16", (3, 3)), LAYOUT.features[1]), LAYOUT.action)
    with LongTerm(path, larger) as memory:
        assert memory.transitions().next_features["speed"].tolist() == [2.0]


def test_two_writers_of_one_episode_take_turns(memory: LongTerm) -> None:
    episode = memory.begin()
    with LongTerm(memory.path, LAYOUT) as other:
        for i, step in enumerate(life(episode, 200, terminated=False)):
            (memory, other)[i // 3 % 2].append(episode, step)
        other.end(episode)
    assert memory.transitions().features["speed"].tolist() == list(range(200))
    with pytest.raises(UserError, match="has ended"):
        memory.append(episode, life(episode, 1)[0])


def test_a_reader_does_not_wait_for_a_writer(memory: LongTerm) -> None:
    episode = memory.begin()
    memory.append_many(episode, life(episode, 5))
    with memory.database.transaction():
        memory.append_many(episode, life(episode, 500))
        seen: list[int] = []
        reader = threading.Thread(target=lambda: seen.append(len(memory.transitions())))
        reader.start()
        reader.join(timeout=10)
        assert seen == [5]
        assert len(memory.transitions()) == 505


def test_a_part_that_fails_leaves_the_rest_of_a_transaction(memory: LongTerm) -> None:
    episode = memory.begin()
    with memory.database.transaction():
        memory.append_many(episode, life(episode, 70))
        with contextlib.suppress(KeyError), memory.database.transaction():
            memory.append_many(episode, life(episode, 70))
            raise KeyError
    assert len(memory) == 70


def test_what_was_held_impossible_surprises_most(memory: LongTerm) -> None:
    episode = memory.begin()
    memory.append_many(episode, life(episode, 69, terminated=False), [float("inf"), float("-inf"), *[0.5] * 67])
    memory.append(episode, life(episode, 70)[69], float("inf"))
    replay = Replay(memory, holdout=0.0)
    assert len(replay.surprise()) == 70
    found = replay.sample(1000, 1, np.random.default_rng(0), strategy="surprising")
    assert np.bincount(found.t).argsort()[-2:].tolist() in ([0, 69], [69, 0])


def test_surprises_are_one_a_step(memory: LongTerm) -> None:
    episode = memory.begin()
    with pytest.raises(UserError, match="1 surprises came for 2 steps"):
        memory.append_many(episode, life(episode, 2), [0.5])
