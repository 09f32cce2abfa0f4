"""Consolidation: lessons with what they rest on, none twice, nothing overwritten; broken off and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from gedanken.errors import GedankenError
from gedanken.memory import Episode, LongTerm, Retrieval
from gedanken.memory.notes.consolidation import LESSON, Finding, Report, consolidate, duplicates, lessons_of, pending

from .conftest import LAYOUT, Clock

Live = Callable[..., int]
PAYS = "when action is push: the reward is 1"


def telling(where: str, *more: Finding) -> Callable[[Sequence[Episode]], list[Finding]]:
    """Finds that a push pays `where`, in all episodes it is told of."""
    def tell(episodes: Sequence[Episode]) -> list[Finding]:
        return [Finding(PAYS, f"{PAYS} {where}.", tuple((e.id, 0, e.length - 1) for e in episodes), 0.9), *more]

    return tell


def texts(memory: LongTerm) -> list[str]:
    return [note.text for note in memory.notes(LESSON)]


def test_without_a_language_model_what_was_found_is_a_lesson(memory: LongTerm, live: Live) -> None:
    first, second, open_ = live(memory, 3), live(memory, 5), memory.begin()
    report = consolidate(memory, telling("if the lamp is on"))
    (note,) = memory.notes(LESSON)
    assert report == Report(episodes=2, lessons=(note.id,))
    assert (note.text, note.origin) == (f"{PAYS} if the lamp is on.", "environment")
    assert note.importance == pytest.approx(0.9)
    assert sorted(note.links) == [(first, 0, 2), (second, 0, 4)]
    assert pending(memory) == []
    assert consolidate(memory, telling("always")) == Report()    # nothing new was lived: nothing is said
    memory.end(open_)
    assert [episode.id for episode in pending(memory)] == [open_]


def test_what_is_known_better_now_supersedes_and_ends_the_fact(memory: LongTerm, live: Live, clock: Clock) -> None:
    live(memory, 3)
    consolidate(memory, telling("if the lamp is on"))
    clock.now += 60
    live(memory, 3)
    assert consolidate(memory, telling("if the lamp is off")).superseded == 1
    assert texts(memory) == [f"{PAYS} if the lamp is off."]
    assert len(memory.note_table.all(LESSON, superseded=True)) == 2    # nothing is overwritten
    old, new = memory.facts.history(PAYS)
    assert (old.value, new.value) == ("if the lamp is on", "if the lamp is off")
    assert old.until == new.since == clock.now
    assert new.until is None


def test_findings_that_differ_in_one_word_are_two_lessons(memory: LongTerm, live: Live) -> None:
    live(memory, 3)
    findings = [Finding(f"when action is left: direction becomes {where}",
                        f"when action is left: direction becomes {where} if the floor is dry and the lamp is on.")
                for where in ("up", "down")]
    consolidate(memory, lambda episodes: findings)
    Retrieval(memory).search("left direction", 5)    # what was recalled is still no echo of another
    live(memory, 3)
    findings.append(Finding("when action is left: direction becomes right", findings[0].text.replace("up", "right")))
    consolidate(memory, lambda episodes: findings)
    assert texts(memory) == [finding.text for finding in findings]


def test_a_language_model_s_lessons_rest_on_its_episodes_and_are_never_said_twice(memory: LongTerm, live: Live) -> None:
    told: list[Sequence[str]] = []

    def summarise(happened: Sequence[str]) -> str:
        told.append(happened)
        return "Lessons:\n1. Pushing in the dark never pays anything.\n- Keep the lamp on before pushing the stone.\nok"

    ids = [live(memory, 3) for _ in range(3)]
    report = consolidate(memory, telling("if the lamp is on"), summarise, together=2)
    assert [len(happened) for happened in told] == [3, 2]    # a finding, and how each episode ended
    assert told[0][1] == "an episode of 3 steps brought 3"
    mine = [note for note in memory.notes(LESSON) if note.source == "model"]
    assert [note.text for note in mine] == ["Pushing in the dark never pays anything.",
                                            "Keep the lamp on before pushing the stone."]
    assert {note.origin for note in mine} == {"model"}
    assert {link[0] for link in mine[0].links} == set(ids[:2])    # said again of what it was shown, it is no evidence
    assert len(report.lessons) == 3
    recalled = Retrieval(memory).search("keep the lamp on", 1, kind=LESSON)[0].note
    live(memory, 3)
    report = consolidate(memory, telling("if the lamp is on"), lambda _: f"As I remember: {recalled.text}")
    assert report.lessons == ()
    assert not memory.facts.all() or all(fact.origin == "environment" for fact in memory.facts.all())


def test_it_is_broken_off_and_taken_up_again(memory: LongTerm, live: Live) -> None:
    asked = 0

    def is_over() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    extra = tuple(Finding(f"event {k}", f"event {k} happens where {k} is.") for k in range(3))
    live(memory, 3)
    report = consolidate(memory, telling("always", *extra), is_over=is_over)
    assert report.is_broken_off
    assert (len(report.lessons), report.episodes) == (2, 0)
    with LongTerm(memory.path, LAYOUT) as later:    # each lesson was durable at once
        assert len(texts(later)) == 2
        report = consolidate(later, telling("always", *extra))
        assert (len(report.lessons), report.episodes, report.is_broken_off) == (2, 1, False)


def test_where_the_model_is_silent_its_episodes_wait(memory: LongTerm, live: Live) -> None:
    def silent(happened: Sequence[str]) -> str:
        raise GedankenError("the language model does not answer")

    live(memory, 3)
    report = consolidate(memory, telling("always"), silent)
    assert (report.failure, len(report.lessons)) == ("the language model does not answer", 1)
    assert pending(memory) == []
    assert len(pending(memory, summarised=True)) == 1
    assert len(consolidate(memory, telling("always"), lambda _: "A push is always worth it.").lessons) == 1
    assert pending(memory, summarised=True) == []


def test_duplicates_of_before_give_way_by_meaning(memory: LongTerm) -> None:
    class Embedding:
        def embed_documents(self, documents: list[str]) -> list[list[float]]:
            return [[1.0, 0.0] if "lamp" in text else [0.0, 1.0] for text in documents]

    said = ("Light the lamp first.", "Begin by turning on the lamp.", "Use 2 lamps at once.", "Doors open inward.")
    for text in said:
        memory.note(text)
    pairs = duplicates(memory.notes(LESSON), Embedding())  # type: ignore[arg-type]
    assert [(old.text, new.text) for old, new in pairs] == [("Light the lamp first.", "Begin by turning on the lamp.")]
    assert duplicates(memory.notes(LESSON)) == []


def test_an_answer_is_read_line_by_line() -> None:
    assert lessons_of('* "Keep the lamp on"\n\n2) Doors open inwards.\nYes\n' + "x " * 300 + ".") == [
        "Keep the lamp on", "Doors open inwards."]
    assert lessons_of("Keep the lamp on\nDoors open") == ["Keep the lamp on"]    # the last line was cut short


def test_what_a_model_was_shown_is_no_lesson_of_its_own() -> None:
    shown = "when action is left: direction becomes up if front is 1 (else 0 to 2), 54% of the time."
    copied = "When action is left: direction becomes up if front is 1 (else 0 to 3), 61% of the time."
    learnt = "Turning left twice brings you back to where you looked before."
    assert lessons_of(f"{copied}\n{learnt}\n{learnt.replace('twice', 'two times')}", [shown]) == [learnt]


def test_a_lesson_that_denies_what_is_known_is_kept() -> None:
    denied = "The red key does not open the red door."
    assert lessons_of(denied, ["The red key opens the red door."]) == [denied]
    assert lessons_of(denied, ["The red key does not open the blue door or the red door."]) == []
