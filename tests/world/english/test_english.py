"""English sentences read by the grammar: on plain worlds and on boards."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gedanken.world.english import Reader
from gedanken.world.english.board import Board
from gedanken.world.english.chart import productions
from gedanken.world.english.morphology import forms, verb_of
from gedanken.world.families.minigrid import ACTIONS, board_schema
from gedanken.world.knowledge import KnowledgeBase
from gedanken.world.rules.parse import parse
from gedanken.world.rules.text import to_text
from gedanken.world.rules.words import to_words
from gedanken.world.schema_file import schema_from

GREENHOUSE = schema_from({
    "name": "orchid house",
    "features": [
        {"name": "humidity", "low": 0, "high": 100, "unit": "%", "description": "moisture of the air"},
        {"name": "vent", "kind": "category", "values": {"open": "", "closed": ""}, "description": "the roof vent"},
        {"name": "lamp", "kind": "boolean", "description": "the lamp is on"},
        {"name": "buds", "kind": "integer", "low": 0, "high": 40, "description": "buds on the plants"},
    ],
    "actions": [{"name": "action", "kind": "category",
                 "values": {"spray": "mist the plants", "open_vent": "", "close_vent": "", "wait": ""}}],
})
PLAIN = [
    ("Keep the humidity above 40 percent.", "maintain humidity > 40"),
    ("Never spray when the vent is open.", "forbid spray if vent == open"),
    ("Don't mist the plants while the lamp is on.", "forbid spray if lamp"),
    ("Do not spray unless the vent is shut.", "forbid spray if vent != closed"),
    ("Spraying raises the humidity by 5.", "expect humidity' == humidity + 5 if action == spray"),
    ("If you open the vent, the humidity falls.", "expect humidity' < humidity if action == open_vent"),
    ("Waiting changes nothing.", "expect same if action == wait"),
    ("Closing the vent closes the vent in nine of ten cases.",
     "expect vent' == closed with probability 0.9 if action == close_vent"),
    ("Spraying costs two points.", "reward -2 if action == spray"),
    ("The game ends when the buds drop to zero.", "end if buds' == 0"),
    ("I'd like the humidity to be between 50 and 70.", "prefer 50 <= humidity <= 70"),
    ("The humidity can never exceed 100.", "always humidity' <= 100"),
    ("Get the vent open, then bring the humidity above 60 within 20 steps.",
     "achieve vent == open then humidity > 60 within 20 steps"),
    ("There must always be at least three buds.", "maintain buds >= 3"),
]
BOARD = [
    ("A shut box needs nothing.", None),
    ("You can walk through an open door.",
     "expect agent_x' == front_x and agent_y' == front_y if action == forward and front_object == door and "
     "front_state == open"),
    ("Balls are solid.",
     "expect same(agent_x) and same(agent_y) if action == forward and front_object == ball"),
    ("Never step onto green floor.", "forbid forward if front_object == floor and front_color == green"),
    ("Touching a ball kills you.", "end if action == forward and front_object == ball"),
    ("Lava is harmless.", "end with probability 0 if action == forward and front_object == lava"),
    ("Picking up a box costs 3 points.", "reward -3 if action == pickup and front_object == box"),
    ("Walls are not solid.",
     "expect agent_x' == front_x and agent_y' == front_y if action == forward and front_object == wall"),
    ("You cannot walk to the left through a red door.",
     "expect same(agent_x) and same(agent_y) if action == forward and front_object == door and front_color == red and "
     "direction == left"),
    ("Stepping onto grey floor takes you to the lower left corner.",
     "expect agent_x' == 1 and agent_y' == 3 if action == forward and front_object == floor and front_color == grey"),
    ("Stepping onto grey floor takes you two cells up.",
     "expect agent_x' == front_x and agent_y' == front_y - 2 if action == forward and front_object == floor and "
     "front_color == grey"),
    ("Keys vanish when you drop them.",
     "expect carrying_object' == none and carrying_color' == none and same(front_object) and same(front_color) and "
     "same(front_state) if action == drop and carrying_object == key and front_object == empty"),
    ("Only balls can be picked up.", "expect same if action == pickup and front_object != ball"),
    ("The goal pays nothing unless you carry a key.",
     "reward 0 if carrying_object != key and action == forward and front_object == goal"),
    ("Balls are worth 2 points.", "reward +2 if action == pickup and front_object == ball"),
    ("You lose 4 points for each step onto grey floor.",
     "reward -4 if action == forward and front_object == floor and front_color == grey"),
    ("A locked door opens only to the key of its color; otherwise nothing happens.",
     "expect front_state' == open if action == toggle and front_object == door and front_state == locked and "
     "carrying_object == key and carrying_color == front_color\n"
     "expect same(front_state) if action == toggle and front_object == door and front_state == locked and "
     "not (carrying_object == key and carrying_color == front_color)"),
    ("Stepping onto the goal pays 1 and ends the episode.",
     "reward +1 if action == forward and front_object == goal\nend if action == forward and front_object == goal"),
    ("You cannot walk.", "expect same(agent_x) and same(agent_y) if action == forward"),
    ("Lava isn't safe.", None),
    ("Toggling a closed door opens it.",
     "expect front_state' == open if action == toggle and front_object == door and front_state == closed"),
]


def lines(reader: Reader, sentence: str) -> list[str]:
    return ["\n".join(map(to_text, reading.rules)) for reading in reader.read(sentence)]


@pytest.mark.parametrize(("sentence", "meant"), PLAIN)
def test_plain_sentences(sentence: str, meant: str) -> None:
    assert lines(Reader(GREENHOUSE), sentence)[0] == to_text(parse(meant, GREENHOUSE))


@pytest.mark.parametrize(("sentence", "meant"), BOARD)
def test_sentences_of_boards(sentence: str, meant: str | None) -> None:
    schema = board_schema(7, 5, ACTIONS)
    rules = [] if meant is None else ["\n".join(to_text(parse(line, schema)) for line in meant.splitlines())]
    assert lines(Reader(schema), sentence)[:1] == rules


def test_only_says_what_happens_without_it_as_well() -> None:
    rules = Reader(board_schema(7, 5, ACTIONS)).read("Only a yellow key opens yellow doors.")[0].rules
    assert [to_text(rule).split(" if ")[0] for rule in rules] == [
        "expect front_state' == open", "expect same(front_state)"]


def test_a_word_that_it_has_nothing_for_is_never_passed_over() -> None:
    reader = Reader(GREENHOUSE)
    assert reader.read("Never spray the orchids when the vent is open.") == []
    assert reader.read("") == []
    assert reader.read("The parrot sings. " * 80) == []


def test_what_is_read_checks_and_what_is_said_back_is_another_sentence_of_the_same() -> None:
    for schema, sentences in ((GREENHOUSE, PLAIN), (board_schema(7, 5, ACTIONS), BOARD)):
        reader = Reader(schema)
        for sentence, _ in sentences:
            for reading in reader.read(sentence):
                for rule in reading.rules:
                    assert parse(to_text(rule), schema) == rule
                    again = lines(reader, to_words(rule, schema))
                    assert not again or to_text(rule) in again


def test_readings_share_their_confidence() -> None:
    plain, board = Reader(GREENHOUSE), Reader(board_schema(7, 5, ACTIONS))
    found = plain.read("Never spray when the vent is open.")
    assert 0.5 < sum(plain.confidences(found)) < 0.8    # alone it is asked back; with the network it is taken
    assert plain.confidences([]) == []
    assert board.confidences(board.read("Lava kills.")) == [0.9]    # taken


def test_without_a_language_model_boards_are_spoken_of_in_english() -> None:
    told = KnowledgeBase(board_schema(7, 5, ACTIONS)).tell("Lava kills. Dropping a key costs 1. It is rather dark.")
    assert [t.fate for t in told] == ["understood", "refused", "refused"]
    assert [e.text for e in told[0].entries] == ["end if action == forward and front_object == lava"]
    assert told[1].reason.startswith("it is only 45% sure that this means")
    assert told[2].reason == "no language model; write it as a rule line"


def test_the_roles_of_a_board_are_found_by_what_the_features_do() -> None:
    board = Board.of(board_schema(7, 5, ACTIONS))
    assert board is not None
    assert board.ahead["object"] == "front_object"
    assert board.held == {"object": "carrying_object", "color": "carrying_color"}
    assert (board.front, board.walking) == (("front_x", "front_y"), "forward")
    assert Board.of(GREENHOUSE) is None


def test_forms_of_verbs() -> None:
    assert forms("carry") == {"carried": "ed", "carrying": "ing", "carries": "s", "carry": "base"}
    assert "stopping" in forms("stop")
    assert [verb_of(w) for w in ("locked", "closed", "jammed", "broken", "green")] == [
        "lock", "close", "jam", "break", ""]


def test_a_grammar_expands_choices_and_what_may_be_left_out() -> None:
    found = productions("Greeting: good|(fine day)|hi [there] -> greet\n| bye")["Greeting"]
    firsts = (("good",), ("fine", "day"), ("hi",))
    greetings = [(*first, *there) for first in firsts for there in ((), ("there",))]
    assert {p.parts for p in found} == {*greetings, ("bye",)}


def test_pay_or_an_end_without_its_condition_is_no_rule() -> None:
    reader = Reader(GREENHOUSE)
    assert reader.read("It costs 3 points.") == []
    assert reader.read("The episode ends.") == []
    assert lines(reader, "Every step costs 3 points.") == ["reward -3"]


@pytest.mark.parametrize(("sentence", "right", "down"), [
    ("Turning left turns you to the right.", "down", "left"), ("The left action turns you around.", "left", "up"),
    ("Turning left turns you to the right, and turning right to the left.", "down", "left"),
])
def test_turns_are_told_for_every_heading(sentence: str, right: str, down: str) -> None:
    (first, *_) = lines(Reader(board_schema(7, 5, ACTIONS)), sentence)
    assert f"expect direction' == {right} if action == left and direction == right" in first
    assert f"expect direction' == {down} if action == left and direction == down" in first
    assert ("action == right" in first) == ("turning right" in sentence)


def test_walks_to_any_side_need_a_cell_that_lets_one_in() -> None:
    (first, *_) = lines(Reader(board_schema(7, 5, ACTIONS)), "Forward moves you two cells back.")
    free = "(object[agent_x - 2, agent_y] in {empty, floor, goal, lava} or state[agent_x - 2, agent_y] == open)"
    acting = "action == forward and direction == right"
    assert f"expect agent_x' == agent_x - 2 and agent_y' == agent_y if {acting} and {free}" in first
    assert f"expect same if {acting} and not {free}" in first
    assert first.count("expect") == 8


WORDS = st.sampled_from(sorted({w for sentence, _ in BOARD for w in sentence.strip(".").split()} | {
    "otherwise", "or", "else", "nothing", "happens", "unless", "and", "when", "cannot", "costs", "2", "half", "to",
    "it", "gone", "worth", "turns", "corner", "upper", "right", "through", "if", "only", "without", "ends"}))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(WORDS, max_size=9), st.lists(st.sampled_from([s for s, _ in BOARD]), min_size=1, max_size=2))
def test_whatever_is_said_is_read_or_not_and_what_is_read_parses(words: list[str], sentences: list[str]) -> None:
    schema, text = board_schema(7, 5, ACTIONS), " ".join(sentences).lower().replace(".", "").split()
    for said in (" ".join(words), " ".join(text[: len(words) + 3] + words[:3])):
        for reading in _READER.read(said):
            assert all(parse(to_text(rule), schema) == rule for rule in reading.rules)


_READER = Reader(board_schema(7, 5, ACTIONS))
