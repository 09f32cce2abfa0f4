"""A damaged file is recognised, and what is sound of it is saved into a new one."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from gedanken.errors import UserError
from gedanken.memory import LongTerm, Replay, Retrieval, Vectors, salvage
from gedanken.memory.database import PAGE
from gedanken.memory.file import MemoryFile

from .conftest import LAYOUT, life


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of 40 episodes of 100 transitions, one open, and notes."""
    with LongTerm(tmp_path / "m.sqlite", LAYOUT) as memory:
        for i in range(40):
            episode = memory.begin(group=f"g{i}")
            memory.append_many(episode, life(episode, 100, terminated=False), [float(t) for t in range(100)])
            memory.end(episode)
            memory.note(f"note {i}")
        episode = memory.begin()
        memory.append_many(episode, life(episode, 30, terminated=False))
    return tmp_path / "m.sqlite"


def is_as_lived(memory: LongTerm) -> bool:
    found = memory.transitions()
    is_right = (found.features["speed"] == found.t) & (found.next_features["speed"] == found.t + 1)
    is_right &= (found.features["grid"] == found.episode[:, None, None]).all(axis=(1, 2))
    return bool((is_right & (found.reward == found.t)).all())


def check(path: Path, target: Path) -> tuple[int, int]:
    """Salvage, and check that what is there is true and usable; how many transitions were saved and lost."""
    before = path.read_bytes()
    report = salvage(path, target)
    assert path.read_bytes() == before
    with LongTerm(target, LAYOUT) as memory:
        assert len(memory) == report.transitions
        assert is_as_lived(memory)
        if report.transitions:
            found = Replay(memory, holdout=0.0, cache_bytes=0).sample(200, 20, np.random.default_rng(0))
            assert (np.diff(found.features["speed"], axis=1)[found.mask] == 1).all()
        surprise = Replay(memory, holdout=0.0).surprise()
        known = ~np.isnan(surprise)
        assert (surprise[known] == memory.transitions().t[known]).all()
        episode = memory.begin()
        memory.append_many(episode, life(episode, 70))
        assert memory.notes() or report.lost
    assert (report.transitions_lost > 0) <= bool(report.lost)
    return report.transitions, report.transitions_lost


def test_of_a_sound_file_everything_is_saved(path: Path, tmp_path: Path) -> None:
    assert check(path, tmp_path / "saved.sqlite") == (4030, 0)
    with pytest.raises(UserError, match="is there already"):
        salvage(path, tmp_path / "saved.sqlite")
    with pytest.raises(UserError, match="no such file"):
        salvage(tmp_path / "other", tmp_path / "new")


def counts(memory: LongTerm) -> dict[str, int]:
    tables = memory.database.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {name: memory.database.rows(f'SELECT count(*) FROM "{name}"')[0][0] for (name,) in tables}


def test_notes_facts_and_vectors_are_saved_too(path: Path, tmp_path: Path) -> None:
    with LongTerm(path, LAYOUT) as memory:
        note = memory.note("the lava burns whoever walks on it", links=[(1, 0, 9)])
        memory.facts.add("door", "opened by", "key", source="user")
        memory.facts.add("door", "opened by", "lever", source="user")
        Vectors(memory.database, "states").put([1, 2], np.eye(2, dtype=np.float32))
        memory.forget("oldest", 3000)
        before, facts = counts(memory), memory.facts.history("door")
    salvage(path, tmp_path / "saved.sqlite")
    with LongTerm(tmp_path / "saved.sqlite", LAYOUT) as memory:
        assert counts(memory) == before
        assert memory.facts.history("door") == facts
        assert [hit.note.id for hit in Retrieval(memory).search("burns", k=1)] == [note]
        assert memory.note("the lava burns whoever walks on it") == note
        assert memory.note("something new") > note
        assert Vectors(memory.database, "states").search(np.array([1, 0], np.float32), 1)[0].tolist() == [1]
        assert memory.database.rows("PRAGMA foreign_key_check") == []


def test_a_flipped_bit_in_a_transition_costs_its_neighbours_only(path: Path, tmp_path: Path) -> None:
    with LongTerm(path, LAYOUT) as memory:
        record = memory.database.rows("SELECT data FROM records WHERE chunk = 5")[0][0]
        size = memory.chunks.records.type.itemsize
    content = bytearray(path.read_bytes())
    content[content.index(record) + 10 * size + 3] ^= 16
    path.write_bytes(content)
    with LongTerm(path, LAYOUT) as memory:
        with pytest.raises(UserError, match=r"1 of .* not as they were written.*salvage"):
            memory.transitions()
        for cache_bytes in (0, 1 << 30):
            with pytest.raises(UserError, match="salvage"):
                Replay(memory, holdout=0.0, cache_bytes=cache_bytes).sample(2000, 64, np.random.default_rng(0))
    assert check(path, tmp_path / "saved.sqlite") == (4028, 2)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_of_a_file_cut_short_the_rest_is_saved(path: Path, tmp_path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"damaged.*salvage"):
        LongTerm(path, LAYOUT)
    saved, lost = check(path, tmp_path / "saved.sqlite")
    assert saved + lost <= 4030


def test_zeroed_pages_are_recognised_and_read_around(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    pages = len(content) // PAGE
    saved = []
    for page in range(1, pages, 3):
        broken = tmp_path / f"{page}.sqlite"
        broken.write_bytes(content[: page * PAGE] + bytes(PAGE) + content[(page + 1) * PAGE :])
        try:
            with LongTerm(broken, LAYOUT) as memory:
                is_seen = not is_as_lived(memory)
        except UserError as error:
            is_seen = "salvage" in str(error)
        if content[page * PAGE : (page + 1) * PAGE].count(0) < PAGE - 100:
            assert is_seen, page
        saved.append(check(broken, tmp_path / f"{page}.saved")[0])
    assert np.median(saved) > 3000
    path.write_bytes(bytes(PAGE) + content[PAGE:])
    with pytest.raises(UserError):
        LongTerm(path, LAYOUT)
    with pytest.raises(UserError, match="nothing can be read"):
        salvage(path, tmp_path / "nothing.sqlite")


def test_a_place_that_a_checkpoint_names_is_still_there_when_its_transitions_are_lost(
    path: Path, tmp_path: Path
) -> None:
    with LongTerm(path, LAYOUT) as memory:
        last = memory.begin()
        memory.append_many(last, life(last, 64))
        checkpoint = Replay(memory).state_dict()
        ((record,),) = memory.database.rows("SELECT data FROM records ORDER BY chunk DESC LIMIT 1")
    path.write_bytes(path.read_bytes().replace(record, bytes(len(record))))
    salvage(path, tmp_path / "saved.sqlite")
    with LongTerm(tmp_path / "saved.sqlite", LAYOUT) as memory:
        assert memory.position() == checkpoint["row"]
        Replay(memory).load_state_dict(checkpoint)


def test_a_file_of_the_first_format_is_saved_and_taken_over(tmp_path: Path) -> None:
    first = Path(__file__).parent / "data" / "format1.sqlite"
    salvage(first, tmp_path / "saved.sqlite")
    shutil.copy(first, tmp_path / "migrated.sqlite")
    with MemoryFile(tmp_path / "saved.sqlite") as saved, MemoryFile(tmp_path / "migrated.sqlite") as migrated:
        for table in ("episodes", "steps", "notes"):
            sql = f"SELECT * FROM {table}"
            assert saved.database.rows(sql) == migrated.database.rows(sql) != []


def test_another_program_s_database_is_not_salvaged(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE t (a)")
    with pytest.raises(UserError, match="holds nothing of a gedanken memory"):
        salvage(tmp_path / "other.sqlite", tmp_path / "saved.sqlite")
    assert [file.name for file in tmp_path.iterdir()] == ["other.sqlite"]
