"""Facts have validity in time; a person's are ended by a person alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gedanken.errors import UserError
from gedanken.memory import LongTerm

from .conftest import LAYOUT, Clock


def values(memory: LongTerm, time: float | None = None, disputed: bool = False) -> list[str]:
    return [fact.value for fact in memory.facts.at(time, disputed=disputed)]


def test_a_new_fact_ends_the_one_before_and_keeps_it(memory: LongTerm, clock: Clock) -> None:
    start = clock.now
    first = memory.facts.add("door", "is", "open")
    clock.now += 10
    second = memory.facts.add("Door", "is", "shut")
    memory.facts.add("lamp", "is", "on")
    assert values(memory) == ["shut", "on"]
    assert values(memory, start + 5) == ["open"]
    assert values(memory, start - 1) == []
    old, new = memory.facts.history("door")
    assert (old.id, old.until, old.superseded_by) == (first, start + 10, second)
    assert (new.id, new.since, new.until) == (second, start + 10, None)
    assert memory.facts.add("door", "is", "Shut") == second
    assert memory.facts.at(subject="lamp")[0].relation == "is"


def test_a_fact_of_the_past_finds_its_place(memory: LongTerm) -> None:
    memory.facts.add("door", "is", "open", since=100)
    memory.facts.add("door", "is", "shut", since=300)
    memory.facts.add("door", "is", "ajar", since=200)
    assert [(f.value, f.since, f.until) for f in memory.facts.history("door", "is")] == [
        ("open", 100, 200), ("ajar", 200, 300), ("shut", 300, None)]  # fmt: skip
    memory.facts.add("door", "is", "broken", since=300)  # a correction: it was never shut
    assert values(memory, 300) == ["broken"]


def test_a_machine_s_fact_stands_beside_a_person_s_disputed(memory: LongTerm, clock: Clock) -> None:
    told = memory.facts.add("key", "opens", "door", source="user")
    for source in ("agent", "environment"):
        clock.now += 1
        guessed = memory.facts.add("key", "opens", "chest", source=source)
        assert values(memory) == ["door"]
        assert values(memory, disputed=True) == ["door", "chest"]
    ((disputing, disputed),) = memory.facts.disputed()
    assert (disputing.id, disputing.disputes, disputed.id) == (guessed, told, told)
    assert not memory.facts.end(told, source="agent")
    clock.now += 1
    memory.facts.add("key", "opens", "chest", source="manual")  # a person settles it
    assert values(memory, disputed=True) == ["chest"]
    assert memory.facts.disputed() == []
    assert memory.facts.at()[0].origin == "person"


def test_a_person_s_word_for_what_a_machine_said_is_a_person_s_fact(memory: LongTerm, clock: Clock) -> None:
    guessed = memory.facts.add("key", "opens", "door", source="agent")
    told = memory.facts.add("key", "opens", "door", source="user")
    assert told != guessed
    assert memory.facts.add("key", "opens", "door", source="environment") == told
    assert [fact.id for fact in memory.facts.at()] == [told]


def test_a_fact_ends(memory: LongTerm, clock: Clock) -> None:
    id = memory.facts.add("door", "is", "open", source="user")
    clock.now += 5
    assert memory.facts.end(id, source="user")
    assert values(memory) == []
    assert values(memory, clock.now - 1) == ["open"]
    assert not memory.facts.end(id, clock.now + 5, source="user")
    with pytest.raises(UserError, match="no fact 9"):
        memory.facts.end(9)
    with pytest.raises(UserError, match="cannot end at 0"):
        memory.facts.end(id, 0.0)


def test_a_fact_is_checked_and_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with LongTerm(path, LAYOUT) as memory:
        for words in (("", "is", "x"), ("x", "\x00", "x"), ("x", "is", " ")):
            with pytest.raises(UserError, match="give all three"):
                memory.facts.add(*words)
        with pytest.raises(UserError, match="time is nan"):
            memory.facts.add("x", "is", "y", since=float("nan"))
        memory.facts.add("do\ud800or", "is", "x'; DROP TABLE facts; --")
        memory.facts.add("100%_", "is", "real")
    with LongTerm(path, LAYOUT) as memory:
        assert [f.value for f in memory.facts.history("100%_")] == ["real"]
        assert memory.facts.history("%") == memory.facts.history("100__") == []
        assert memory.facts.history("do\ufffdor")[0].value == "x'; DROP TABLE facts; --"
        assert memory.facts.forget([fact.id for fact in memory.facts.all()]) == 2


def test_a_person_s_fact_of_the_past_is_not_ended_by_what_a_machine_said_later(memory: LongTerm) -> None:
    memory.facts.add("door", "is", "locked", source="agent", since=300)
    told = memory.facts.add("door", "is", "open", source="user", since=100)
    assert [(f.value, f.until) for f in memory.facts.at(400)] == [("open", None)]
    assert [(machine.value, person.id) for machine, person in memory.facts.disputed()] == [("locked", told)]


def test_what_a_machine_said_stands_once_the_person_s_fact_has_ended(memory: LongTerm, clock: Clock) -> None:
    told = memory.facts.add("door", "is", "open", source="user")
    memory.facts.add("door", "is", "locked", source="environment")
    clock.now += 5
    memory.facts.end(told, source="user")
    assert values(memory) == ["locked"]
    assert values(memory, clock.now - 1) == ["open"]
