"""Notes keep where they come from; what is known, nearly the same or only recalled is not stored again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gedanken.errors import UserError
from gedanken.memory import LongTerm, Retrieval, Vectors
from gedanken.memory.database import Database
from gedanken.memory.erasure import scrub
from gedanken.memory.notes.words import alike, echoes, gist
from gedanken.memory.tables import MIGRATIONS

from .conftest import LAYOUT, Clock

KEY = "A locked door needs its key."


def test_a_note_keeps_its_origin_its_episode_and_what_it_rests_on(memory: LongTerm) -> None:
    episode = memory.begin()
    memory.note(KEY, source="environment", episode=episode, links=[(episode, 3, 5)])
    memory.note("doors are heavy", source="user")
    memory.note("keys are light", source="gpt-9")
    shown, told, made = memory.notes()
    assert (shown.origin, shown.episode, shown.links) == ("environment", episode, ((episode, 3, 5),))
    assert (told.origin, told.episode, told.links) == ("person", None, ())
    assert made.origin == "model"  # whatever it calls itself
    with pytest.raises(UserError, match="first t"):
        memory.note("lava", links=[(1, 5, 3)])
    with pytest.raises(UserError, match="'admin'"):
        memory.note_table.add("lava", origin="admin")  # type: ignore[arg-type]


def test_links_of_a_note_that_is_made_again_are_added(memory: LongTerm) -> None:
    first = memory.note(KEY, links=[(1, 0, 2)])
    assert memory.note("a locked door needs a key", links=[(2, 4, 4), (1, 0, 2)]) == first
    assert memory.notes()[0].links == ((1, 0, 2), (2, 4, 4))


@pytest.mark.parametrize("again", [
    KEY, "a locked door needs its key", "The locked door needs a key!", "> A locked door needs its key.",
    "LOCKED DOORS NEED THEIR KEYS", "A locked\n door   needs its key",
])  # fmt: skip
def test_a_machine_s_text_is_stored_once_however_it_is_put(memory: LongTerm, again: str) -> None:
    assert memory.note(again) == memory.note(KEY) == memory.note(again, importance=0.9)
    assert [note.importance for note in memory.notes()] == [0.9]


@pytest.mark.parametrize("other", [
    "A locked door does not need its key.", "A locked door needs 2 keys.", "A locked chest needs its key.",
    "A key needs its locked door.", "A locked door needs its key, never.", "An unlocked door needs its key.",
])  # fmt: skip
def test_what_says_something_else_is_stored(memory: LongTerm, other: str) -> None:
    memory.note_table.recalled([memory.note(KEY)])
    assert memory.note(other) == 2


def test_numbers_and_their_order_are_never_smoothed_over() -> None:
    long = "forward moves the robot along the corridor past the shelf and the table, x goes from {} to {}, " * 3
    there, back = gist(long.format(3, 4, 4, 5, 5, 6)), gist(long.format(4, 3, 5, 4, 6, 5))
    assert there.shingles == back.shingles
    assert not alike(there, back)
    assert alike(there, gist(long.format(3, 4, 4, 5, 5, 6) + "quickly"))


def test_a_person_s_words_are_kept_beside_a_machine_s(memory: LongTerm) -> None:
    machine = memory.note(KEY, source="environment")
    person = memory.note(KEY, source="user")
    assert person != machine
    assert memory.note("A locked door needs a key.", source="user") not in (person, machine)  # in other words: kept
    assert memory.note("a  LOCKED door needs its key.", source="user") == person
    memory.note_table.forget([machine])
    before = memory.notes()
    assert memory.note("the locked doors need a key", source="environment", importance=1.0) in (person, person + 1)
    assert memory.notes() == before  # a machine that repeats a person makes nothing of it more important


@pytest.mark.parametrize("echo", [
    KEY, f'As I recall: "{KEY}"', f"Lesson: {KEY.lower()}", "I remember that locked doors would need the key",
    f"> {KEY}", f"In the hall the memory reads “{KEY}” again",
])  # fmt: skip
@pytest.mark.parametrize("source", ["agent", "environment"])
def test_what_was_recalled_is_not_stored_again(memory: LongTerm, clock: Clock, echo: str, source: str) -> None:
    first = memory.note(KEY, kind="surprise", source="environment")
    (hit,) = Retrieval(memory).search("door", k=1)
    before = memory.note_table.get([hit.note.id])
    clock.now += 60
    assert memory.note(echo, kind="lesson", source=source) == first
    assert memory.note_table.get([first]) == before  # neither newer nor more important
    assert before[0].recalled == 1
    denied = memory.note(f'It is wrong that "{KEY}"', source=source)
    assert denied != first


def test_an_echo_needs_a_recall(memory: LongTerm) -> None:
    memory.note(KEY, kind="surprise", source="environment")
    assert memory.note(f'As I recall: "{KEY}"', kind="lesson") == 2
    assert not echoes("avoid hot lava", "lava")


def test_recalls_are_counted_and_credited(memory: LongTerm) -> None:
    first, second = memory.note("lava burns"), memory.note("keys open doors")
    retrieval = Retrieval(memory)
    retrieval.search("lava", k=2)
    retrieval.search("lava", k=1)
    retrieval.search("lava", k=2, counted=False)
    for reward in (1.0, 0.0):
        memory.note_table.credit([first], reward)
    notes = memory.note_table.get([first, second])
    assert [(note.recalled, note.helped) for note in notes] == [(2, 0.5), (1, None)]
    with pytest.raises(UserError, match="finite"):
        memory.note_table.credit([first], float("nan"))


def test_a_note_gives_way_to_another_and_is_kept(memory: LongTerm) -> None:
    old, new = memory.note("doors open by pushing"), memory.note("doors open by keys")
    retrieval = Retrieval(memory)
    assert len(retrieval.search("doors")) == 2
    assert memory.note_table.supersede(old, by=new)
    assert [hit.note.id for hit in retrieval.search("doors")] == [new]
    assert [note.id for note in memory.notes()] == [new]
    assert {hit.note.id for hit in retrieval.search("doors", superseded=True)} == {old, new}
    assert memory.note_table.all(superseded=True)[0].superseded_by == new
    with pytest.raises(UserError, match="gave way to it"):
        memory.note_table.supersede(new, by=old)
    with pytest.raises(UserError, match="no note 99"):
        memory.note_table.supersede(old, by=99)
    assert memory.note("doors open by pushing") == old  # seen again: it was retired wrongly
    assert len(retrieval.search("doors")) == 2


def test_a_person_s_note_gives_way_to_a_person_only(memory: LongTerm) -> None:
    told, guessed = memory.note("doors open by keys", source="user"), memory.note("doors are always open")
    corrected = memory.note("doors open by cards", source="user")
    assert not memory.note_table.supersede(told, by=guessed)
    assert memory.note_table.supersede(told, by=corrected)
    assert memory.note_table.supersede(guessed, by=corrected)
    assert memory.note("doors are always open") == corrected  # a machine does not bring it back
    assert [note.id for note in memory.notes()] == [corrected]


def test_forgotten_notes_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    with LongTerm(path, LAYOUT) as memory:
        kept = memory.note("keys open doors")
        ids = [memory.note(f"Klaus lives in house {i}", source="user", links=[(1, 0, i)]) for i in range(50)]
        retrieval = Retrieval(memory)
        assert len(retrieval.search("Klaus", k=60)) == 51
        assert memory.note_table.forget(ids) == 50
        scrub(memory.database)
        assert [hit.note.id for hit in retrieval.search("Klaus", k=60)] == [kept]
        assert memory.note("another") > max(ids)  # an id is never given twice
        for file in tmp_path.iterdir():
            assert b"klaus" not in file.read_bytes().lower()


def test_long_texts_and_names_are_cut_and_say_so(memory: LongTerm) -> None:
    memory.note("word " * 1_000_000, kind="k" * 1_000, tags=[f"t{i}" for i in range(1_000)])
    (note,) = memory.notes()
    assert note.text.endswith("characters more]")
    assert (len(note.text) < 20_100, len(note.kind), len(note.tags)) == (True, 200, 64)


def test_notes_and_vectors_of_the_first_format_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    old = Database(path, MIGRATIONS[:1])
    with old.transaction():
        old.execute_many(
            """INSERT INTO notes (kind, digest, text, importance, source, tags, created, seen)
               VALUES ('lesson', ?, ?, 0.5, ?, '["x"]', 1, 2)""",
            [(b"1", KEY, "user"), (b"2", "lava is hot", "environment"), (b"3", "keys are light", "agent")],
        )
        old.execute_many(
            "INSERT INTO note_vectors VALUES (?, 'm', ?)",
            [(i, np.eye(3, dtype="<f4")[i - 1].tobytes()) for i in (1, 2, 3)],
        )
    old.close()
    with LongTerm(path, LAYOUT) as memory:
        assert [(note.text, note.origin, note.tags, note.seen) for note in memory.notes()] == [
            (KEY, "person", ("x",), 2.0), ("lava is hot", "environment", ("x",), 2.0),
            ("keys are light", "model", ("x",), 2.0)]  # fmt: skip
        assert [hit.note.id for hit in Retrieval(memory).search("lava", k=1)] == [2]
        assert Vectors(memory.database, "text:m").search(np.array([0, 0, 1]), 1)[0].tolist() == [3]
        assert memory.note("something new") == 4


def test_a_lesson_of_another_thing_is_no_echo_of_what_was_recalled(memory: LongTerm) -> None:
    red = memory.note("The red key opens the red door.", source="model")
    memory.note_table.recalled([red])
    assert memory.note("The blue key opens the red door.", source="model") != red
    assert memory.note("Now the red key opens the red door.", source="model") == red
