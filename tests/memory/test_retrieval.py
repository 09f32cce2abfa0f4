"""Notes and retrieval: relevance, recency, importance; duplicates and odd text stop at the gate."""

from __future__ import annotations

from collections import Counter

import pytest
from langchain_core.embeddings import Embeddings

from gedanken.errors import GedankenError, UserError
from gedanken.memory import LongTerm, Retrieval, Weights

from .conftest import LAYOUT, Clock

WORDS = ("door", "key", "lava", "battery", "goal")
ONLY_RELEVANCE = Weights(1.0, 0.0, 0.0)


class WordEmbeddings(Embeddings):
    """Counts of five words: a small real embedding whose cosines can be reckoned by hand."""

    def __init__(self) -> None:
        self.documents = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.documents += len(texts)
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        counts = Counter(text.lower().split())
        return [float(counts[word]) for word in WORDS]


def texts(retrieval: Retrieval, query: str, **options: object) -> list[str]:
    return [hit.note.text for hit in retrieval.search(query, **options)]  # type: ignore[arg-type]


def test_the_same_text_of_the_same_kind_is_stored_once(memory: LongTerm, clock: Clock) -> None:
    first = memory.note("a locked door needs its key", importance=0.2, tags=["door"])
    clock.now += 60
    assert memory.note("  a locked door needs its key\x00 ", importance=0.9) == first
    assert memory.note("a locked door needs its key", kind="manual") != first
    (note,) = memory.notes("lesson")
    assert (note.importance, note.tags, note.seen - note.created) == (0.9, ("door",), 60)


def test_odd_text_is_mended_at_the_door(memory: LongTerm) -> None:
    memory.note("lava \ud800 is\x00 hot", kind="le\x00sson", tags=["\udfff", ""], source="\ud800")
    (note,) = memory.notes("lesson")
    assert (note.text, note.tags, note.source) == ("lava \ufffd is hot", ("\ufffd",), "\ufffd")
    memory.begin(group="\ud83d\x00", source="\ude00")
    for text, importance in (("\x00 ", 0.5), ("text", 2.0), ("text", float("nan"))):
        with pytest.raises(UserError):
            memory.note(text, importance=importance)
    with pytest.raises(UserError, match="list of words"):
        memory.note("text", tags="door")


@pytest.mark.parametrize("embeddings", [None, WordEmbeddings()])
def test_text_like_an_injection_is_only_text(memory: LongTerm, embeddings: Embeddings | None) -> None:
    attack = "x'; DROP TABLE notes; --"
    memory.note("the door is shut", kind="lesson", tags=["a"])
    memory.note(attack, kind=attack, tags=[attack])
    retrieval = Retrieval(memory, embeddings)
    assert texts(retrieval, "door", kind=attack) == [attack]
    assert texts(retrieval, "door", tags=[attack]) == [attack]
    assert texts(retrieval, "door", kind="' OR 1=1 --") == []
    for query in (attack, '" OR text:*', "NEAR(door key)", "door NOT shut", "text : door", "(", "*", "", "\x00", "^_^"):
        assert len(retrieval.search(query)) == 2
    assert len(memory.notes()) == 2


@pytest.mark.parametrize("embeddings", [None, WordEmbeddings()])
def test_the_relevant_note_comes_first(memory: LongTerm, embeddings: Embeddings | None) -> None:
    for text in ("avoid lava", "a door needs a key", "charge the battery", "the goal is green"):
        memory.note(text)
    hits = Retrieval(memory, embeddings).search("which key opens the door", k=2, weights=ONLY_RELEVANCE)
    assert hits[0].note.text == "a door needs a key"
    assert hits[0].score == hits[0].relevance == pytest.approx(1.0)
    assert len(hits) == 2


def test_newer_notes_rank_higher_by_half_life(memory: LongTerm, clock: Clock) -> None:
    for text in ("door one", "door two", "door three"):
        memory.note(text)
        clock.now += 3600
    retrieval = Retrieval(memory, WordEmbeddings(), clock=clock)
    hits = retrieval.search("door", half_life_s=3600, weights=Weights(1.0, 1.0, 0.0))
    assert [hit.note.text for hit in hits] == ["door three", "door two", "door one"]
    assert [hit.recency for hit in hits] == pytest.approx([0.5, 0.25, 0.125])
    memory.note("door one")  # said again: it is fresh
    assert texts(retrieval, "door", half_life_s=3600)[0] == "door one"


def test_importance_and_the_parts_add_up(memory: LongTerm, clock: Clock) -> None:
    memory.note("lava burns", importance=1.0)
    memory.note("lava glows", importance=0.0)
    first, second = Retrieval(memory, WordEmbeddings(), clock=clock).search("lava", weights=Weights(2.0, 0.5, 0.25))
    assert (first.note.text, first.score) == ("lava burns", pytest.approx(2.0 + 0.5 + 0.25))
    assert (second.importance, second.score) == (0.0, pytest.approx(2.5))


def test_notes_are_filtered_by_kind_and_every_tag(memory: LongTerm) -> None:
    memory.note("door a", tags=["x", "y"])
    memory.note("door b", tags=["x"])
    memory.note("door c", kind="manual", tags=["x", "y"])
    retrieval = Retrieval(memory)
    assert set(texts(retrieval, "door", tags=["x"])) == {"door a", "door b", "door c"}
    assert texts(retrieval, "door", kind="lesson", tags=["y", "x"]) == ["door a"]
    with pytest.raises(UserError, match="k >= 1"):
        retrieval.search("door", k=0)
    with pytest.raises(UserError, match="weight of recency"):
        Weights(recency=-1.0)


def test_a_note_is_embedded_once_and_for_all(memory: LongTerm) -> None:
    embeddings = WordEmbeddings()
    for i in range(150):
        memory.note(f"door {i}")
    Retrieval(memory, embeddings).search("door")
    assert embeddings.documents == 150
    retrieval = Retrieval(memory, embeddings)  # as in a new process
    retrieval.search("key")
    memory.note("one key more")
    assert texts(retrieval, "key", k=1) == ["one key more"]
    assert embeddings.documents == 151
    Retrieval(memory, embeddings, model="another").search("door")
    assert embeddings.documents == 302


def test_a_failing_or_changed_embedding_model_is_told(memory: LongTerm) -> None:
    class Broken(WordEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            raise ConnectionError("no network")

    class Longer(WordEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            return [1.0] * 9

    class Hollow(WordEmbeddings):
        def embed_query(self, text: str) -> list[float]:
            return [float("nan")] * 5

    memory.note("door")
    with pytest.raises(GedankenError, match=r"failed \(ConnectionError: no network\)"):
        Retrieval(memory, Broken()).search("door")
    with pytest.raises(GedankenError, match="no 1 finite vectors"):
        Retrieval(memory, Hollow()).search("door")
    Retrieval(memory, WordEmbeddings(), model="m").search("door")
    with pytest.raises(GedankenError, match="different names"):
        Retrieval(memory, Longer(), model="m").search("door")
    assert len(memory.notes()) == 1


def test_a_langchain_retriever_finds_the_same(memory: LongTerm) -> None:
    memory.note("a door needs a key", tags=["d"], importance=0.7)
    memory.note("avoid lava")
    retrieval = Retrieval(memory, WordEmbeddings())
    (document,) = retrieval.as_retriever(k=1, kind="lesson").invoke("door")
    assert document.page_content == "a door needs a key"
    assert (document.metadata["tags"], document.metadata["importance"]) == (["d"], 0.7)
    assert Retrieval(memory).as_retriever(tags=["none"]).invoke("door") == []


def test_an_empty_memory_finds_nothing(memory: LongTerm) -> None:
    assert Retrieval(memory).search("door") == Retrieval(memory, WordEmbeddings()).search("door") == []


def test_notes_are_filtered_by_source_origin_time_and_episode(memory: LongTerm, clock: Clock) -> None:
    start = clock.now
    memory.note("door a", source="user")
    clock.now += 10
    memory.note("door b", source="environment", episode=1)
    clock.now += 10
    memory.note("door c", kind="surprise", source="gpt", episode=2)
    retrieval = Retrieval(memory, WordEmbeddings())
    assert set(texts(retrieval, "door", source=["user", "gpt"])) == {"door a", "door c"}
    assert texts(retrieval, "door", origin="person") == ["door a"]
    assert texts(retrieval, "door", origin=("model", "environment"), episode=1) == ["door b"]
    assert set(texts(retrieval, "door", since=start + 10)) == {"door b", "door c"}
    assert texts(retrieval, "door", since=start + 5, until=start + 20) == ["door b"]
    assert set(texts(retrieval, "door", kind=["lesson", "surprise"], episode=[1, 2])) == {"door b", "door c"}
    assert texts(retrieval, "door", source="%") == texts(retrieval, "door", kind="less_n") == []


def test_every_part_of_a_score_is_shown(memory: LongTerm) -> None:
    memory.note("lava near the door")
    memory.note("lava")
    first, second = Retrieval(memory, WordEmbeddings()).search("lava", weights=Weights(1.0, 0.0, 0.0, keywords=0.4))
    assert (first.note.text, first.similarity, first.keywords) == ("lava", pytest.approx(1.0), 1.0)
    assert second.similarity == pytest.approx(0.5**0.5)
    assert second.relevance == pytest.approx(0.6 * second.similarity + 0.4 * second.keywords)
    with pytest.raises(UserError, match="share from 0 to 1"):
        Weights(keywords=1.5)


@pytest.mark.parametrize("embeddings", [None, WordEmbeddings()])
def test_diversity_chooses_what_is_unlike_what_was_chosen(memory: LongTerm, embeddings: Embeddings | None) -> None:
    memory.note("door key key goal")
    memory.note("door key key goal door")
    memory.note("lava door")
    retrieval = Retrieval(memory, embeddings)
    alike = {"door key key goal", "door key key goal door"}
    assert set(texts(retrieval, "door key goal", k=2)) == alike
    assert "lava door" in texts(retrieval, "door key goal", k=2, diversity=0.7)
    assert set(texts(retrieval, "door", k=9, diversity=1.0)) == {*alike, "lava door"}
    with pytest.raises(UserError, match="diversity"):
        retrieval.search("door", diversity=2.0)


def test_what_another_process_notes_and_forgets_is_seen(memory: LongTerm, clock: Clock) -> None:
    retrieval = Retrieval(memory, WordEmbeddings(), clock=clock)
    memory.note("door a")
    assert texts(retrieval, "door") == ["door a"]
    with LongTerm(memory.path, LAYOUT, clock=clock) as other:
        second = other.note("door b", tags=["x"])
        Retrieval(other, WordEmbeddings()).search("door")
        assert set(texts(retrieval, "door")) == {"door a", "door b"}
        other.note_table.supersede(second, by=1)
        assert texts(retrieval, "door") == ["door a"]
        other.note_table.forget([1])
        assert texts(retrieval, "door") == texts(retrieval, "door", tags="x") == ["door b"]


def test_a_word_that_many_notes_hold_still_finds_the_newest(memory: LongTerm) -> None:
    with memory.database.transaction():
        memory.database.execute_many(
            """INSERT INTO notes (kind, origin, source, digest, text, importance, tags, created, seen, changed)
               VALUES ('lesson', 'model', '', ?, ?, 0, '[]', 0, 0, ?)""",
            [(str(i), f"door {i}" + " key" * (i == 9), i) for i in range(6_000)],
        )
        memory.database.execute("UPDATE note_state SET changed = 6000")
    retrieval = Retrieval(memory)
    assert texts(retrieval, "the door and its key", k=1) == ["door 9 key"]
    assert texts(retrieval, "door", k=1) == ["door 5999"]


def test_near_duplicates_are_told_by_meaning(memory: LongTerm) -> None:
    retrieval = Retrieval(memory, WordEmbeddings())
    first = retrieval.note("the key fits the door")
    assert retrieval.note("a door which some key may open") == first
    assert retrieval.note("a door which some key may not open") != first
    assert retrieval.note("a door which 2 keys may open, one a key") != first
    assert retrieval.note("a door which some key may open", kind="manual") != first
    assert retrieval.note("a door which some key may open", source="user") != first
    memory.note_table.recalled([first])
    assert retrieval.note("some key goes with some door", kind="idea", source="environment") == first
    assert {hit.note.id for hit in retrieval.search("lava", k=9)} == {note.id for note in memory.notes()}
