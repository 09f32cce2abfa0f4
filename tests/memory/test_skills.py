"""Skills in the memory file: kept, counted, merged, forgotten; files of the formats before."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gedanken.memory import Column, Layout, LongTerm, MemoryFile
from gedanken.memory.database import Database
from gedanken.memory.skills import Skills
from gedanken.memory.tables import MIGRATIONS

LAYOUT = Layout((Column("x", "int64", ()),), Column("action", "int64", (1,)))


def test_a_skill_is_durable_counted_and_linked(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with LongTerm(path, LAYOUT, clock=lambda: 7.0) as memory:
        id = memory.skills.add("take", "held", link=(3, 0, 5))
        assert memory.skills.add("take", "held", link=(4, 1, 2)) == id
        assert memory.skills.add("take", "") != id
        memory.skills.count([id], worked=False)
    with MemoryFile(path) as memory:
        (skill,) = (s for s in memory.skills.all() if s.id == id)
        assert (skill.text, skill.purpose, skill.source, skill.used) == ("take", "held", "agent", 7.0)
        assert (skill.tried, skill.worked, skill.links) == (2, 1, ((3, 0, 5), (4, 1, 2)))
        assert memory.skills.forget([id]) == 1
        assert memory.database.rows("SELECT * FROM skill_links") == []
        assert len(memory.skills) == 1


def test_a_skill_reworded_to_another_becomes_one_with_it(tmp_path: Path) -> None:
    with LongTerm(tmp_path / "m.sqlite", LAYOUT) as memory:
        one, two = memory.skills.add("a", link=(1, 0, 1)), memory.skills.add("b", link=(2, 0, 1))
        assert memory.skills.reword(one, "c") == one
        assert memory.skills.reword(one, "b") == two
        (skill,) = memory.skills.all()
        assert (skill.text, skill.tried, skill.worked, len(skill.links)) == ("b", 2, 2, 2)


def test_beyond_the_limit_the_worst_standing_go_and_the_newest_stays(tmp_path: Path) -> None:
    database, time = Database(tmp_path / "m.sqlite", MIGRATIONS), iter(np.arange(1.0, 99.0).tolist())
    skills = Skills(database, lambda: next(time), most=3)
    ids = [skills.add(text) for text in "abc"]
    skills.count([ids[1]], worked=False)
    skills.add("d")
    assert {s.text for s in skills.all()} == {"a", "c", "d"}
    skills.add("e")
    assert {s.text for s in skills.all()} == {"c", "d", "e"}
    database.close()


def test_files_of_the_formats_before_are_taken_over(tmp_path: Path) -> None:
    for format in (1, 2):
        path = tmp_path / f"{format}.sqlite"
        Database(path, MIGRATIONS[:format]).close()
        with LongTerm(path, LAYOUT) as memory:
            assert len(memory.skills) == 0
            memory.skills.add("take")
        with LongTerm(path, LAYOUT) as memory:
            assert [s.text for s in memory.skills.all()] == ["take"]
