"""Long-term memory: what went in comes out, in any order of opening, and mistakes are told plainly."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gedanken.errors import GedankenError, UserError
from gedanken.memory import Column, Layout, LongTerm, Step

from .conftest import LAYOUT, life, state

Live = Callable[..., int]


def test_transitions_come_back_as_they_were_lived(memory: LongTerm) -> None:
    first, second = memory.begin(group="a", seed=2**100), memory.begin(source="user")
    for one, two in zip(life(first, 3), life(second, 3), strict=True):  # two episodes at once
        memory.append(first, one)
        memory.append(second, two)
    memory.end(first)
    found = memory.transitions()
    assert len(found) == len(memory) == 6
    assert found.episode.tolist() == [first] * 3 + [second] * 3
    assert found.t.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.features["speed"].tolist() == [0, 1, 2, 0, 1, 2]
    assert found.next_features["speed"].tolist() == [1, 2, 3, 1, 2, 3]
    assert found.next_features["grid"].shape == (6, 2, 3)
    assert found.action.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.terminated.tolist() == [False, False, True] * 2
    ended, going = memory.episodes()
    assert (ended.length, ended.total_reward, ended.group, ended.seed, ended.ended) == (3, 3.0, "a", 2**100, True)
    assert (going.length, going.total_reward, going.source, going.seed, going.ended) == (3, 3.0, "user", None, False)


def test_transitions_are_chosen_by_episode_and_by_age(memory: LongTerm, live: Live) -> None:
    ids = [live(memory, 4) for _ in range(3)]
    assert set(memory.transitions(episodes=ids[:2]).episode.tolist()) == set(ids[:2])
    assert memory.transitions(last=3).t.tolist() == [1, 2, 3]
    assert memory.transitions(episodes=[ids[0]], last=2).t.tolist() == [2, 3]
    assert len(memory.transitions(episodes=[])) == len(memory.transitions(last=0)) == 0
    assert memory.transitions(last=0).next_features["grid"].shape == (0, 2, 3)


def test_everything_is_there_after_opening_again(tmp_path: Path, live: Live) -> None:
    with LongTerm(tmp_path / "deep" / "m.sqlite", LAYOUT) as memory:
        episode = memory.begin()
        memory.append_many(episode, life(episode, 2, terminated=False))
        memory.note("doors need keys")
    with LongTerm(tmp_path / "deep" / "m.sqlite", Layout(LAYOUT.features[::-1], LAYOUT.action)) as memory:
        memory.append(episode, life(episode, 3)[2])  # an unfinished episode goes on
        assert memory.transitions().t.tolist() == [0, 1, 2]
        assert [note.text for note in memory.notes()] == ["doors need keys"]


def test_a_missing_next_state_is_the_following_step_s(memory: LongTerm) -> None:
    episode = memory.begin()
    steps = [Step(state(1, t), 0, 0.0, False, False, None if t < 2 else state(1, 3)) for t in range(3)]
    memory.append_many(episode, steps)
    assert memory.transitions().next_features["speed"].tolist() == [1, 2, 3]
    with pytest.raises(UserError, match="next features"):
        memory.append(episode, steps[0])


def test_a_batch_is_written_whole_or_not_at_all(memory: LongTerm) -> None:
    episode = memory.begin()
    good, bad = life(episode, 2)[0], Step({"grid": 0}, 0, 0.0, False, False, {})
    with pytest.raises(UserError, match="missing"):
        memory.append_many(episode, [good, bad])
    with pytest.raises(UserError, match="NaN"):
        memory.append(episode, Step(state(0, 0), 0, float("nan"), False, False, state(0, 1)))
    assert len(memory) == 0
    memory.end(episode)
    for append in (lambda: memory.append(episode, good), lambda: memory.append_many(episode, [good, good])):
        with pytest.raises(UserError, match=f"episode {episode} has ended"):
            append()
    assert len(memory) == 0


def test_another_size_of_the_same_world_shares_the_file_but_not_the_transitions(tmp_path: Path, live: Live) -> None:
    path = tmp_path / "m.sqlite"
    larger = Layout((Column("grid", "int16", (9, 9)), LAYOUT.features[1]), LAYOUT.action)
    with LongTerm(path, LAYOUT) as small, LongTerm(path, larger) as large:
        live(small, 3)
        assert (len(small), len(large), len(large.episodes())) == (3, 0, 0)
        with pytest.raises(UserError, match="not of this world"):
            small.append(large.begin(), life(1, 1)[0])
        small.note("shared")
        assert len(large.notes()) == 1


def test_other_features_are_refused_with_the_difference_and_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    LongTerm(path, LAYOUT).close()
    other = Layout((Column("grid", "int8", (2, 3)), Column("velocity", "float32")), LAYOUT.action)
    with pytest.raises(UserError) as caught:
        LongTerm(path, other)
    text = str(caught.value)
    assert str(path) in text
    assert "new here: velocity" in text
    assert "gone here: speed" in text
    assert "stored as grid: int16[2, 3], here grid: int8[2, 3]" in text
    assert "another path" in text


def test_files_that_are_no_memory_are_refused_and_left_alone(tmp_path: Path, live: Live) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to be taken for one " * 40)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    damaged = tmp_path / "damaged.sqlite"
    with LongTerm(damaged, LAYOUT) as memory:
        for _ in range(20):
            live(memory, 50)
    content = bytearray(damaged.read_bytes())
    content[8192:40960] = bytes(32768)
    damaged.write_bytes(content)
    newer = tmp_path / "newer.sqlite"
    LongTerm(newer, LAYOUT).close()
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    for path, why in ((text, "not a gedanken memory"), (other, "another program"), (damaged, "damaged"),
                      (newer, "newer gedanken"), (tmp_path, "is a folder")):  # fmt: skip
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(UserError, match=why) as caught:
            LongTerm(path, LAYOUT)
        assert str(path) in str(caught.value)
        assert before == (path.read_bytes() if path.is_file() else b"")


def test_a_disk_that_says_no_is_told_with_the_place_and_the_mending(tmp_path: Path, live: Live) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GedankenError, match="choose another path"):
        LongTerm(tmp_path / "file" / "m.sqlite", LAYOUT)
    with LongTerm(tmp_path / "m.sqlite", LAYOUT) as memory:
        live(memory, 2)
        pages = memory.database.rows("PRAGMA page_count")[0][0]
        memory.database.rows(f"PRAGMA max_page_count = {pages + 2}")  # as if the disk were full
        episode = memory.begin()
        with pytest.raises(GedankenError, match="disk is full; free some space"):
            memory.append_many(episode, life(episode, 2000))
        assert len(memory) == 2
        memory.database.rows("PRAGMA max_page_count = 100000")
        memory.append_many(episode, life(episode, 2000))
        assert len(memory) == 2002


def test_a_snapshot_is_whole_and_replaces_only_when_it_is_done(memory: LongTerm, tmp_path: Path, live: Live) -> None:
    live(memory, 5)
    memory.note("kept")
    target = tmp_path / "copies" / "one.sqlite"
    memory.snapshot(target)
    live(memory, 5)
    assert [file.name for file in target.parent.iterdir()] == ["one.sqlite"]
    with LongTerm(target, LAYOUT) as copy:
        assert (len(copy), len(copy.notes())) == (5, 1)
        with pytest.raises(UserError, match="in use"):
            memory.snapshot(target)
    memory.snapshot(target)
    with LongTerm(target, LAYOUT) as copy:
        assert len(copy) == 10
    with pytest.raises(UserError, match="the memory itself"):
        memory.snapshot(memory.path)
    with pytest.raises(GedankenError, match="cannot be written"):
        memory.snapshot(target / "inside" / "a file")


def test_a_temporary_memory_is_gone_after_close(live: Live) -> None:
    memory = LongTerm(None, LAYOUT)
    live(memory, 2)
    assert memory.path.exists()
    memory.close()
    memory.close()
    assert not memory.path.parent.exists()
    with pytest.raises(GedankenError, match="closed"):
        len(memory)


def test_threads_share_one_memory(memory: LongTerm) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            episode = memory.begin()
            for step in life(episode, 30):
                memory.append(episode, step)
                memory.transitions(last=5)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert np.array_equal(memory.transitions().t, np.tile(np.arange(30), 4))
